"""Saddles: x³, and x² − y² in 3-D.

Left: x³ is flat at 0, and falls on one side of it: neither minimum nor maximum. Right: x² − y² is
flat at 0, a minimum along x and a maximum along y. Gradient descent from next to the ridge, at
(0.9, −0.001), goes to the saddle first, where its steps are short, and then away along y. From the
ridge itself, y = 0, it would never leave; `fl.curvature.escape_direction` finds the way out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import BLACK, BLUE, ORANGE, RED, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def descend(start: list[float]) -> np.ndarray:
    """Its parameters, until it leaves the picture."""
    run = fl.minimize(
        fl.objectives.surfaces.Saddle(),
        start,
        fl.SGD,
        lr=0.05,
        steps=200,
        trajectory=True,
        progress=False,
        callback=lambda now: bool(np.abs(now.x).max() > 1),
    )
    return np.asarray(run.trajectory).clip(-1, 1)


def figure() -> Figure:
    """Draw it."""
    cubic, saddle = fl.objectives.surfaces.Cubic(), fl.objectives.surfaces.Saddle()
    drawn = new_figure()
    left = drawn.add_subplot(1, 2, 1)
    fl.plot.loss_curve(cubic, extent=(-1, 1), ax=left)
    left.axhline(0, color="0.5", linestyle="--", linewidth=1)
    left.plot(0, 0, "o", color=BLACK)
    left.set(xlabel="$x$", ylabel="$x^3$", xticks=(-1, 0, 1), yticks=(-1, 0, 1))

    right = drawn.add_subplot(1, 2, 2, projection="3d", computed_zorder=False)
    line = np.linspace(-1, 1, 41)
    heights = [[saddle.loss([x, y]) for x in line] for y in line]
    right.plot_surface(*np.meshgrid(line, line), np.array(heights), cmap="Blues_r", alpha=0.4)
    right.plot(line, 0 * line, line**2, color=BLUE, label="along $x$")
    right.plot(0 * line, line, -(line**2), color=ORANGE, linestyle="--", label="along $y$")
    path = descend([0.9, -1e-3])
    right.plot(*path.T, [saddle.loss(p) for p in path], ".-", color=RED, label="descent")
    right.plot(0, 0, 0, "o", color=BLACK)
    right.set(xlabel="$x$", ylabel="$y$", zlabel="$x^2 - y^2$")
    right.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1), zticks=(-1, 0, 1))
    right.set_box_aspect(None, zoom=1.0)
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 0.97), ncols=3, frameon=False)
    return drawn
