"""What the figures share: sizes and colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fallline.plot import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, SKY, PINK, BLACK = COLORS  # Okabe & Ito's, told apart by all eyes
WIDTH = 9.0  # inches, at 10 points: readable at half of the 1,350 pixels that it is drawn with


def new_figure(height: float = 3.8, width: float = WIDTH) -> Figure:
    """A figure that pyplot knows nothing of."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def shades(n: int, name: str = "viridis_r") -> list[Any]:
    """Colours for n steps in order, from light to dark; pale yellow is left out."""
    from matplotlib import colormaps

    return [colormaps[name](0.15 + 0.85 * i / max(1, n - 1)) for i in range(n)]


def fog() -> Colormap:
    """For losses, low in white: grey enough that paths in any colour stand out."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("fog", ["1.0", "0.5"])


def tidy(*axes: Axes) -> None:
    """Faint grid, no frame where no axis is."""
    for ax in axes:
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
