"""Gauss-Newton and Levenberg-Marquardt against SciPy, closed forms and differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline.loop.result import Status
from fallline.objectives import MLP, Gabor, LeastSquares, LinearRegression, ShallowReLU
from fallline.objectives.residuals import linearized

METHODS = [fl.GaussNewton, fl.LevenbergMarquardt]


def theta(x: np.ndarray) -> float:
    """The angle of Moré, Garbow & Hillstrom's helical valley."""
    return np.arctan(x[1] / x[0]) / (2 * np.pi) + (0.5 if x[0] < 0 else 0)


T = np.arange(1, 11) / 10
BARD = np.array(
    [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]
)
KOWALIK = np.array(
    [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]
)
PACE = np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
MEYER = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427]
MEYER += [3820, 3307, 2872]


def bard(x: np.ndarray) -> np.ndarray:
    u = np.arange(1, 16)
    v = 16 - u
    return BARD - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


def trigonometric(x: np.ndarray) -> np.ndarray:
    n = len(x)
    return n - np.cos(x).sum() + np.arange(1, n + 1) * (1 - np.cos(x)) - np.sin(x)


def brown_almost_linear(x: np.ndarray) -> np.ndarray:
    return np.r_[x[:-1] + x.sum() - (len(x) + 1), np.prod(x) - 1]


def broyden_tridiagonal(x: np.ndarray) -> np.ndarray:
    y = np.r_[0, x, 0]
    return (3 - 2 * x) * x - y[:-2] - 2 * y[2:] + 1


def broyden_banded(x: np.ndarray) -> np.ndarray:
    r = x * (2 + 5 * x**2) + 1
    for i in range(len(x)):
        near = [j for j in range(max(0, i - 5), min(len(x), i + 2)) if j != i]
        r[i] -= (x[near] * (1 + x[near])).sum()
    return r


def variably_dimensioned(x: np.ndarray) -> np.ndarray:
    s = (np.arange(1, len(x) + 1) * (x - 1)).sum()
    return np.r_[x - 1, s, s * s]


def discrete_boundary(x: np.ndarray) -> np.ndarray:
    n = len(x)
    h, y = 1 / (n + 1), np.r_[0, x, 0]
    t = np.arange(1, n + 1) * h
    return 2 * x - y[:-2] - y[2:] + h * h * (x + t + 1) ** 3 / 2


def osborne1(x: np.ndarray) -> np.ndarray:
    y = [0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718]
    y += [0.685, 0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467]
    y += [0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406]
    t = 10.0 * np.arange(33)
    return np.array(y) - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


# Name: (number in the paper), residuals, start, and the sum of squares at its minima.
PROBLEMS: dict[str, tuple[Callable[[np.ndarray], Any], Any, tuple[float, ...]]] = {
    "rosenbrock (1)": (lambda x: [10 * (x[1] - x[0] ** 2), 1 - x[0]], [-1.2, 1], (0,)),
    "freudenstein-roth (2)": (
        lambda x: [
            -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1],
            -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1],
        ],
        [0.5, -2],
        (0, 48.9842),
    ),
    "powell badly scaled (3)": (
        lambda x: [1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001],
        [0, 1],
        (0,),
    ),
    "brown badly scaled (4)": (lambda x: [x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2], [1, 1], (0,)),
    "beale (5)": (
        lambda x: np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** np.arange(1, 4)),
        [1, 1],
        (0,),
    ),
    "jennrich-sampson (6)": (
        lambda x: 2 + 2 * np.arange(1, 11) - np.exp(10 * T * x[0]) - np.exp(10 * T * x[1]),
        [0.3, 0.4],
        (124.362,),
    ),
    "helical valley (7)": (
        lambda x: [10 * (x[2] - 10 * theta(x)), 10 * (np.hypot(x[0], x[1]) - 1), x[2]],
        [-1, 0, 0],
        (0,),
    ),
    "bard (8)": (bard, [1, 1, 1], (8.21487e-3, 17.4286)),
    "meyer (10)": (
        lambda x: x[0] * np.exp(x[1] / (45 + 5 * np.arange(1, 17) + x[2])) - MEYER,
        [0.02, 4000, 250],
        (87.9458,),
    ),
    "box (12)": (
        lambda x: np.exp(-T * x[0]) - np.exp(-T * x[1]) - x[2] * (np.exp(-T) - np.exp(-10 * T)),
        [0, 10, 20],
        (0,),
    ),
    "powell singular (13)": (
        lambda x: [
            x[0] + 10 * x[1],
            np.sqrt(5) * (x[2] - x[3]),
            (x[1] - 2 * x[2]) ** 2,
            np.sqrt(10) * (x[0] - x[3]) ** 2,
        ],
        [3, -1, 0, 1],
        (0,),
    ),
    "wood (14)": (
        lambda x: [
            10 * (x[1] - x[0] ** 2),
            1 - x[0],
            np.sqrt(90) * (x[3] - x[2] ** 2),
            1 - x[2],
            np.sqrt(10) * (x[1] + x[3] - 2),
            (x[1] - x[3]) / np.sqrt(10),
        ],
        [-3, -1, -3, -1],
        (0,),
    ),
    "kowalik-osborne (15)": (
        lambda x: KOWALIK - x[0] * (PACE**2 + PACE * x[1]) / (PACE**2 + PACE * x[2] + x[3]),
        [0.25, 0.39, 0.415, 0.39],
        (3.07505e-4, 1.02734e-3),
    ),
    "brown-dennis (16)": (
        lambda x: (
            (x[0] + 2 * T[0] * np.arange(1, 21) * x[1] - np.exp(np.arange(1, 21) / 5)) ** 2
            + (x[2] + x[3] * np.sin(np.arange(1, 21) / 5) - np.cos(np.arange(1, 21) / 5)) ** 2
        ),
        [25, 5, -5, -1],
        (85822.2,),
    ),
    "osborne 1 (17)": (osborne1, [0.5, 1.5, -1, 0.01, 0.02], (5.46489e-5,)),
    "trigonometric (26)": (trigonometric, np.full(6, 1 / 6), (0, 2.79506e-5)),
    "brown almost-linear (27)": (brown_almost_linear, np.full(6, 0.5), (0, 1)),
    "discrete boundary (28)": (
        discrete_boundary,
        [t * (t - 1) for t in np.arange(1, 9) / 9],
        (0,),
    ),
    "broyden tridiagonal (30)": (broyden_tridiagonal, -np.ones(8), (0,)),
    "broyden banded (31)": (broyden_banded, -np.ones(8), (0,)),
    "variably dimensioned (25)": (variably_dimensioned, 1 - np.arange(1, 9) / 8, (0,)),
    "linear, full rank (32)": (
        lambda x: np.r_[x - 2 / 12 * x.sum() - 1, np.full(6, -2 / 12 * x.sum() - 1)],
        np.ones(6),
        (6,),
    ),
    "linear, rank 1 (33)": (
        lambda x: np.arange(1, 9) * (np.arange(1, 6) * x).sum() - 1,
        np.ones(5),
        (8 * 7 / (2 * 17),),
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_more_garbow_hillstrom(name: str) -> None:
    """Moré, Garbow & Hillstrom (1981), Testing unconstrained optimization software, section 3."""
    residuals, x0, known = PROBLEMS[name]
    f = LeastSquares(residuals, x0=np.array(x0, float))
    res = fl.minimize(f, optimizer=fl.LevenbergMarquardt, steps=500)
    if name.startswith("freudenstein"):
        assert 2 * res.fun == pytest.approx(48.9842, rel=1e-4)
    assert min(abs(2 * res.fun - s) / max(s, 1e-3) for s in known) < 1e-5
    assert (np.diff(res.history) <= 1e-14 * res.history[1:]).all()
    optimize = pytest.importorskip("scipy.optimize")
    other = optimize.least_squares(lambda x: np.array(residuals(x)), x0, xtol=1e-12, ftol=1e-12)
    assert res.fun <= other.cost * (1 + 1e-6) + 1e-9


def test_evaluations_beside_scipy() -> None:
    """Over all problems together no more than 1.2 times those of SciPy's trf."""
    optimize = pytest.importorskip("scipy.optimize")
    own, other = [], []
    for residuals, x0, _ in PROBLEMS.values():
        x0 = np.array(x0, float)
        f = LeastSquares(residuals, x0=x0)
        reference = optimize.least_squares(
            lambda x, r=residuals: np.array(r(x)), x0, f.jacobian, method="trf", x_scale="jac"
        )
        res = fl.minimize(f, optimizer=fl.LevenbergMarquardt, steps=500, ftol=1e-8, gtol=1e-8)
        own.append(res.nfev)
        other.append(reference.nfev)
    assert sum(own) <= 1.2 * sum(other)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("solver", ["svd", "cg"])
def test_one_step_solves_linear_least_squares(method: Any, solver: Any) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 4)), rng.normal(size=(50, 2))
    w = rng.uniform(0.5, 2, size=50)
    f = LinearRegression(X, y, sample_weight=w, l2=0.3, reduction="sum")
    options = {"radius": 1e6} if method is fl.LevenbergMarquardt else {"line_search": None}
    fit = method(f, solver=solver, **options)
    for _ in range(1 if solver == "svd" else 12):
        fit.step()
    newton = fl.Newton(f)
    newton.step()
    assert np.allclose(fit.x, newton.x, rtol=1e-8)


def objectives() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    w = rng.uniform(0.5, 2, size=12)
    mlp: dict[str, Any] = {"loss": "squared", "activation": "tanh"}
    return {
        "linear": LinearRegression(X, Y, sample_weight=w, l2=0.1),
        "line": LinearRegression(X, Y[:, 0], intercept=False, reduction="sum"),
        "mlp": MLP(X, Y, (4, 3), sample_weight=w, l2=0.2, **mlp),
        "sum": MLP(X, Y[:, 0], (5,), reduction="sum", **mlp),
        "relu": MLP(X, Y[:, 0], (5,), loss="squared", activation="relu"),
        "gabor": Gabor(4 * X[:, 0], Y[:, 0], sample_weight=w),
        "shallow": ShallowReLU(X[:, 0], Y[:, 0], reduction="sum", l2=0.3),
        "own": LeastSquares(lambda p: np.sin(X @ p) - Y[:, 0], n_params=3),
    }


@pytest.mark.parametrize("name", objectives())
def test_residuals_of_objectives(name: str) -> None:
    """L = ½‖r‖² and g = Jᵀr; products are those with the Jacobian, and it that of differences."""
    f = objectives()[name]
    rng = np.random.default_rng(0)
    phi = f.initial(1) + 0.1 * rng.normal(size=f.n_params)
    at = linearized(f, phi)
    r, J = at.residuals, at.jacobian()
    assert 0.5 * r @ r == pytest.approx(f.loss(phi), rel=1e-12)
    assert np.allclose(J.T @ r, f.gradient(phi), rtol=1e-9, atol=1e-11)
    v, u = rng.normal(size=f.n_params), rng.normal(size=len(r))
    assert np.allclose(at.push(v), J @ v, rtol=1e-10, atol=1e-12)
    assert np.allclose(at.pull(u), J.T @ u, rtol=1e-10, atol=1e-12)
    differences = fl.curvature.jacobian(lambda x: linearized(f, x).residuals, phi)
    assert np.allclose(J, differences, atol=1e-7)


def test_sparse_samples() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X = sparse.random_array((30, 5), density=0.4, rng=np.random.default_rng(0), format="csr")
    y = np.arange(30.0)
    for method in METHODS:
        a = method(LinearRegression(X, y))
        b = method(LinearRegression(X.toarray(), y))
        a.step(), b.step()
        assert np.allclose(a.x, b.x)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("solver", ["svd", "cg"])
def test_networks(method: Any, solver: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(80, 1))
    f = MLP(X, np.sin(2 * X[:, 0]), (8,), loss="squared", activation="tanh")
    res = fl.minimize(f, f.initial(2), method(solver=solver), steps=200, gtol=1e-6)
    assert res.fun < 1e-3
    assert (np.diff(res.history) <= 1e-15).all()


@pytest.mark.parametrize("solver", ["svd", "cg"])
@pytest.mark.parametrize("search", ["backtracking", "strong_wolfe"])
def test_where_the_jacobian_is_nearly_singular_a_step_is_damped(solver: Any, search: Any) -> None:
    """d is then as good as orthogonal to the gradient, and its searches stall."""
    residuals, x0, _ = PROBLEMS["freudenstein-roth (2)"]
    f = LeastSquares(residuals, x0=x0)
    gauss = fl.GaussNewton(f, line_search=search, solver=solver)
    losses, damped = [f.loss(x0)], 0
    for _ in range(300):
        if not (step := gauss.step()).success:
            break
        losses.append(step.fun)
        damped += "damped by" in step.message
    assert damped
    assert (np.diff(losses) <= 0).all()
    assert step.settled
    assert 2 * losses[-1] == pytest.approx(48.98425, abs=1e-5)


def test_scaling_makes_units_of_parameters_irrelevant() -> None:
    def problem(units: np.ndarray) -> LeastSquares:
        def residuals(q: np.ndarray) -> np.ndarray:
            a, b = q / units
            return a * np.exp(-b * T) - np.exp(-T)

        def jac(q: np.ndarray) -> np.ndarray:
            a, b = q / units
            return np.stack([np.exp(-b * T), -a * T * np.exp(-b * T)], axis=1) / units

        return LeastSquares(residuals, jac, x0=units * [3.0, 0.2])

    plain, other = (
        fl.minimize(problem(np.array(units)), optimizer=fl.LevenbergMarquardt, steps=5)
        for units in ([1.0, 1.0], [1024.0, 2.0**-12])
    )
    assert np.allclose(plain.history, other.history, rtol=1e-9)


@settings(max_examples=30)
@given(seed=st.integers(0, 999), rank=st.integers(1, 4), damping=st.sampled_from([0.0, 0.5]))
def test_gauss_newton_steps_are_those_of_lstsq(seed: int, rank: int, damping: float) -> None:
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(7, rank)) @ rng.normal(size=(rank, 4))
    b = rng.normal(size=7)
    f = LeastSquares(lambda p: A @ p - b, lambda p: A, n_params=4)
    fit = fl.GaussNewton(f, line_search=None, damping=damping)
    fit.step()
    stacked, target = np.r_[A, np.sqrt(damping) * np.eye(4)], np.r_[b, np.zeros(4)]
    expected = np.linalg.lstsq(stacked, target, rcond=1e-10)[0]
    assert np.allclose(fit.x, expected, atol=1e-9)


# ---- what goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_bad_objectives(method: Any) -> None:
    X = np.eye(3)
    for f in (
        fl.objectives.LogisticRegression(X, [0, 1, 1]),
        MLP(X, [0, 1, 2], (2,)),
        fl.objectives.surfaces.Rosenbrock(),
    ):
        with pytest.raises(TypeError, match="needs squared residuals"):
            method(f)
        with pytest.raises(TypeError, match="needs squared residuals"):
            fl.minimize(f, optimizer=method())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("solver", ["svd", "cg"])
def test_what_is_not_finite_is_told(method: Any, solver: Any) -> None:
    f = LeastSquares(
        lambda p: [p[0], p[1] ** 2], lambda p: [[1, np.nan], [0, 2 * p[1]]], x0=[1.0, 1.0]
    )
    res = method(f, solver=solver).step()
    assert not res.success
    assert "the gradient is not finite" in res.message
    wall = LeastSquares(lambda p: [np.log(p[0]) + 3, p[0] - 5], x0=[1.0])
    with np.errstate(all="ignore"):
        found = fl.minimize(wall, optimizer=method(solver=solver))
    assert found.success
    assert found.x > 0


@pytest.mark.parametrize("method", METHODS)
def test_no_decrease_makes_no_endless_loop(method: Any) -> None:
    lying = LeastSquares(lambda p: p, lambda p: -np.eye(2), x0=[1.0, 1.0])
    res = fl.minimize(lying, optimizer=method)
    assert (res.status, res.success, res.nit) == (Status.NO_DECREASE, False, 0)


def test_jacobians_too_large_to_form() -> None:
    n = 400_000
    f = LeastSquares(lambda p: p - 1, lambda p: None, n_params=n)
    f._linearized = lambda phi: type(  # type: ignore[attr-defined]
        "Identity", (), {"residuals": phi - 1, "push": lambda s, v: v, "pull": lambda s, u: u}
    )()
    f._value_and_slope = lambda phi: (0.5 * float((phi - 1) @ (phi - 1)), phi - 1)  # type: ignore[method-assign]
    with pytest.raises(MemoryError, match="solver='cg' does not form it"):
        fl.GaussNewton(f, solver="svd").step()
    res = fl.minimize(f, optimizer=fl.GaussNewton)
    assert res.success
    assert res.nit == 1


@pytest.mark.parametrize("method", METHODS)
def test_resumed_fits_have_the_same_bits(method: Any, tmp_path: Any) -> None:
    pytest.importorskip("safetensors")
    residuals, x0, _ = PROBLEMS["wood (14)"]
    f = LeastSquares(residuals, x0=x0)
    whole = fl.minimize(f, optimizer=method, steps=9)
    fl.minimize(f, optimizer=method, steps=4, checkpoint=tmp_path / "f")
    rest = fl.minimize(f, optimizer=method, steps=9, resume=tmp_path / "f")
    assert np.array_equal(whole.history, rest.history)
    assert np.array_equal(whole.x, rest.x)


@pytest.mark.parametrize(
    ("method", "arguments", "error", "message"),
    [
        (fl.GaussNewton, {"damping": -1}, ValueError, "damping must be"),
        (fl.GaussNewton, {"line_search": "brent"}, ValueError, "line_search must be one of"),
        (fl.GaussNewton, {"solver": "qr"}, ValueError, "solver must be 'auto'"),
        (fl.LevenbergMarquardt, {"solver": None}, ValueError, "solver must be 'auto'"),
        (fl.LevenbergMarquardt, {"radius": 0}, ValueError, "radius must be"),
        (fl.LevenbergMarquardt, {"scaled": 1}, TypeError, "scaled must be True or False"),
        (fl.LevenbergMarquardt, {"max_cg": -1}, ValueError, "max_cg must be at least 1"),
        (LeastSquares, {"residuals": 3, "n_params": 1}, TypeError, "residuals must be callable"),
        (LeastSquares, {"residuals": abs}, TypeError, "x0 or n_params must say"),
    ],
)
def test_bad_arguments(
    method: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        method(**arguments)


def test_bad_residuals() -> None:
    f = LeastSquares(lambda p: [["a"]], n_params=1)
    with pytest.raises(TypeError, match="residuals must return a vector of real numbers"):
        f.loss([0.0])
    f = LeastSquares(lambda p: p, lambda p: np.eye(3), n_params=2)
    with pytest.raises(ValueError, match=r"what jac returned has shape \(3, 3\); expected \(2, 2"):
        f.gradient([0.0, 0.0])
