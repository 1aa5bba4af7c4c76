"""The Gabor model and its training points.

The model is a wave under a bell, f(x) = sin(u) exp(-u²/32) with u = φ₀ + 0.06 φ₁ x. Left: φ₀ moves
the curve and φ₁ squeezes it. Right: 28 training points (seed 12), x uniform on [-15, 15], y the
curve of φ = (0, 16.6) with normal noise of standard deviation 0.17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._gabor import TRUTH, gabor, points
from ._style import BLACK, BLUE, GREEN, ORANGE, RED, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES = {(-5.0, 25.0): BLUE, (3.0, 15.0): ORANGE, (6.0, 8.0): GREEN}


def figure() -> Figure:
    """Draw it."""
    x = np.linspace(-15, 15, 401)
    drawn = new_figure()
    left, right = drawn.subplots(1, 2, sharey=True)
    for (phi, color), style in zip(CURVES.items(), ("-", "--", "-."), strict=True):
        left.plot(x, gabor(phi, x), style, color=color, label="φ = ({:g}, {:g})".format(*phi))
    left.set(xlabel="$x$", ylabel="$y$", title="curves for several parameters")

    right.plot(x, gabor(TRUTH, x), color=RED, label="φ = ({:g}, {:g})".format(*TRUTH))
    right.plot(*points(), "o", color=BLACK, markersize=4, label="training points")
    right.set(xlabel="$x$", title="training points and the true curve")
    for ax in (left, right):
        ax.set_ylim(-1.35, 1.6)
        ax.legend(ncols=3, loc="upper center", frameon=False, columnspacing=1, handlelength=1.6)
    tidy(left, right)
    return drawn
