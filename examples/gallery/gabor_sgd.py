"""Gradient descent and SGD from three starts.

Left: gradient descent goes down the valley it starts in. From start 1 that is the right one; from 2
and 3 it is trapped in a local minimum. Right: SGD with batches of 3 at the same learning rates (3,
halved every 20 epochs of 10 steps; seed 54). Its noise carries it across the ridges: here all three
runs end at the global minimum (+). It can, it need not: of the seeds 0 to 99, 36 get out from start
2 and 31 from start 3, and from start 1, 56 stay in the right valley.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fallline as fl

from ._gabor import WINDOW, loss
from ._style import fog, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STARTS = {"start 1": (1.5, 9.0), "start 2": (3.4, 12.0), "start 3": (-2.6, 9.0)}
SEED = 54
EPOCHS = 100
STEPS_PER_EPOCH = 10  # of batches of 3, the last of 1


def descend(start: tuple[float, float], seed: int | None = None, trajectory: bool = True) -> Any:
    """By batches of 3 in the order of a seed, or without one by all points."""
    batched = seed is not None
    every = 20 if batched else 20 * STEPS_PER_EPOCH
    return fl.minimize(
        loss("mean"),
        start,
        optimizer=fl.SGD,
        lr=fl.schedules.StepDecay(3.0, every, 0.5),
        lr_unit="epoch",  # without batches, an epoch is a step
        batch_size=3 if batched else None,
        epochs=EPOCHS if batched else EPOCHS * STEPS_PER_EPOCH,
        seed=seed or 0,
        trajectory=trajectory,
    )


def figure() -> Figure:
    """Draw it."""
    f = loss()
    best = fl.minimize(f, (0.0, 16.6), optimizer=fl.Newton).x
    drawn = new_figure(4.4)
    axes = drawn.subplots(1, 2, sharey=True)
    for ax, seed, title in zip(axes, (None, SEED), ("gradient descent", "SGD"), strict=True):
        fl.plot.loss_surface(
            f, extent=WINDOW, resolution=121, cmap=fog(), colorbar=seed is not None, ax=ax
        )
        fl.plot.trajectory({name: descend(at, seed) for name, at in STARTS.items()}, ax=ax)
        ax.plot(*best, "+", color="k", markersize=13, zorder=5)
        ax.set_title(title)
        for number, at in enumerate(STARTS.values(), 1):
            beside = (8 if number == 1 else -14, -4)
            ax.annotate(str(number), at, beside, textcoords="offset points", weight="bold")
        ax.set_xticks(range(-10, 11, 5))
    axes[0].legend(loc="upper right", framealpha=0.9)
    axes[1].get_legend().remove()
    axes[1].set_ylabel("")
    return drawn
