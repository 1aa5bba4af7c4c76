"""The problems of Moré, Garbow & Hillstrom: L-BFGS beside SciPy's, Levenberg-Marquardt."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import fallline as fl
from mgh import PROBLEMS, Problem

ALL = pytest.mark.parametrize("problem", PROBLEMS, ids=str)
REACHED = 1e-8  # of the way from the start to the least value


def test_there_are_enough() -> None:
    assert len({p.number for p in PROBLEMS}) == 35


@ALL
def test_jacobians_are_those_of_differences(problem: Problem) -> None:
    shift = np.random.default_rng(0).normal(size=problem.x0.size)
    x = problem.x0 + 0.01 * shift * np.maximum(1, np.abs(problem.x0))
    J = problem.jacobian(x)
    differences = fl.curvature.jacobian(problem.residuals, x)
    assert J.shape == (problem.residuals(x).size, x.size)
    # Residuals of 10⁶ leave six digits less.
    noise = 1e-11 * np.abs(problem.residuals(x)).max()
    assert np.abs(J - differences).max() <= 1e-6 * np.abs(J).max() + noise


def is_minimum(problem: Problem, fun: float) -> bool:
    start = problem.value_and_gradient(problem.x0)[0]
    return any(
        abs(fun - least) <= 1e-6 * least + 1e-12 * max(1.0, start) for least in problem.minima
    )


@ALL
def test_lbfgs_finds_a_minimum(problem: Problem) -> None:
    res = fl.minimize(problem.objective(), None, fl.LBFGS(history_size=10), steps=2000)
    assert is_minimum(problem, res.fun), res


@ALL
def test_levenberg_marquardt_finds_a_minimum(problem: Problem) -> None:
    res = fl.minimize(problem.least_squares(), None, fl.LevenbergMarquardt, steps=2000)
    assert res.success, res
    if problem.name == "biggs_exp6":  # its least value for x2 → ∞
        assert 2 * res.fun < 0.65
    else:
        assert is_minimum(problem, 2 * res.fun), res


@ALL
def test_gauss_newton_finds_a_minimum(problem: Problem) -> None:
    """Undamped, where J is regular; where it is not, damped as far as it takes."""
    res = fl.minimize(problem.least_squares(), None, fl.GaussNewton, steps=2000)
    assert res.success, res
    assert is_minimum(problem, 2 * res.fun), res


def evaluations(problem: Problem, by: str) -> tuple[list[float], float]:
    """All values that a method saw, from its start."""
    seen: list[float] = []

    def f(x: Any) -> tuple[float, Any]:
        fun, gradient = problem.value_and_gradient(x)
        seen.append(fun if math.isfinite(fun) else math.inf)
        return fun, gradient

    if by == "scipy":
        from scipy.optimize import minimize

        options = {"maxcor": 10, "ftol": 0, "gtol": 1e-12, "maxiter": 2000, "maxfun": 4000}
        minimize(f, problem.x0, jac=True, method="L-BFGS-B", options=options)
    else:
        objective = fl.objectives.Function(f, True, x0=problem.x0)
        fl.minimize(objective, None, fl.LBFGS(history_size=10), steps=2000, gtol=1e-12)
    return seen, min(seen)


def counts() -> list[tuple[Problem, int | None, int | None]]:
    """Evaluations until both have come equally far, None where one never did."""
    table = []
    for problem in PROBLEMS:
        (ours, own), (theirs, other) = (evaluations(problem, by) for by in ("fallline", "scipy"))
        least = min(own, other)
        goal = least + REACHED * (ours[0] - least)
        first = [
            next((i for i, fun in enumerate(seen, 1) if fun <= goal), None)
            for seen in (ours, theirs)
        ]
        table.append((problem, first[0], first[1]))
    return table


def test_lbfgs_needs_hardly_more_evaluations_than_scipys() -> None:
    pytest.importorskip("scipy")
    table = counts()
    assert all(own is not None for _, own, _ in table)
    both = [(own, other) for _, own, other in table if own and other]
    assert len(both) >= 30
    own, other = (sum(column) for column in zip(*both, strict=True))
    assert own <= 1.2 * other


if __name__ == "__main__":
    for row in counts():
        print(*row)
