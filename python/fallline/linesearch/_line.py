"""What all line searches share: the line, the counting of evaluations, the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..objectives._data import as_vector
from ..objectives.base import Batch, Objective

__all__ = ["Function", "Line", "LineSearchResult", "Probe", "check_count", "check_number", "dot"]

Function: TypeAlias = Callable[[float], Any]


class Line:
    r"""An objective along a line.

    .. math:: f(α) = L(\varphi + α d), \qquad f'(α) = d^T g, \qquad f''(α) = d^T H d

    Parameters
    ----------
    objective : Objective
        What is searched.
    phi : array_like, shape (n_params,)
        Where the line starts.
    direction : array_like, shape (n_params,), optional
        Where it goes; the negative gradient at `phi` by default.
    batch : array_like of int, optional
        Samples; all by default.

    Attributes
    ----------
    phi, direction, batch : ndarray
        As given; not to be written to.
    gradient : ndarray
        The gradient that was formed last, a new array each time.

    Raises
    ------
    TypeError, ValueError, IndexError
        A vector has another length, or the batch is none.

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.Function(lambda x: x @ x, lambda x: 2 * x, n_params=2)
    >>> line = fl.linesearch.Line(f, [3.0, 4.0])
    >>> line(0.0), line.slope(0.0), line(0.5)
    (25.0, -100.0, 0.0)
    """

    def __init__(
        self,
        objective: Objective,
        phi: npt.ArrayLike,
        direction: npt.ArrayLike | None = None,
        batch: Batch = None,
    ) -> None:
        self._objective = objective
        self.phi, self.batch = objective._check(phi, batch)
        self.gradient: Array | None = None
        if direction is None:
            direction = -self._slope_at(self.phi)
        self.direction = as_vector("direction", direction, objective.n_params, objective.dtype)

    def point(self, alpha: float) -> Array:
        """φ + α d, a new array."""
        with np.errstate(all="ignore"):
            moved: Array = self.phi + self.phi.dtype.type(alpha) * self.direction
        return moved

    def __call__(self, alpha: float) -> float:
        """Loss at φ + α d."""
        with np.errstate(all="ignore"):
            return self._objective._evaluate(self.point(alpha), self.batch, None)

    def slope(self, alpha: float) -> float:
        """Derivative by α there."""
        return dot(self.direction, self._slope_at(self.point(alpha)))

    def curvature(self, alpha: float = 0.0) -> float:
        """Second derivative by α there."""
        with np.errstate(all="ignore"):
            product = self._objective.hvp(self.point(alpha), self.direction, self.batch)
        return dot(self.direction, product)

    def _slope_at(self, phi: Array) -> Array:
        out = np.empty_like(phi)
        with np.errstate(all="ignore"):
            self._objective._evaluate(phi, self.batch, out)
        self.gradient = out
        return out


def dot(a: Array, b: Array) -> float:
    """Inner product, in float64."""
    with np.errstate(all="ignore"):
        return float(np.dot(a.astype(np.float64), b.astype(np.float64)))


@dataclass(frozen=True)
class LineSearchResult:
    """What a line search found.

    Attributes
    ----------
    x : float
        The best point; also under the name ``alpha``.
    fun : float
        Value there.
    success : bool
        Whether the search met its own condition; `message` says which, or why not.
    message : str
        In words.
    nfev, ngev : int
        Values and slopes that were asked for.
    nit : int
        Iterations.
    brackets : ndarray, shape (·, 2) or (·, 4)
        History of intervals: the first and last columns are their ends, those between them the
        interior points.
    unbounded : bool
        Whether the search gave up as f fell without end.
    """

    x: float
    fun: float
    success: bool
    message: str
    nfev: int
    ngev: int
    nit: int
    brackets: Array
    unbounded: bool = False

    @property
    def alpha(self) -> float:
        """The point as a step along a line."""
        return self.x


class Probe:
    """Evaluates, counts, and remembers the best point."""

    def __init__(self, f: Function, slope: Function | None = None) -> None:
        if not callable(f):
            raise TypeError(f"f must be callable, not {f!r}")
        self._f, self._slope = f, slope
        self.nfev = self.ngev = self.bad = 0
        self.best, self.fun = math.nan, math.inf
        self.rows: list[Sequence[float]] = []

    def value(self, x: float) -> float:
        """f(x); +inf where it is not finite."""
        self.nfev += 1
        value = self._finite(self._f, x)
        if value < self.fun:
            self.best, self.fun = x, value
        return value

    def slope(self, x: float) -> float:
        """f'(x); +inf where it is not finite."""
        assert self._slope is not None
        self.ngev += 1
        return self._finite(self._slope, x)

    def _finite(self, f: Function, x: float) -> float:
        try:
            with np.errstate(all="ignore"):
                value = float(f(np.float64(x)))
        except ArithmeticError:  # as math.exp raises
            value = math.nan
        if math.isfinite(value):
            return value
        self.bad += 1
        return math.inf

    def endless(self, x: float) -> LineSearchResult:
        """That f has fallen at every step up to x."""
        message = f"f falls at every step up to {x:.3g}: it seems to be unbounded below"
        return replace(self.result(False, message), unbounded=True)

    def result(
        self, success: bool, message: str, *, at: tuple[float, float] | None = None
    ) -> LineSearchResult:
        """The best point, or the one that is given with its value."""
        if self.bad:
            values = "value was" if self.bad == 1 else "values were"
            message += f" ({self.bad} {values} not finite and counted as +inf)"
        x, fun = (self.best, self.fun) if at is None else at
        brackets = np.array(self.rows or np.empty((0, 2)), np.float64)
        nit = len(self.rows)
        return LineSearchResult(
            float(x), float(fun), success, message, self.nfev, self.ngev, nit, brackets
        )


def check_number(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, open: bool = False
) -> float:
    """A finite number in [low, high], or (low, high)."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, not {value!r}")
    x = float(value)
    if not math.isfinite(x) or not (low < x < high if open else low <= x <= high):
        ends = (
            f"({low:g}, {high:g})" if open or math.inf in (-low, high) else f"[{low:g}, {high:g}]"
        )
        raise ValueError(f"{name} must be a finite number in {ends}, not {value!r}")
    return x


def check_count(name: str, value: Any) -> int:
    """A positive integer."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value!r}")
    return int(value)
