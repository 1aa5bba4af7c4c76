"""What all methods share: an objective, a point, steps from it, a state."""

from __future__ import annotations

import copy
import inspect
import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..clipping import global_norm
from ..objectives.base import Batch, Objective

__all__ = ["ENDLESS", "Method", "Outcome", "Step", "hyperparameters_of"]

ENDLESS = -1e100  # a loss below which nothing else can be meant


class Outcome(Protocol):
    """What a loop has to know of a step."""

    @property
    def success(self) -> bool: ...
    @property
    def message(self) -> str: ...
    @property
    def alpha(self) -> float: ...
    @property
    def unbounded(self) -> bool: ...


@dataclass(frozen=True)
class Step:
    """What a step did.

    Attributes
    ----------
    success : bool
        Whether it moved; `message` says how, or why not.
    message : str
        In words.
    loss, grad_norm : float
        Loss and norm of the gradient before it.
    fun : float
        Loss after it; NaN where it was not formed.
    alpha : float
        Length, in units of the method's own direction (the learning rate, where there is one).
    unbounded : bool
        Whether the loss falls without end.
    settled : bool
        Whether it is only rounding that stands against a step.
    """

    success: bool
    message: str
    loss: float
    grad_norm: float
    fun: float = math.nan
    alpha: float = 0.0
    unbounded: bool = False
    settled: bool = False


class Method:
    r"""A method that steps by more than gradients: it evaluates the objective itself.

    A subclass keeps each of its hyperparameters under its own name, then calls this constructor;
    it defines :meth:`_move`, and, where it has a state, :meth:`_begin` and `_state`. Without an
    objective it is a description, which :func:`fallline.minimize` takes and binds a copy of.

    Parameters
    ----------
    objective : Objective, optional
        What is to be minimized.
    x0 : array_like, shape (n_params,), optional
        Where to start; ``objective.initial(seed)`` by default.
    seed : int
        Of the start without `x0`, and of whatever is drawn.

    Attributes
    ----------
    x : ndarray
        Parameters.
    fun : float
        Loss that was formed last; NaN before the first.
    gradient : ndarray
        Gradient that was formed last.
    nit, nfev, ngev, nhev : int
        Steps taken; losses, gradients, and products with a Hessian (or Jacobian) formed.
    """

    stochastic: ClassVar[bool] = False
    """Whether it may step on batches."""

    _state: ClassVar[tuple[str, ...]] = ()
    """Attributes that a step changes, beside those above: arrays, numbers, lists or dicts of them.
    """

    objective: Objective
    x: Array

    def __init__(
        self, objective: Objective | None = None, x0: npt.ArrayLike | None = None, seed: int = 0
    ) -> None:
        self.seed = seed
        if objective is not None:
            self._bind(objective, x0)
        elif x0 is not None:
            raise TypeError("x0 without an objective; expected both, or neither")

    # ---- what a method defines -----------------------------------------------------------------

    def _begin(self) -> None:
        """Refuse an objective that lacks what the method needs; set up the state at its start."""

    def _move(self, batch: Array | None) -> Outcome:
        """Step from where :meth:`_look` has looked: loss and gradient are finite, and not 0."""
        raise NotImplementedError

    def _leave(self) -> None:
        """Forget what does not hold at another point than the last step's end."""

    # ---- stepping ------------------------------------------------------------------------------

    def step(self, batch: Batch = None) -> Any:
        """Take a step.

        Parameters
        ----------
        batch : array_like of int, optional
            Samples; all by default.

        Returns
        -------
        Step
            Without success nothing has moved, and the message says why.

        Raises
        ------
        TypeError, ValueError, IndexError
            There is no objective, or the batch is none.
        """
        if not self.bound:
            raise TypeError(f"this {type(self).__name__} has no objective to step on")
        if batch is not None and not self.stochastic:
            self._check_batch()
        indices = self.objective._check(self.x, batch)[1]
        self._look(indices)
        why = self._why_not(indices)
        return self._move(indices) if why is None else self._failure(why)

    def _check_batch(self) -> None:
        raise TypeError(
            f"{type(self).__name__} compares losses from step to step and takes no batches"
        )

    @property
    def bound(self) -> bool:
        """Whether it has an objective."""
        return hasattr(self, "objective")

    def _bind(self, objective: Objective, x0: npt.ArrayLike | None) -> None:
        if not isinstance(objective, Objective):
            raise TypeError(f"objective must be an Objective, not {objective!r}")
        start = objective.initial(self.seed) if x0 is None else x0
        self.objective = objective
        self.x = np.array(objective._check(start, None)[0])
        self.fun, self.grad_norm = math.nan, math.nan
        self.gradient: Array | None = None
        self._known = False  # whether fun and gradient are those at x, over all samples
        self.nit = self.nfev = self.ngev = self.nhev = 0
        self._begin()

    def _bound_to(self, objective: Objective, x0: npt.ArrayLike | None) -> Any:
        """A copy that steps on it from there."""
        method = copy.copy(self)
        method._bind(objective, x0)
        return method

    def _look(self, batch: Array | None) -> tuple[float, float]:
        """Loss and the norm of the gradient at x."""
        if not (self._known and batch is None):
            gradient = np.empty_like(self.x)
            with np.errstate(all="ignore"):
                self.fun = self.objective._evaluate(self.x, batch, gradient)
            self.gradient = gradient
            self.grad_norm = global_norm(gradient)
            self.nfev += 1
            self.ngev += 1
            self._known = batch is None
        return self.fun, self.grad_norm

    def _loss(self, x: Array, batch: Array | None) -> float:
        """Loss elsewhere; inf where it is not finite."""
        self.nfev += 1
        with np.errstate(all="ignore"):
            loss = self.objective._evaluate(x, batch, None)
        return math.inf if math.isnan(loss) else loss

    def _product(self, v: Array, batch: Array | None) -> Array:
        """H v at x, of the objective's dtype."""
        self.nhev += 1
        with np.errstate(all="ignore"):
            return self.objective.hvp(self.x, v, batch)

    def _arrive(self, x: Array, fun: float | None = None, gradient: Array | None = None) -> None:
        """End a step at x, where the loss over all samples, and its gradient, may be known."""
        self.x = x
        self.nit += 1
        self._known = gradient is not None and fun is not None
        if fun is not None:
            self.fun = fun
        if gradient is not None:
            self.gradient, self.grad_norm = gradient, global_norm(gradient)

    def _unseen(self, decrease: float) -> bool:
        """Whether a decrease is too small to be told from rounding in the loss."""
        return decrease <= 10 * float(np.finfo(self.x.dtype).eps) * abs(self.fun)

    def _go(self, x: Array, alpha: float, message: str) -> Step:
        """Step to x, where loss and gradient must be finite."""
        fun, gradient = self._at(x)
        if not (math.isfinite(fun) and np.isfinite(gradient).all()):
            what = "the loss" if not math.isfinite(fun) else "the gradient"
            return self._failed(
                f"{what} is not finite where the step ends", unbounded=fun == -math.inf
            )
        return self._reach(x, fun, gradient, message, alpha)

    def _reach(
        self, x: Array, fun: float, gradient: Array, message: str, alpha: float = 1.0
    ) -> Step:
        """Step to x, where loss and gradient are known."""
        before = self.fun, self.grad_norm
        self._arrive(x, fun, gradient)
        return Step(True, message, *before, fun, alpha)

    def _by_gradient(self, x: Array, *, inside: bool = True) -> Step:
        """Step to x if the gradient is less there: the loss no longer tells.

        Where it is not, and no bound makes the step short (`inside`), that is the end.
        """
        fun, gradient = self._at(x)
        if not global_norm(gradient) < self.grad_norm:
            why = "loss and gradient have fallen as far as rounding lets them"
            if not inside:
                why = "nothing lower however short the step"
            return replace(self._failed(why), settled=inside)
        return self._reach(x, fun, gradient, "a step that only the gradient shows")

    def _at(self, x: Array) -> tuple[float, Array]:
        """Loss and gradient elsewhere, over all samples."""
        gradient = np.empty_like(x)
        with np.errstate(all="ignore"):
            fun = self.objective._evaluate(x, None, gradient)
        self.nfev += 1
        self.ngev += 1
        return fun, gradient

    def _place(self, x: Array) -> None:
        """Go on from elsewhere."""
        self.x = x.copy()
        self._known = False
        self._leave()

    def _why_not(self, batch: Array | None) -> str | None:
        """Why there is no step from here."""
        gradient = self.gradient
        assert gradient is not None
        if not math.isfinite(self.fun):
            return self.objective.why_not_finite(self.fun, self.x, batch)
        if self.fun < ENDLESS:
            return f"the loss has fallen to {self.fun:.3g}: it seems to be unbounded below"
        if not math.isfinite(self.grad_norm):
            finite = np.isfinite(gradient)
            if finite.all():
                return f"the norm of the gradient is {self.grad_norm}"
            j = int(np.argmin(finite))
            return f"the gradient is not finite: its entry {j} is {gradient[j]}"
        if not gradient.any():
            return "the gradient is 0: a critical point"
        return None

    def _failure(self, message: str, *, unbounded: bool = False) -> Any:
        return self._failed(message, unbounded=unbounded)

    def _failed(self, message: str, *, unbounded: bool = False) -> Step:
        return Step(False, message, self.fun, self.grad_norm, fun=self.fun, unbounded=unbounded)

    # ---- state ---------------------------------------------------------------------------------

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """By name."""
        options = getattr(self, "options", {})
        cls: Any = type(self)
        return {name: getattr(self, name) for name in hyperparameters_of(cls)} | options

    @property
    def _changing(self) -> tuple[str, ...]:
        known = ("x", "fun", "grad_norm", "gradient", "_known", "nit", "nfev", "ngev", "nhev")
        return (*known, *self._state)

    def state_dict(self) -> dict[str, Any]:
        """Everything a later run needs to go on bit for bit, the parameters among it.

        Returns
        -------
        dict
            ``"method"``, its name; ``"hyperparameters"``; ``"state"``: copies.
        """
        if not self.bound:
            raise TypeError(f"this {type(self).__name__} has no objective, and no state yet")
        state = {name: copy.deepcopy(getattr(self, name)) for name in self._changing}
        return {
            "method": type(self).__name__,
            "hyperparameters": self.hyperparameters,
            "state": state,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state, of the same method on an objective of as many parameters.

        Everything is checked first: after an error the method is as it was.

        Raises
        ------
        ValueError, TypeError
            It is of another method, or has other parameters.
        """
        own = self.state_dict()["state"]
        name, state = state_dict.get("method"), state_dict.get("state")
        if name != type(self).__name__ or not isinstance(state, dict):
            raise ValueError(f"the state dict is of {name}; expected {type(self).__name__}")
        if state.keys() != own.keys():
            odd = sorted(state.keys() ^ own.keys())
            raise ValueError(f"the state dict has other entries: {', '.join(odd)}")
        x = state["x"]
        if getattr(x, "shape", None) != self.x.shape or x.dtype != self.x.dtype:
            raise ValueError(
                f"the state dict's x has shape {getattr(x, 'shape', None)} and dtype "
                f"{getattr(x, 'dtype', None)}; expected {self.x.shape} and {self.x.dtype}"
            )
        for key, value in state.items():
            setattr(self, key, copy.deepcopy(value))
        lr = state_dict.get("hyperparameters", {}).get("lr")
        if callable(lr):  # what a schedule has learnt from the losses
            self.lr: Any = copy.deepcopy(lr)

    def _exclusive(self) -> AbstractContextManager[None]:
        return nullcontext()

    def __repr__(self) -> str:
        where = f"{self.objective!r}, " if self.bound else ""
        given = ", ".join(f"{name}={value!r}" for name, value in self.hyperparameters.items())
        return f"{type(self).__name__}({where}{given})"


@cache
def hyperparameters_of(cls: Any) -> list[str]:
    """Names of what a method takes beside objective and start."""
    variable = inspect.Parameter.VAR_KEYWORD
    return [
        name
        for name, parameter in inspect.signature(cls).parameters.items()
        if name not in ("objective", "x0") and parameter.kind is not variable
    ]
