"""Schedules made of other schedules; each takes plain functions of the step as well."""

from bisect import bisect_right
from dataclasses import dataclass

from fallline.schedules._base import (
    Count,
    Milestones,
    Nested,
    NestedMany,
    NonNegative,
    Schedule,
    Whole,
    blend,
    require_one_more,
)


@dataclass(frozen=True, slots=True)
class LinearWarmup(Schedule):
    r"""A linear warm-up in front of any schedule.

    .. math::
        \eta_t = \begin{cases}
            \eta_{start} + (s(0) - \eta_{start})\, t / w & t < w \\
            s(t - w) & w \le t
        \end{cases}

    After the warm-up the inner schedule begins at its own step 0: a decay of 90 steps behind a
    warm-up of 10 ends at step 100.

    Parameters
    ----------
    schedule : callable
        What follows the warm-up, :math:`s`: a schedule or a function from step to learning rate.
    steps : int
        The number of steps :math:`w` of the warm-up; 0 for none.
    start : float, default 0.0
        The learning rate :math:`\eta_{start}` of step 0, at least 0. At 0 the first step moves
        nothing.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    References
    ----------
    Goyal et al. (2017), Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, section 2.2.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.LinearWarmup(schedules.Polynomial(1.0, steps=2), steps=4)
    >>> [schedule(step) for step in range(7)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 0.5, 0.0]
    """

    schedule: Nested
    steps: Whole
    start: NonNegative = 0.0

    def _at(self, step: int) -> float:
        if step >= self.steps:
            return self.schedule(step - self.steps)
        return blend(self.start, self.schedule(0), 1.0 - step / self.steps)


@dataclass(frozen=True, slots=True)
class Chained(Schedule):
    r"""Schedules one after another, each beginning at its own step 0.

    .. math:: \eta_t = s_k(t - m_k), \quad k = \#\{m_i \le t\}, \quad m_0 = 0

    Parameters
    ----------
    schedules : sequence of callable
        The schedules, or functions from step to learning rate, :math:`s_0, s_1, \dots`
    milestones : sequence of int
        The steps :math:`m_1, m_2, \dots` at which the next schedule takes over: strictly
        increasing, at least 1, and one fewer than there are schedules.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range, or the lengths do not fit.

    Examples
    --------
    >>> from fallline import schedules
    >>> parts = schedules.Constant(0.5), schedules.Exponential(0.5, factor=0.5)
    >>> schedule = schedules.Chained(parts, milestones=[3])
    >>> [schedule(step) for step in range(6)]
    [0.5, 0.5, 0.5, 0.5, 0.25, 0.125]
    """

    schedules: NestedMany
    milestones: Milestones

    def __post_init__(self) -> None:
        Schedule.__post_init__(self)
        require_one_more("Chained.schedules", "milestones", self.schedules, self.milestones)

    def _at(self, step: int) -> float:
        k = bisect_right(self.milestones, step)
        return self.schedules[k](step - self.milestones[k - 1] if k else step)


@dataclass(frozen=True, slots=True)
class PerEpoch(Schedule):
    r"""A schedule in epochs, as one in steps.

    .. math:: \eta_t = s(\lfloor t / n \rfloor)

    Parameters
    ----------
    schedule : callable
        The schedule :math:`s`, or function, from epoch to learning rate.
    steps_per_epoch : int
        The number of steps :math:`n` in an epoch, at least 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.PerEpoch(schedules.Exponential(1.0, factor=0.5), steps_per_epoch=2)
    >>> [schedule(step) for step in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    schedule: Nested
    steps_per_epoch: Count

    def _at(self, step: int) -> float:
        return self.schedule(step // self.steps_per_epoch)


@dataclass(frozen=True, slots=True)
class Scaled(Schedule):
    r"""A schedule times a factor: the same course for a group that wants another rate.

    .. math:: \eta_t = c\, s(t)

    Parameters
    ----------
    schedule : callable
        The schedule :math:`s`, or function, from step to learning rate.
    factor : float
        The factor :math:`c`, at least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedules.Scaled(schedules.Polynomial(1.0, steps=4), factor=10.0)(1)
    7.5
    """

    schedule: Nested
    factor: NonNegative

    def _at(self, step: int) -> float:
        return self.factor * self.schedule(step)
