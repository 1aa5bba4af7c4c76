"""Schedules that fall (or rise) by a rule: constant, in steps, exponential, as a power."""

import math
from bisect import bisect_right
from dataclasses import dataclass

from fallline.schedules._base import (
    Count,
    Milestones,
    NonNegative,
    Positive,
    Rates,
    Schedule,
    blend,
    require_one_more,
)


@dataclass(frozen=True, slots=True)
class Constant(Schedule):
    r"""The same learning rate at every step.

    .. math:: \eta_t = \eta

    Parameters
    ----------
    lr : float
        The learning rate :math:`\eta`, at least 0.

    Raises
    ------
    TypeError, ValueError
        If `lr` is not a finite number >= 0.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedules.Constant(0.1)(1000)
    0.1
    """

    lr: NonNegative

    def _at(self, step: int) -> float:
        return self.lr


@dataclass(frozen=True, slots=True)
class StepDecay(Schedule):
    r"""A learning rate multiplied by a factor every so many steps.

    .. math:: \eta_t = \eta\, \gamma^{\lfloor t / n \rfloor}

    Parameters
    ----------
    lr : float
        The initial learning rate :math:`\eta`, at least 0.
    every : int
        The number of steps :math:`n` between two changes, at least 1.
    factor : float
        The multiplier :math:`\gamma`, at least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.StepDecay(0.5, every=2, factor=0.5)
    >>> [schedule(step) for step in range(5)]
    [0.5, 0.5, 0.25, 0.25, 0.125]
    """

    lr: NonNegative
    every: Count
    factor: NonNegative

    def _at(self, step: int) -> float:
        return self.lr * self.factor ** (step // self.every)


@dataclass(frozen=True, slots=True)
class MultiStep(Schedule):
    r"""A learning rate multiplied by a factor at each of the given steps.

    .. math:: \eta_t = \eta\, \gamma^{\#\{m_i \le t\}}

    Parameters
    ----------
    lr : float
        The initial learning rate :math:`\eta`, at least 0.
    milestones : sequence of int
        The steps :math:`m_i` that are the first with a new value: strictly increasing, at least 1.
    factor : float
        The multiplier :math:`\gamma`, at least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.MultiStep(0.5, milestones=[1, 4], factor=0.5)
    >>> [schedule(step) for step in range(6)]
    [0.5, 0.25, 0.25, 0.25, 0.125, 0.125]
    """

    lr: NonNegative
    milestones: Milestones
    factor: NonNegative

    def _at(self, step: int) -> float:
        return self.lr * self.factor ** bisect_right(self.milestones, step)


@dataclass(frozen=True, slots=True)
class Piecewise(Schedule):
    r"""A learning rate that is constant between boundaries.

    .. math:: \eta_t = v_k, \quad k = \#\{b_i \le t\}

    Parameters
    ----------
    boundaries : sequence of int
        The steps :math:`b_i` that are the first with a new value: strictly increasing, at least 1.
    values : sequence of float
        The learning rates :math:`v_k`, each at least 0: one more than there are boundaries.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range, or the lengths do not fit.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.Piecewise(boundaries=[2, 3], values=[0.1, 0.5, 0.2])
    >>> [schedule(step) for step in range(5)]
    [0.1, 0.1, 0.5, 0.2, 0.2]
    """

    boundaries: Milestones
    values: Rates

    def __post_init__(self) -> None:
        Schedule.__post_init__(self)
        require_one_more("Piecewise.values", "boundaries", self.values, self.boundaries)

    def _at(self, step: int) -> float:
        return self.values[bisect_right(self.boundaries, step)]


@dataclass(frozen=True, slots=True)
class Exponential(Schedule):
    r"""A learning rate multiplied by a factor at every step.

    .. math:: \eta_t = \eta\, \gamma^t

    A factor above 1 makes the growing rates of a learning-rate range test; once they exceed what
    a float can hold, the call raises an `OverflowError`.

    Parameters
    ----------
    lr : float
        The initial learning rate :math:`\eta`, at least 0.
    factor : float
        The multiplier :math:`\gamma` per step, at least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.Exponential(0.5, factor=0.5)
    >>> [schedule(step) for step in range(3)]
    [0.5, 0.25, 0.125]
    """

    lr: NonNegative
    factor: NonNegative

    def _at(self, step: int) -> float:
        return self.lr * self.factor**step


@dataclass(frozen=True, slots=True)
class Polynomial(Schedule):
    r"""A learning rate that falls to its end value as a power of the steps left.

    .. math:: \eta_t = \eta_{end} + (\eta - \eta_{end}) \left(1 - \frac{\min(t, T)}{T}\right)^p

    Power 1 is the linear decay. From step :math:`T` on the value stays at :math:`\eta_{end}`.

    Parameters
    ----------
    lr : float
        The initial learning rate :math:`\eta`, at least 0.
    steps : int
        The number of steps :math:`T` of the decay, at least 1.
    power : float, default 1.0
        The exponent :math:`p`, above 0.
    end : float, default 0.0
        The final learning rate :math:`\eta_{end}`, at least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.Polynomial(1.0, steps=4)
    >>> [schedule(step) for step in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    lr: NonNegative
    steps: Count
    power: Positive = 1.0
    end: NonNegative = 0.0

    def _at(self, step: int) -> float:
        if step >= self.steps:
            return self.end
        return blend(self.lr, self.end, (1.0 - step / self.steps) ** self.power)


@dataclass(frozen=True, slots=True)
class InverseSqrt(Schedule):
    r"""A linear warm-up to the learning rate, then a fall with the inverse root of the step.

    .. math:: \eta_t = \eta \min\left(\frac{t}{w}, \sqrt{\frac{w}{t}}\right)

    Step 0 has the learning rate 0. The original Transformer has
    :math:`\eta = (d_{model}\, w)^{-1/2}`.

    Parameters
    ----------
    lr : float
        The learning rate :math:`\eta` at the peak, at least 0.
    warmup : int
        The step :math:`w` of the peak, at least 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    References
    ----------
    Vaswani et al. (2017), Attention Is All You Need, eq. 3.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.InverseSqrt(1.0, warmup=4)
    >>> [schedule(step) for step in (0, 2, 4, 16)]
    [0.0, 0.5, 1.0, 0.5]
    """

    lr: NonNegative
    warmup: Count

    def _at(self, step: int) -> float:
        if step < self.warmup:
            return self.lr * step / self.warmup
        return self.lr * math.sqrt(self.warmup / step)
