"""Line search by bracketing, step by step.

The function falls and rises once between a and d. Two points b and c cut the interval into thirds.
Where f(b) > f(c) the minimum cannot lie left of b, and a moves there; else it cannot lie right of
c, and d moves there. The grey third is what each step drops. Six steps leave (2/3)⁶, 9 %, of the
interval, and the dashed minimum in it (the lower row looks closer). Every step takes two new values
of the function; by the golden section (`fl.linesearch.golden_section`) one of the two is an old
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import BLACK, BLUE, RED, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 6


def f(x: float) -> float:
    """Falls and rises."""
    return float(np.exp(-x) + 0.1 * x**2)


def figure() -> Figure:
    """Draw it."""
    found = fl.linesearch.bracketing(f, -1, 5)
    drawn = new_figure(5.0)
    grid = drawn.subplots(2, STEPS // 2, sharex="row", sharey="row")
    for i, ax in enumerate(grid.flat):
        points, (kept, _, _, until) = found.brackets[i], found.brackets[i + 1]
        moved = kept > points[0]
        moves, low, high = ("a → b", points[0], kept) if moved else ("d → c", until, points[3])
        left, right, floor, top = ((-1, 5, -0.2, 3.4), (0.2, 2.3, 0.36, 0.86))[i // 3]
        x = np.linspace(left, right, 201)
        ax.axvspan(low, high, color="0.85")
        ax.plot(x, [f(at) for at in x], color=BLUE)
        ax.vlines(points, floor, [f(at) for at in points], color="0.6", linewidth=0.8)
        ax.vlines(found.x, floor, found.fun, color=RED, linestyle="--")
        ax.plot(points, [f(at) for at in points], "o", color=BLACK, markersize=4)
        for name, at in zip("abcd", points, strict=True):
            inwards = (3, "left") if at < found.x else (-3, "right")
            ax.annotate(
                name, (at, f(at)), (inwards[0], 4), textcoords="offset points", ha=inwards[1]
            )
        ax.set(title=f"{i + 1}: f(b) {'>' if moved else '≤'} f(c), {moves}", ylim=(floor, top))
        tidy(ax)
        ax.set_xlabel("$x$")
    for ax in grid[:, 0]:
        ax.set_ylabel("$f(x)$")
    return drawn
