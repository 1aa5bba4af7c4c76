"""The d! equivalent minima of a network.

Left: a network of one hidden layer of three rectified linear units, fitted to 40 points. To
exchange its units, with their weights, changes nothing that it computes: 3! = 6 minima of equal
loss. Right: the loss over the plane through three of them (stars), where every unit takes the place
of the next. The straight way from one to another climbs to 290 times their loss. With d units there
are d! such minima, 3.6 million with ten. (Each is a whole set of minima here: what a unit's weights
are scaled up by, its weight in the output can be scaled down by.)
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import BLACK, BLUE, GREEN, ORANGE, RED, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def network() -> fl.objectives.ShallowReLU:
    """Three units, and 40 points around a line with two kinks."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 4, 40)
    y = np.interp(x, [0, 1, 2.5, 4], [0, 1.2, 0.3, 1.5]) + 0.05 * rng.normal(size=40)
    return fl.objectives.ShallowReLU(x, y, hidden=3)


def fit(f: fl.objectives.ShallowReLU) -> np.ndarray:
    """The best of 20 fits."""
    fits = fl.multistart(f, 20, optimizer=fl.LBFGS, steps=300, progress=False)
    return np.asarray(fits.best.x)


def equivalent(f: fl.objectives.ShallowReLU, phi: np.ndarray) -> list[np.ndarray]:
    """The parameters with the units in every order."""
    orders = []
    for order in permutations(range(f.hidden)):
        orders.append(phi.copy())
        parts = f.unpack(orders[-1])
        for name in ("phi", "theta0", "theta1"):
            parts[name][:] = f.unpack(phi)[name][list(order)]
    return orders


def figure() -> Figure:
    """Draw it."""
    f = network()
    phi = fit(f)
    minima = equivalent(f, phi)
    drawn = new_figure()
    left, right = drawn.subplots(1, 2)
    x = np.linspace(0, 4, 201)
    left.plot(f.points.x, f.points.y, ".", color="0.5")
    left.plot(x, f.predict(phi, x), color=BLACK, linewidth=2.5, label="network")
    parts = f.unpack(phi)
    for k, (color, style) in enumerate(((BLUE, "--"), (ORANGE, "-."), (GREEN, ":"))):
        unit = parts["phi"][k] * np.maximum(0, parts["theta0"][k] + parts["theta1"][k] * x)
        left.plot(x, unit, color=color, linestyle=style, label=f"unit {k + 1}")
    left.set(xlabel="$x$", ylabel="$y$", ylim=(-2, 3))
    left.legend(ncols=2)
    tidy(left)

    cycles = np.array([minima[0], minima[3], minima[4]])  # all units move on by one place, or two
    center = cycles.mean(axis=0)
    u, v = np.linalg.svd(cycles - center, full_matrices=False)[2][:2]
    fl.plot.loss_surface(f, center, (u, v), extent=((-7, 7), (-7, 7)), log=True, ax=right)
    right.plot(*((cycles - center) @ np.array([u, v]).T).T, "*", color=RED, markersize=14)
    right.set(aspect="equal", xlabel="distance in the plane", ylabel="distance in the plane")
    return drawn
