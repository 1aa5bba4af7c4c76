"""Steepest descent with line searches, and hill climbing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline.gradient_descent import SEARCHES
from fallline.objectives import Function, LinearRegression, surfaces

pytest.importorskip("scipy.optimize")

EXACT = {"exact_quadratic": 1e-9, "bracketing": 1e-3, "golden_section": 1e-3, "brent": 1e-3}


def run(descent: fl.GradientDescent, steps: int) -> np.ndarray:
    """Path of a descent that goes well."""
    path = [descent.x]
    for _ in range(steps):
        if not descent.step().success:
            break
        path.append(descent.x)
    return np.array(path)


def cosines(path: np.ndarray) -> np.ndarray:
    moves = np.diff(path, axis=0)
    moves /= np.linalg.norm(moves, axis=1, keepdims=True)
    return (moves[1:] * moves[:-1]).sum(axis=1)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(
    ("f", "x0"),
    [
        (surfaces.QuadraticValley(30, 3, seed=1), [1.0, -2.0, 0.5]),
        (surfaces.Himmelblau(), [1.0, 1.0]),
        (surfaces.StyblinskiTang(3), [-1.0, 1.0, 2.0]),
    ],
)
def test_every_search_finds_a_minimum(search: Any, f: Any, x0: list[float]) -> None:
    descent = fl.GradientDescent(f, x0, search)
    losses = [f.loss(x0)]
    for _ in range(400):
        step = descent.step()
        if not step.success:
            break
        assert step.fun == f.loss(descent.x) == descent.fun
        losses.append(step.fun)
    if search == "exact_quadratic" and not isinstance(f, surfaces.QuadraticValley):
        return  # it needs positive curvature, and says so below
    assert (np.diff(losses) < 0).all()
    assert fl.curvature.critical_point(f, descent.x).verdict == "local minimum"


@pytest.mark.parametrize(("search", "tolerance"), EXACT.items())
def test_successive_directions_of_exact_searches_are_orthogonal(
    search: Any, tolerance: float
) -> None:
    """On the fit of a line by least squares."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 2, size=30)
    f = LinearRegression(x[:, None], 3 * x - 1 + 0.1 * rng.normal(size=30))
    path = run(fl.GradientDescent(f, [-2.0, 2.0], search), 8)
    assert len(path) == 9
    assert np.abs(cosines(path)).max() < tolerance


@pytest.mark.parametrize("search", EXACT)
def test_momentum_lessens_the_zigzag(search: Any) -> None:
    f = surfaces.QuadraticValley(50)
    plain, heavy = (
        run(fl.GradientDescent(f, [50.0, 1.0], search, momentum=momentum), 30)
        for momentum in (0.0, 0.5)
    )
    assert np.abs(cosines(plain)).max() < 1e-2
    assert cosines(heavy).mean() > 0.2
    assert f.loss(heavy[-1]) < 0.1 * f.loss(plain[-1])


@given(condition=st.floats(1.5, 1e4), seed=st.integers(0, 999))
def test_rate_of_exact_steps(condition: float, seed: int) -> None:
    """A step leaves at most ((κ - 1)/(κ + 1))² of the loss, and all that from the worst start."""
    bound = ((condition - 1) / (condition + 1)) ** 2
    f = surfaces.QuadraticValley(condition, 4, seed=seed)
    x = f.initial(seed)
    step = fl.GradientDescent(f, x, "exact_quadratic").step()
    assert step.fun <= bound * f.loss(x) * (1 + 1e-9)
    flat = surfaces.QuadraticValley(condition)
    worst = fl.GradientDescent(flat, [condition, 1.0], "exact_quadratic").step()
    assert worst.fun == pytest.approx(bound * flat.loss([condition, 1.0]), rel=1e-9)


@given(share=st.sampled_from([0.5, 0.95, 1.05, 1.5]), seed=st.integers(0, 99))
def test_fixed_steps_diverge_exactly_above_two_over_the_largest_curvature(
    share: float, seed: int
) -> None:
    f = surfaces.QuadraticValley(5, 3, seed=seed)
    lr = share * 2 / f.eigenvalues[-1]
    x0 = f.initial(seed)
    descent = fl.GradientDescent(f, x0, None, lr=lr)
    run(descent, 500)
    assert (f.loss(descent.x) < f.loss(x0)) == (share < 1)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_fixed_steps_are_those_of_sgd(momentum: float) -> None:
    f = surfaces.Rosenbrock(3)
    x = np.array([-1.0, 0.5, 0.2])
    descent = fl.GradientDescent(f, x, None, lr=1e-3, momentum=momentum)
    optimizer = fl.SGD(x, lr=1e-3, momentum=momentum)
    for _ in range(20):
        assert descent.step().success
        optimizer.step(f.gradient(x))
        assert np.allclose(descent.x, x, rtol=1e-12)


def test_divergence_is_told() -> None:
    descent = fl.GradientDescent(surfaces.QuadraticValley(10), [1.0, 1.0], None, lr=1e3)
    path = run(descent, 1000)
    step = descent.step()
    assert not step.success
    assert step.message == "a step of 1000 makes the loss inf: too long"
    assert np.isfinite(path).all()


@pytest.mark.parametrize("search", [None, *SEARCHES])
@pytest.mark.parametrize(
    ("f", "x0"), [(surfaces.UnboundedCubic(), [1.5]), (surfaces.Saddle(), [1.0, 0.1])]
)
def test_unbounded_objectives_are_told(search: Any, f: Any, x0: list[float]) -> None:
    descent = fl.GradientDescent(f, x0, search)
    run(descent, 1000)
    step = descent.step()
    assert not step.success
    expected = "seems to be unbounded below"
    if search == "exact_quadratic":
        expected = "the parabola has no minimum"
    assert expected in step.message
    assert np.isfinite(descent.x).all()


@pytest.mark.parametrize("search", [None, *SEARCHES])
def test_a_critical_point_is_told(search: Any) -> None:
    descent = fl.GradientDescent(surfaces.Cubic(), [0.0], search)
    step = descent.step()
    assert not step.success
    assert step.message == "the gradient is 0: a critical point"
    assert (step.alpha, step.fun, descent.nit) == (0, 0, 0)


def test_what_is_not_finite_is_told() -> None:
    nan = Function(lambda x: math.nan, n_params=1)
    assert "the loss is nan at phi" in fl.GradientDescent(nan, [1.0]).step().message
    slope = Function(lambda x: x[0] ** 2, lambda x: x / 0, n_params=1)
    assert (
        "the gradient is not finite: its entry 0 is"
        in fl.GradientDescent(slope, [1.0]).step().message
    )
    wall = Function(  # a domain: x > 0
        lambda x: x[0] - np.log(x[0]), lambda x: 1 - 1 / x, lambda x: [[1 / x[0] ** 2]], n_params=1
    )
    for search in SEARCHES:
        descent = fl.GradientDescent(wall, [1.5], search, lr=100.0)
        run(descent, 50)
        assert descent.x[0] == pytest.approx(1, abs=1e-4), search


def test_kinks_do_not_stop_it() -> None:
    f = Function(lambda x: abs(x[0]) + 2 * abs(x[1]), lambda x: np.sign(x) * [1, 2], n_params=2)
    descent = fl.GradientDescent(f, [1.0, 0.7])
    step = descent.step()
    assert step.success
    assert step.fun < 1.5


def test_batches() -> None:
    rng = np.random.default_rng(0)
    f = LinearRegression(rng.normal(size=(40, 3)).astype(np.float32), rng.normal(size=40))
    descent = fl.GradientDescent(f, line_search="exact_quadratic", seed=3)
    assert np.array_equal(descent.x, f.initial(3))
    batch = [1, 5, 7, 9]
    before = descent.x
    step = descent.step(batch)
    assert descent.x.dtype == np.float32
    assert descent.x is not before
    assert np.array_equal(descent.gradient, f.gradient(before, batch))
    assert step.fun == f.loss(descent.x, batch) < f.loss(before, batch)
    assert step.alpha == pytest.approx(fl.curvature.optimal_step(f, before, batch=batch), rel=1e-5)


def test_start_is_copied() -> None:
    x0 = np.array([1.0, 1.0])
    descent = fl.GradientDescent(surfaces.QuadraticValley(10), x0)
    descent.step()
    assert x0.tolist() == [1, 1]
    assert "line_search='strong_wolfe'" in repr(descent)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"objective": abs}, TypeError, "objective must be an Objective, not <built-in"),
        ({"x0": [1.0]}, ValueError, r"phi has shape \(1,\); expected \(2,\)"),
        ({"line_search": "newton"}, ValueError, r"line_search must be None or one of .* 'newton'"),
        ({"line_search": None, "c2": 0.1}, TypeError, "'c2' is an option of searches"),
        ({"lr": 0}, ValueError, "lr must be a finite number"),
        ({"momentum": 1.0}, ValueError, r"momentum must lie in \[0, 1\), not 1.0"),
        ({"momentum": -0.1}, ValueError, "momentum must lie in"),
        ({"momentum": "a"}, TypeError, "momentum must be a number"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fl.GradientDescent(**{"objective": surfaces.Saddle(), **arguments})


def test_options_reach_the_search() -> None:
    descent = fl.GradientDescent(surfaces.Rosenbrock(), [-1.2, 1.0], "backtracking", max_iter=1)
    assert not descent.step().success
    with pytest.raises(TypeError, match="unexpected keyword argument 'c2'"):
        fl.GradientDescent(surfaces.Rosenbrock(), [-1.2, 1.0], "brent", c2=0.1).step()


# ---- hill climbing -------------------------------------------------------------------------------


def flips(x: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [(*x[:i], 1 - x[i], *x[i + 1 :]) for i in range(len(x))]


@settings(max_examples=50)
@given(
    weights=st.lists(st.integers(-9, 9), min_size=1, max_size=6),
    seed=st.integers(0, 999),
    maximize=st.booleans(),
)
def test_hill_climbing_ends_at_a_local_optimum(
    weights: list[int], seed: int, maximize: bool
) -> None:
    n = len(weights)
    rng = np.random.default_rng(seed)
    pairs = rng.integers(-5, 6, size=(n, n))

    def f(x: tuple[int, ...]) -> float:
        return float(np.array(x) @ weights + np.array(x) @ pairs @ np.array(x))

    found = fl.hill_climbing(f, (0,) * n, flips, maximize=maximize)
    sign = -1 if maximize else 1
    assert found.success
    assert (sign * np.diff(found.history) < 0).all()
    assert all(sign * f(y) >= sign * found.fun for y in flips(found.x))
    assert found.history == [f(x) for x in found.path]
    assert (found.path[0], found.path[-1], found.nit) == ((0,) * n, found.x, len(found.path) - 1)
    assert found.nfev == 1 + n * (found.nit + 1)
    for x, y in zip(found.path, found.path[1:], strict=False):  # always the best neighbour
        assert sign * f(y) == min(sign * f(z) for z in flips(x))


def test_hill_climbing_says_where_it_ends() -> None:
    def beside(x: int) -> tuple[int, ...]:
        return x - 1, x + 1

    values = [5, 4, 3, 4, 1, 0, 9, 9, 9, 2]

    def f(x: int) -> float:
        return values[x] if 0 <= x < len(values) else math.nan

    assert fl.hill_climbing(f, 0, beside).x == 2  # a local minimum; the lowest is at 5
    assert fl.hill_climbing(f, 7, beside).message == (
        "a local minimum: none of its 2 neighbours is lower, though one is level"
    )
    top = fl.hill_climbing(f, 3, beside, maximize=True)
    assert top.message == "a local maximum: none of its 2 neighbours is higher"
    short = fl.hill_climbing(f, 0, beside, max_iter=1)
    assert (short.success, short.x) == (False, 1)
    assert short.message == "a neighbour is lower still after 1 moves"
    assert fl.hill_climbing(f, 0, beside, max_iter=2).success
    assert fl.hill_climbing(f, 4, lambda x: ()).message == "a local minimum: it has no neighbours"
    assert fl.hill_climbing(f, -1, beside).path == [-1, 0, 1, 2]  # from where f is NaN


def test_bad_hills() -> None:
    with pytest.raises(TypeError, match="f must be callable, not 3"):
        fl.hill_climbing(3, 0, lambda x: ())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"neighbours must be callable, not \[1\]"):
        fl.hill_climbing(abs, 0, [1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_iter must be at least 1"):
        fl.hill_climbing(abs, 0, lambda x: (), max_iter=0)
