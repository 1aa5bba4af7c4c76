"""Heavy ball and running mean, one method.

Polyak's heavy ball keeps a velocity, m ← βm - αg and φ ← φ + m; the other form a running mean of
gradients, m ← βm + (1-β)g and φ ← φ - αm. The mean's weights sum to 1, the velocity's to 1/(1-β):
at the same α, 0.02, the mean takes a tenth of the steps (β = 0.9). With α/(1-β) its path (dots) is
that of the heavy ball (line), up to rounding: the distance between the two stays below 1e-15.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import GREEN, ORANGE, fog, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

RATE, BETA = 0.02, 0.9
STEPS = 40
VALLEY = fl.objectives.surfaces.QuadraticValley(10.0)


def paths() -> dict[str, NDArray[np.float64]]:
    """All parameters on the way, by what was run."""
    runs = {
        "heavy ball, α": fl.HeavyBall(np.array([-3.0, 1.0]), lr=RATE, momentum=BETA),
        "mean, α": fl.Momentum(np.array([-3.0, 1.0]), lr=RATE, beta=BETA),
        "mean, α/(1-β)": fl.Momentum(np.array([-3.0, 1.0]), lr=RATE / (1 - BETA), beta=BETA),
    }
    return {
        name: fl.minimize(VALLEY, optimizer=run, steps=STEPS, trajectory=True).trajectory
        for name, run in runs.items()
    }


def figure() -> Figure:
    """Draw it."""
    runs = paths()
    ball, slow, rescaled = runs.values()
    drawn = new_figure(3.8)
    left, right = drawn.subplots(1, 2, width_ratios=(1.3, 1))
    fl.plot.loss_surface(
        VALLEY, extent=((-3.5, 2.8), (-1.5, 1.5)), cmap=fog(), colorbar=False, ax=left
    )
    lines = dict(list(runs.items())[:2])
    fl.plot.trajectory(lines, ax=left)
    left.plot(*rescaled.T, ".", color=GREEN, markersize=7, label="mean, α/(1-β)", zorder=6)
    left.legend(loc="lower right", framealpha=0.9)
    left.set_title("paths")

    for path, color, style, name in (
        (slow, ORANGE, "--", "mean, α"),
        (rescaled, GREEN, "-", "mean, α/(1-β)"),
    ):
        distance = np.linalg.norm(path - ball, axis=1)
        right.plot(np.where(distance > 0, distance, np.nan), style, color=color, label=name)
    right.set(yscale="log", ylim=(1e-18, 1e2), xlabel="step", ylabel="distance (gaps: 0)")
    right.set_title("distance from the heavy ball")
    right.legend(frameon=False, loc="center right")
    tidy(right)
    return drawn
