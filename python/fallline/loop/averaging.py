"""Averages of the iterates: exponential, and equally weighted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from .._types import Array
from ..minibatch import as_count

__all__ = ["EMA", "SWA", "Average", "Averaging"]

Unit: TypeAlias = Literal["step", "epoch"]


@dataclass(frozen=True)
class EMA:
    r"""An exponential moving average of the parameters, for ``minimize(averaging=…)``.

    .. math:: a \leftarrow a + (1 - d)(\varphi - a)

    It begins as the first parameters it is given. Kept in float64.

    Parameters
    ----------
    decay : float
        d, in [0, 1).
    start, every : int
        The parameters are taken after every `every` units (at least 1) beyond the first `start`.
    unit : {"step", "epoch"}
        What `start` and `every` count.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.LinearRegression([[1.0], [2.0]], [3.0, 5.0])
    >>> res = fl.minimize(f, optimizer=fl.SGD, lr=0.1, epochs=99, averaging=fl.EMA(0.9))
    >>> (abs(res.x - [2, 1]) > abs(res.last - [2, 1])).tolist()  # it lags behind
    [True, True]

    References
    ----------
    Polyak & Juditsky (1992), Acceleration of stochastic approximation by averaging; as torch's
    ``torch.optim.swa_utils.get_ema_multi_avg_fn``.
    """

    decay: float = 0.999
    start: int = 0
    every: int = 1
    unit: Unit = "step"

    def __post_init__(self) -> None:
        if isinstance(self.decay, bool) or not isinstance(self.decay, (int, float)):
            raise TypeError(f"decay must be a number, not {self.decay!r}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must lie in [0, 1), not {self.decay!r}")
        _check_times(self)

    def weight(self, count: int) -> float:
        """Weight of new parameters after `count` earlier ones."""
        return 1 - self.decay if count else 1.0


@dataclass(frozen=True)
class SWA:
    r"""Stochastic weight averaging: the mean of the parameters, for ``minimize(averaging=…)``.

    .. math:: a \leftarrow a + (\varphi - a) / k

    for the k-th parameters it is given. Kept in float64.

    Parameters
    ----------
    start, every : int
        The parameters are taken after every `every` units (at least 1) beyond the first `start`.
    unit : {"epoch", "step"}
        What `start` and `every` count.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.LinearRegression([[1.0], [2.0]], [3.0, 5.0])
    >>> res = fl.minimize(f, optimizer=fl.SGD, lr=0.1, epochs=300, averaging=fl.SWA(start=200))
    >>> res.x.round(1)
    array([2., 1.])

    References
    ----------
    Izmailov, Podoprikhin, Garipov, Vetrov & Wilson (2018), Averaging weights leads to wider optima
    and better generalization, algorithm 1.
    """

    start: int = 0
    every: int = 1
    unit: Unit = "epoch"

    def __post_init__(self) -> None:
        _check_times(self)

    def weight(self, count: int) -> float:
        """Weight of new parameters after `count` earlier ones."""
        return 1 / (count + 1)


Averaging: TypeAlias = EMA | SWA


def _check_times(averaging: Averaging) -> None:
    as_count("start", averaging.start, 0)
    as_count("every", averaging.every)
    if averaging.unit not in ("step", "epoch"):
        raise ValueError(f"unit must be 'step' or 'epoch', not {averaging.unit!r}")


class Average:
    """A running average of the parameters after some of the steps."""

    def __init__(self, averaging: Averaging, n_params: int, steps_per_epoch: int) -> None:
        unit = steps_per_epoch if averaging.unit == "epoch" else 1
        self._weight = averaging.weight
        self._start, self._every = averaging.start * unit, averaging.every * unit
        self.value = np.zeros(n_params)
        self.count = 0  # of parameters in it
        self.step = 0

    def observe(self, phi: Array) -> None:
        """Take note of the parameters after a step."""
        self.step += 1
        beyond = self.step - self._start
        if beyond > 0 and beyond % self._every == 0:
            self.value += self._weight(self.count) * (phi - self.value)
            self.count += 1

    def restore(self, value: Array, count: int, step: int) -> None:
        """Go on from the average of a run that was cut off."""
        self.value, self.count, self.step = value, count, step
