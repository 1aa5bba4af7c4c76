"""The loss over a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .._extras import require
from .._types import Array
from ..grid import losses_at, points_at_once
from ..linesearch._line import check_count
from ..objectives.base import Batch, Objective
from ._plane import PLANES, Plane, choose_plane
from ._style import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

__all__ = ["Extent", "draw", "loss_surface"]

Extent: TypeAlias = "tuple[tuple[float, float], tuple[float, float]]"

# Range of the losses, in units of median less lowest, from which the low ones look alike: it is 3
# of a quadratic bowl over a square, 6 of Rosenbrock's and Himmelblau's functions.
LONG_TAIL = 5.0


def loss_surface(
    objective: Objective,
    center: npt.ArrayLike | None = None,
    directions: Any = None,
    *,
    extent: Extent | None = None,
    resolution: int = 101,
    levels: int = 15,
    log: bool | None = None,
    batch: Batch = None,
    seed: int = 0,
    cmap: str | Colormap = "Blues",
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the loss as a heat map with contours.

    .. math:: (a, b) \mapsto L(φ_0 + a u + b v)

    Of an objective of two parameters, the loss over both; of a larger one, a slice.

    Parameters
    ----------
    objective : Objective
        What is drawn.
    center : array_like, shape (n_params,), optional
        φ₀, in the middle of a slice.
    directions : {"random", "eigen"} or pair of array_like, optional
        u and v. "random" (the default of a slice) draws them from a normal distribution and gives
        each filter, a row of a weight matrix or a whole vector, the length of the parameters' own
        (Li et al. 2018), so that the pictures of different models compare; "eigen" takes the
        Hessian's eigenvectors of the largest and the smallest eigenvalue at the center.
    extent : ((float, float), (float, float)), optional
        Ends of both axes; the objective's ``domain`` where it has one, else 1 (or of a surface, 2)
        to either side.
    resolution : int
        Points along each axis, at least 2.
    levels : int
        Number of contours, 0 for none.
    log : bool, optional
        Whether colours and contours stretch the low losses; by default, where they would not be
        told apart.
    batch : array_like of int, optional
        Samples; all by default.
    seed : int
        Of random directions.
    cmap : str or Colormap
        A colour map of matplotlib's. Losses that are not finite are left grey.
    colorbar : bool
        Whether a bar beside says which loss a colour stands for.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        :func:`trajectory` draws onto it.

    Raises
    ------
    ImportError
        matplotlib is missing (extra ``plot``).
    TypeError, ValueError
        An argument is not as described, directions span no plane, or no loss is finite.

    Examples
    --------
    >>> import fallline as fl
    >>> ax = fl.plot.loss_surface(fl.objectives.surfaces.Himmelblau(), resolution=21)
    >>> tuple(map(float, ax.get_xlim()))
    (-5.0, 5.0)

    References
    ----------
    Li et al. (2018), Visualizing the loss landscape of neural nets, section 4.
    """
    plane = choose_plane(objective, center, directions, seed)
    if extent is None:
        extent = _extent(objective, plane)
    ends = _checked(extent)
    _, indices = objective._check(plane.center, batch)
    losses = evaluate(objective, plane, ends, check_count("resolution", resolution), indices)
    ax = draw(new_axes(ax), plane, losses, ends, levels, log, cmap, colorbar)
    minima = getattr(objective, "minima", None)
    if minima is not None and objective.n_params == 2 and directions is None:
        ax.plot(*minima.T, "+", color="0.3", scalex=False, scaley=False)
    return ax


def _extent(objective: Objective, plane: Plane) -> Extent:
    domain = getattr(objective, "domain", None)
    if domain is not None and plane.names[0] == "$φ_0$":
        (a, b), (c, d) = domain.tolist()
        return (a, b), (c, d)
    reach = 2.0 if objective.n_params == 2 else 1.0
    return (-reach, reach), (-reach, reach)


def _checked(extent: Any) -> Extent:
    ends = np.asarray(extent, np.float64)
    if ends.shape != (2, 2) or not np.isfinite(ends).all() or not (ends[:, 0] < ends[:, 1]).all():
        raise ValueError(f"extent must be two pairs (low, high), not {extent!r}")
    (a, b), (c, d) = ends.tolist()
    return (a, b), (c, d)


def evaluate(
    objective: Objective, plane: Plane, extent: Extent, resolution: int, batch: Array | None
) -> Array:
    """Losses on a grid, a row for each value of the second coordinate."""
    if resolution < 2:
        raise ValueError(f"resolution must be at least 2, not {resolution}")
    a, b = (np.linspace(*ends, resolution) for ends in extent)
    where = np.stack([np.tile(a, resolution), np.repeat(b, resolution)], axis=1)
    losses = np.empty(len(where))
    step = points_at_once(objective, batch)
    for begin in range(0, len(where), step):
        points = plane.points(where[begin : begin + step]).astype(objective.dtype)
        losses[begin : begin + step] = losses_at(objective, points, batch)
    return losses.reshape(resolution, resolution)


def draw(
    ax: Axes,
    plane: Plane,
    losses: Array,
    extent: Extent,
    levels: int,
    log: bool | None,
    cmap: str | Colormap,
    colorbar: bool = True,
) -> Axes:
    """Heat map and contours of losses on a grid."""
    colors = require("matplotlib.colors", extra="plot")
    finite = np.isfinite(losses)
    if not finite.any():
        raise ValueError("no loss is finite within the extent: there is nothing to draw")
    low, middle, high = np.quantile(losses[finite], [0, 0.5, 1])
    shown = np.ma.array(np.where(finite, losses, low), mask=~finite)
    long_tail = bool(high - low > LONG_TAIL * (middle - low))
    norm, heights = _norm(colors, low, middle, high, levels, long_tail if log is None else log)
    ax.set_facecolor("0.8")
    image = ax.imshow(
        shown,
        origin="lower",
        extent=(*extent[0], *extent[1]),
        aspect="auto",
        norm=norm,
        cmap=cmap,
        interpolation="bilinear",
    )
    if levels and high > low:
        x, y = (np.linspace(*ends, len(losses)) for ends in extent)
        ax.contour(x, y, shown, heights, colors="k", linewidths=0.6, alpha=0.35, linestyles="solid")
    if colorbar:
        _bar(ax, image, heights)
    ax.set(xlabel=plane.names[0], ylabel=plane.names[1], xlim=extent[0], ylim=extent[1])
    PLANES[ax] = plane
    return ax


def _bar(ax: Axes, image: Any, heights: Array) -> None:
    """Which loss a colour stands for, at some of the contours."""
    bar = ax.figure.colorbar(image, ax=ax, label="loss")
    if heights.size:
        ticks = heights[:: max(1, len(heights) // 5)].tolist()
        bar.set_ticks(ticks, labels=[f"{t:.3g}" for t in ticks])
        bar.minorticks_off()


def _norm(
    colors: Any, low: float, middle: float, high: float, levels: int, log: bool
) -> tuple[Any, Array]:
    """How losses become colours, and the heights of the contours, evenly spaced in colour."""
    unit = max((middle - low) / 30, (high - low) * 1e-9) or 1.0

    def forward(loss: Any) -> Any:
        return np.log1p(np.maximum(loss - low, 0) / unit)

    def inverse(shade: Any) -> Any:
        return low + unit * np.expm1(shade)

    if high == low:
        return colors.Normalize(low, low + 1), np.empty(0)
    if not log:
        return colors.Normalize(low, high), np.linspace(low, high, levels + 2)[1:-1]
    heights = inverse(np.linspace(0, forward(high), levels + 2)[1:-1])
    return colors.FuncNorm((forward, inverse), low, high), heights
