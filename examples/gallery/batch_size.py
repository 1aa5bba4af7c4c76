"""What the batch size does.

Least squares with 10 parameters and 1,000 samples. Left: how far a batch's gradient is from the
whole one at the start (root mean square over 400 batches): it falls as 1/√B (dashed), and faster
where the batch is no small part of the samples. Middle: SGD at one learning rate, 0.02. By the
step, all batch sizes fall alike, until the noise stops them, a batch of 1 near 0.3, of 8 near 0.02,
of 64 near 0.0008. Right: the same runs by the samples they have read. Small batches get down with
the fewest, and are the first to get stuck.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import BLACK, new_figure, shades, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (1, 8, 64, 512)
STYLES = ("-", "--", "-.", ":")
STEPS = 2000


@cache
def regression() -> tuple[fl.objectives.LinearRegression, float]:
    """The objective, and its lowest value."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 10))
    f = fl.objectives.LinearRegression(X, X @ rng.normal(size=10) + rng.normal(size=1000))
    return f, fl.minimize(f, optimizer=fl.Newton).fun


def spread(size: int) -> float:
    """Root mean square distance of a batch's gradient from the whole one."""
    f, _ = regression()
    phi, rng = f.initial(), np.random.default_rng(1)
    whole = f.gradient(phi)
    batches = (rng.choice(1000, size, replace=False) for _ in range(400))
    squares = [np.sum((f.gradient(phi, batch) - whole) ** 2) for batch in batches]
    return float(np.sqrt(np.mean(squares)))


def descend(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps, evenly in the logarithm, and the mean excess loss from each to the next."""
    f, lowest = regression()
    run = fl.minimize(f, None, fl.SGD, 0.02, size, steps=STEPS, trajectory=True, progress=False)
    excess = np.array([f.loss(phi) for phi in run.trajectory]) - lowest
    edges = np.unique(np.geomspace(1, STEPS, 40).astype(int))
    means = np.add.reduceat(excess, edges[:-1]) / np.diff(edges, append=len(excess))[:-1]
    return edges[:-1], means


def figure() -> Figure:
    """Draw it."""
    drawn = new_figure()
    left, middle, right = drawn.subplots(1, 3)
    sizes = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256, 512])
    spreads = [spread(int(size)) for size in sizes]
    left.plot(sizes, spreads[0] / np.sqrt(sizes), "--", color="0.5", label="$∝ 1/\\sqrt{B}$")
    left.plot(sizes, spreads, "o", color=BLACK, markersize=4, label="measured")
    left.set(xlabel="batch size $B$", ylabel="noise of the gradient", xscale="log", yscale="log")
    left.legend()
    for size, color, style in zip(SIZES, shades(len(SIZES)), STYLES, strict=True):
        steps, excess = descend(size)
        look = {"color": color, "linestyle": style, "label": f"$B = {size}$"}
        middle.plot(steps, excess, **look)
        right.plot(steps * size, excess, **look)
    middle.set(xlabel="steps", ylabel="loss above the lowest", xscale="log", yscale="log")
    right.set(xlabel="samples read", xscale="log", yscale="log", ylabel="loss above the lowest")
    for ax in (middle, right):
        ax.set_ylim(1e-6, 30)
    right.legend(loc="lower left")
    tidy(left, middle, right)
    return drawn
