"""Dynamic loss scaling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, Protocol, TypeVar

import numpy as np

from .. import hyperparameters
from .._types import Grads

Loss = TypeVar("Loss")

SCALER_CHECKS: dict[str, hyperparameters.Check] = {
    "init_scale": hyperparameters.positive,
    "growth_factor": hyperparameters.more_than_one,
    "backoff_factor": hyperparameters.open_share,
    "growth_interval": hyperparameters.positive_count,
    "growth_tracker": hyperparameters.count,
}


class Steps(Protocol):
    """An optimizer, as far as a :class:`LossScaler` is concerned."""

    skipped_steps: int

    def step(self, grads: Any, *, scale: float = ..., on_nonfinite: Any = ..., **kw: Any) -> None:
        """As :meth:`fallline.Optimizer.step`."""


class LossScaler:
    r"""Dynamic loss scaling, for gradients that float16 would round to 0.

    The loss is multiplied by a scale S before the backward pass, and the gradients by 1/S in the
    step, which is skipped where one of them is not finite. Then

    .. math::
        S \leftarrow \begin{cases}
            S \cdot \text{backoff\_factor} & \text{after a skipped step} \\
            S \cdot \text{growth\_factor} & \text{after growth\_interval good ones in a row}
        \end{cases}

    The scale takes the values of ``torch.amp.GradScaler``'s, bit for bit: it is rounded to float32,
    and does not grow beyond its range. Only, a step is skipped also where a finite gradient
    overflows when it is multiplied by 1/S, as it can with a scale below 1.

    Parameters
    ----------
    init_scale : float
        The first scale, positive.
    growth_factor : float
        More than 1.
    backoff_factor : float
        In (0, 1).
    growth_interval : int
        Updates without a skipped step after which the scale grows, positive.

    Raises
    ------
    ValueError
        A number is not as described.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> x = np.array([1.0], np.float32)
    >>> opt, scaler = fl.SGD(x, lr=0.5), fl.numerics.LossScaler(init_scale=1024)
    >>> scaler.step(opt, np.array([1024.0], np.float16))  # gradient of scaler.scale(loss)
    >>> scaler.update()
    >>> x
    array([0.5], dtype=float32)
    >>> scaler.step(opt, np.array([np.inf], np.float16))
    >>> scaler.update()
    >>> x, scaler.scale_factor
    (array([0.5], dtype=float32), 512.0)

    References
    ----------
    Micikevicius et al. (2018), Mixed precision training, section 3.2.
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ) -> None:
        self._set(init_scale, growth_factor, backoff_factor, growth_interval, 0)
        self._skipped: dict[int, bool] = {}  # by optimizer, since the last update

    def _set(
        self,
        init_scale: float,
        growth_factor: float,
        backoff_factor: float,
        growth_interval: int,
        growth_tracker: int,
    ) -> None:
        given = {
            "init_scale": _float32(init_scale),
            "growth_factor": growth_factor,
            "backoff_factor": backoff_factor,
            "growth_interval": growth_interval,
            "growth_tracker": growth_tracker,
        }
        hyperparameters.check(given, given, SCALER_CHECKS)
        self._scale = _float32(init_scale)
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = growth_tracker

    @property
    def scale_factor(self) -> float:
        """The scale that losses are multiplied by."""
        return float(self._scale)

    def scale(self, loss: Loss) -> Loss:
        """The loss, or an array of losses, times the scale.

        Parameters
        ----------
        loss : float or ndarray
            What the gradients are taken of; anything that multiplies with a float.

        Returns
        -------
        float or ndarray
            In the type of the loss.
        """
        scaled: Loss = loss * self._scale
        return scaled

    def step(self, opt: Steps, grads: Grads, *, scale: float = 1.0, **kw: Any) -> None:
        """Step with the gradients of the scaled loss, or skip where one is not finite.

        Parameters
        ----------
        opt : Optimizer
            Several optimizers may step before an update, each once.
        grads
            Gradients of the scaled loss, as `opt` takes them.
        scale : float
            Multiplies every gradient beside 1/`scale_factor`; 1/k makes a mean of k sums.
        **kw
            Other arguments of the optimizer's step, as `max_norm`, which is that of the unscaled
            gradients.

        Raises
        ------
        RuntimeError
            `opt` has stepped since the last update.
        FloatingPointError
            The scale has fallen to 0, as no step was good for long.
        """
        if id(opt) in self._skipped:
            raise RuntimeError("this optimizer has stepped since the last update(); call it first")
        if self._scale == 0:
            raise FloatingPointError("the scale has fallen to 0: no step has had finite gradients")
        before = opt.skipped_steps
        opt.step(grads, scale=scale / self._scale, on_nonfinite="skip", **kw)
        self._skipped[id(opt)] = opt.skipped_steps > before

    def update(self) -> None:
        """Fit the scale to the steps taken since the last update.

        Raises
        ------
        RuntimeError
            There were none.
        """
        if not self._skipped:
            raise RuntimeError("no step() since the last update()")
        skipped = any(self._skipped.values())
        self._skipped = {}
        self._growth_tracker = 0 if skipped else self._growth_tracker + 1
        if skipped:
            self._scale = _float32(self._scale * self._backoff_factor)
        elif self._growth_tracker == self._growth_interval:
            self._growth_tracker = 0
            grown = _float32(self._scale * self._growth_factor)
            self._scale = grown if math.isfinite(grown) else self._scale

    def state_dict(self) -> dict[str, Any]:
        """Everything a later run needs to go on, as ``torch.amp.GradScaler`` names it.

        Returns
        -------
        dict
            ``scale``, ``growth_factor``, ``backoff_factor``, ``growth_interval`` and
            ``_growth_tracker``, the number of good updates since the last change.
        """
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state dict, of this class or of ``torch.amp.GradScaler``.

        Parameters
        ----------
        state_dict : mapping
            What `state_dict` returned.

        Raises
        ------
        TypeError, ValueError
            Other keys, or values outside their range; nothing has been replaced.
        """
        expected = list(self.state_dict())
        if set(state_dict) != set(expected):
            raise ValueError(f"state_dict must have the keys {expected}, not {list(state_dict)}")
        self._set(*(state_dict[key] for key in expected))
        self._skipped = {}


def _float32(x: Any) -> Any:
    """A number rounded as torch keeps a scale; what is none is for the check to say."""
    if isinstance(x, bool) or not isinstance(x, Real):
        return x
    with np.errstate(over="ignore"):
        return float(np.float32(float(x)))
