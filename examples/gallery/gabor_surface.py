"""The Gabor model's loss surface.

The sum of squares over the 28 points. L-BFGS from 100 starts (a grid over the window) ends in the
minima; plain Newton steps from the same starts are drawn to critical points of any kind. The
Hessian's eigenvalues tell which is which: both positive at minima, of both signs at saddles. Right:
the curves at the six lowest minima. The global minimum A, at φ = (0.02, 16.6), has a loss of 0.64;
at the local ones the wave lies elsewhere and misses the large values in the middle.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

import fallline as fl

from ._gabor import WINDOW, gabor, loss, points
from ._style import BLACK, BLUE, ORANGE, RED, fog, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

EDGE = 0.2  # from the window's, within which there are no markers


def critical_points(f: fl.objectives.Gabor, method: type) -> dict[str, Points]:
    """Those within the window where a method ends, by what the Hessian says; lowest loss first."""
    low, high = np.transpose(WINDOW)
    grid = np.stack(np.meshgrid(*np.linspace(low, high, 10).T), -1).reshape(-1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fl.SaddleWarning)  # they are looked for
        ends = fl.multistart(f, grid, optimizer=method, steps=25, workers=1).results
    found: dict[str, dict[tuple[float, ...], Points]] = {}
    for end in sorted((end for end in ends if end is not None), key=lambda end: end.fun):
        if (low + EDGE < end.x).all() and (end.x < high - EDGE).all():
            verdict = fl.curvature.critical_point(f, end.x).verdict
            found.setdefault(verdict, {}).setdefault(tuple(end.x.round(3)), end.x)
    return {verdict: np.array(list(at.values())) for verdict, at in found.items()}


def figure() -> Figure:
    """Draw it."""
    f = loss()
    minima = critical_points(f, fl.LBFGS)["local minimum"]
    saddles = critical_points(f, fl.Newton)["saddle"]

    drawn = new_figure(4.6)
    parts: Any = drawn.subfigures(1, 2, width_ratios=(1.2, 1))
    left, right = parts
    ax = left.subplots()
    fl.plot.loss_surface(f, extent=WINDOW, resolution=121, cmap=fog(), ax=ax)
    ax.plot(*saddles.T, "x", color=BLUE, markersize=7, markeredgewidth=2, label="saddles")
    ax.plot(*minima[1:].T, "o", color=ORANGE, markeredgecolor="k", label="local minima")
    ax.plot(*minima[0], "*", color=RED, markeredgecolor="k", markersize=15, label="global minimum")
    for letter, at in zip("ABCDEF", minima, strict=False):
        ax.annotate(letter, at, (7, 3), textcoords="offset points", weight="bold")
    left.legend(loc="outside upper center", ncols=3, frameon=False, handletextpad=0.2)

    panels = right.subplots(3, 2, sharex=True, sharey=True)
    for letter, at, small in zip("ABCDEF", minima, panels.flat, strict=False):
        _fit(small, letter, at, f.loss(at))
    for small in panels[:, 0]:
        small.set_ylabel("$y$")
    for small in panels[-1]:
        small.set_xlabel("$x$")
    return drawn


def _fit(ax: Axes, letter: str, phi: Points, loss: float) -> None:
    """The curve at a minimum."""
    x = np.linspace(-15, 15, 301)
    ax.plot(*points(), "o", color=BLACK, markersize=2.5)
    ax.plot(x, gabor(tuple(phi), x), color=RED if letter == "A" else ORANGE)
    ax.set_title(f"{letter}: loss {loss:.2f}", fontsize="medium")
    tidy(ax)
