"""Searches for a step that is good enough, along a direction of descent."""

from __future__ import annotations

import math
from typing import TypeAlias

from ._line import Function, Line, LineSearchResult, Probe, check_count, check_number

__all__ = ["backtracking", "exact_quadratic", "strong_wolfe"]

Point: TypeAlias = tuple[float, float, float]  # step, value, slope


def backtracking(
    f: Function,
    slope0: float | None = None,
    alpha: float = 1.0,
    *,
    f0: float | None = None,
    c1: float = 1e-4,
    shrink: float = 0.5,
    max_iter: int = 100,
) -> LineSearchResult:
    r"""Shrink a step until the value has fallen enough (Armijo's condition).

    .. math:: f(α) ≤ f(0) + c_1 α f'(0)

    Parameters
    ----------
    f : callable
        ``f(alpha)``: the value after a step.
    slope0 : float, optional
        f'(0); taken from a :class:`Line`.
    alpha : float
        First step, positive.
    f0 : float, optional
        f(0), where it is known.
    c1 : float
        In (0, 1).
    shrink : float
        Factor for a step that is too long, in (0, 1).
    max_iter : int
        Most steps that are tried.

    Returns
    -------
    LineSearchResult
        No success, and x = 0, where `slope0` is not negative or no step is good.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> found = fl.linesearch.backtracking(lambda a: (1 - 3 * a) ** 2, slope0=-6.0)
    >>> found.x, found.fun, found.nfev
    (0.5, 0.25, 3)

    References
    ----------
    Nocedal & Wright (2006), Numerical optimization, algorithm 3.1.
    """
    alpha = check_number("alpha", alpha, 0, open=True)
    c1 = check_number("c1", c1, 0, 1, open=True)
    shrink = check_number("shrink", shrink, 0, 1, open=True)
    max_iter = check_count("max_iter", max_iter)
    probe = _probe(f)
    start, slope, stop = _begin(probe, f, f0, slope0)
    if stop is not None:
        return stop
    for _ in range(max_iter):
        probe.rows.append((0.0, alpha))
        value = probe.value(alpha)
        if value <= start + c1 * alpha * slope:
            return probe.result(True, "the value has fallen enough", at=(alpha, value))
        alpha *= shrink
    message = f"the value does not fall enough at any step down to {alpha / shrink:.3g}"
    return probe.result(False, message, at=(0.0, start))


def strong_wolfe(
    f: Function,
    slope: Function | None = None,
    alpha: float = 1.0,
    *,
    f0: float | None = None,
    slope0: float | None = None,
    c1: float = 1e-4,
    c2: float = 0.9,
    max_iter: int = 50,
) -> LineSearchResult:
    r"""Find a step with enough decrease and a slope that has become small.

    .. math:: f(α) ≤ f(0) + c_1 α f'(0), \qquad |f'(α)| ≤ c_2 |f'(0)|

    The step doubles until an interval holds such steps; then quadratic interpolation, kept a
    tenth of the interval away from its ends, shrinks it.

    Parameters
    ----------
    f : callable
        ``f(alpha)``: the value after a step.
    slope : callable, optional
        ``slope(alpha)``: its derivative; that of a :class:`Line` by default.
    alpha : float
        First step, positive; 1 for Newton's method and its kin.
    f0, slope0 : float, optional
        f(0) and f'(0), where they are known.
    c1, c2 : float
        0 < c1 < c2 < 1; c2 = 0.9 for Newton's method and its kin, 0.1 for conjugate gradients.
    max_iter : int
        Most doublings, and most interpolations.

    Returns
    -------
    LineSearchResult
        No success where f'(0) is not negative, f falls without end, or no step meets both
        conditions; x is then the best step with enough decrease, or 0.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> found = fl.linesearch.strong_wolfe(lambda a: (1 - 3 * a) ** 2, lambda a: 18 * a - 6)
    >>> round(found.x, 6), found.nfev, found.ngev
    (0.333333, 3, 2)

    References
    ----------
    Nocedal & Wright (2006), Numerical optimization, algorithms 3.5 and 3.6.
    """
    alpha = check_number("alpha", alpha, 0, open=True)
    c1 = check_number("c1", c1, 0, 1, open=True)
    c2 = check_number("c2", c2, 0, 1, open=True)
    if not c1 < c2:
        raise ValueError(f"c1 must be less than c2, not {c1:g} and {c2:g}")
    max_iter = check_count("max_iter", max_iter)
    if slope is None:
        if not isinstance(f, Line):
            raise TypeError("slope is missing: only a Line of an objective brings its own")
        slope = f.slope
    if not callable(slope):
        raise TypeError(f"slope must be callable, not {slope!r}")
    probe = Probe(f, slope)
    start, slope0, stop = _begin(probe, f, f0, slope0)
    if stop is not None:
        return stop
    return _Wolfe(probe, start, slope0, c1, c2).search(alpha, max_iter)


class _Wolfe:
    def __init__(self, probe: Probe, start: float, slope: float, c1: float, c2: float) -> None:
        self.probe, self.start, self.slope, self.c1, self.c2 = probe, start, slope, c1, c2

    def search(self, alpha: float, max_iter: int) -> LineSearchResult:
        """Algorithm 3.5."""
        before: Point = (0.0, self.start, self.slope)
        for i in range(max_iter):
            self.probe.rows.append((before[0], alpha))
            point = self.trial(alpha, before[1] if i else math.inf)
            if math.isnan(point[2]):
                return self.zoom(before, point, max_iter)
            if self.flat(point):
                return self.done(point)
            if point[2] >= 0:
                return self.zoom(point, before, max_iter)
            before, alpha = point, 2 * alpha
        return self.probe.endless(before[0])

    def zoom(self, low: Point, high: Point, max_iter: int) -> LineSearchResult:
        """Algorithm 3.6: `low` is the end with enough decrease and the lower value."""
        why = f"after {max_iter} interpolations"
        for _ in range(max_iter):
            alpha = _interpolate(low, high)
            ends = sorted((low[0], high[0]))
            if not ends[0] < alpha < ends[1]:
                why = "before the interval could not shrink further"
                break
            self.probe.rows.append(tuple(ends))
            point = self.trial(alpha, low[1])
            if math.isnan(point[2]):
                high = point
                continue
            if self.flat(point):
                return self.done(point)
            if point[2] * (high[0] - low[0]) >= 0:
                high = low
            low = point
        lack = "slope small enough" if low[0] > 0 else "step at which f falls enough"
        return self.probe.result(False, f"found no {lack} {why}", at=low[:2])

    def trial(self, alpha: float, floor: float) -> Point:
        """A step; its slope is NaN where it is too long: without decrease, or not finite."""
        value = self.probe.value(alpha)
        if value > self.start + self.c1 * alpha * self.slope or value >= floor:
            return alpha, value, math.nan
        slope = self.probe.slope(alpha)
        return (alpha, value, slope) if slope < math.inf else (alpha, math.inf, math.nan)

    def flat(self, point: Point) -> bool:
        return abs(point[2]) <= -self.c2 * self.slope

    def done(self, point: Point) -> LineSearchResult:
        message = "the value has fallen and its slope is small enough"
        return self.probe.result(True, message, at=point[:2])


def _interpolate(low: Point, high: Point) -> float:
    """Minimum of the parabola through both values and the slope at `low`, or the middle."""
    width = high[0] - low[0]
    bend = high[1] - low[1] - low[2] * width
    share = -low[2] * width / (2 * bend) if 0 < bend < math.inf else 0.5
    return low[0] + (share if 0.1 <= share <= 0.9 else 0.5) * width


def exact_quadratic(
    f: Function,
    slope0: float | None = None,
    curvature: float | None = None,
    *,
    f0: float | None = None,
) -> LineSearchResult:
    r"""Minimum of the parabola that has the function's slope and curvature.

    .. math:: α = -\frac{f'(0)}{f''(0)} = \frac{g^T g}{g^T H g} \text{ along } -g

    Parameters
    ----------
    f : callable
        ``f(alpha)``: the value after a step.
    slope0, curvature : float, optional
        f'(0) and f''(0); taken from a :class:`Line`.
    f0 : float, optional
        f(0), where it is known.

    Returns
    -------
    LineSearchResult
        Exact for a quadratic function. No success, and x = 0, where the slope is not negative,
        the curvature not positive, or the value does not fall.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.linesearch.exact_quadratic(lambda a: (1 - 4 * a) ** 2, -8.0, 32.0).x
    0.25

    References
    ----------
    Nocedal & Wright (2006), Numerical optimization, equation 3.26.
    """
    probe = _probe(f)
    start, slope, stop = _begin(probe, f, f0, slope0)
    if stop is not None:
        return stop
    if curvature is None:
        if not isinstance(f, Line):
            raise TypeError("curvature is missing: only a Line of an objective brings its own")
        bend = f.curvature()
    else:
        bend = float(curvature)
    if not 0 < bend < math.inf:
        message = f"the curvature is {bend:g}: the parabola has no minimum"
        return probe.result(False, message, at=(0.0, start))
    alpha = -slope / bend
    probe.rows.append((0.0, alpha))
    value = probe.value(alpha)
    if not value < start:
        message = f"the value does not fall at the parabola's minimum, {alpha:.3g}"
        return probe.result(False, message, at=(0.0, start))
    return probe.result(True, "the minimum of the parabola", at=(alpha, value))


def _probe(f: Function) -> Probe:
    return Probe(f, f.slope if isinstance(f, Line) else None)


def _begin(
    probe: Probe, f: Function, f0: float | None, slope0: float | None
) -> tuple[float, float, LineSearchResult | None]:
    """f(0), f'(0), and the result where they allow no search."""
    if slope0 is None and probe._slope is None:
        raise TypeError("slope0 is missing: only a Line of an objective brings its own")
    start = probe.value(0.0) if f0 is None else float(f0)
    slope = probe.slope(0.0) if slope0 is None else float(slope0)
    if not math.isfinite(start):
        return start, slope, probe.result(False, "f(0) is not finite", at=(0.0, start))
    if not -math.inf < slope < 0:
        message = f"the slope is {slope:g} at 0: no direction of descent"
        return start, slope, probe.result(False, message, at=(0.0, start))
    return start, slope, None
