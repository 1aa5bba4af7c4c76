"""A valley, steep across and flat along.

The curvature across is 100 times that along. A learning rate α below 2/λ of the steep direction
settles across and crawls along (top left, 40 steps, from the ring to the star); above, the path
leaps from wall to wall and higher each time (top right, 7 steps). Normalised gradients move each
coordinate by ±α whatever the slope: they go along as fast as across, but end in a bounce around the
minimum, α from one side to the other (bottom left). Adam, here with β = 0.8 and γ = 0.99, damps
that by its running means: a smooth path to the minimum (bottom right). The axes are scaled
differently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import fallline as fl

from ._style import fog, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

START = (-4.4, 0.45)
VALLEY = fl.objectives.surfaces.QuadraticValley(100.0)
RUNS: dict[str, dict[str, Any]] = {
    "gradient descent, α = 0.018": {"optimizer": fl.SGD, "lr": 0.018, "steps": 40},
    "gradient descent, α = 0.0205": {"optimizer": fl.SGD, "lr": 0.0205, "steps": 7},
    "normalised gradients, α = 0.3": {"optimizer": fl.NormalizedGradient, "lr": 0.3, "steps": 40},
    "Adam, α = 0.3": {"optimizer": fl.Adam, "lr": 0.3, "betas": (0.8, 0.99), "steps": 40},
}


def paths() -> dict[str, NDArray[np.float64]]:
    """All parameters on the way, by what was run."""
    return {
        name: fl.minimize(VALLEY, START, trajectory=True, **own).trajectory
        for name, own in RUNS.items()
    }


def figure() -> Figure:
    """Draw it."""
    drawn = new_figure(5.4)
    axes = drawn.subplots(2, 2, sharex=True, sharey=True)
    for ax, (name, path) in zip(axes.flat, paths().items(), strict=True):
        fl.plot.loss_surface(
            VALLEY, extent=((-5, 1.5), (-0.7, 0.7)), cmap=fog(), colorbar=False, ax=ax
        )
        fl.plot.trajectory(path, ax=ax)
        ax.set_title(name)
        ax.label_outer()
    return drawn
