"""Local and global minimum.

Left: (x⁴ − 16x² + 5x)/2 has a global minimum at −2.90 and a local one at 2.75. Gradient descent
ends (stars) in the one in whose basin it starts (rings); the border between the basins is the
maximum at 0.16. Right: 3x − x³ has a local minimum at −1 and no global one: descent from beyond the
maximum at 1 falls without end, which `fl.minimize` reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fallline as fl

from ._style import BLUE, GREEN, ORANGE, RED, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def descend(f: fl.objectives.Objective, start: float, lr: float) -> fl.Result:
    """Gradient descent at a fixed learning rate."""
    return fl.minimize(f, [start], fl.SGD, lr=lr, steps=200, trajectory=True, progress=False)


def draw(
    ax: Axes, f: fl.objectives.surfaces.Surface, run: fl.Result, text: str, **style: Any
) -> None:
    """The path, from a ring to a star, or out of the picture."""
    path = [x for x in run.trajectory if abs(x[0]) < f.domain[0, 1]]
    losses = [f.loss(x) for x in path]
    ax.plot(path, losses, ".", **style)
    ax.plot(path[0], losses[0], "o", markerfacecolor="w", markersize=8, **style)
    if run.success:
        ax.plot(path[-1], losses[-1], "*", markersize=13, **style)
    place: dict[str, Any] = {
        "textcoords": "offset points",
        "ha": "center" if run.success else "right",
    }
    at = (0, -18) if run.success else (-8, -8)
    ax.annotate(text, (path[-1][0], losses[-1]), at, **place, **style)


def figure() -> Figure:
    """Draw it."""
    surfaces = fl.objectives.surfaces
    drawn = new_figure()
    left, right = drawn.subplots(1, 2)
    two, one = surfaces.StyblinskiTang(1), surfaces.UnboundedCubic()
    fl.plot.loss_curve(two, extent=(-4, 4), ax=left, color="0.6", zorder=0)
    draw(left, two, descend(two, -0.2, 0.008), "global minimum", color=BLUE)
    draw(left, two, descend(two, 0.5, 0.008), "local minimum", color=ORANGE)
    left.set(ylim=(-46, 12), xlabel="$x$", ylabel="$f(x)$")

    fl.plot.loss_curve(one, extent=(-2.5, 2.5), ax=right, color="0.6", zorder=0)
    draw(right, one, descend(one, 0.7, 0.04), "local minimum", color=GREEN)
    draw(right, one, descend(one, 1.2, 0.04), "no minimum", color=RED)
    right.set(xlim=(-2.7, 3.0), ylim=(-9, 6), xlabel="$x$", ylabel="$f(x)$")
    return drawn
