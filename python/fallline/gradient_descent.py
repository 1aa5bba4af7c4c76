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
from .objectives.base import Batch, Objective

__all__ = ["GradientDescent", "LineSearch"]

LineSearch: TypeAlias = Literal[
    "bracketing", "golden_section", "brent", "backtracking", "strong_wolfe", "exact_quadratic"
]

INTERVAL = ("bracketing", "golden_section", "brent")
ENDLESS = -1e100  # a loss below which nothing else can be meant
SEARCHES = (*INTERVAL, "backtracking", "strong_wolfe", "exact_quadratic")


class GradientDescent:
    r"""Steepest descent, the step found by a search along the line.

    .. math::
        d_t = -g_t + β d_{t-1}, \qquad
        α_t ≈ \operatorname{arg\,min}_α L(\varphi_t + α d_t), \qquad
        \varphi_{t+1} = \varphi_t + α_t d_t

    With exact searches and without momentum each direction is orthogonal to the one before, and
    the path down a valley a zigzag; momentum β straightens it. Where d would not lead down, a
    search is along -g.

    Parameters
    ----------
    objective : Objective
        What is to be minimized.
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

    def __init__(
        self,
        objective: Objective,
        x0: npt.ArrayLike | None = None,
        line_search: LineSearch | None = "strong_wolfe",
        *,
        lr: float = 1.0,
        momentum: float = 0.0,
        seed: int = 0,
        **options: Any,
    ) -> None:
        if not isinstance(objective, Objective):
            raise TypeError(f"objective must be an Objective, not {objective!r}")
        if line_search is not None and line_search not in SEARCHES:
            raise ValueError(f"line_search must be None or one of {SEARCHES}, not {line_search!r}")
        if line_search is None and options:
            raise TypeError(f"{next(iter(options))!r} is an option of searches; there is none")
        if isinstance(momentum, bool) or not 0 <= check_number("momentum", momentum) < 1:
            raise ValueError(f"momentum must lie in [0, 1), not {momentum!r}")
        self.objective = objective
        self.x = np.array(objective._check(objective.initial(seed) if x0 is None else x0, None)[0])
        self.line_search = line_search
        self.lr = check_number("lr", lr, 0, open=True)
        self.momentum = momentum
        self.fun = math.nan
        self.gradient: Array | None = None
        self.direction: Array | None = None
        self.nit = self.nfev = self.ngev = 0
        self._options = options
        self._last = self.lr  # the step a search begins with

    def step(self, batch: Batch = None) -> LineSearchResult:
        """Take a step.

        Parameters
        ----------
        batch : array_like of int, optional
            Samples; all by default.

        Returns
        -------
        LineSearchResult
            ``alpha``, the step along ``direction``, and ``fun``, the loss after it. Without
            success nothing has moved; the message says why: a critical point, no decrease, an
            objective that is unbounded below, a loss that is not finite.

        Raises
        ------
        TypeError, ValueError, IndexError
            The batch is none, or an option is not as the search describes it.
        """
        line, start, slope = self._begin(batch)
        if (why := self._why_not(line, start)) is not None:
            return _failure(start, why)
        found = self._search(line, start, slope)
        self.nfev += found.nfev
        self.ngev += found.ngev
        fixed = self.line_search is None
        if found.unbounded or not (math.isfinite(found.fun) if fixed else found.fun < start):
            self.direction = None  # the next step starts afresh
            return replace(found, success=False)
        self.x, self.fun, self.direction = line.point(found.alpha), found.fun, line.direction
        self._last = found.alpha
        self.nit += 1
        return replace(found, success=True)

    def _begin(self, batch: Batch) -> tuple[Line, float, float]:
        """The line to search; loss and slope where it starts."""
        phi, indices = self.objective._check(self.x, batch)
        gradient = np.empty_like(phi)
        with np.errstate(all="ignore"):
            start = self.objective._evaluate(phi, indices, gradient)
        self.nfev += 1
        self.ngev += 1
        self.fun, self.gradient = start, gradient
        direction, slope = -gradient, -dot(gradient, gradient)
        if self.momentum and self.direction is not None:
            ahead = direction + self.x.dtype.type(self.momentum) * self.direction
            along = dot(gradient, ahead)
            if along < 0 or self.line_search is None:  # otherwise the memory leads up
                direction, slope = ahead, along
        return Line(self.objective, phi, direction, indices), start, slope

    def _why_not(self, line: Line, start: float) -> str | None:
        """Why there is no step from here."""
        if not math.isfinite(start):
            return self.objective.why_not_finite(start, line.phi, line.batch)
        if start < ENDLESS:
            return f"the loss has fallen to {start:.3g}: it seems to be unbounded below"
        gradient = self.gradient
        assert gradient is not None
        finite = np.isfinite(gradient)
        if not finite.all():
            j = int(np.argmin(finite))
            return f"the gradient is not finite: its entry {j} is {gradient[j]}"
        if not gradient.any():
            return "the gradient is 0: a critical point"
        return None

    def _search(self, line: Line, start: float, slope: float) -> LineSearchResult:
        name, options = self.line_search, self._options
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
        return LineSearchResult(
            self.lr, fun, math.isfinite(fun), message, 1, 0, 0, np.array([[0.0, self.lr]])
        )

    def _within(
        self, search: Callable[..., LineSearchResult], line: Line, start: float
    ) -> LineSearchResult:
        """Find an interval, then the minimum in it."""
        around = linesearch.bracket(line, self._last)
        self.nfev += around.nfev
        if not around.success:
            return _failure(start, around.message)
        low, high = around.brackets[-1]
        found = search(line, low, high, **{"tol": 1e-8 * high, **self._options})
        if found.fun >= around.fun:  # where there are several minima it may end in another
            return replace(found, x=around.x, fun=around.fun, success=True)
        return found

    def __repr__(self) -> str:
        return (
            f"GradientDescent({self.objective!r}, line_search={self.line_search!r}, "
            f"lr={self.lr:g}, momentum={self.momentum:g})"
        )


def _failure(start: float, message: str) -> LineSearchResult:
    return LineSearchResult(0.0, start, False, message, 0, 0, 0, np.empty((0, 2)))
