"""SGD is not Adam with β = 0 and γ = 1.

Adam's step is α m / (√v + ε), with running means m of the gradients and v of their squares. "With
β = 0 and γ = 1 it is SGD" needs √v = 1. But v starts at 0: at γ = 1 it stays there, and the step is
αg/ε, 10⁸ times SGD's. With the correction v/(1-γᵗ) and γ → 1 (here 1 - 10⁻⁶) it is the mean of all
squares so far: AdaGrad's running mean, another path than SGD's (left; right, √v of φ₀). Where v
starts at 1 and is not corrected, at γ = 1 and ε = 0 (as RMSprop, which is Adam with β = 0 and no
correction), each step is SGD's, bit for bit (dots).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import GREEN, ORANGE, RED, fog, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

START = (-3.0, 1.0)
RATE = 0.08
STEPS = 30
GAMMA = 1 - 1e-6
VALLEY = fl.objectives.surfaces.QuadraticValley(10.0)


def run(optimizer: fl.Optimizer) -> NDArray[np.float64]:
    """All parameters on the way."""
    fit = fl.minimize(VALLEY, optimizer=optimizer, steps=STEPS, trajectory=True)
    path: NDArray[np.float64] = fit.trajectory
    return path


def paths() -> dict[str, NDArray[np.float64]]:
    """By what was run."""
    from_one = fl.RMSprop(np.array(START), lr=RATE, alpha=1.0, eps=0.0)
    from_one.state[0]["square_avg"][:] = 1
    return {
        "SGD": run(fl.SGD(np.array(START), lr=RATE)),
        "Adam, β = 0, γ → 1": run(fl.Adam(np.array(START), lr=RATE, betas=(0, GAMMA))),
        "γ = 1, v from 1": run(from_one),
    }


def figure() -> Figure:
    """Draw it."""
    runs = paths()
    _, adam, from_one = runs.values()
    drawn = new_figure(3.8)
    left, right = drawn.subplots(1, 2, width_ratios=(1.3, 1))
    fl.plot.loss_surface(
        VALLEY, extent=((-3.5, 0.9), (-1.2, 1.2)), cmap=fog(), colorbar=False, ax=left
    )
    fl.plot.trajectory(dict(list(runs.items())[:2]), ax=left)
    left.plot(*from_one.T, ".", color=GREEN, markersize=7, label="γ = 1, v from 1", zorder=6)
    left.legend(loc="lower right", framealpha=0.9)
    left.set_title("paths")

    t = np.arange(1, STEPS + 1)
    squares = np.array([VALLEY.gradient(phi)[0] ** 2 for phi in adam[:-1]])
    right.plot(t, np.sqrt(np.cumsum(squares) / t), "--", color=ORANGE, label="from 0, corrected")
    right.plot(t, np.ones(STEPS), "-", color=GREEN, label="from 1: SGD")
    right.plot(t, np.zeros(STEPS), "-.", color=RED, label="from 0, γ = 1")
    right.set(xlabel="step", ylabel="√v", title="what the gradient is divided by", ylim=(-0.2, 4.2))
    right.legend(loc="upper right", frameon=False)
    tidy(right)
    return drawn
