"""Chords of a convex and of a non-convex function.

Left: a convex function lies nowhere above a chord, here of log(exp 2x + exp −x), so every flat
place is a lowest one. Right: x cos πx rises above its chord from −0.4 to 1.25 (shaded), and has a
minimum that is not the lowest. Of 1,000 random chords in the range that is drawn, none is crossed
on the left, and 56 % are on the right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

import fallline as fl

from ._style import BLACK, BLUE, ORANGE, RED, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve: TypeAlias = Callable[[np.ndarray], np.ndarray]

RANGE = (-1.0, 2.0)


def convex(x: np.ndarray) -> np.ndarray:
    """A smooth maximum of two lines."""
    return fl.numerics.log_sum_exp([2 * x, -x], axis=0)


def wavy(x: np.ndarray) -> np.ndarray:
    """The risk of ``fl.objectives.surfaces.Risk``."""
    return np.asarray(x * np.cos(np.pi * x))


def chord(f: Curve, a: float, b: float) -> tuple[np.ndarray, ...]:
    """Points from a to b, f there, and the chord there."""
    x = np.linspace(a, b, 101)
    graph = f(x)
    return x, graph, np.interp(x, [a, b], graph[[0, -1]])


def crossed(f: Curve, chords: int = 1000) -> float:
    """Share of random chords that the function rises above."""
    rng = np.random.default_rng(0)
    count = 0
    for _ in range(chords):
        _, graph, line = chord(f, *np.sort(rng.uniform(*RANGE, 2)))
        count += bool((graph > line + 1e-12).any())
    return count / chords


def figure() -> Figure:
    """Draw it."""
    drawn = new_figure()
    for ax, f, a, b, title in (
        (drawn.add_subplot(1, 2, 1), convex, -0.8, 1.5, "convex"),
        (drawn.add_subplot(1, 2, 2), wavy, -0.4, 1.25, "not convex"),
    ):
        whole = np.linspace(*RANGE, 201)
        ax.plot(whole, f(whole), color=BLUE, label="function")
        x, graph, line = chord(f, a, b)
        ax.plot(x, line, "--", color=ORANGE, label="chord")
        ax.plot(x[[0, -1]], graph[[0, -1]], "o", color=BLACK)
        above = graph > line + 1e-12
        if above.any():
            ax.fill_between(
                x, graph, line, where=above, color=RED, alpha=0.4, label="above the chord"
            )
        ax.set(xlabel="$x$", ylabel="$f(x)$", title=title)
        ax.legend(loc="upper left")
        tidy(ax)
    return drawn
