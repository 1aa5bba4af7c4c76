"""Line searches: against closed forms and SciPy, and where there is nothing to find."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import fallline as fl
from fallline.linesearch import (
    Line,
    backtracking,
    bracket,
    bracketing,
    brent,
    exact_quadratic,
    golden_section,
    strong_wolfe,
)

optimize = pytest.importorskip("scipy.optimize")

INTERVAL = [bracketing, golden_section, brent]
ROSEN = fl.objectives.Function(optimize.rosen, optimize.rosen_der, optimize.rosen_hess, n_params=3)


def check_result(found: fl.linesearch.LineSearchResult) -> None:
    rows = found.brackets
    assert found.alpha == found.x
    assert found.nit == len(rows)
    assert (np.diff(rows, axis=1) > 0).all()


# ---- intervals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("search", INTERVAL)
@given(
    minimum=st.floats(-0.999, 0.999),
    steep=st.floats(0.1, 10),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
)
def test_interval_searches_find_the_minimum(
    search: Any, minimum: float, steep: float, scale: float
) -> None:
    def f(x: float) -> float:
        r = x / scale - minimum
        return (r if r < 0 else steep * r) ** 2

    found = search(f, -scale, scale, tol=1e-7 * scale)
    assert found.success
    assert abs(found.x / scale - minimum) < 3e-7
    assert found.fun == f(found.x)
    check_result(found)
    # Every interval holds the minimum, and the next one.
    low, high = found.brackets[:, 0], found.brackets[:, -1]
    assert (low <= minimum * scale + 1e-12 * scale).all()
    assert (high >= minimum * scale - 1e-12 * scale).all()
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) <= 0).all()


def test_bracketing_step_by_step() -> None:
    """f(b) > f(c) drops [a, b], f(b) <= f(c) drops [c, d]."""
    found = bracketing(lambda x: abs(x - 5), 0, 9, tol=2.7)
    expected = [[0, 3, 6, 9], [3, 5, 7, 9], [3, 3 + 4 / 3, 7 - 4 / 3, 7]]
    assert np.allclose(found.brackets[:3], expected, rtol=1e-15)
    assert (found.x, found.fun, found.nfev) == (5, 0, 2 * found.nit)
    level = bracketing(lambda x: 1.0, 0, 9, tol=1)
    assert level.brackets[-1, 0] == 0  # ties go to the left


def test_costs() -> None:
    def f(x: float) -> float:
        return (x - 0.3) ** 2

    thirds, golden = (s(f, 0, 1, tol=1e-6) for s in (bracketing, golden_section))
    assert thirds.nit == 1 + math.ceil(math.log(1e-6) / math.log(2 / 3))
    assert golden.nit == 1 + math.ceil(math.log(1e-6) / math.log((math.sqrt(5) - 1) / 2))
    assert (thirds.nfev, golden.nfev) == (2 * thirds.nit, golden.nit + 1)


def test_brent_is_scipys() -> None:
    def f(x: float) -> float:
        return math.cosh(x - 1) + 0.1 * math.sin(5 * x)

    theirs = optimize.minimize_scalar(
        f, bounds=(-2, 4), method="bounded", options={"xatol": 1e-9, "maxiter": 200}
    )
    ours = brent(f, -2, 4, tol=1e-9)
    assert ours.fun == theirs.fun
    assert ours.nfev == theirs.nfev


@pytest.mark.parametrize("search", INTERVAL)
def test_minimum_at_an_end(search: Any) -> None:
    assert search(lambda x: x, 2, 3).x == pytest.approx(2, abs=1e-7)
    assert search(lambda x: -x, 2, 3).x == pytest.approx(3, abs=1e-7)


@pytest.mark.parametrize("search", INTERVAL)
def test_interval_searches_end(search: Any) -> None:
    exact = search(lambda x: (x - 1) ** 2, 0, 3, tol=0.0, max_iter=2000)
    assert exact.nfev < 500 or not exact.success
    assert exact.x == pytest.approx(1, abs=1e-7)
    short = search(lambda x: (x - 1) ** 2, 0, 3, max_iter=5)
    assert not short.success
    assert "after 5" in short.message


@pytest.mark.parametrize("search", INTERVAL)
def test_values_that_are_not_finite_are_turned_away_from(search: Any) -> None:
    def f(x: float) -> float:
        if x > 2.5:
            return math.exp(1e4 * x)  # OverflowError
        return np.sqrt(x - 0.1) / (x - 0.1) + x if x > 0.1 else math.nan

    found = search(f, 0.1, 9, tol=1e-6)
    assert found.success
    assert found.x == pytest.approx(0.1 + 0.5 ** (2 / 3), abs=2e-6)
    assert "not finite and counted as +inf)" in found.message
    nowhere = search(lambda x: math.nan, 0, 1)
    assert not nowhere.success
    assert "f is not finite at any point" in nowhere.message


@pytest.mark.parametrize("search", INTERVAL)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"f": 3}, TypeError, "f must be callable, not 3"),
        ({"a": 2}, ValueError, "a must be less than d, not 2 and 1"),
        ({"a": math.nan}, ValueError, "a must be a finite number"),
        ({"d": "1"}, TypeError, "d must be a number, not '1'"),
        ({"a": -1e308, "d": 1e308}, ValueError, "too wide"),
        ({"tol": -1}, ValueError, "tol must be a finite number in"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1"),
        ({"max_iter": 1.5}, TypeError, "max_iter must be an integer, not 1.5"),
    ],
)
def test_bad_intervals(
    search: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        search(**{"f": abs, "a": 0, "d": 1, **arguments})


@given(minimum=st.floats(1e-9, 1e9), step=st.floats(1e-6, 1e6))
def test_bracket_holds_the_minimum(minimum: float, step: float) -> None:
    found = bracket(lambda x: (x - minimum) ** 2, step)
    assert found.success
    low, high = found.brackets[-1]
    assert low <= minimum <= high
    assert found.fun < minimum**2


def test_bracket_without_a_minimum() -> None:
    down, up = bracket(lambda x: -x), bracket(lambda x: x)
    assert (down.success, up.success) == (False, False)
    assert "unbounded below" in down.message
    assert "does not fall at any step" in up.message
    assert up.x == 0
    # Falls that shrink say that there is a bound; those that do not, that there is none.
    flat = bracket(lambda x: 1 / (1 + x))
    assert (flat.success, flat.unbounded) == (False, False)
    assert "by ever less: it has no minimum there" in flat.message
    assert bracket(lambda x: -math.log(1 + x)).unbounded
    assert bracket(lambda x: -math.sqrt(1 + x)).unbounded
    assert "f(0) is not finite" in bracket(lambda x: math.inf).message


# ---- steps ---------------------------------------------------------------------------------------

starts = st.lists(st.floats(-2, 2), min_size=3, max_size=3).map(np.array)


@given(starts)
def test_conditions_hold_on_rosenbrocks_function(x: np.ndarray) -> None:
    g = optimize.rosen_der(x)
    assume(np.abs(g).max() > 1e-2)
    line = Line(ROSEN, x)
    assert np.array_equal(line.direction, -g)
    slope = -float(g @ g)

    found = backtracking(line)
    assert found.success
    assert (
        found.fun == optimize.rosen(x - found.x * g) <= optimize.rosen(x) + 1e-4 * found.x * slope
    )
    before = 2 * found.x
    assert (
        found.x == 1 or optimize.rosen(x - before * g) > optimize.rosen(x) + 1e-4 * before * slope
    )
    check_result(found)

    for c2, interpolation in [
        (0.9, "quadratic"),
        (0.1, "quadratic"),
        (0.9, "cubic"),
        (0.1, "cubic"),
    ]:
        found = strong_wolfe(line, c2=c2, interpolation=interpolation)
        assert found.success, found.message
        assert found.fun <= optimize.rosen(x) + 1e-4 * found.x * slope
        assert abs(g @ optimize.rosen_der(x - found.x * g)) <= c2 * -slope
        check_result(found)


@given(starts, st.floats(1e-3, 10))
def test_strong_wolfe_agrees_with_scipy_on_what_is_good(x: np.ndarray, alpha: float) -> None:
    """SciPy's step passes our conditions; on a parabola both find one in the same range."""
    d = -optimize.rosen_der(x)
    assume(np.abs(d).max() > 1e-2)
    theirs = optimize.line_search(optimize.rosen, optimize.rosen_der, x, d, c2=0.4)[0]
    ours = strong_wolfe(Line(ROSEN, x, d), alpha=alpha, c2=0.4)
    assert ours.success
    if theirs is not None:  # it gives up now and then
        for step in (theirs, ours.x):
            assert abs(d @ optimize.rosen_der(x + step * d)) <= 0.4 * (d @ d) * (1 + 1e-9)


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_exact_steps_on_a_parabola(bend: float, minimum: float) -> None:
    def f(a: float) -> float:
        return bend * (a - minimum) ** 2 / 2

    found = exact_quadratic(f, -bend * minimum, bend)
    assert found.success
    assert found.x == pytest.approx(minimum, rel=1e-12)
    wolfe = strong_wolfe(f, lambda a: bend * (a - minimum), c2=1e-3)
    assert wolfe.success
    assert wolfe.x == pytest.approx(minimum, rel=1e-3)


@given(st.floats(0.05, 20), st.floats(-3, 3))
def test_cubic_interpolation_ends_on_a_cubic(minimum: float, third: float) -> None:
    """Its minimum lies where the second trial is, if the first brackets it."""

    def f(a: float) -> float:
        return (a - minimum) ** 2 * (1 + third * (a - minimum) / (10 * minimum))

    def slope(a: float) -> float:
        r = a - minimum
        return 2 * r + 3 * third * r * r / (10 * minimum)

    first = 1.8 * minimum
    found = strong_wolfe(f, slope, first, c2=1e-4, c1=1e-6, interpolation="cubic")
    assert found.success
    assert found.x == pytest.approx(minimum, rel=1e-3)
    assert found.nfev == found.ngev <= 3  # f(0) among them


def test_exact_step_of_a_regression() -> None:
    rng = np.random.default_rng(0)
    f = fl.objectives.LinearRegression(rng.normal(size=(20, 3)), rng.normal(size=20))
    phi = rng.normal(size=4)
    g, H = f.gradient(phi), f.hessian(phi)
    found = exact_quadratic(Line(f, phi))
    assert found.x == pytest.approx(g @ g / (g @ H @ g), rel=1e-12)
    for search in INTERVAL:
        assert search(Line(f, phi), 0, 5).x == pytest.approx(found.x, abs=1e-6)


def test_line_of_a_batch() -> None:
    rng = np.random.default_rng(0)
    f = fl.objectives.LinearRegression(
        rng.normal(size=(20, 3)).astype(np.float32), rng.normal(size=20)
    )
    phi, d, batch = rng.normal(size=4), rng.normal(size=4), [3, 5, 8]
    line = Line(f, phi, d, batch)
    assert line.phi.dtype == line.direction.dtype == line.point(0.1).dtype == np.float32
    assert line(0.25) == f.loss(line.point(0.25), batch)
    assert line.slope(0.25) == pytest.approx(d @ f.gradient(line.point(0.25), batch), rel=1e-5)
    assert np.array_equal(line.gradient, f.gradient(line.point(0.25), batch))
    assert line.curvature() == pytest.approx(d @ f.hvp(phi, d, batch), rel=1e-5)


STEPS = {
    "backtracking": lambda f, s: backtracking(f, s(0.0)),
    "strong_wolfe": strong_wolfe,
    "exact_quadratic": lambda f, s: exact_quadratic(f, s(0.0), 1.0),
}


@pytest.mark.parametrize("search", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize(
    ("f", "slope", "message"),
    [
        (lambda a: a * a, lambda a: 2 * a, "slope is 0 at 0: no direction of descent"),
        (lambda a: a, lambda a: 1.0, "slope is 1 at 0: no direction"),
        (lambda a: -a, lambda a: math.nan, "slope is (nan|inf) at 0: no direction"),
        (lambda a: math.nan, lambda a: -1.0, r"f\(0\) is not finite"),
        (lambda a: a, lambda a: -1.0, "fall"),  # a slope that is wrong
        (lambda a: 0.0 if a == 0 else math.nan, lambda a: -1.0, "fall"),
    ],
)
def test_no_decrease_ends_with_a_message(search: Any, f: Any, slope: Any, message: str) -> None:
    found = search(f, slope)
    assert not found.success
    assert found.x == 0
    assert re.search(message, found.message), found.message
    assert found.nfev < 200


def test_unbounded_below_is_told() -> None:
    found = strong_wolfe(lambda a: -(a**3) - a, lambda a: -3 * a**2 - 1, max_iter=20)
    assert not found.success
    assert found.message.endswith("it seems to be unbounded below")
    assert found.x == 2.0**19  # the best there was
    endless = strong_wolfe(lambda a: -(a**3) - a, lambda a: -3 * a**2 - 1, max_iter=5000)
    assert not endless.success
    assert endless.fun < -1e100
    assert "not finite" in endless.message


def test_overflow_is_stepped_back_from() -> None:
    """Steps at which exp overflows are too long, whether value or slope shows it."""

    def f(a: float) -> float:
        return np.exp(a) - 3 * a

    def slope(a: float) -> float:
        return np.exp(a) - 3 if a < 100 else math.nan

    for found in (
        backtracking(f, -2.0, 1e6),
        strong_wolfe(f, slope, 1e6, c2=0.1),
        strong_wolfe(f, slope, 1e6, c2=0.1, interpolation="cubic"),
    ):
        assert found.success
        assert found.fun < 1
        assert "not finite and counted as +inf" in found.message
    found = strong_wolfe(
        lambda a: (a - 1) ** 2, lambda a: 2 * (a - 1) if a < 1.5 else math.nan, 1.8
    )
    assert found.success
    assert "(1 value was not finite" in found.message


def test_no_parabola() -> None:
    for bend in (0.0, -1.0, math.nan, math.inf):
        found = exact_quadratic(lambda a: -a, -1.0, bend)
        assert not found.success
        assert f"the curvature is {bend:g}: the parabola has no minimum" in found.message
        assert ("unbounded below" in found.message) == (bend == -1)


def test_wolfe_conditions_out_of_reach() -> None:
    """|a - 1| has no small slope: the best step with enough decrease is returned."""
    found = strong_wolfe(lambda a: abs(a - 1.01), lambda a: math.copysign(1, a - 1.01))
    assert not found.success
    assert "found no slope small enough" in found.message
    assert found.x == pytest.approx(1.01, abs=0.1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: backtracking(abs), TypeError, "slope0 is missing: only a Line"),
        (lambda: strong_wolfe(abs), TypeError, "slope is missing: only a Line"),
        (lambda: strong_wolfe(abs, 3), TypeError, "slope must be callable, not 3"),
        (lambda: strong_wolfe(abs, abs, c1=0.9, c2=0.1), ValueError, "c1 must be less than c2"),
        (
            lambda: strong_wolfe(abs, abs, interpolation="linear"),
            ValueError,
            "interpolation must be 'quadratic' or 'cubic', not 'linear'",
        ),
        (lambda: strong_wolfe(abs, abs, c2=1.0), ValueError, r"c2 must .* in \(0, 1\), not 1"),
        (lambda: exact_quadratic(abs, -1.0), TypeError, "curvature is missing: only a Line"),
        (lambda: backtracking(abs, -1.0, 0), ValueError, r"alpha must .* in \(0, inf\), not 0"),
        (lambda: backtracking(abs, -1.0, shrink=1), ValueError, "shrink must be"),
        (lambda: backtracking(abs, -1.0, max_iter=True), TypeError, "max_iter must be an int"),
        (lambda: bracket(abs, -1), ValueError, "step must be a finite number"),
        (lambda: Line(ROSEN, [1.0]), ValueError, r"phi has shape \(1,\); expected \(3,\)"),
        (lambda: Line(ROSEN, [1.0] * 3, [1.0]), ValueError, "direction has shape"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_all_searches_are_exported_and_documented() -> None:
    for name in ("backtracking", "bracket", "bracketing", "brent", "exact_quadratic"):
        text = inspect.getdoc(getattr(fl.linesearch, name)) or ""
        for part in ("Parameters\n", "Returns\n", "Raises\n", "Examples\n"):
            assert part in text, name
