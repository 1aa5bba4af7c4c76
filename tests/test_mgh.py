"""The problems of Moré, Garbow & Hillstrom: L-BFGS beside SciPy's, Levenberg-Marquardt."""

from __future__ import annotations

import math
from functools import cache
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


Evaluations = list[tuple[float, float]]  # loss and gradient's norm at each


def evaluations(problem: Problem, by: str) -> Evaluations:
    """All that a method saw, from the same start on, with ten pairs and tolerances out of reach."""
    seen: Evaluations = []

    def f(x: Any) -> tuple[float, Any]:
        fun, gradient = problem.value_and_gradient(x)
        with np.errstate(all="ignore"):
            norm = float(np.linalg.norm(gradient))
        seen.append((fun, norm) if math.isfinite(fun) else (math.inf, math.inf))
        return fun, gradient

    if by == "scipy":
        from scipy.optimize import minimize

        options = {"maxcor": 10, "ftol": 0, "gtol": 1e-12, "maxiter": 2000, "maxfun": 4000}
        minimize(f, problem.x0, jac=True, method="L-BFGS-B", options=options)
    else:
        objective = fl.objectives.Function(f, True, x0=problem.x0)
        fl.minimize(objective, None, fl.LBFGS(history_size=10), steps=2000, gtol=1e-12)
    return seen


def to_loss(ours: Evaluations, theirs: Evaluations) -> list[int | None]:
    """Evaluations until each has come within `REACHED` of the least value that either saw."""
    start, least = ours[0][0], min(fun for fun, _ in ours + theirs)
    return [first(seen, 0, least + REACHED * (start - least)) for seen in (ours, theirs)]


def to_gradient(ours: Evaluations, theirs: Evaluations) -> list[int | None]:
    """Evaluations until the gradient's norm is 10⁻⁶ of that at the start."""
    return [first(seen, 1, 1e-6 * ours[0][1]) for seen in (ours, theirs)]


def first(seen: Evaluations, which: int, goal: float) -> int | None:
    return next((i for i, at in enumerate(seen, 1) if at[which] <= goal), None)


Counts = dict[str, list[tuple[Problem, list["int | None"]]]]


@cache
def counts() -> Counts:
    """Of both by goal, None where one never reached it."""
    runs = [(p, evaluations(p, "fallline"), evaluations(p, "scipy")) for p in PROBLEMS]
    return {
        goal.__name__: [(p, goal(ours, theirs)) for p, ours, theirs in runs]
        for goal in (to_loss, to_gradient)
    }


def totals(table: list[tuple[Problem, list[int | None]]]) -> tuple[int, int, int]:
    """Problems at whose goal both arrive, and the evaluations of each for all of these."""
    both = [(own, other) for _, (own, other) in table if own and other]
    return len(both), sum(own for own, _ in both), sum(other for _, other in both)


@pytest.mark.parametrize("goal", ["to_loss", "to_gradient"])
def test_lbfgs_needs_hardly_more_evaluations_than_scipys(goal: str) -> None:
    """To the same loss, and to the same tolerance of the gradient."""
    pytest.importorskip("scipy")
    table = counts()[goal]
    assert all(own is not None for _, (own, _) in table)
    problems, own, other = totals(table)
    assert problems >= 30
    assert own <= 1.2 * other


if __name__ == "__main__":
    for goal, table in counts().items():
        for problem, pair in table:
            print(goal, problem, *pair)
        print(goal, "problems, evaluations of fallline and SciPy:", *totals(table))
