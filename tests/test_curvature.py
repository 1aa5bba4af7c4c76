"""Critical points, escape from saddles, steps and derivatives: closed forms, SciPy, bad input."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import fallline as fl
from fallline import curvature
from fallline.objectives import Function, LinearRegression, surfaces

optimize = pytest.importorskip("scipy.optimize")


def quadratic(H: np.ndarray, g: np.ndarray | float = 0.0) -> Function:
    """½ xᵀHx + gᵀx."""
    n = len(H)
    slope = np.broadcast_to(g, n)
    return Function(
        lambda x: 0.5 * x @ H @ x + slope @ x,
        lambda x: H @ x + slope,
        lambda x: H,
        n_params=n,
    )


def with_eigenvalues(values: Any, seed: int) -> np.ndarray:
    """A matrix that has them, along random axes."""
    n = len(values)
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    return Q @ np.diag(values) @ Q.T


signs = st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=6)
sizes = st.floats(0.01, 100)


# ---- critical points -----------------------------------------------------------------------------


@given(signs=signs, size=sizes, seed=st.integers(0, 2**32))
def test_verdict_is_that_of_the_signs(signs: list[int], size: float, seed: int) -> None:
    values = np.array([s * size * (i + 1) for i, s in enumerate(signs)])
    point = curvature.critical_point(
        quadratic(with_eigenvalues(values, seed)), np.zeros(len(values))
    )
    assert np.allclose(point.eigenvalues, np.sort(values), atol=1e-12 * (1 + np.abs(values).max()))
    expected = (
        "saddle"
        if {-1, 1} <= set(signs)
        else "degenerate"
        if 0 in signs
        else "local minimum"
        if signs[0] > 0
        else "local maximum"
    )
    assert point.verdict == expected, point
    assert point.is_critical
    assert point.complete
    H = with_eigenvalues(values, seed)
    vectors = point.eigenvectors
    assert np.allclose(H @ vectors, vectors * point.eigenvalues, atol=1e-10 * size)


@pytest.mark.parametrize("power", [3, 4, 5])
@pytest.mark.parametrize("sign", [1, -1])
def test_higher_powers_are_degenerate(power: int, sign: int) -> None:
    f = Function(
        lambda x: sign * x[0] ** power,
        lambda x: sign * power * x ** (power - 1),
        lambda x: sign * power * (power - 1) * x ** (power - 2),
        n_params=1,
    )
    point = curvature.critical_point(f, [0.0])
    assert point.verdict == "degenerate"
    assert point.message.endswith("the second derivative does not decide")


def test_a_flat_direction_beside_a_valley_is_no_saddle() -> None:
    valley = Function(lambda x: x[0] ** 2 + x[1] ** 4, n_params=2)
    point = curvature.critical_point(valley, [0.0, 0.0])
    assert point.verdict == "degenerate"
    assert "no maximum" in point.message
    ridge = Function(lambda x: -(x[0] ** 2) + x[1] ** 3, n_params=2)
    point = curvature.critical_point(ridge, [0.0, 0.0])
    assert point.verdict == "degenerate"
    assert "no minimum" in point.message


@pytest.mark.parametrize(
    ("f", "x", "verdict"),
    [
        (surfaces.Cubic(), [0], "degenerate"),
        (surfaces.UnboundedCubic(), [-1], "local minimum"),
        (surfaces.UnboundedCubic(), [1], "local maximum"),
        (surfaces.Tanh(), [0], "not critical"),
        (surfaces.Saddle(), [0, 0], "saddle"),
        (surfaces.Saddle(), [0, 0.1], "not critical"),
        (surfaces.MixedCubic(), [0, 0], "saddle"),
        (surfaces.MixedCubic(), [-2 / 3, 2 / 3], "local minimum"),
        (surfaces.Rosenbrock(4), [1, 1, 1, 1], "local minimum"),
        (
            surfaces.Rosenbrock(4),
            [-0.77565923, 0.61309337, 0.38206285, 0.14597202],
            "local minimum",
        ),
        (surfaces.Rastrigin(2), [0.50254629, 0], "saddle"),
        (surfaces.Rastrigin(2), [0.5, 0], "not critical"),
        (surfaces.Himmelblau(), [-0.27084459, -0.92303856], "local maximum"),
        (surfaces.Himmelblau(), [0.08667750, 2.88425470], "saddle"),
        (surfaces.StyblinskiTang(1), [0.15673126], "local maximum"),
    ],
)
def test_surfaces(f: Any, x: list[float], verdict: str) -> None:
    assert curvature.critical_point(f, x).verdict == verdict


def test_every_minimum_of_the_surfaces_is_one() -> None:
    for name in surfaces.__all__[:-3]:
        if name != "Surface":
            f = getattr(surfaces, name)()
            for x in f.minima:
                assert curvature.critical_point(f, x).verdict == "local minimum", name


def test_tolerances() -> None:
    f = quadratic(np.diag([1e-9, 1.0]), [1e-4, 0.0])
    x = np.zeros(2)
    assert curvature.critical_point(f, x).verdict == "not critical"
    assert "norm is 0.0001" in curvature.critical_point(f, x).message
    assert curvature.critical_point(f, x, gtol=1e-3).verdict == "degenerate"
    assert curvature.critical_point(f, x, gtol=1e-3, etol=1e-10).verdict == "local minimum"


def test_float32() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)).astype(np.float32), rng.normal(size=50).astype(np.float32)
    f = LinearRegression(X, y)
    best = np.linalg.lstsq(np.c_[X, np.ones(50)], y, rcond=None)[0]
    point = curvature.critical_point(f, best)
    assert point.verdict == "local minimum"
    H = 2 * np.c_[X, np.ones(50)].T @ np.c_[X, np.ones(50)] / 50
    assert np.allclose(point.eigenvalues, np.linalg.eigvalsh(H), rtol=1e-4)
    batch = [1, 2, 3]
    on_batch = curvature.critical_point(f, best, batch=batch)
    assert on_batch.verdict == "not critical"
    assert on_batch.gradient_norm == pytest.approx(
        np.linalg.norm(f.gradient(best, batch)), rel=1e-5
    )


@pytest.mark.parametrize("signs", ["+", "-", "+-", "+0"])
def test_both_ends_of_a_large_hessian(signs: str) -> None:
    """2000 parameters: the Hessian is never formed."""
    n = 2000
    values = {"+": 1.0, "-": -1.0, "+-": 1.0, "+0": 1.0}[signs] * np.geomspace(1, 100, n)
    if signs == "+-":
        values[:2] = -5.0, -3.0
    if signs == "+0":
        values[0] = 0.0
    u = np.random.default_rng(1).normal(size=n)
    u /= np.linalg.norm(u)

    def product(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        w = values * (v - 2 * (u @ v) * u)
        return w - 2 * (u @ w) * u

    def no_hessian(x: np.ndarray) -> np.ndarray:
        raise AssertionError

    f = Function(
        lambda x: 0.5 * x @ product(x, x), lambda x: product(x, x), no_hessian, product, n_params=n
    )
    point = curvature.critical_point(f, np.zeros(n), k=2)
    assert not point.complete
    ends = np.sort(values)
    assert np.allclose(point.eigenvalues, [*ends[:2], *ends[-2:]], rtol=1e-6, atol=1e-6)
    verdicts = {"+": "local minimum", "-": "local maximum", "+-": "saddle", "+0": "degenerate"}
    assert point.verdict == verdicts[signs]
    for value, v in zip(point.eigenvalues, point.eigenvectors.T, strict=True):
        assert np.abs(product(v, v) - value * v).max() < 1e-5
    again = curvature.critical_point(f, np.zeros(n), k=2)
    assert np.array_equal(point.eigenvectors, again.eigenvectors)  # the same in every call


def test_lanczos_agrees_with_eigh() -> None:
    f = surfaces.Rosenbrock(40)
    x = f.initial(0)
    whole, ends = (curvature.critical_point(f, x, dense=dense, k=4) for dense in (True, False))
    assert (whole.complete, ends.complete) == (True, False)
    expected = [*whole.eigenvalues[:4], *whole.eigenvalues[-4:]]
    assert np.allclose(ends.eigenvalues, expected, rtol=1e-6)
    assert np.allclose(whole.eigenvalues, np.linalg.eigvalsh(optimize.rosen_hess(x)))


def test_a_hessian_too_large_to_form() -> None:
    f = surfaces.QuadraticValley(100, 3_000_000)
    with pytest.raises(MemoryError, match="Use hvp, which never forms it"):
        curvature.critical_point(f, f.initial(), dense=True)


def test_not_finite() -> None:
    slope = Function(lambda x: np.sqrt(x[0]), lambda x: 0.5 / np.sqrt(x), n_params=1)
    with pytest.raises(
        FloatingPointError, match="gradient at phi is not finite: its entry 0 is inf"
    ):
        curvature.critical_point(slope, [0.0])
    bent = Function(lambda x: 0.0, lambda x: 0 * x, lambda x: np.diag([1, math.nan]), n_params=2)
    with pytest.raises(FloatingPointError, match=r"Hessian at phi .* its entry \[1, 1\] is nan"):
        curvature.critical_point(bent, [0.0, 0.0])
    n = 600
    product = Function(lambda x: 0.0, lambda x: 0 * x, None, lambda x, v: v / 0.0, n_params=n)
    with pytest.raises(FloatingPointError, match=r"product with the Hessian .* entry 0 is"):
        curvature.critical_point(product, np.zeros(n))


# ---- escape --------------------------------------------------------------------------------------


@given(
    values=st.lists(st.floats(-5, 5), min_size=2, max_size=5, unique=True), seed=st.integers(0, 99)
)
def test_escape_is_along_the_most_negative_curvature(values: list[float], seed: int) -> None:
    ordered = np.sort(values)
    assume(ordered[0] < -1e-3)
    assume(ordered[1] - ordered[0] > 1e-3)
    H = with_eigenvalues(values, seed)
    g = np.random.default_rng(seed + 1).normal(size=len(values))
    f = quadratic(H, g)
    v = curvature.escape_direction(f, np.zeros(len(values)))
    assert np.linalg.norm(v) == pytest.approx(1)
    assert np.allclose(H @ v, ordered[0] * v, atol=1e-6)
    assert g @ v <= 0
    assert f.loss(0.1 * v) < f.loss(0 * v)


def test_escape_from_a_saddle_goes_downhill() -> None:
    """At the saddle the gradient does not tell the sides apart; the loss does."""
    for tilt in (1, -1):
        f = Function(lambda x, tilt=tilt: x[0] ** 2 - x[1] ** 2 + tilt * x[1] ** 3, n_params=2)
        v = curvature.escape_direction(f, [0.0, 0.0])
        assert np.allclose(v, [0, -tilt], atol=1e-6)
    mixed = surfaces.MixedCubic()
    v = curvature.escape_direction(mixed, [0.0, 0.0])
    assert mixed.loss(0.1 * v) < mixed.loss(-0.1 * v)


def test_the_saddle_story() -> None:
    """Descent from the ridge stalls at the saddle; the escape direction leads on to a minimum."""
    f = Function(lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4, n_params=2)
    x = np.array([0.7, 0.0])
    optimizer = fl.SGD(x, lr=0.1)
    for _ in range(200):
        optimizer.step(f.gradient(x))
    assert curvature.critical_point(f, x).verdict == "saddle"
    x += 0.05 * curvature.escape_direction(f, x)
    for _ in range(300):
        optimizer.step(f.gradient(x))
    assert curvature.critical_point(f, x).verdict == "local minimum"
    assert abs(x[1]) == pytest.approx(math.sqrt(0.5))


def test_nothing_to_escape_from() -> None:
    for f in (surfaces.Cubic(), surfaces.QuadraticValley(10), surfaces.Rosenbrock(600)):
        x = np.ones(f.n_params) if f.n_params > 2 else np.zeros(f.n_params)
        with pytest.raises(
            ValueError, match="no direction of negative curvature: the Hessian's sm"
        ):
            curvature.escape_direction(f, x)


# ---- steps ---------------------------------------------------------------------------------------


@given(
    values=st.lists(st.floats(0.1, 100), min_size=2, max_size=6),
    seed=st.integers(0, 999),
    scale=st.sampled_from([1e-200, 1.0, 1e150]),
)
def test_optimal_step(values: list[float], seed: int, scale: float) -> None:
    H = with_eigenvalues(values, seed)
    f = quadratic(H)
    x = scale * np.random.default_rng(seed).normal(size=len(values))
    g = H @ x / scale
    step = curvature.optimal_step(f, x)
    assert step == pytest.approx(g @ g / (g @ H @ g), rel=1e-9)
    assert step >= curvature.worst_case_step(f, x) * (1 - 1e-9)
    assert step <= (1 + 1e-9) / min(values)
    assert curvature.worst_case_step(f, x) == pytest.approx(1 / max(values))
    assert curvature.condition_number(f, x) == pytest.approx(max(values) / min(values), rel=1e-6)
    if scale == 1:
        losses = [f.loss(x - t * step * (H @ x)) for t in (1, 0.99, 1.01)]
        assert losses[0] <= min(losses)


@pytest.mark.parametrize("share", [0.9, 0.99, 1.01, 1.1])
def test_descent_diverges_exactly_above_twice_the_worst_case(share: float) -> None:
    rng = np.random.default_rng(3)
    f = LinearRegression(rng.normal(size=(30, 4)), rng.normal(size=30))
    x = rng.normal(size=5)
    optimizer = fl.SGD(x, lr=share * 2 * curvature.worst_case_step(f, x))
    before = np.linalg.norm(f.gradient(x))
    for _ in range(1500):
        optimizer.step(f.gradient(x))
    assert (np.linalg.norm(f.gradient(x)) < before) == (share < 1)


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=8))
def test_hessian_of_a_regression_line(x: list[int]) -> None:
    """Trace and determinant are positive, unless all x are equal: then it is singular."""
    f = LinearRegression(np.array(x, float)[:, None], np.zeros(len(x)))
    H = f.hessian([0.0, 0.0])
    assert np.trace(H) > 0
    determinant = np.linalg.det(H)
    assert determinant == pytest.approx(4 * np.var(x), abs=1e-9)
    point = curvature.critical_point(f, [0.0, 0.0])
    if len(set(x)) == 1:
        assert point.verdict == "degenerate"
        assert curvature.condition_number(f, [0.0, 0.0]) == math.inf
    else:
        assert point.verdict == "local minimum"
        assert math.isfinite(curvature.condition_number(f, [0.0, 0.0]))


@given(seed=st.integers(0, 999))
def test_taylor_prediction(seed: int) -> None:
    rng = np.random.default_rng(seed)
    H, g, x, s = with_eigenvalues([-1, 2, 5], seed), *rng.normal(size=(3, 3))
    linear, quadratic_, actual = curvature.taylor_prediction(quadratic(H, g), x, s)
    assert linear == pytest.approx((H @ x + g) @ s, abs=1e-9)
    assert quadratic_ == pytest.approx(actual, abs=1e-9)
    rosenbrock = surfaces.Rosenbrock(3)
    for t in (1e-2, 1e-3):  # the error is of third order
        found = curvature.taylor_prediction(rosenbrock, x, t * s)
        assert abs(found.quadratic - found.actual) < 1e4 * np.linalg.norm(t * s) ** 3


def test_no_step_to_speak_of() -> None:
    saddle, valley = surfaces.Saddle(), surfaces.QuadraticValley(10)
    with pytest.raises(ValueError, match="the gradient is 0 at phi"):
        curvature.optimal_step(valley, [0.0, 0.0])
    with pytest.raises(ValueError, match="curvature along the gradient is -2 at phi"):
        curvature.optimal_step(saddle, [0.0, 1.0])
    with pytest.raises(ValueError, match="curvature along the gradient is 0 at phi"):
        curvature.optimal_step(quadratic(np.zeros((2, 2)), 1.0), [0.0, 1.0])
    with pytest.raises(ValueError, match="eigenvalues from -2 to 2; a condition number is def"):
        curvature.condition_number(saddle, [0.0, 0.0])
    with pytest.raises(ValueError, match="eigenvalues from 0 to 0; a condition"):
        curvature.condition_number(quadratic(np.zeros((2, 2))), [0.0, 0.0])
    with pytest.raises(ValueError, match="largest eigenvalue is -1; expected a positive one"):
        curvature.worst_case_step(quadratic(-np.eye(2)), [0.0, 0.0])
    bent = Function(
        lambda x: x[0], lambda x: 0 * x + 1, None, lambda x, v: v * math.nan, n_params=1
    )
    with pytest.raises(FloatingPointError, match="curvature along the gradient is nan"):
        curvature.optimal_step(bent, [0.0])


# ---- derivatives ---------------------------------------------------------------------------------


@given(seed=st.integers(0, 999))
def test_jacobian(seed: int) -> None:
    rng = np.random.default_rng(seed)
    A, x = rng.normal(size=(4, 3)), rng.normal(size=3)
    J = curvature.jacobian(lambda x: np.sin(A @ x), x)
    assert np.allclose(J, np.cos(A @ x)[:, None] * A, atol=1e-8)
    assert np.allclose(J, optimize.approx_fprime(x, lambda x: np.sin(A @ x)), atol=1e-5)
    assert curvature.jacobian(lambda x: np.outer(x, x), x).shape == (3, 3, 3)
    assert np.allclose(curvature.jacobian(optimize.rosen, x), optimize.rosen_der(x), atol=1e-4)


@given(seed=st.integers(0, 999))
def test_hessian_is_the_jacobian_of_the_gradient(seed: int) -> None:
    x = np.random.default_rng(seed).uniform(-2, 2, size=4)
    exact = optimize.rosen_hess(x)
    for gradient in (optimize.rosen_der, surfaces.Rosenbrock(4)):
        assert np.allclose(curvature.hessian(gradient, x), exact, atol=1e-5)


def test_check_gradient() -> None:
    rng = np.random.default_rng(0)
    f = fl.objectives.SoftmaxRegression(rng.normal(size=(20, 4)), np.arange(20) % 3)
    phi = rng.normal(size=f.n_params)
    assert curvature.check_gradient(f, phi).error < 1e-9
    assert curvature.check_gradient(f, phi, batch=[0, 1]).error < 1e-9
    assert optimize.check_grad(f.loss, f.gradient, phi) < 1e-6

    def wrong(x: np.ndarray) -> np.ndarray:
        g = f.gradient(x)
        g[7] += 0.01
        return g

    bad = Function(f.loss, wrong, n_params=f.n_params)
    found = curvature.check_gradient(bad, phi)
    assert found.parameter == 7
    assert found.error == pytest.approx(0.01, rel=1e-3)
    assert found.gradient - found.difference == pytest.approx(0.01, rel=1e-3)


def test_check_gradient_of_many_parameters() -> None:
    f = surfaces.Rosenbrock(5000)
    assert curvature.check_gradient(f, f.initial(0), max_params=20).error < 1e-7
    nan = Function(lambda x: 0.0, lambda x: np.array([0, math.nan]), n_params=2)
    assert curvature.check_gradient(nan, [0.0, 0.0]).parameter == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: curvature.critical_point(surfaces.Cubic(), [1, 2]), ValueError, "phi has shape"),
        (lambda: curvature.critical_point(surfaces.Cubic(), [0], k=0), ValueError, "k must be at"),
        (lambda: curvature.critical_point(surfaces.Cubic(), [0], gtol=-1), ValueError, "gtol must"),
        (lambda: curvature.critical_point(surfaces.Cubic(), [0], etol="a"), TypeError, "etol must"),
        (
            lambda: curvature.critical_point(surfaces.Rosenbrock(5), [0] * 5, dense=False),
            ValueError,
            "k must be less than half of the 5 parameters, not 3",
        ),
        (
            lambda: curvature.taylor_prediction(surfaces.Cubic(), [0], [1, 2]),
            ValueError,
            r"step has shape \(2,\); expected \(1,\)",
        ),
        (lambda: curvature.jacobian(3, [0]), TypeError, "f must be callable"),
        (lambda: curvature.jacobian(abs, [[0]]), ValueError, r"x has shape \(1, 1\); expected"),
        (lambda: curvature.jacobian(abs, ["a"]), TypeError, "x must be real numbers"),
        (lambda: curvature.jacobian(lambda x: 1j * x, [0]), TypeError, "f must return real"),
        (lambda: curvature.hessian(lambda x: x[:1], [0, 1]), ValueError, "gradient has shape"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# ---- the guide -----------------------------------------------------------------------------------

GUIDE = Path(__file__).parents[1] / "docs" / "curvature.md"


@pytest.mark.skipif(not GUIDE.exists(), reason="needs the documentation beside the tests")
def test_the_guide_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("numba")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL):
        exec(block, scope)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "saddle: 1 of 2 eigenvalues is negative, the smallest -2; the largest is 2"
    assert lines[1].startswith("local minimum")
    assert lines[1].endswith("0.707]")
    assert [float(line) for line in lines[2:4]] == pytest.approx([0.039216, 0.02], rel=1e-4)
    assert lines[4].startswith("TaylorPrediction(")
    assert lines[5].startswith("1.0169834")
    assert "at most gtol" in lines[6]
    assert lines[7].endswith("[ 1.  -2.   0.5]")
    assert float(lines[8]) < 1e-8
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert pictures == ["brackets.png", "himmelblau.png", "spectrum.png", "zigzag.png"]
