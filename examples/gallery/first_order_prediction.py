"""First-order prediction against reality.

A step s down a slope of −1 changes the loss by −s, says the gradient (dashed). It really changes by
−s + λs²/2, with the curvature λ: it falls by more than was promised where λ is negative, by just so
much where it is 0, by less where it is positive. There the best step is 1/λ
(`fl.curvature.optimal_step`), which gains half of what was promised, and from 2/λ on nothing is
gained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import BLUE, ORANGE, RED, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVATURES = (-1, 0, 1)


def slope(curvature: int) -> fl.objectives.Function:
    """A slope of −1 at 0 that bends."""
    return fl.objectives.Function(
        lambda x: -x[0] + curvature * x[0] ** 2 / 2,
        lambda x: curvature * x - 1,
        lambda x: [[curvature]],
        n_params=1,
    )


def figure() -> Figure:
    """Draw it."""
    steps = np.linspace(0, 2.4, 49)
    drawn = new_figure(3.6)
    axes = drawn.subplots(1, 3, sharey=True)
    for ax, curvature in zip(axes, CURVATURES, strict=True):
        f = slope(curvature)
        changes = [fl.curvature.taylor_prediction(f, [0.0], [s]) for s in steps]
        predicted, real = (np.array([getattr(c, k) for c in changes]) for k in ("linear", "actual"))
        ax.fill_between(steps, predicted, real, color=BLUE, alpha=0.12, linewidth=0)
        ax.plot(steps, real, color=BLUE, label="real")
        ax.plot(steps, predicted, "--", color=ORANGE, label="predicted")
        ax.set(xlabel="step length", title=f"curvature λ = {curvature:g}".replace("-", "−"))
        if curvature > 0:
            best = fl.curvature.optimal_step(f, [0.0])
            ax.plot(best, f.loss([best]), "o", color=RED, label="best step, 1/λ")
            ax.plot(2 * best, 0, "s", color=RED, markerfacecolor="w", label="no gain, 2/λ")
    axes[0].set(ylabel="change of the loss", ylim=(-5.5, 0.8))
    axes[2].legend(loc="lower left")
    tidy(*axes)
    return drawn
