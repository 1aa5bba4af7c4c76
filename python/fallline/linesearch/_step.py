"""Searches for a step that is good enough, along a direction of descent."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

from ._line import Function, Line, LineSearchResult, Probe, check_count, check_number

__all__ = ["backtracking", "exact_quadratic", "strong_wolfe"]

Interpolation: TypeAlias = Literal["quadratic", "cubic"]


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
    interpolation: Interpolation = "quadratic",
) -> LineSearchResult:
    r"""Find a step with enough decrease and a slope that has become small.

    .. math:: f(α) ≤ f(0) + c_1 α f'(0), \qquad |f'(α)| ≤ c_2 |f'(0)|

    The step grows until an interval holds such steps; then interpolation, kept a tenth of the
    interval away from its ends, shrinks it.

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
        Most steps until there is an interval, and most interpolations.
    interpolation : {"quadratic", "cubic"}
        "quadratic" asks for the slope of a step only once its value is low enough, and doubles
        steps; "cubic" asks for both at each, as they come together where a gradient costs no more
        than with the value, and interpolates and extrapolates by both.

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
    if interpolation not in ("quadratic", "cubic"):
        raise ValueError(f"interpolation must be 'quadratic' or 'cubic', not {interpolation!r}")
    probe = Probe(f, slope)
    start, slope0, stop = _begin(probe, f, f0, slope0)
    if stop is not None:
        return stop
    search = _Cubic if interpolation == "cubic" else _Wolfe
    return search(probe, start, slope0, c1, c2).search(alpha, max_iter)


class Point(NamedTuple):
    """A step and what is known there."""

    alpha: float
    value: float
    slope: float  # NaN where it was not asked for
    high: bool = False  # too long: without decrease, or not finite


class _Wolfe:
    def __init__(self, probe: Probe, start: float, slope: float, c1: float, c2: float) -> None:
        self.probe, self.start, self.slope, self.c1, self.c2 = probe, start, slope, c1, c2

    def search(self, alpha: float, max_iter: int) -> LineSearchResult:
        """Algorithm 3.5."""
        before = Point(0.0, self.start, self.slope)
        for i in range(max_iter):
            self.probe.rows.append((before.alpha, alpha))
            point = self.trial(alpha, before.value if i else math.inf)
            if point.high:
                return self.zoom(before, point, max_iter)
            if self.flat(point):
                return self.done(point)
            if point.slope >= 0:
                return self.zoom(point, before, max_iter)
            before, alpha = point, self.beyond(before, point)
        return self.probe.endless(before.alpha)

    def zoom(self, low: Point, high: Point, max_iter: int) -> LineSearchResult:
        """Algorithm 3.6: `low` is the end with enough decrease and the lower value."""
        why = f"after {max_iter} interpolations"
        for _ in range(max_iter):
            alpha = self.between(low, high)
            ends = sorted((low.alpha, high.alpha))
            if not ends[0] < alpha < ends[1]:
                why = "before the interval could not shrink further"
                break
            self.probe.rows.append(tuple(ends))
            point = self.trial(alpha, low.value)
            if point.high:
                high = point
                continue
            if self.flat(point):
                return self.done(point)
            if point.slope * (high.alpha - low.alpha) >= 0:
                high = low
            low = point
        lack = "slope small enough" if low.alpha > 0 else "step at which f falls enough"
        return self.probe.result(False, f"found no {lack} {why}", at=low[:2])

    def trial(self, alpha: float, floor: float) -> Point:
        value = self.probe.value(alpha)
        if self.enough(alpha, value, floor):
            slope = self.probe.slope(alpha)
            if slope < math.inf:
                return Point(alpha, value, slope)
            value = math.inf
        return Point(alpha, value, math.nan, high=True)

    def enough(self, alpha: float, value: float, floor: float) -> bool:
        """Whether the value has fallen enough, and below another."""
        return value <= self.start + self.c1 * alpha * self.slope and value < floor

    def beyond(self, before: Point, point: Point) -> float:
        """A longer step."""
        return 2 * point.alpha

    def between(self, low: Point, high: Point) -> float:
        """Minimum of the parabola through both values and the slope at `low`, or the middle."""
        width = high.alpha - low.alpha
        bend = high.value - low.value - low.slope * width
        share = -low.slope * width / (2 * bend) if 0 < bend < math.inf else 0.5
        return low.alpha + (share if 0.1 <= share <= 0.9 else 0.5) * width

    def flat(self, point: Point) -> bool:
        return abs(point.slope) <= -self.c2 * self.slope

    def done(self, point: Point) -> LineSearchResult:
        message = "the value has fallen and its slope is small enough"
        return self.probe.result(True, message, at=point[:2])


class _Cubic(_Wolfe):
    """With the slope at every step: interpolation by equation 3.59."""

    def trial(self, alpha: float, floor: float) -> Point:
        value, slope = self.probe.value(alpha), self.probe.slope(alpha)
        if not (value < math.inf and slope < math.inf):
            return Point(alpha, math.inf, math.nan, high=True)
        return Point(alpha, value, slope, high=not self.enough(alpha, value, floor))

    def beyond(self, before: Point, point: Point) -> float:
        width = point.alpha - before.alpha
        share = _cubic(before, point)
        return before.alpha + min(max(share, 2.1), 5.0) * width

    def between(self, low: Point, high: Point) -> float:
        if math.isnan(high.slope):
            return super().between(low, high)
        share = _cubic(low, high)
        return low.alpha + min(max(share, 0.1), 0.9) * (high.alpha - low.alpha)


def _cubic(a: Point, b: Point) -> float:
    """The minimum of the cubic through two points, as a share of the way from `a` to `b`."""
    width = b.alpha - a.alpha
    start, end, mean = a.slope * width, b.slope * width, 3 * (b.value - a.value)
    d1 = start + end - mean
    square = d1 * d1 - start * end
    if not 0 <= square < math.inf:
        return math.inf if start + end < 0 else 0.5
    d2 = math.sqrt(square)
    below = end - start + 2 * d2
    return 1 - (end + d2 - d1) / below if below else math.inf


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
    Nocedal & Wright (2006), Numerical optimization, section 3.3.
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
        if bend < 0:
            message += " along the line; it is unbounded below, as the curvature is negative"
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
