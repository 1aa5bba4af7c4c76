"""Searches that shrink an interval, and one that finds it."""

from __future__ import annotations

import math

import numpy as np

from .._extras import require
from ._line import Function, LineSearchResult, Probe, check_count, check_number

__all__ = ["bracket", "bracketing", "brent", "golden_section", "outward"]

GOLDEN = (3 - math.sqrt(5)) / 2


def bracketing(
    f: Function, a: float, d: float, tol: float = 1e-8, max_iter: int = 200
) -> LineSearchResult:
    r"""Shrink an interval around a minimum by comparing two interior points.

    .. math::
        a < b < c < d: \qquad
        [a, d] \leftarrow \begin{cases} {[b, d]} & f(b) > f(c) \\ {[a, c]} & \text{otherwise}
        \end{cases}

    The interior points divide the interval into thirds; each iteration evaluates both and keeps
    two thirds of it. Of a function with one minimum in [a, d] that is found; of another, one of
    them.

    Parameters
    ----------
    f : callable
        ``f(x)``: the value at a number.
    a, d : float
        The interval.
    tol : float
        Width at which to stop. About 1e-8 of the scale of x is the best that values alone can
        tell, as a minimum is flat.
    max_iter : int
        Most iterations.

    Returns
    -------
    LineSearchResult
        ``x`` is the best point evaluated, ``brackets`` the rows (a, b, c, d).

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> found = fl.linesearch.bracketing(lambda x: (x - 2) ** 2, 0, 3, tol=1e-6)
    >>> round(found.x, 5), found.nit, found.brackets[0]
    (2.0, 38, array([0., 1., 2., 3.]))

    References
    ----------
    Prince (2023), Understanding deep learning, section 6.1 and problem 6.6.
    """
    return _shrink(f, a, d, tol, max_iter, 1 / 3)


def golden_section(
    f: Function, a: float, d: float, tol: float = 1e-8, max_iter: int = 200
) -> LineSearchResult:
    r"""As :func:`bracketing`, with one evaluation an iteration.

    .. math:: b = a + ρ (d - a), \quad c = d - ρ (d - a), \qquad ρ = (3 - \sqrt 5)/2 ≈ 0.382

    One of the interior points is one of the next interval's.

    Parameters
    ----------
    f : callable
        ``f(x)``: the value at a number.
    a, d : float
        The interval.
    tol : float
        Width at which to stop.
    max_iter : int
        Most iterations.

    Returns
    -------
    LineSearchResult
        ``x`` is the best point evaluated, ``brackets`` the rows (a, b, c, d).

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> found = fl.linesearch.golden_section(lambda x: (x - 2) ** 2, 0, 3, tol=1e-6)
    >>> round(found.x, 5), found.nfev
    (2.0, 33)

    References
    ----------
    Kiefer (1953), Sequential minimax search for a maximum.
    """
    return _shrink(f, a, d, tol, max_iter, GOLDEN)


def _shrink(
    f: Function, a: float, d: float, tol: float, max_iter: int, ratio: float
) -> LineSearchResult:
    a, d, tol, max_iter = _check(a, d, tol, max_iter)
    probe, reuse = Probe(f), ratio == GOLDEN

    def inside() -> tuple[float, float]:
        return a + ratio * (d - a), d - ratio * (d - a)

    b, c = inside()
    fb, fc = probe.value(b), probe.value(c)
    probe.rows.append((a, b, c, d))
    while d - a > tol:
        if len(probe.rows) > max_iter:
            return probe.result(False, f"the interval is {d - a:.3g} wide after {max_iter} steps")
        left = fb <= fc
        (a, d), (kept, f_kept) = ((a, c), (b, fb)) if left else ((b, d), (c, fc))
        b, c = inside()
        if reuse:
            b, c = (b, kept) if left else (kept, c)
        if not a < b < c < d:
            return _end(probe, "the interval cannot shrink further in floating point")
        probe.rows.append((a, b, c, d))
        fb = f_kept if reuse and not left else probe.value(b)
        fc = f_kept if reuse and left else probe.value(c)
    return _end(probe, f"the interval is at most {tol:g} wide")


def _end(probe: Probe, message: str) -> LineSearchResult:
    found = math.isfinite(probe.fun)
    return probe.result(found, message if found else "f is not finite at any point that was tried")


def brent(
    f: Function, a: float, d: float, tol: float = 1e-8, max_iter: int = 200
) -> LineSearchResult:
    """Brent's method: parabolas through the best points, golden sections where they fail.

    SciPy's (``minimize_scalar`` of method "bounded").

    Parameters
    ----------
    f : callable
        ``f(x)``: the value at a number.
    a, d : float
        The interval.
    tol : float
        Uncertainty of x at which to stop, positive.
    max_iter : int
        Most evaluations.

    Returns
    -------
    LineSearchResult
        ``brackets`` holds the nearest points on either side of the best one, after each
        evaluation.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.
    ImportError
        SciPy is missing (extra ``scipy``).

    Examples
    --------
    >>> import fallline as fl
    >>> found = fl.linesearch.brent(lambda x: (x - 2) ** 2, 0, 3)
    >>> round(found.x, 6), found.nfev
    (2.0, 6)

    References
    ----------
    Brent (1973), Algorithms for minimization without derivatives, chapter 5.
    """
    a, d, tol, max_iter = _check(a, d, tol, max_iter)
    optimize = require("scipy.optimize", extra="scipy")
    probe = Probe(f)
    points = [a, d]

    def record(x: float) -> float:
        value = probe.value(float(x))
        points.append(float(x))
        best = probe.best if math.isfinite(probe.fun) else x
        below, above = (p for p in points if p < best), (p for p in points if p > best)
        probe.rows.append((max(below, default=a), min(above, default=d)))
        # Where it has seen nothing finite yet it must go left, as the other searches do.
        return value if value < math.inf else 1e300 * (1 + (x - a) / (d - a))

    with np.errstate(all="ignore"):  # parabolas that overflow
        done = optimize.minimize_scalar(
            record,
            bounds=(a, d),
            method="bounded",
            options={"xatol": max(tol, np.finfo(float).tiny), "maxiter": max_iter},
        )
    if not done.success:
        return probe.result(False, f"not within {tol:g} after {max_iter} evaluations")
    return _end(probe, f"within {tol:g}")


def bracket(f: Function, step: float = 1.0, max_iter: int = 100) -> LineSearchResult:
    """Find an interval [a, d] in x ≥ 0 that holds a minimum lower than f(0).

    From `step`, x doubles while f falls, or halves until f is below f(0).

    Parameters
    ----------
    f : callable
        ``f(x)``: the value at a number.
    step : float
        First x, positive.
    max_iter : int
        Most times that x is doubled or halved.

    Returns
    -------
    LineSearchResult
        The last row of ``brackets`` is the interval. No success where f falls without end, or
        nowhere.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.linesearch.bracket(lambda x: (x - 5) ** 2).brackets[-1]
    array([2., 8.])
    >>> fl.linesearch.bracket(lambda x: -x).message
    'f falls at every step up to 1.27e+30: it seems to be unbounded below'
    """
    x = check_number("step", step, 0, open=True)
    max_iter = check_count("max_iter", max_iter)
    probe = Probe(f)
    start = probe.value(0.0)
    if not math.isfinite(start):
        return probe.result(False, "f(0) is not finite", at=(0.0, start))
    value = probe.value(x)
    if value < start:
        return outward(probe, start, x, value, max_iter)
    for _ in range(max_iter):
        _row(probe, 0.0, x)
        x /= 2
        if probe.value(x) < start:
            return probe.result(True, "f falls and rises")
    return probe.result(False, f"f does not fall at any step down to {x:.3g}", at=(0.0, start))


def outward(
    probe: Probe, start: float, x: float, value: float, max_iter: int = 100
) -> LineSearchResult:
    """From x, where f is lower than at 0, double while it falls."""
    low, falls = 0.0, [start - value]
    for _ in range(max_iter):
        _row(probe, low, 2 * x)
        further = probe.value(2 * x)
        if further >= value:
            return probe.result(True, "f falls and rises")
        falls.append(value - further)
        low, x, value = x, 2 * x, further
    # What has a bound, as 1/x, falls by less from doubling to doubling; -log x by as much.
    if falls[-1] < max(falls) / 2:
        message = f"f falls at every step up to {x:.3g}, but by ever less: it has no minimum there"
        return probe.result(False, message)
    return probe.endless(x)


def _row(probe: Probe, low: float, high: float) -> None:
    probe.rows.append((low, high))


def _check(a: float, d: float, tol: float, max_iter: int) -> tuple[float, float, float, int]:
    a, d = check_number("a", a), check_number("d", d)
    if not a < d:
        raise ValueError(f"a must be less than d, not {a:g} and {d:g}")
    if not math.isfinite(d - a):
        raise ValueError(f"the interval [{a:g}, {d:g}] is too wide for floating point")
    return a, d, check_number("tol", tol, 0), check_count("max_iter", max_iter)
