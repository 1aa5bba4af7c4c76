"""The classic surfaces: derivatives against differences and SciPy, minima, curvature."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline.objectives import surfaces
from fallline.objectives.surfaces import Surface

optimize = pytest.importorskip("scipy.optimize")

ALL: list[Surface] = [
    *(getattr(surfaces, name)() for name in surfaces.__all__ if name != "Surface"),
    surfaces.Rosenbrock(5),
    surfaces.Rastrigin(1),
    surfaces.StyblinskiTang(3),
    surfaces.QuadraticValley(1e4, 4, seed=3),
]


def name_of(f: Surface) -> str:
    return f"{type(f).__name__}-{f.n_params}"


every = pytest.mark.parametrize("f", ALL, ids=name_of)


@every
@given(seed=st.integers(0, 2**32))
def test_derivatives_agree_with_differences(f: Surface, seed: int) -> None:
    x = f.initial(seed)
    v = np.cos(np.arange(f.n_params) + seed)
    plain = fl.objectives.Function(f.loss, f.gradient, n_params=f.n_params)
    H = f.hessian(x)
    scale = 1 + np.abs(H).max() + np.abs(f.gradient(x)).max() + abs(f.loss(x))
    assert np.abs(f.gradient(x) - fl.objectives.Function(f.loss, x0=x).gradient(x)).max() < (
        1e-7 * scale
    )
    assert np.abs(f.hvp(x, v) - plain.hvp(x, v)).max() < 1e-7 * scale
    assert np.allclose(H @ v, f.hvp(x, v), atol=1e-12 * scale)
    assert np.array_equal(H, H.T)


@every
def test_known_minima(f: Surface) -> None:
    assert f.minima.shape[1] == f.n_params
    for x in f.minima:
        H = f.hessian(x)
        assert np.abs(f.gradient(x)).max() < 1e-13 * np.abs(H).max()
        assert np.linalg.eigvalsh(H)[0] > 0
        if math.isfinite(f.infimum):
            assert f.loss(x) == pytest.approx(f.infimum, abs=1e-12)
    draws = np.array([f.loss(f.initial(seed)) for seed in range(200)])
    assert (draws >= f.infimum).all()
    far = f.loss(np.full(f.n_params, 999.0)), f.loss(np.full(f.n_params, -999.0))
    far += (f.loss([0, 99.0]),) if f.n_params == 2 else ()
    assert (min(far) < -900) == (f.infimum == -math.inf)


@every
def test_domain(f: Surface) -> None:
    assert f.domain.shape == (f.n_params, 2)
    low, high = f.domain.T
    assert (low < high).all()
    assert ((f.minima >= low) & (f.minima <= high)).all()
    starts = np.array([f.initial(seed) for seed in range(20)])
    assert ((starts >= low) & (starts <= high)).all()
    assert np.array_equal(f.initial(3), f.initial(3))


@every
def test_overflow_is_told(f: Surface) -> None:
    with pytest.warns(RuntimeWarning, match=r"the loss is .* parameter 0 is nan"):
        f.loss(np.full(f.n_params, np.nan))
    if not isinstance(f, (surfaces.Tanh, surfaces.Risk)):
        with pytest.warns(RuntimeWarning, match=r"the loss is (-?inf|nan) at phi = \["):
            f.loss(np.full(f.n_params, 1e200))


def test_unbounded_below_is_told() -> None:
    with pytest.warns(RuntimeWarning, match="the loss is -inf at phi = .*: unbounded below there"):
        surfaces.UnboundedCubic().loss([1e200])


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6).map(np.array))
def test_rosenbrock_is_scipys(x: np.ndarray) -> None:
    f = surfaces.Rosenbrock(len(x))
    scale = 1 + optimize.rosen(x)
    assert f.loss(x) == pytest.approx(optimize.rosen(x), rel=1e-12)
    assert np.allclose(f.gradient(x), optimize.rosen_der(x), rtol=1e-12, atol=1e-12 * scale)
    assert np.allclose(f.hessian(x), optimize.rosen_hess(x), rtol=1e-12, atol=1e-12)
    assert np.allclose(f.hvp(x, x[::-1]), optimize.rosen_hess_prod(x, x[::-1]), atol=1e-9)


@pytest.mark.parametrize(
    ("f", "x", "loss"),
    [
        (surfaces.Cubic(), [-2.0], -8.0),
        (surfaces.UnboundedCubic(), [2.0], -2.0),
        (surfaces.Tanh(), [0.5], math.tanh(0.5)),
        (surfaces.Risk(), [1.5], 1.5 * math.cos(1.5 * math.pi)),
        (surfaces.EmpiricalRisk(), [0.3], 0.3 * math.cos(0.3 * math.pi)),
        (surfaces.Saddle(), [2.0, 3.0], -5.0),
        (surfaces.MixedCubic(), [2.0, 3.0], 43.0),
        (surfaces.Beale(), [0.0, 0.0], 14.203125),
        (surfaces.Himmelblau(), [0.0, 0.0], 170.0),
        (surfaces.Rastrigin(), [0.5, 0.0], 20.25),
        (surfaces.StyblinskiTang(), [0.0, 1.0], -5.0),
        (surfaces.QuadraticValley(10), [2.0, 3.0], 47.0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Surface) else None,
)
def test_values(f: Surface, x: list[float], loss: float) -> None:
    assert f.loss(x) == pytest.approx(loss, abs=1e-14)


@given(
    condition=st.floats(1, 1e8),
    n=st.integers(2, 8),
    seed=st.none() | st.integers(0, 2**32),
)
def test_valleys_have_the_condition_number(condition: float, n: int, seed: int | None) -> None:
    f = surfaces.QuadraticValley(condition, n, seed=seed)
    H = f.hessian(np.zeros(n))
    assert np.allclose(np.linalg.eigvalsh(H), f.eigenvalues, rtol=1e-6, atol=1e-14 * condition)
    assert f.eigenvalues[-1] / f.eigenvalues[0] == pytest.approx(condition)


def test_a_large_valley_is_not_formed() -> None:
    f = surfaces.QuadraticValley(1e3, 1_000_000, seed=0)
    x = np.ones(f.n_params)
    assert f.hvp(x, x) @ x == pytest.approx(2 * f.loss(x))


@pytest.mark.parametrize("steps", [0.99, 1.01])
def test_gradient_descent_diverges_from_two_over_the_largest_curvature(steps: float) -> None:
    f = surfaces.QuadraticValley(20, 3, seed=0)
    x = f.initial(0)
    start = f.loss(x)
    optimizer = fl.SGD(x, lr=steps * 2 / f.eigenvalues[-1])
    for _ in range(2000):
        optimizer.step(f.gradient(x))
    assert (f.loss(x) < 1e-10 * start) if steps < 1 else (f.loss(x) > 1e10 * start)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: surfaces.Rosenbrock(1), ValueError, "n_params must be at least 2, not 1"),
        (lambda: surfaces.Rastrigin(0), ValueError, "n_params must be at least 1, not 0"),
        (lambda: surfaces.StyblinskiTang(2.0), TypeError, "n_params must be an integer, not 2.0"),
        (lambda: surfaces.QuadraticValley(0.5), ValueError, "condition must be .* not 0.5"),
        (lambda: surfaces.QuadraticValley(math.nan), ValueError, "condition must be"),
        (lambda: surfaces.QuadraticValley(math.inf), ValueError, "condition must be"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
