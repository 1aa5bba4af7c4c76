"""Learning-rate schedules.

Twelve of `fl.schedules` over 100 steps. Each is a function of the step, which any optimizer takes
as its `lr`. `ReduceOnPlateau` alone listens to the loss: here to one that has stopped falling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fallline import schedules

from ._style import BLUE, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 101
SCHEDULES = {
    "StepDecay": schedules.StepDecay(1, every=25, factor=0.5),
    "MultiStep": schedules.MultiStep(1, milestones=[40, 80], factor=0.3),
    "Exponential": schedules.Exponential(1, factor=0.96),
    "Polynomial": schedules.Polynomial(1, steps=100, power=2),
    "InverseSqrt": schedules.InverseSqrt(1, warmup=10),
    "Cosine": schedules.Cosine(1, steps=100),
    "CosineRestarts": schedules.CosineRestarts(1, period=15, multiplier=2),
    "LinearWarmup(Cosine)": schedules.LinearWarmup(schedules.Cosine(1, steps=90), steps=10),
    "OneCycle": schedules.OneCycle(1, steps=101),
    "WarmupStableDecay": schedules.WarmupStableDecay(1, warmup=10, stable=60, decay=30),
    "Chained": schedules.Chained(
        [schedules.Constant(0.5), schedules.Polynomial(1, steps=60)], milestones=[40]
    ),
}


def plateau() -> list[float]:
    """The learning rate while the loss has stopped falling."""
    schedule = schedules.ReduceOnPlateau(1, factor=0.5, patience=20)
    return [schedule.update(1.0) for _ in range(STEPS)]


def figure() -> Figure:
    """Draw it."""
    rates = {name: [s(step) for step in range(STEPS)] for name, s in SCHEDULES.items()}
    rates["ReduceOnPlateau"] = plateau()
    drawn = new_figure(5.4)
    grid = drawn.subplots(3, 4, sharex=True, sharey=True)
    for ax, (name, lr) in zip(grid.flat, rates.items(), strict=True):
        ax.step(range(STEPS), lr, where="post", color=BLUE)
        ax.set_title(name, fontsize=10)
        tidy(ax)
    for ax in grid[-1]:
        ax.set_xlabel("step")
    for ax in grid[:, 0]:
        ax.set_ylabel("learning rate")
    return drawn
