"""One step of SGD, downhill on its batch, uphill on all points.

From start 2 of `gabor_sgd` (ring), at its learning rate 3. Dark is a high loss, the mean of
squares. Left: where the step leads for each of the 3,276 batches of 3 (dots), and with all points
(diamond), the mean of the dots. Middle: the loss of the batch of points 7, 12 and 13 alone, on
which its step goes down, from 0.24 to 0.01. Right: the same step on the loss of all points, where
it goes up, from 0.40 to 0.45. So do 49 % of all batches' steps.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._gabor import loss
from ._style import BLUE, ORANGE, RED, fog, new_figure
from .gabor_sgd import STARTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

AT = np.array(STARTS["start 2"])
RATE = 3.0
BATCH = [7, 12, 13]
WINDOW = ((1.2, 8.2), (10.6, 13.4))


def next_points(f: fl.objectives.Gabor) -> NDArray[np.float64]:
    """Where a step leads, for every batch of 3."""
    gradients = np.array([f.gradient(AT, [i]) for i in range(f.n_samples)])
    batches = list(combinations(range(f.n_samples), 3))
    moved: NDArray[np.float64] = AT - RATE * gradients[batches].mean(axis=1)
    return moved


def figure() -> Figure:
    """Draw it."""
    f = loss("mean")
    step = AT - RATE * f.gradient(AT, BATCH)
    drawn = new_figure(3.6)
    axes = drawn.subplots(1, 3, sharey=True)
    for ax, batch in zip(axes, (None, BATCH, None), strict=True):
        fl.plot.loss_surface(
            f, extent=WINDOW, batch=batch, resolution=81, cmap=fog(), colorbar=False, ax=ax
        )
    axes[0].plot(*next_points(f).T, ".", color=BLUE, markersize=2.5, alpha=0.35)
    full = AT - RATE * f.gradient(AT)
    axes[0].plot(*full, "D", color=ORANGE, markeredgecolor="k", markersize=8)
    axes[0].set_title("next points")
    for ax, batch, name in zip(axes[1:], (BATCH, None), ("batch", "full"), strict=True):
        arrow = {"arrowstyle": "-|>", "color": RED, "linewidth": 2.5, "shrinkA": 4, "shrinkB": 0}
        ax.annotate("", step, AT, arrowprops={**arrow, "mutation_scale": 18})
        ax.set_title(f"{name} loss {f.loss(AT, batch):.2f} → {f.loss(step, batch):.2f}")
        ax.set_ylabel("")
    for ax in axes:
        ax.plot(*AT, "o", color="w", markeredgecolor="k", markersize=7)
    return drawn
