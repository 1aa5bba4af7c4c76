"""Schedules that anneal over a known number of steps: cosine, restarts, one cycle, WSD."""

from dataclasses import dataclass
from typing import Annotated

from fallline.schedules._base import (
    SHAPES,
    Anneal,
    Count,
    Flag,
    Fraction,
    NonNegative,
    Positive,
    Schedule,
    Shape,
    Whole,
    blend,
    cosine,
    one_of,
)


@dataclass(frozen=True, slots=True)
class Cosine(Schedule):
    r"""A learning rate that falls to its end value along half a period of a cosine.

    .. math::
        \eta_t = \eta_{end} + \tfrac{1}{2} (\eta - \eta_{end})
                 \left(1 + \cos \frac{\pi \min(t, T)}{T}\right)

    From step :math:`T` on the value stays at :math:`\eta_{end}`: it does not rise again, as that
    of torch's ``CosineAnnealingLR`` does.

    Parameters
    ----------
    lr : float
        The initial learning rate :math:`\eta`, at least 0.
    steps : int
        The number of steps :math:`T` of the decay, at least 1.
    end : float, default 0.0
        The final learning rate :math:`\eta_{end}`, at least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    References
    ----------
    Loshchilov & Hutter (2017), SGDR: Stochastic Gradient Descent with Warm Restarts, eq. 5,
    without restarts.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.Cosine(0.5, steps=100)
    >>> [schedule(step) for step in (0, 50, 100, 1000)]
    [0.5, 0.25, 0.0, 0.0]
    """

    lr: NonNegative
    steps: Count
    end: NonNegative = 0.0

    def _at(self, step: int) -> float:
        if step >= self.steps:
            return self.end
        return blend(self.lr, self.end, cosine(step / self.steps))


@dataclass(frozen=True, slots=True)
class CosineRestarts(Schedule):
    r"""A cosine decay that starts again and again, in cycles that may grow longer.

    .. math::
        \eta_t = \eta_{end} + \tfrac{1}{2} (\eta - \eta_{end})
                 \left(1 + \cos \frac{\pi\, T_{cur}}{T_i}\right), \qquad T_i = T_0\, m^i

    with :math:`T_{cur}` the number of steps since the last restart, at which the value is back
    at :math:`\eta`. The end value itself is approached, not reached.

    Parameters
    ----------
    lr : float
        The learning rate :math:`\eta` at each restart, at least 0.
    period : int
        The number of steps :math:`T_0` of the first cycle, at least 1.
    multiplier : int, default 1
        How many times longer :math:`m` each cycle is than the one before, at least 1.
    end : float, default 0.0
        The learning rate :math:`\eta_{end}` towards the end of a cycle, at least 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    References
    ----------
    Loshchilov & Hutter (2017), SGDR: Stochastic Gradient Descent with Warm Restarts, eq. 5.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.CosineRestarts(0.5, period=2, multiplier=2)
    >>> [schedule(step) for step in (0, 1, 2, 4, 6)]
    [0.5, 0.25, 0.5, 0.25, 0.5]
    """

    lr: NonNegative
    period: Count
    multiplier: Count = 1
    end: NonNegative = 0.0

    def _at(self, step: int) -> float:
        length = self.period
        if self.multiplier == 1:
            step %= length
        # Integers, because the closed form's logarithm is rounded and can miss a restart.
        while step >= length:
            step -= length
            length *= self.multiplier
        return blend(self.lr, self.end, cosine(step / length))


@dataclass(frozen=True, slots=True)
class OneCycle(Schedule):
    r"""A rise to the maximum and a longer fall far below the start: one cycle for a whole run.

    .. math::
        \frac{\eta}{d} \;\nearrow\; \eta \;\searrow\; \frac{\eta}{d\, d_{final}}

    The maximum is at step :math:`w T - 1` and the minimum at the last step, :math:`T - 1`, where
    the value stays. With three phases the fall first mirrors the rise, back to the start value at
    step :math:`2 (w T - 1)`. The knots, which need not be whole steps, are those of torch's
    ``OneCycleLR``.

    Parameters
    ----------
    lr : float
        The maximal learning rate :math:`\eta`, at least 0.
    steps : int
        The number of steps :math:`T` of the run, at least 1.
    warmup : float, default 0.3
        The fraction :math:`w` of the steps that rise, from 0 to 1 (to 0.5 with three phases).
    div : float, default 25.0
        How many times :math:`d` lower than the maximum the cycle starts, above 0.
    final_div : float, default 1e4
        How many times :math:`d_{final}` lower than the start the cycle ends, above 0.
    anneal : {"cosine", "linear"}, default "cosine"
        The shape of each phase.
    three_phase : bool, default False
        Whether the fall takes two phases.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    References
    ----------
    Smith & Topin (2018), Super-Convergence: Very Fast Training of Neural Networks Using Large
    Learning Rates.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.OneCycle(1.0, steps=10, warmup=0.5, div=4.0, final_div=2.0)
    >>> [schedule(step) for step in (0, 2, 4, 9, 1000)]
    [0.25, 0.625, 1.0, 0.125, 0.125]
    """

    lr: NonNegative
    steps: Count
    warmup: Fraction = 0.3
    div: Positive = 25.0
    final_div: Positive = 1e4
    anneal: Annotated[Anneal, one_of(Anneal)] = "cosine"
    three_phase: Flag = False

    def __post_init__(self) -> None:
        Schedule.__post_init__(self)
        if self.three_phase and self.warmup > 0.5:
            raise ValueError(
                f"OneCycle.warmup must be at most 0.5 with three phases, got {self.warmup!r}"
            )

    def _at(self, step: int) -> float:
        last = self.steps - 1
        step = min(step, last)
        peak = self.warmup * self.steps - 1.0
        low = self.lr / self.div
        if step <= peak:
            start, end, progress = low, self.lr, step / peak if peak else 1.0
        elif not self.three_phase:
            start, end, progress = self.lr, low / self.final_div, (step - peak) / (last - peak)
        elif step <= 2.0 * peak:
            start, end, progress = self.lr, low, (step - peak) / peak
        else:
            valley = 2.0 * peak
            start, end, progress = low, low / self.final_div, (step - valley) / (last - valley)
        return blend(start, end, SHAPES[self.anneal](progress))


@dataclass(frozen=True, slots=True)
class WarmupStableDecay(Schedule):
    r"""A linear warm-up, a constant stretch, and a decay to the end value.

    .. math::
        \eta_t = \begin{cases}
            \eta\, t / w & t < w \\
            \eta & w \le t < w + s \\
            \eta_{end} + (\eta - \eta_{end})\, f\!\left(\frac{t - w - s}{d}\right)
                & w + s \le t < w + s + d \\
            \eta_{end} & w + s + d \le t
        \end{cases}

    with :math:`f(x) = 1 - x` (linear), :math:`\frac{1}{2} (1 + \cos \pi x)` (cosine) or
    :math:`1 - \sqrt{x}` (sqrt). With a warm-up, step 0 has the learning rate 0.

    Parameters
    ----------
    lr : float
        The learning rate :math:`\eta` of the constant stretch, at least 0.
    warmup, stable, decay : int
        The numbers of steps :math:`w`, :math:`s` and :math:`d` of the three phases, at least 0.
    end : float, default 0.0
        The final learning rate :math:`\eta_{end}`, at least 0.
    shape : {"linear", "cosine", "sqrt"}, default "linear"
        The shape :math:`f` of the decay.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its range.

    References
    ----------
    Hu et al. (2024), MiniCPM: Unveiling the Potential of Small Language Models with Scalable
    Training Strategies (the schedule). Hägele et al. (2024), Scaling Laws and Compute-Optimal
    Training Beyond Fixed Training Durations (the shape "sqrt").

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.WarmupStableDecay(1.0, warmup=2, stable=10, decay=4)
    >>> [schedule(step) for step in (0, 1, 2, 11, 12, 14, 16, 1000)]
    [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0]
    """

    lr: NonNegative
    warmup: Whole
    stable: Whole
    decay: Whole
    end: NonNegative = 0.0
    shape: Annotated[Shape, one_of(Shape)] = "linear"

    def _at(self, step: int) -> float:
        if step < self.warmup:
            return self.lr * step / self.warmup
        decayed = step - self.warmup - self.stable
        if decayed < 0:
            return self.lr
        if decayed >= self.decay:
            return self.end
        return blend(self.lr, self.end, SHAPES[self.shape](decayed / self.decay))
