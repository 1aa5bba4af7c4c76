"""Gradient descent with a line search.

Linear regression: a line is fitted to 12 points (seed 4), from slope -0.4 and intercept 2. Each
step goes down the gradient to the lowest point along it, found by bracketing, so it is orthogonal
to the one before (the axes are scaled differently, which hides the right angles). Left: the loss,
the path, and the least-squares solution (+). Right: the points and the line after each step. After
four steps less than 0.2 % of the loss that could be shed is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import BLACK, fog, new_figure, shades, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 4


def points() -> tuple[np.ndarray, np.ndarray]:
    """Twelve, around a line."""
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 2, 12)
    return x, 0.8 + 0.5 * x + rng.normal(0, 0.12, 12)


def descend(f: fl.objectives.LinearRegression) -> list[np.ndarray]:
    """The parameters before the first step and after each."""
    descent = fl.GradientDescent(f, [-0.4, 2.0], line_search="bracketing")
    return [descent.x, *(descent.x for _ in range(STEPS) if descent.step().success)]


def figure() -> Figure:
    """Draw it."""
    x, y = points()
    f = fl.objectives.LinearRegression(x[:, None], y)
    path = descend(f)
    best = fl.minimize(f, optimizer=fl.Newton).x

    drawn = new_figure()
    left, right = drawn.subplots(1, 2)
    fl.plot.loss_surface(f, extent=((-0.7, 1.7), (-0.4, 2.4)), cmap=fog(), ax=left)
    fl.plot.trajectory(path, ax=left)
    left.plot(*best, "+", color=BLACK, markersize=13, zorder=5)
    left.set(xlabel="slope", ylabel="intercept", title="loss and path")

    ends = np.array([0.0, 2.0])
    names = ["start", *(f"step {i + 1}" for i in range(STEPS))]
    for name, color, phi in zip(names, shades(len(path)), path, strict=True):
        left.plot(*phi, "o", color=color, markeredgecolor=BLACK, markersize=7, zorder=6)
        right.plot(ends, phi[1] + phi[0] * ends, color=color, label=name)
    right.plot(x, y, "o", color=BLACK, markersize=5)
    right.set(xlabel="$x$", ylabel="$y$", title="points and fits")
    right.legend(ncols=2, frameon=False)
    tidy(right)
    return drawn
