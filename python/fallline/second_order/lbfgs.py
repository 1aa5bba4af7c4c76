"""Limited-memory BFGS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import linesearch
from .._types import Array, Params
from ..clipping import global_norm
from ..linesearch._line import check_count, check_number
from ..objectives.base import Objective
from ._closure import Closure, Evaluation
from ._method import Method, Step
from ._pairs import Pairs

__all__ = ["LBFGS"]


class LBFGS(Method):
    r"""Limited-memory BFGS: curvature from the last m steps and what they did to the gradient.

    .. math::
        s_k = \varphi_{k+1} - \varphi_k, \quad y_k = g_{k+1} - g_k, \quad
        d_k = -H_k g_k, \quad \varphi_{k+1} = \varphi_k + α_k d_k

    H is the inverse BFGS matrix that m pairs make of γI with γ = sᵀy/yᵀy of the newest; it is
    never formed. The two-loop recursion runs on inner products, so that a step reads the pairs
    twice: once for the products, once for the direction. α meets the strong Wolfe conditions; the
    first that is tried is 1, and of length 1 (1/‖g‖) without pairs. A loss and its gradient are
    evaluated together, as in SciPy's L-BFGS-B.

    A pair with :math:`s^T y ≤ ε \|s\| \|y\|` (ε of the parameters' dtype) has no curvature that
    could be told from rounding and is left out; with the Wolfe conditions that is rare. Where a
    search finds nothing lower, it starts again along -g without pairs. Where the decrease to be
    expected drowns in the loss's rounding, a step counts that makes the gradient smaller.

    Inner products are formed in float64 in the canonical order, combinations in float64: the same
    bits at any number of threads, on every backend and instruction set.

    Parameters
    ----------
    objective : Objective or arrays, optional
        What is to be minimized; :func:`fallline.minimize` brings its own. Or parameters: an array,
        a sequence or mapping of arrays, all float64 or all float32, which :meth:`step` then
        updates in place by a closure, as torch.optim.LBFGS does.
    x0 : array_like, shape (n_params,), optional
        Where to start on an objective; ``objective.initial(seed)`` by default.
    lr : float
        The step that is tried first, in units of d. Positive.
    history_size : int
        m, the most pairs: 2 (m + 1) vectors of memory.
    c1, c2 : float
        Of the Wolfe conditions, 0 < c1 < c2 < 1.
    max_iter : int
        Most iterations of one ``step(closure)``.
    max_trials : int
        Most trials of either phase of a search.
    seed : int
        Of the start without `x0`.

    Attributes
    ----------
    x : ndarray
        Parameters, updated in place.
    gradient : ndarray
        The gradient there; two steps later the same memory holds another.
    fun : float
        Loss at x.
    nit, nfev, ngev : int
        Steps, losses and gradients; the last two are equal.
    skipped : int
        Pairs that were left out.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.
    MemoryError
        The history takes more memory than there is.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> res = fl.minimize(fl.objectives.surfaces.Rosenbrock(), [-1.2, 1.0], fl.LBFGS)
    >>> res.x.round(6), res.nfev
    (array([1., 1.]), 46)

    By a closure, which returns the loss at the parameters as they are, and its gradients:

    >>> x = np.array([3.0, -4.0])
    >>> lbfgs = fl.LBFGS(x)
    >>> step = lbfgs.step(lambda: (x @ x, 2 * x))
    >>> step.loss, x.round(6)
    (25.0, array([0., 0.]))

    References
    ----------
    Nocedal & Wright (2006), Numerical optimization, algorithms 7.4, 7.5, 3.5 and 3.6. Liu &
    Nocedal (1989), On the limited memory BFGS method for large scale optimization.
    """

    _state = ("_history", "_least", "skipped")

    def __init__(
        self,
        objective: Objective | Params | None = None,
        x0: npt.ArrayLike | None = None,
        *,
        lr: float = 1.0,
        history_size: int = 10,
        c1: float = 1e-4,
        c2: float = 0.9,
        max_iter: int = 20,
        max_trials: int = 25,
        seed: int = 0,
    ) -> None:
        self.lr = check_number("lr", lr, 0, open=True)
        self.history_size = check_count("history_size", history_size)
        self.c1 = check_number("c1", c1, 0, 1, open=True)
        self.c2 = check_number("c2", c2, 0, 1, open=True)
        if not c1 < c2:
            raise ValueError(f"c1 must be less than c2, not {c1:g} and {c2:g}")
        self.max_iter = check_count("max_iter", max_iter)
        self.max_trials = check_count("max_trials", max_trials)
        if objective is not None and not isinstance(objective, Objective):
            if x0 is not None:
                raise TypeError("x0 beside parameters: they are where it starts")
            objective = Closure(objective)
            x0 = objective.gather()
        super().__init__(objective, x0, seed)

    def _begin(self) -> None:
        n, dtype = self.objective.n_params, self.objective.dtype
        self._pairs = Pairs(n, self.history_size, dtype)
        self.skipped = 0
        self._least = math.inf  # norm of a gradient at which a step has begun
        # The next point and its gradient, which changes places with the last: a new array of 80 MB
        # a step costs more than a pass over it.
        self._next = np.empty(n, dtype), np.empty(n, dtype)

    @property
    def _history(self) -> dict[str, Any]:
        return self._pairs.state()

    @_history.setter
    def _history(self, state: dict[str, Any]) -> None:
        self._pairs.restore(state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See :meth:`Method.load_state_dict`; `history_size` must be the same, too."""
        state = state_dict.get("state")
        history = state.get("_history") if isinstance(state, dict) else None
        if isinstance(history, dict):
            shape, own = np.shape(history["s"]), self._pairs.s.shape
            if shape != own:
                raise ValueError(
                    f"the state dict's history has shape {shape}; expected {own}, which is "
                    "history_size + 1 and n_params"
                )
        super().load_state_dict(state_dict)

    def _leave(self) -> None:
        self._pairs.forget()
        self._least = math.inf

    # ---- a step --------------------------------------------------------------------------------

    def step(self, closure: Evaluation | None = None) -> Step:  # type: ignore[override]
        """Take a step or, by a closure, up to `max_iter` of them.

        Parameters
        ----------
        closure : callable, of parameters only
            ``closure()`` returns ``(loss, gradients)`` at the parameters as they are, the gradients
            nested like them. It is evaluated anew at the start of each call: the loss may be
            another (torch's closure, but for the gradients in what it returns).

        Returns
        -------
        Step
            The last one; of a closure's, `loss` and `grad_norm` are those at the start.

        Raises
        ------
        TypeError, ValueError
            There is neither objective nor closure, or the closure returns something else. The
            parameters are then as they were.
        """
        objective = getattr(self, "objective", None)
        if not isinstance(objective, Closure):
            if closure is not None:
                raise TypeError("a closure needs parameters, as in LBFGS(params)")
            stepped: Step = super().step()
            return stepped
        if not callable(closure):
            raise TypeError(f"closure must be callable, not {closure!r}")
        return self._by_closure(objective, closure)

    def _by_closure(self, objective: Closure, closure: Evaluation) -> Step:
        start = objective.gather()
        if not np.array_equal(start, self.x):  # someone else has moved them
            self._place(start)
        self._known = False
        with objective.evaluating(closure):
            try:
                first = last = super().step()
                for _ in range(self.max_iter - 1):
                    if not last.success:
                        break
                    last = super().step()
            except BaseException:
                self._place(start)
                raise
            finally:
                objective.scatter(self.x)
        success = self.nit > 0 and (first.success or last.success)
        return Step(
            success, last.message, first.loss, first.grad_norm, self.fun, last.alpha, last.unbounded
        )

    def _move(self, batch: Array | None) -> Step:
        found = self._along()
        if not (found.success or found.unbounded) and self._pairs.rows:
            self._pairs.forget()  # they misled: start again, as SciPy's does
            return self._along()
        return found

    def _along(self) -> Step:
        """Search along -H g, and step to what is found."""
        gradient = self.gradient
        assert gradient is not None
        self._least = min(self._least, self.grad_norm)
        first = self.lr if self._pairs.rows else self.lr / (self.grad_norm or 1.0)
        slope = self._pairs.look_ahead(gradient, self.x, first, self._next[0])
        trials = _Trials(self, first)
        if self._unseen(-slope * first):
            return self._by_norm(trials, first)
        found = linesearch.strong_wolfe(
            trials,
            trials.slope,
            first,
            f0=self.fun,
            slope0=slope,
            c1=self.c1,
            c2=self.c2,
            max_iter=self.max_trials,
            interpolation="cubic",
        )
        fallen = self.fun - found.fun
        if found.unbounded or (self._unseen(fallen) and not found.success):
            return self._failed(found.message, unbounded=found.unbounded)
        trials.to(found.alpha)
        return self._accept(found.alpha, found.fun, found.message)

    def _by_norm(self, trials: _Trials, alpha: float) -> Step:
        """Step if the gradient is less there: the loss no longer tells.

        Less than ever, or steps that the loss tells and others could go in circles.
        """
        fun = trials.to(alpha)
        if not (self._unseen(fun - self.fun) and trials.norm() < self._least):
            return self._failed(
                "neither loss nor gradient fall any further than rounding lets them"
            )
        return self._accept(alpha, fun, "a step that only the gradient shows")

    def _accept(self, alpha: float, fun: float, message: str) -> Step:
        """Move to the trial point."""
        trial, gradient = self._next
        before = self.gradient
        assert before is not None
        added, norm = self._pairs.add(gradient, before, self.x, alpha)
        self.skipped += not added
        step = Step(True, message, self.fun, self.grad_norm, fun, alpha)
        self._next = trial, before
        self.gradient, self.fun, self.grad_norm = gradient, fun, norm
        self._known = True
        self.nit += 1
        return step


class _Trials:
    """Loss and, with each, the gradient along a method's direction."""

    def __init__(self, method: LBFGS, first: float) -> None:
        self._method = method
        self._at = first  # where the trial point lies
        self._fun: float | None = None  # the loss there, once it is known

    def to(self, alpha: float) -> float:
        """Evaluate there, unless that was done last."""
        method = self._method
        x, gradient = method._next
        with np.errstate(all="ignore"):
            if alpha != self._at:
                np.multiply(method._pairs.direction, x.dtype.type(alpha), out=x)
                np.add(method.x, x, out=x)
                self._at, self._fun = alpha, None
            if self._fun is None:
                self._fun = method.objective._evaluate(x, None, gradient)
                method.nfev += 1
                method.ngev += 1
        return self._fun

    __call__ = to

    def slope(self, alpha: float) -> float:
        """Along the direction, there."""
        self.to(alpha)
        return self._method._pairs.slope(self._method._next[1])

    def norm(self) -> float:
        """Of the gradient that was formed last."""
        return global_norm(self._method._next[1])
