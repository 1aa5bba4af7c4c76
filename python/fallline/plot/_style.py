"""Colours, and axes to draw on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLORS", "STYLES", "clean", "new_axes", "new_figure", "style", "whole_numbers"]

# Okabe & Ito (2008), told apart by colour-blind eyes; their yellow is too pale for a line.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000")
STYLES = ("-", "--", "-.", ":")  # the next for every round of colours


def style(i: int) -> dict[str, Any]:
    """Colour and line style of the i-th run."""
    return {
        "color": COLORS[i % len(COLORS)],
        "linestyle": STYLES[i // len(COLORS) % len(STYLES)],
    }


def new_figure(**options: Any) -> Any:
    """A figure outside of pyplot, which would keep it alive."""
    return require("matplotlib.figure", extra="plot").Figure(layout="constrained", **options)


def new_axes(ax: Axes | None) -> Axes:
    """`ax`, or those of a new figure."""
    require("matplotlib", extra="plot")
    if ax is None:
        fresh: Axes = new_figure().subplots()
        return fresh
    return ax


def clean(ax: Axes) -> None:
    """Faint grid, no frame where no axis is."""
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)


def whole_numbers(axis: Any) -> None:
    """Ticks at integers only."""
    axis.set_major_locator(require("matplotlib.ticker", extra="plot").MaxNLocator(integer=True))
