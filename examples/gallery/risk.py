"""Risk and empirical risk.

The risk, x cos πx, is what one wants to be low; what one can compute from a sample is the empirical
risk, here with ripples, + 0.2 cos 5πx. Their minima differ in place and in number: two of the one
(rings), seven of the other (triangles). The lowest empirical risk, at 1.017, is not where the risk
is lowest, at 1.090: its minimizer pays 0.031 more risk than need be, and promises 0.16 less than
can be had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import fallline as fl

from ._style import BLUE, ORANGE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure() -> Figure:
    """Draw it."""
    surfaces = fl.objectives.surfaces
    drawn = new_figure()
    ax = drawn.subplots()
    for f, name, color, style, mark in (
        (surfaces.Risk(), "risk", BLUE, "-", "o"),
        (surfaces.EmpiricalRisk(), "empirical risk", ORANGE, "--", "v"),
    ):
        fl.plot.loss_curve(f, ax=ax, color=color, linestyle=style, label=name)
        lowest = min(f.minima, key=f.loss)
        for x in f.minima:
            ax.plot(x, f.loss(x), mark, color=color, markerfacecolor="w", markersize=7, zorder=3)
        best = ax.plot(lowest, f.loss(lowest), mark, color=color, label=f"lowest {name}")[0]
        best.set(markersize=10, zorder=4)
    ax.set(xlabel="parameter", ylabel="risk")
    ax.legend()
    return drawn
