"""Nesterov's look-ahead step, vector by vector.

A step of momentum (left) and one of Nesterov's (right), from the same point (ring) with the same
running mean m, after three steps down a valley with β = 0.6. Both first add what m alone gives,
-αβm. Momentum then goes down the gradient g where it was; Nesterov goes down the gradient where m
has led (square), which tells already that the path climbs the other side. So it ends (star) at a
lower loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import BLUE, GREEN, ORANGE, RED, fog, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

RATE, BETA = 0.5, 0.6
VALLEY = fl.objectives.surfaces.QuadraticValley(6.0)


def state() -> tuple[Points, Points]:
    """Parameters and running mean after three steps."""
    phi = np.array([-3.0, 1.6])
    optimizer = fl.Momentum(phi, lr=RATE, beta=BETA)
    for _ in range(3):
        optimizer.step(VALLEY.gradient(phi))
    return phi, optimizer.state[0]["exp_avg"]


def figure() -> Figure:
    """Draw it."""
    phi, m = state()
    ahead = phi - RATE * BETA * m
    drawn = new_figure(4.0)
    axes = drawn.subplots(1, 2, sharey=True)
    for ax, name, at in zip(axes, ("momentum", "Nesterov"), (phi, ahead), strict=True):
        end = ahead - RATE * (1 - BETA) * VALLEY.gradient(at)
        fl.plot.loss_surface(
            VALLEY, extent=((-0.95, 0.25), (-0.45, 0.75)), cmap=fog(), colorbar=False, ax=ax
        )
        _vector(ax, phi, ahead, BLUE, "-αβm")
        _vector(ax, ahead, end, ORANGE, "-α(1-β)g")
        _vector(ax, phi, end, GREEN, "the step")
        ax.plot(*phi, "o", color="w", markeredgecolor="k", markersize=8)
        ax.plot(*ahead, "s", color="w", markeredgecolor="k", markersize=7)
        ax.plot(*end, "*", color=RED, markeredgecolor="k", markersize=14)
        ax.set_title(f"{name}: loss {VALLEY.loss(phi):.2f} → {VALLEY.loss(end):.2f}")
    axes[0].legend(loc="lower right", framealpha=0.9)
    axes[1].set_ylabel("")
    return drawn


def _vector(ax: Axes, start: Points, end: Points, color: str, name: str) -> None:
    arrow = {"arrowstyle": "-|>", "color": color, "linewidth": 2.5, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", tuple(end), tuple(start), arrowprops={**arrow, "mutation_scale": 16})
    ax.plot([], [], color=color, linewidth=2.5, label=name)
