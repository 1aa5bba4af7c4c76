"""The weights that momentum gives to past gradients.

Left: how much the gradient of k steps ago counts in a step: (1 − β)βᵏ in `fl.Momentum`, a mean of
about the last 1/(1 − β) gradients. `fl.HeavyBall`, a sum, has βᵏ: the same curve, 1/(1 − β) times
as high. With β = 0 it is the last gradient alone. Measured: parameter i has a gradient of 1 at step
i alone, so the last step moves it by the weight of that gradient. Right: the weights' sum, by the
number of steps taken: 1 − βᵗ, as a mean that starts at 0 is too small at first. Adam divides by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import fallline as fl

from ._style import BLUE, GREEN, ORANGE, RED, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BETAS = {0.0: (BLUE, "o"), 0.5: (ORANGE, "s"), 0.9: (GREEN, "^"), 0.97: (RED, "v")}
STEPS = 40


def weights(optimizer: type[fl.Optimizer], **hyperparameters: Any) -> np.ndarray:
    """Row t: what each gradient so far counts in step t."""
    x = np.zeros(STEPS)
    opt = optimizer(x, lr=1.0, **hyperparameters)
    rows = []
    for impulse in np.eye(STEPS):
        before = x.copy()
        opt.step(impulse)
        rows.append(before - x)
    return np.array(rows)


def figure() -> Figure:
    """Draw it."""
    drawn = new_figure()
    left, right = drawn.subplots(1, 2)
    for beta, (color, mark) in BETAS.items():
        rows = weights(fl.Momentum, beta=beta)
        look = {"color": color, "marker": mark, "markersize": 4, "label": f"$β = {beta:g}$"}
        left.plot(rows[-1, ::-1], **look)
        right.plot(np.arange(1, STEPS + 1), rows.sum(axis=1), **look)
    left.set(xlabel="age of the gradient, steps", ylabel="weight", yscale="log", ylim=(1e-3, 1.5))
    right.set(xlabel="steps taken", ylabel="sum of the weights", ylim=(0, 1.05))
    left.legend()
    tidy(left, right)
    return drawn
