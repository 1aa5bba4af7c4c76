"""The schedule that listens to the loss."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from fallline.schedules._base import (
    Check,
    NonNegative,
    Schedule,
    Whole,
    as_real,
    checks,
    finite,
    one_of,
    validate,
)

Mode = Literal["min", "max"]
ThresholdMode = Literal["rel", "abs"]

_NUMBER = Check("a number", as_real)
_BEST = Check(
    "None or a finite number",
    lambda value: None if value is None else as_real(value),
    lambda value: value is None or math.isfinite(value),
)


@dataclass(slots=True)
class PlateauState:
    """What changes from update to update; the best loss is None before the first finite one."""

    lr: NonNegative
    best: Annotated[float | None, _BEST] = None
    bad_epochs: Whole = 0
    cooldown_left: Whole = 0

    def __post_init__(self) -> None:
        validate(self)


@dataclass(eq=False, slots=True)
class ReduceOnPlateau(Schedule):
    r"""A learning rate that is reduced when the loss has stopped improving.

    After more than `patience` updates in a row without an improvement,

    .. math:: \eta \leftarrow \max(\gamma\, \eta,\ \eta_{min})

    where an improvement of the best loss :math:`b` so far is a loss :math:`L` with
    :math:`L < b\,(1 - \theta)` (relative) or :math:`L < b - \theta` (absolute), and with mode "max"
    :math:`L > b\,(1 + \theta)` or :math:`L > b + \theta`. A loss that is NaN or infinite never is
    one, whatever the mode.

    Give the object as ``lr=`` to an optimizer and feed it with `update`, once an epoch or
    whenever a loss has been measured: called, it returns the current learning rate whatever the
    step. It has a state; two of them are equal only if they are the same object.

    The decisions are those of torch's ``ReduceLROnPlateau``, save that torch takes an infinite
    loss of the right sign (-inf with mode "min") for an improvement that nothing can beat.

    Parameters
    ----------
    lr : float
        The initial learning rate :math:`\eta`, at least 0.
    factor : float, default 0.1
        The multiplier :math:`\gamma` of a reduction, at least 0 and below 1.
    patience : int, default 10
        The number of updates without improvement that are borne before a reduction, at least 0.
    threshold : float, default 1e-4
        The margin :math:`\theta` that makes an improvement, at least 0.
    threshold_mode : {"rel", "abs"}, default "rel"
        Whether the margin is relative to the best loss or in units of the loss. Relative margins
        are meant for positive losses.
    mode : {"min", "max"}, default "min"
        Whether a lower or a higher loss is better.
    cooldown : int, default 0
        The number of updates after a reduction in which none is counted as bad, at least 0.
    min_lr : float, default 0.0
        The lower bound :math:`\eta_{min}` of the learning rate, at least 0.
    eps : float, default 1e-8
        The smallest reduction that is made, in units of the learning rate, at least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> from fallline import schedules
    >>> plateau = schedules.ReduceOnPlateau(1.0, factor=0.5, patience=1)
    >>> [plateau.update(loss) for loss in (3.0, 2.0, 2.0, 2.0, 1.0)]
    [1.0, 1.0, 1.0, 0.5, 0.5]
    >>> plateau(1000)
    0.5
    """

    lr: NonNegative
    factor: Annotated[float, finite(" >= 0 and < 1", lambda value: 0 <= value < 1)] = 0.1
    patience: Whole = 10
    threshold: NonNegative = 1e-4
    threshold_mode: Annotated[ThresholdMode, one_of(ThresholdMode)] = "rel"
    mode: Annotated[Mode, one_of(Mode)] = "min"
    cooldown: Whole = 0
    min_lr: NonNegative = 0.0
    eps: NonNegative = 1e-8
    _state: PlateauState = field(init=False, repr=False)

    def __post_init__(self) -> None:
        Schedule.__post_init__(self)
        self._state = PlateauState(self.lr)

    def _at(self, step: int) -> float:
        return self._state.lr

    def update(self, loss: float) -> float:
        """Take note of a loss and reduce the learning rate if it is time to.

        Parameters
        ----------
        loss : float
            The loss, or with mode "max" the score, of the epoch. NaN and infinity count as bad.

        Returns
        -------
        float
            The learning rate from now on.

        Raises
        ------
        TypeError
            If `loss` is not a number.
        """
        loss = _NUMBER("loss", loss)
        state = self._state
        if self._improves(loss):
            state.best, state.bad_epochs = loss, 0
        else:
            state.bad_epochs += 1
        if state.cooldown_left:
            state.cooldown_left -= 1
            state.bad_epochs = 0
        if state.bad_epochs > self.patience:
            reduced = max(state.lr * self.factor, self.min_lr)
            if state.lr - reduced > self.eps:
                state.lr = reduced
            state.bad_epochs, state.cooldown_left = 0, self.cooldown
        return state.lr

    def _improves(self, loss: float) -> bool:
        best = self._state.best
        if best is None or not math.isfinite(loss):
            return math.isfinite(loss)
        margin = self.threshold if self.mode == "max" else -self.threshold
        bar = best * (1.0 + margin) if self.threshold_mode == "rel" else best + margin
        return loss > bar if self.mode == "max" else loss < bar

    def state_dict(self) -> dict[str, Any]:
        """Return what `update` has changed, as a plain dict.

        Returns
        -------
        dict
            The current ``lr``, the ``best`` loss or None, the ``bad_epochs`` in a row, and the
            updates of ``cooldown_left``. The arguments are not in it: see `to_config`.
        """
        return asdict(self._state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; nothing is replaced unless all of it is valid.

        Parameters
        ----------
        state : mapping
            What `state_dict` returned.

        Raises
        ------
        TypeError, ValueError
            If `state` is not a mapping, has other keys, or values outside their range.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be a mapping, got {state!r}")
        expected = list(checks(PlateauState))
        if set(state) != set(expected):
            raise ValueError(f"state must have the keys {expected}, got {list(state)}")
        self._state = PlateauState(**state)
