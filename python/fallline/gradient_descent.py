"""Steepest descent with a line search."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from . import linesearch
from ._types import Array
from .linesearch import Line, LineSearchResult
from .linesearch._line import check_number, dot
from .objectives.base import Objective
from .second_order._method import Method

__all__ = ["GradientDescent", "LineSearch"]

LineSearch: TypeAlias = Literal[
    "bracketing", "golden_section", "brent", "backtracking", "strong_wolfe", "exact_quadratic"
]

INTERVAL = ("bracketing", "golden_section", "brent")
SEARCHES = (*INTERVAL, "backtracking", "strong_wolfe", "exact_quadratic")


class GradientDescent(Method):
    r"""Steepest descent, the step found by a search along the line.

    .. math::
        d_t = -g_t + β d_{t-1}, \qquad
        α_t ≈ \operatorname{arg\,min}_α L(\varphi_t + α d_t), \qquad
        \varphi_{t+1} = \varphi_t + α_t d_t

    With exact searches and without momentum each direction is orthogonal to the one before, and
    the path down a valley a zigzag; momentum β straightens it. Where d would not lead down, a
    search is along -g. Each step returns the search's
    :class:`~fallline.linesearch.LineSearchResult`, the loss after it under ``fun``.

    Parameters
    ----------
    objective : Objective, optional
        What is to be minimized; :func:`fallline.minimize` brings its own.
    x0 : array_like, shape (n_params,), optional
        Where to start; ``objective.initial(seed)`` by default.
    line_search : str or None
        A function of :mod:`fallline.linesearch` by its name, "bracketing", "golden_section",
        "brent" (each within an interval that :func:`~fallline.linesearch.bracket` finds),
        "backtracking", "strong_wolfe" or "exact_quadratic"; None steps by `lr` without a look.
    lr : float
        The step of None; the first that a search tries, which afterwards is about the last one
        found. Positive.
    momentum : float
        β in [0, 1).
    seed : int
        Of the start without `x0`.
    **options
        Of the search, as ``c2=0.1`` or ``max_iter=20``. `tol` is 1e-8 of the interval's end by
        default.

    Attributes
    ----------
    x : ndarray
        Parameters, a new array after each step.
    fun : float
        Loss there, on the last step's batch; NaN before the first.
    gradient, direction : ndarray
        Those of the last step.
    nit, nfev, ngev : int
        Steps that were taken, losses and gradients that were formed.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> valley = fl.objectives.surfaces.QuadraticValley(10)
    >>> descent = fl.GradientDescent(valley, [10.0, 1.0], line_search="exact_quadratic")
    >>> for _ in range(3):
    ...     step = descent.step()
    ...     print(round(step.alpha, 4), round(step.fun, 4))
    0.1818 36.8182
    0.1818 24.6469
    0.1818 16.4992

    References
    ----------
    Nocedal & Wright (2006), Numerical optimization, section 3.3. Polyak (1964), Some methods of
    speeding up the convergence of iteration methods.
    """

    _state = ("direction", "_last")

    def __init__(
        self,
        objective: Objective | None = None,
        x0: npt.ArrayLike | None = None,
        line_search: LineSearch | None = "strong_wolfe",
        *,
        lr: float = 1.0,
        momentum: float = 0.0,
        seed: int = 0,
        **options: Any,
    ) -> None:
        if line_search is not None and line_search not in SEARCHES:
            raise ValueError(f"line_search must be None or one of {SEARCHES}, not {line_search!r}")
        if line_search is None and options:
            raise TypeError(f"{next(iter(options))!r} is an option of searches; there is none")
        if isinstance(momentum, bool) or not 0 <= check_number("momentum", momentum) < 1:
            raise ValueError(f"momentum must lie in [0, 1), not {momentum!r}")
        self.line_search = line_search
        self.lr = check_number("lr", lr, 0, open=True)
        self.momentum = momentum
        self.options = options
        super().__init__(objective, x0, seed)

    def _begin(self) -> None:
        self.direction: Array | None = None
        self._last = self.lr  # the step a search begins with

    def _leave(self) -> None:
        self.direction = None

    def _check_batch(self) -> None:
        """A search on a batch is one of its loss."""

    def _move(self, batch: Array | None) -> LineSearchResult:
        found = self._along(batch, *self._ahead())
        if not found.success and self.momentum and self.direction is not None:  # misled by it?
            self.direction = None
            return self._along(batch, *self._ahead())
        return found

    def _along(self, batch: Array | None, direction: Array, slope: float) -> LineSearchResult:
        """Search along a direction, and move if it leads down."""
        start, fixed = self.fun, self.line_search is None
        line = Line(self.objective, self.x, direction, batch)
        found = self._search(line, start, slope)
        self.nfev += found.nfev
        self.ngev += found.ngev
        if found.unbounded or not (math.isfinite(found.fun) if fixed else found.fun < start):
            return replace(found, success=False)
        self._arrive(line.point(found.alpha), found.fun)
        self.direction, self._last = direction, found.alpha
        return replace(found, success=True)

    def _ahead(self) -> tuple[Array, float]:
        """The direction, and the slope along it."""
        gradient = self.gradient
        assert gradient is not None
        direction, slope = -gradient, -dot(gradient, gradient)
        if self.momentum and self.direction is not None:
            ahead = direction + self.x.dtype.type(self.momentum) * self.direction
            along = dot(gradient, ahead)
            if along < 0 or self.line_search is None:  # otherwise the memory leads up
                return ahead, along
        return direction, slope

    def _failure(self, message: str, *, unbounded: bool = False) -> LineSearchResult:
        return replace(_failure(self.fun, message), unbounded=unbounded)

    def _search(self, line: Line, start: float, slope: float) -> LineSearchResult:
        name, options = self.line_search, self.options
        if name is None:
            return self._fixed(line, start)
        if name in INTERVAL:
            return self._within(getattr(linesearch, name), line, start)
        if name == "backtracking":
            first = self._last if self.nit == 0 else 2 * self._last  # so that steps can grow
            return linesearch.backtracking(line, slope, first, f0=start, **options)
        if name == "strong_wolfe":
            return linesearch.strong_wolfe(
                line, None, self._last, f0=start, slope0=slope, **options
            )
        return linesearch.exact_quadratic(line, slope, f0=start, **options)

    def _fixed(self, line: Line, start: float) -> LineSearchResult:
        fun = line(self.lr)
        message = f"a step of {self.lr:g}"
        if not math.isfinite(fun):
            what = "the objective seems to be unbounded below" if fun < start else "too long"
            message += f" makes the loss {fun}: {what}"
        interval = np.array([[0.0, self.lr]])
        return LineSearchResult(
            self.lr, fun, math.isfinite(fun), message, 1, 0, 0, interval, fun == -math.inf
        )

    def _within(
        self, search: Callable[..., LineSearchResult], line: Line, start: float
    ) -> LineSearchResult:
        """Find an interval, then the minimum in it."""
        around = linesearch.bracket(line, self._last)
        self.nfev += around.nfev
        if not around.success:
            return replace(_failure(start, around.message), unbounded=around.unbounded)
        low, high = around.brackets[-1]
        found = search(line, low, high, **{"tol": 1e-8 * high, **self.options})
        if found.fun >= around.fun:  # where there are several minima it may end in another
            return replace(found, x=around.x, fun=around.fun, success=True)
        return found


def _failure(start: float, message: str) -> LineSearchResult:
    return LineSearchResult(0.0, start, False, message, 0, 0, 0, np.empty((0, 2)))
