"""Newton's method against closed forms and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline.loop.result import Status
from fallline.objectives import Function, LinearRegression, surfaces
from fallline.second_order._trust import Spectral, Steihaug

VARIANTS: dict[str, dict[str, Any]] = {
    "exact": {},
    "absolute": {"curvature": "absolute"},
    "damped": {"damping": 1e-3},
    "backtracking": {"curvature": "absolute", "line_search": "backtracking"},
    "strong_wolfe": {"curvature": "absolute", "line_search": "strong_wolfe"},
    "region": {"trust_region": "exact"},
    "steihaug": {"trust_region": "steihaug"},
    "auto": {"trust_region": "auto"},
}
DOWNHILL = ["backtracking", "strong_wolfe", "region", "steihaug", "auto"]


def symmetric(rng: np.random.Generator, values: Any) -> np.ndarray:
    Q = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    return (Q * values) @ Q.T


def quadratic(H: np.ndarray, b: np.ndarray) -> Function:
    return Function(
        lambda x: 0.5 * x @ H @ x + b @ x, lambda x: H @ x + b, lambda x: H, n_params=len(b)
    )


@given(condition=st.floats(1, 1e6), n=st.integers(2, 8), seed=st.integers(0, 999))
def test_one_step_reaches_the_minimum_of_a_quadratic(condition: float, n: int, seed: int) -> None:
    f = surfaces.QuadraticValley(condition, n, seed=seed)
    x0 = f.initial(seed)
    for options in ({}, {"curvature": "absolute"}, {"line_search": "strong_wolfe"}):
        newton = fl.Newton(f, x0, **options)
        assert newton.step().success
        assert f.loss(newton.x) <= 1e-20 * condition * f.loss(x0)


def test_one_step_solves_least_squares() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 4)), rng.normal(size=50)
    newton = fl.Newton(LinearRegression(X, y))
    newton.step()
    expected = np.linalg.lstsq(np.c_[X, np.ones(50)], y, rcond=None)[0]
    assert np.allclose(newton.x, expected, rtol=1e-10)


@pytest.mark.parametrize("damping", [0.0, 0.3, 10.0])
def test_damped_steps_solve_the_damped_system(damping: float) -> None:
    rng = np.random.default_rng(1)
    H, b = symmetric(rng, np.array([-2.0, 0.5, 3.0])), rng.normal(size=3)
    newton = fl.Newton(quadratic(H, b), damping=damping)
    newton.step()
    assert np.allclose((H + damping * np.eye(3)) @ newton.x, -b)
    newton = fl.Newton(quadratic(H, b), damping=damping, curvature="absolute", lr=0.5)
    newton.step()
    w, V = np.linalg.eigh(H)
    assert np.allclose(newton.x, -0.5 * V @ ((V.T @ b) / (np.abs(w) + damping)))


def test_newton_is_drawn_to_saddles_and_absolute_curvature_repelled() -> None:
    """On a quadratic saddle plain Newton lands on it; |H| leads away from it by doubling."""
    f = surfaces.Saddle()
    plain = fl.Newton(f, [1.0, 0.1])
    step = plain.step()
    assert step.fun > -1e-30
    assert np.allclose(plain.x, 0)
    away = fl.Newton(f, [1.0, 0.1], curvature="absolute")
    away.step()
    assert np.allclose(away.x, [0, 0.2])
    up = fl.Newton(f, [0.01, 1.0])
    assert up.step().message == "a Newton step up: the curvature is negative"


@pytest.mark.parametrize("name", DOWNHILL)
@pytest.mark.parametrize(
    ("f", "x0"),
    [
        (surfaces.Rosenbrock(), [-1.2, 1.0]),
        (surfaces.Rosenbrock(10), None),
        (surfaces.Beale(), [1.0, 1.0]),
        (surfaces.Himmelblau(), [0.0, 0.0]),
        (surfaces.StyblinskiTang(4), [0.1, 0.2, -0.1, 0.0]),
    ],
)
def test_it_finds_minima_downhill(name: str, f: Any, x0: Any) -> None:
    res = fl.minimize(f, x0, fl.Newton(**VARIANTS[name]))
    assert res.success
    assert res.status == Status.GRADIENT
    assert (np.diff(res.history) <= 1e-14 * np.abs(res.history[1:])).all()
    assert fl.curvature.critical_point(f, res.x).verdict == "local minimum"


@pytest.mark.parametrize(("name", "method"), [("region", "trust-exact"), ("steihaug", "trust-ncg")])
@pytest.mark.parametrize(
    ("f", "x0"),
    [
        (surfaces.Rosenbrock(), [-1.2, 1.0]),
        (surfaces.Rosenbrock(6), [-1.2, 1.0, -1.0, 1.0, 0.5, 0.1]),
        (surfaces.Beale(), [1.0, 1.0]),
        (surfaces.Himmelblau(), [0.0, 0.0]),
    ],
)
def test_against_scipy(name: str, method: str, f: Any, x0: list[float]) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    res = fl.minimize(f, x0, fl.Newton(**VARIANTS[name]), gtol=1e-8)
    other = optimize.minimize(
        f.loss, x0, jac=f.gradient, hess=f.hessian, method=method, options={"gtol": 1e-8}
    )
    assert np.allclose(res.x, other.x, atol=1e-7)
    assert res.nfev <= 1.2 * other.nfev


# ---- the subproblem ------------------------------------------------------------------------------


@given(
    values=st.lists(
        st.sampled_from([-3.0, -1.0, -1e-9, 0.0, 1e-6, 0.5, 2.0]), min_size=1, max_size=6
    ),
    radius=st.floats(1e-3, 1e3),
    seed=st.integers(0, 9999),
    hard=st.booleans(),
)
def test_spectral_steps_meet_the_conditions_of_a_minimum(
    values: list[float], radius: float, seed: int, hard: bool
) -> None:
    """(H + λI) p = -g, λ ≥ 0, λ (Δ - ‖p‖) = 0, H + λI positive semidefinite."""
    rng = np.random.default_rng(seed)
    w = np.sort(values)
    V = np.linalg.qr(rng.normal(size=(len(w), len(w))))[0]
    H = (V * w) @ V.T
    gamma = rng.normal(size=len(w))
    if hard:
        gamma[w == w[0]] = 0
    g = V @ gamma
    found = Spectral(H, g).solve(radius)
    p, length = found.step, np.linalg.norm(found.step)
    assert length <= radius * (1 + 1e-8)
    lam = -(p @ (H @ p + g)) / (p @ p) if length else 0.0
    scale = 1 + np.abs(w).max() + np.linalg.norm(g) / radius
    assert lam >= -1e-7 * scale
    assert lam + w[0] >= -1e-7 * scale
    assert np.abs(H @ p + lam * p + g).max() <= 1e-6 * scale * max(1, length)
    if lam > 1e-5 * scale:
        assert length == pytest.approx(radius, rel=1e-6)
    assert found.predicted == pytest.approx(-(g @ p + 0.5 * p @ H @ p), rel=1e-6, abs=1e-9 * scale)
    assert found.predicted >= 0


@given(
    values=st.lists(st.integers(-12, 12).map(lambda k: k / 4), min_size=1, max_size=6),
    radius=st.floats(1e-3, 1e3),
    seed=st.integers(0, 9999),
)
def test_steihaug_steps_lie_between_cauchy_and_exact(
    values: list[float], radius: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    H, g = symmetric(rng, np.array(values)), rng.normal(size=len(values))
    found = Steihaug(lambda v: H @ v, g, 100).solve(radius)
    best = Spectral(H, g).solve(radius).predicted
    size, bend = np.linalg.norm(g), g @ H @ g
    tau = radius / size if bend <= 0 else min(radius / size, size**2 / bend)
    cauchy = tau * size**2 - 0.5 * tau**2 * bend
    assert np.linalg.norm(found.step) <= radius * (1 + 1e-9)
    assert cauchy * (1 - 1e-9) - 1e-12 <= found.predicted <= best * (1 + 1e-7) + 1e-9
    p = found.step
    assert found.predicted == pytest.approx(-(g @ p + 0.5 * p @ H @ p), rel=1e-6, abs=1e-9)


def test_steihaug_forms_no_hessian() -> None:
    n = 100_000
    scale = np.linspace(1, 50, n)
    f = Function(
        lambda x: float(np.sum(scale * x**2 + x**4)),
        lambda x: 2 * scale * x + 4 * x**3,
        hvp=lambda x, v: (2 * scale + 12 * x**2) * v,
        x0=np.ones(n),
    )
    res = fl.minimize(f, None, fl.Newton(trust_region="auto", radius=100.0), gtol=1e-6)
    assert res.success
    assert np.abs(res.x).max() < 1e-6
    assert res.nhev < 200


# ---- what goes wrong ----------------------------------------------------------------------------


def test_what_it_cannot_do_is_told() -> None:
    flat = quadratic(np.diag([1.0, 0.0]), np.array([1.0, 1.0]))
    step = fl.Newton(flat).step()
    assert (step.success, step.message) == (
        False,
        "the Hessian is singular: damping makes it regular",
    )
    step = fl.Newton(surfaces.Saddle(), [0.1, 1.0], line_search="backtracking").step()
    assert not step.success
    assert "the Newton direction leads up, as the Hessian is indefinite" in step.message
    bad = Function(lambda x: x @ x, lambda x: 2 * x, lambda x: np.full((2, 2), np.nan), n_params=2)
    for options in VARIANTS.values():
        newton = fl.Newton(bad, [1.0, 1.0], **options)
        step = newton.step()
        assert not step.success
        assert "Hessian is not finite" in step.message
        assert newton.x.tolist() == [1, 1]


def test_a_hessian_too_large_to_form() -> None:
    f = Function(lambda x: x @ x, lambda x: 2 * x, hvp=lambda x, v: 2 * v, x0=np.ones(3_000_000))
    with pytest.raises(MemoryError, match="the Hessian of 3,000,000 parameters would take 72 TB"):
        fl.Newton(f).step()
    assert fl.minimize(f, None, fl.Newton(trust_region="auto")).success


@pytest.mark.parametrize("name", VARIANTS)
def test_lying_gradients_make_no_endless_loop(name: str) -> None:
    lying = Function(lambda x: x @ x, lambda x: -2 * x, lambda x: 2 * np.eye(2), x0=[1.0, 1.0])
    res = fl.minimize(lying, None, fl.Newton(**VARIANTS[name]))
    assert not res.success
    assert res.status in (Status.NO_DECREASE, Status.DIVERGED)


@pytest.mark.parametrize("name", DOWNHILL)
def test_unbounded_objectives(name: str) -> None:
    res = fl.minimize(surfaces.UnboundedCubic(), [1.5], fl.Newton(**VARIANTS[name]), steps=200)
    assert (res.status, res.success) == (Status.UNBOUNDED, False)
    assert "seems to be unbounded below" in res.message
    assert np.isfinite(res.x).all()


def test_end_at_the_limits_of_rounding() -> None:
    """A gradient that cannot become as small as asked for."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 4)), 1e6 * rng.normal(size=50)
    f = LinearRegression(X, y, reduction="sum")
    for name in DOWNHILL:
        res = fl.minimize(
            f,
            None,
            fl.Newton(
                **VARIANTS[name],
                **({} if "line_search" in VARIANTS[name] else {"radius": 1e7, "max_radius": 1e9}),
            ),
            gtol=0.0,
        )
        assert res.status in (Status.NO_DECREASE, Status.GRADIENT)
        assert res.nit < 30
        assert np.linalg.norm(res.jac) < 1e-5


@pytest.mark.parametrize("name", VARIANTS)
def test_resumed_fits_have_the_same_bits(name: str, tmp_path: Any) -> None:
    pytest.importorskip("safetensors")
    f, x0 = surfaces.Rosenbrock(4), [-1.2, 1.0, -1.0, 1.0]
    options = VARIANTS[name]
    whole = fl.minimize(f, x0, fl.Newton, steps=9, **options)
    fl.minimize(f, x0, fl.Newton, steps=4, checkpoint=tmp_path / "f", **options)
    rest = fl.minimize(f, x0, fl.Newton, steps=9, resume=tmp_path / "f", **options)
    assert np.array_equal(whole.x, rest.x)
    assert np.array_equal(whole.history, rest.history)
    assert (whole.nfev, whole.nhev) == (rest.nfev, rest.nhev)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"curvature": "gauss"}, ValueError, "curvature must be one of .* not 'gauss'"),
        ({"damping": -1.0}, ValueError, "damping must be a finite number"),
        ({"damping": float("nan")}, ValueError, "damping must be a finite number"),
        ({"lr": 0.0}, ValueError, "lr must be a finite number"),
        ({"line_search": "brent"}, ValueError, "line_search must be one of"),
        ({"trust_region": True}, ValueError, "trust_region must be one of"),
        ({"trust_region": "exact", "damping": 1.0}, ValueError, "damping=1.0 with trust_region"),
        ({"trust_region": "exact", "lr": 0.5}, ValueError, "lr=0.5 with trust_region"),
        ({"radius": 0.0}, ValueError, "radius must be a finite number"),
        ({"radius": 5.0, "max_radius": 1.0}, ValueError, "radius must be at most max_radius=1"),
        ({"max_cg": 0}, ValueError, "max_cg must be at least 1"),
        ({"x0": [1.0], "objective": None}, TypeError, "x0 without an objective"),
        ({"x0": [1.0]}, ValueError, r"phi has shape \(1,\)"),
        ({"objective": 3}, TypeError, "objective must be an Objective, not 3"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fl.Newton(**{"objective": surfaces.Saddle(), **arguments})


def test_batches_are_refused() -> None:
    f = LinearRegression(np.eye(3), np.ones(3))
    with pytest.raises(ValueError, match="Newton takes its steps on all samples"):
        fl.minimize(f, optimizer=fl.Newton, batch_size=1)
    with pytest.raises(TypeError, match="takes no batches"):
        fl.Newton(f).step([0])
