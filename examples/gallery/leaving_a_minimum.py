"""Leaving a minimum that is too narrow.

"Gradient descent stays in the minimum that it has come to" holds for α < 2/λ, λ being the curvature
there. The function has a narrow minimum at 0 (λ = 19.5, 2/λ = 0.103), here its lowest, and two wide
ones at ±2 (λ = 1). All runs start 0.001 beside the narrow one. At α = 0.09 they go to it. At 0.12
they move away and end in a leap to and fro around it. At 0.4 they are thrown out, and settle in a
wide minimum, which is higher. Only a start at exactly 0, where the gradient is 0, stays at any α.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import BLACK, BLUE, GREEN, ORANGE, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

DEPTH, WIDTH = 0.8, 0.2  # of the narrow minimum
RATES = {0.09: BLUE, 0.12: ORANGE, 0.4: GREEN}
STEPS = 60


def height(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two wide minima and a narrow one between them."""
    return (x**2 - 4) ** 2 / 32 - DEPTH * np.exp(-(x**2) / (2 * WIDTH**2))


def slope(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Its derivative."""
    return (x**2 - 4) * x / 8 + DEPTH * x / WIDTH**2 * np.exp(-(x**2) / (2 * WIDTH**2))


def descend(rate: float, start: float = 1e-3) -> NDArray[np.float64]:
    """Where the steps of gradient descent lead."""
    f = fl.objectives.Function(lambda x: height(x)[0], slope, n_params=1)
    run = fl.minimize(f, [start], optimizer=fl.SGD, lr=rate, steps=STEPS, trajectory=True)
    path: NDArray[np.float64] = run.trajectory[:, 0]
    return path


def figure() -> Figure:
    """Draw it."""
    x = np.linspace(-2.9, 2.9, 581)
    drawn = new_figure(3.8)
    left, right = drawn.subplots(1, 2)
    left.plot(x, height(x), color="0.6", zorder=0)
    path = descend(0.4)
    left.plot(path, height(path), "-", color=GREEN, linewidth=0.8, alpha=0.6)
    left.plot(path, height(path), ".", color=GREEN, markersize=7)
    left.plot(path[0], height(path[:1]), "o", color="w", markeredgecolor=BLACK, label="start")
    left.plot(path[-1], height(path[-1:]), "*", color=GREEN, markersize=14, label="end, α = 0.4")
    left.set(xlabel="$x$", ylabel="$f(x)$", title="thrown out at α = 0.4")
    left.legend(loc="upper center", frameon=False)

    for (rate, color), style in zip(RATES.items(), ("-", "--", "-."), strict=True):
        right.plot(np.abs(descend(rate)), style, color=color, label=f"α = {rate:g}")
    right.set(yscale="log", xlabel="step", ylabel="$|x|$", title="distance from 0")
    right.legend(loc="lower left", frameon=False)
    tidy(left, right)
    return drawn
