"""Paths of optimizers over the loss, and runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .._extras import require
from .._types import Array
from ..objectives.base import Objective
from ._history import history
from ._plane import PLANES, Plane
from ._style import new_axes, new_figure, style
from ._surface import Extent, draw, evaluate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["compare", "trajectory"]

MARGIN = 0.15  # around the paths, as a share of their range


def trajectory(
    paths: Mapping[str, Any] | Any,
    objective: Objective | None = None,
    *,
    plane: Plane | None = None,
    resolution: int = 101,
    levels: int = 15,
    log: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the paths of one or several optimizers, from a ring to a star.

    Parameters
    ----------
    paths
        Parameters step by step, shape (steps, n_params), by name, or those of a single run; also
        what has them as ``trajectory``.
    objective : Objective, optional
        Its loss is drawn below, in the range of the paths. Not needed on axes that
        :func:`loss_surface` has drawn on, whose plane and range stay.
    plane : Plane, optional
        What to project the paths onto; by default that of the axes, both parameters if there are
        two, else the principal plane of the paths, through their last points.
    resolution, levels, log
        Of the loss, as in :func:`loss_surface`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With a line for each path.

    Raises
    ------
    ImportError
        matplotlib is missing (extra ``plot``).
    TypeError, ValueError
        A path has another shape, or there is none.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> f = fl.objectives.surfaces.QuadraticValley(10)
    >>> descent = fl.GradientDescent(f, [10.0, 1.0], "exact_quadratic")
    >>> path = [descent.x] + [descent.x for _ in range(5) if descent.step().success]
    >>> ax = fl.plot.trajectory({"exact steps": path}, f, resolution=21)
    >>> [line.get_label() for line in ax.get_lines()][:1]
    ['exact steps']

    References
    ----------
    Li et al. (2018), Visualizing the loss landscape of neural nets, section 7.
    """
    runs = _paths(paths)
    ax = new_axes(ax)
    drawn = PLANES.get(ax)
    plane = plane or drawn or _principal(runs)
    lines = {name: plane.project(path) for name, path in runs.items()}
    if drawn is None:
        extent = _range(np.concatenate(list(lines.values())))
        if objective is not None:
            losses = evaluate(objective, plane, extent, resolution, None)
            draw(ax, plane, losses, extent, levels, log, "Blues")
        else:
            ax.set(xlabel=plane.names[0], ylabel=plane.names[1], xlim=extent[0], ylim=extent[1])
            PLANES[ax] = plane
    outline = require("matplotlib.patheffects", extra="plot").withStroke(
        linewidth=3, foreground="w"
    )
    for i, (name, line) in enumerate(lines.items()):
        own = style(i)
        ax.plot(*line.T, label=name, linewidth=1.5, path_effects=[outline], zorder=3, **own)
        marks = {"color": own["color"], "markeredgecolor": "w", "linestyle": "", "zorder": 4}
        if len(line) <= 60:
            ax.plot(*line.T, marker=".", markersize=4, **{**marks, "markeredgewidth": 0})
        ax.plot(*line[0], marker="o", **{**marks, "color": "w", "markeredgecolor": own["color"]})
        ax.plot(*line[-1], marker="*", markersize=12, **marks)
    if _several(paths):
        ax.legend(framealpha=0.9)
    return ax


def compare(
    runs: Mapping[str, Any],
    objective: Objective | None = None,
    *,
    log: bool | None = None,
    xlabel: str = "step",
    figure: Figure | None = None,
) -> Figure:
    """Draw runs side by side: their paths over the loss, and their loss curves.

    Parameters
    ----------
    runs : mapping
        By name, what has ``history`` (and ``trajectory``), or a path of shape (steps, n_params),
        whose losses the objective tells, or a row of losses.
    objective : Objective, optional
        What was minimized. With it, and a path of every run, there is a picture of the paths.
    log : bool, optional
        Whether the losses' axis is logarithmic, as in :func:`history`.
    xlabel : str
        What the loss curves run over.
    figure : matplotlib.figure.Figure, optional
        Where to draw; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure
        Of two axes, or one without paths.

    Raises
    ------
    ImportError
        matplotlib is missing (extra ``plot``).
    TypeError, ValueError
        A run is none of these, or there is none.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> f = fl.objectives.surfaces.Rosenbrock()
    >>> runs = {}
    >>> for rule in (fl.SGD, fl.Adam):
    ...     x = np.array([-1.0, 1.0])
    ...     optimizer, path = rule(x, lr=1e-3), [x.copy()]
    ...     for _ in range(20):
    ...         optimizer.step(f.gradient(x))
    ...         path.append(x.copy())
    ...     runs[rule.__name__] = path
    >>> len(fl.plot.compare(runs, f).axes)  # and the colour bar
    3
    """
    if not _several(runs) or not runs:
        raise ValueError("runs must be a mapping from names to at least one run")
    paths = {name: _path(run) for name, run in runs.items()}
    pictured = objective is not None and all(path is not None for path in paths.values())
    if figure is None:
        figure = new_figure(figsize=(11, 4.5) if pictured else (6.4, 4.8))
    axes = figure.subplots(1, 2 if pictured else 1, squeeze=False)[0]
    if pictured:
        trajectory(paths, objective, ax=axes[0])
        axes[0].get_legend().remove()  # the one beside serves both
    curves = {name: _losses(name, run, paths[name], objective) for name, run in runs.items()}
    history(curves, ax=axes[-1], xlabel=xlabel, log=log)
    return figure


def _several(runs: Any) -> bool:
    """Whether it is a mapping by name, and no single result, which may be a dict as well."""
    return isinstance(runs, Mapping) and not hasattr(runs, "trajectory")


def _path(run: Any) -> Array | None:
    path = getattr(run, "trajectory", None if hasattr(run, "history") else run)
    if path is None:
        return None
    array = np.asarray(path, np.float64)
    return array if array.ndim == 2 else None


def _losses(name: str, run: Any, path: Array | None, objective: Objective | None) -> Any:
    if hasattr(run, "history"):
        return run.history
    if path is None:
        return run
    if objective is None:
        raise ValueError(f"runs[{name!r}] is a path; objective must be given to tell its losses")
    phi = path.astype(objective.dtype)
    with np.errstate(all="ignore"):
        return np.array([objective._evaluate(point, None, None) for point in phi])


def _paths(paths: Any) -> dict[str, Array]:
    """Paths by name, fit to be drawn."""
    given = paths if _several(paths) else {"paths": paths}
    if not given:
        raise ValueError("paths is empty: there is nothing to draw")
    found = {}
    for name, run in given.items():
        path = np.asarray(getattr(run, "trajectory", run), np.float64)
        what = f"paths[{name!r}]" if _several(paths) else name
        if path.ndim != 2 or not len(path) or path.shape[1] < 2:
            raise ValueError(f"{what} has shape {path.shape}; expected (steps, n_params ≥ 2)")
        good: Array = np.asarray(np.isfinite(path).all(axis=1))
        if not good[0]:
            raise ValueError(f"{what} starts at parameters that are not finite")
        found[name] = path if good.all() else path[: int(np.argmin(good))]
    if len({path.shape[1] for path in found.values()}) > 1:
        raise ValueError("paths differ in their number of parameters")
    return found


def _principal(runs: Mapping[str, Array]) -> Plane:
    """The plane nearest to all points, through the mean of the last ones."""
    points = np.concatenate(list(runs.values()))
    n = points.shape[1]
    if n == 2:
        return Plane([0, 0], [1, 0], [0, 1], ("$φ_0$", "$φ_1$"))
    center = np.mean([path[-1] for path in runs.values()], axis=0)
    axes = np.linalg.svd(points - center, full_matrices=False)[2]
    if len(axes) < 2 or not np.isfinite(axes).all():
        axes = np.eye(2, n)
    return Plane(center, axes[0], axes[1], ("first principal direction", "second"))


def _range(points: Array) -> Extent:
    low, high = points.min(axis=0), points.max(axis=0)
    reach = np.maximum(high - low, 0.1 * float((high - low).max()) or 1.0)
    middle = (low + high) / 2
    (a, b), (c, d) = zip(
        (middle - reach * (0.5 + MARGIN)).tolist(),
        (middle + reach * (0.5 + MARGIN)).tolist(),
        strict=True,
    )
    return (a, b), (c, d)
