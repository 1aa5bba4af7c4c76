"""Softmax, naively and stably, in float32.

Left: softmax does not change when a number is added to all logits, here 0, 1 and 2. Computed as it
is written, exp(z)/Σ exp(z), it is NaN from 87 upwards, where exp overflows, and from −106
downwards, where all three are 0; shortly before, it is wrong, as the smallest numbers have few
digits. `fl.numerics.softmax` takes the largest logit off first. Right: the log-probability of a
class whose logit trails by z. Its probability is 0 in float32 from 104 on, and the naive logarithm
−∞; `fl.numerics.log_softmax` never forms it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import BLUE, ORANGE, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOGITS = np.array([0, 1, 2], np.float32)


def naive(z: np.ndarray) -> np.ndarray:
    """As it is written."""
    with np.errstate(all="ignore"):
        weights = np.exp(z)
        return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def void(ax: Axes, x: np.ndarray, where: np.ndarray, text: str, y: float) -> None:
    """Shade where there is no number, and say what there is instead."""
    for run in np.split(x[where], np.flatnonzero(np.diff(x[where]) > 1) + 1):
        ax.axvspan(run[0], run[-1], color="0.9", zorder=0)
        ax.text((run[0] + run[-1]) / 2, y, text, ha="center")


def figure() -> Figure:
    """Draw it."""
    drawn = new_figure()
    left, right = drawn.subplots(1, 2)
    added = np.arange(-150, 151, dtype=np.float32)
    shifted = LOGITS + added[:, None]
    left.plot(added, fl.numerics.softmax(shifted)[:, 2], color=BLUE, label="stable")
    left.plot(added, naive(shifted)[:, 2], "--", color=ORANGE, linewidth=3, label="naive")
    void(left, added, np.isnan(naive(shifted)[:, 2]), "NaN", 0.8)
    left.set(xlabel="added to every logit", ylabel="probability of the largest")
    left.legend(loc="upper center")

    trails = np.linspace(0, 130, 261, dtype=np.float32)
    logits = np.stack([-trails, np.zeros_like(trails)], axis=1)
    with np.errstate(divide="ignore"):
        log_naive = np.log(naive(logits))[:, 0]
    right.plot(trails, fl.numerics.log_softmax(logits)[:, 0], color=BLUE, label="stable")
    right.plot(trails, log_naive, "--", color=ORANGE, linewidth=3, label="naive")
    void(right, trails, np.isinf(log_naive), "−∞", -40)
    right.set(xlabel="how far the class trails", ylabel="its log-probability")
    right.legend(loc="lower left")
    tidy(left, right)
    return drawn
