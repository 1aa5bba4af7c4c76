"""Pictures of line searches and of eigenvalues."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..curvature import CriticalPoint
from ..linesearch import LineSearchResult
from ._style import COLORS, clean, new_axes, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["brackets", "spectrum"]

STEEP = 1e4  # ratio of values from which a linear axis would show the largest ones alone


def brackets(
    result: LineSearchResult,
    f: Callable[[float], Any] | None = None,
    *,
    limit: int = 20,
    ax: Axes | None = None,
) -> Axes:
    """Draw the intervals of a line search, the first at the top, under the function.

    Parameters
    ----------
    result : LineSearchResult
        What a search of :mod:`fallline.linesearch` returned.
    f : callable, optional
        What was searched; drawn in grey, on an axis of its own.
    limit : int
        Most intervals to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Of the intervals.

    Raises
    ------
    ImportError
        matplotlib is missing (extra ``plot``).
    ValueError
        The search had no intervals.

    Examples
    --------
    >>> import fallline as fl
    >>> found = fl.linesearch.golden_section(lambda x: (x - 2) ** 2, 0, 3)
    >>> fl.plot.brackets(found).get_ylabel()
    'iteration'
    """
    rows = result.brackets[:limit]
    if not len(rows):
        raise ValueError(f"the search had no intervals: {result.message}")
    ax = new_axes(ax)
    low, high = rows[:, 0], rows[:, -1]
    levels = np.arange(len(rows))
    if f is not None:
        _curve(ax, f, float(low.min()), float(high.max()))
    ax.hlines(levels, low, high, color=COLORS[0], linewidth=2)
    inner = rows[:, 1:-1]
    if inner.size:
        at = np.repeat(levels, inner.shape[1])
        ax.plot(inner.ravel(), at, ".", color=COLORS[1], label="interior points")
    ax.plot([*low, *high], [*levels, *levels], "|", color=COLORS[0], markersize=9)
    ax.axvline(
        result.x, color=COLORS[3], linewidth=1, linestyle="--", label=f"found: {result.x:.6g}"
    )
    ax.set(xlabel="$x$", ylabel="iteration", ylim=(len(rows) - 0.4, -0.6))
    whole_numbers(ax.yaxis)
    clean(ax)
    ax.legend(loc="lower right", framealpha=0.9)
    return ax


def _curve(ax: Axes, f: Callable[[float], Any], low: float, high: float) -> None:
    x = np.linspace(low, high, 401)
    with np.errstate(all="ignore"):
        values = np.array([float(f(at)) for at in x])
    values = np.where(np.isfinite(values), values, np.nan)
    beside = ax.twinx()
    beside.plot(x, values, color="0.6", zorder=0)
    if 0 < np.nanmin(values, initial=np.inf) < np.nanmax(values, initial=0) / STEEP:
        beside.set_yscale("log")
    beside.set_ylabel("$f(x)$", color="0.4")
    beside.tick_params(axis="y", colors="0.4")
    beside.spines["top"].set_visible(False)
    ax.set_zorder(beside.get_zorder() + 1)
    ax.patch.set_visible(False)


def spectrum(
    eigenvalues: CriticalPoint | npt.ArrayLike, *, log: bool | None = None, ax: Axes | None = None
) -> Axes:
    """Draw eigenvalues in ascending order: negative, about 0, positive.

    Parameters
    ----------
    eigenvalues : CriticalPoint or array_like, shape (k,)
        What :func:`fallline.curvature.critical_point` returned, or numbers.
    log : bool, optional
        Whether the axis is logarithmic (linear about 0); by default, where magnitudes range over
        more than a factor of 30.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the verdict as its title, if there is one.

    Raises
    ------
    ImportError
        matplotlib is missing (extra ``plot``).
    ValueError
        There are no eigenvalues, or one is not finite.

    Examples
    --------
    >>> import fallline as fl
    >>> saddle = fl.curvature.critical_point(fl.objectives.surfaces.Saddle(), [0.0, 0.0])
    >>> fl.plot.spectrum(saddle).get_title()
    'saddle'
    """
    point = eigenvalues if isinstance(eigenvalues, CriticalPoint) else None
    values = np.sort(np.asarray(point.eigenvalues if point else eigenvalues, np.float64))
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"eigenvalues must be a row of finite numbers, not {eigenvalues!r}")
    ax = new_axes(ax)
    zero = point.tolerance if point else 0.0
    kinds = (
        ("negative", COLORS[3], values < -zero),
        ("about 0", COLORS[6], np.abs(values) <= zero),
        ("positive", COLORS[0], values > zero),
    )
    at = _places(values, point)
    for name, color, own in kinds:
        if own.any():
            ax.vlines(at[own], 0, values[own], color=color, linewidth=1, alpha=0.5)
            ax.plot(at[own], values[own], "o", color=color, markersize=4, label=name)
    sizes = np.abs(values[np.abs(values) > zero])
    wide = bool(sizes.size) and float(sizes.max() / sizes.min()) > 30
    if wide if log is None else log:
        ax.set_yscale("symlog", linthresh=float(sizes.min()) if sizes.size else 1.0)
    ax.axhline(0, color="0.5", linewidth=0.8)
    ax.set(xlabel="rank", ylabel="eigenvalue", title=point.verdict if point else "")
    clean(ax)
    if point is None or point.complete:
        whole_numbers(ax.xaxis)
    else:
        _break_ranks(ax, at, len(point.eigenvectors))
    ax.legend(frameon=False)
    return ax


def _break_ranks(ax: Axes, at: Array, n: int) -> None:
    """Ticks with the ranks among all n, and how many are left out between both ends."""
    half = len(at) // 2
    ranks = [*range(half), *range(n - len(at) + half, n)]
    ax.set_xticks(at.tolist(), [f"{rank:,}" for rank in ranks])
    ax.axvline(half, color="0.5", linewidth=0.8, linestyle=":")
    ax.annotate(
        f"{n - len(at):,} not computed",
        (half, 0.5),
        xycoords=("data", "axes fraction"),
        rotation=90,
        ha="right",
        va="center",
        color="0.4",
    )


def _places(values: Array, point: CriticalPoint | None) -> Array:
    """Ranks; where not all eigenvalues are known, with a gap between both ends."""
    at = np.arange(len(values))
    if point is not None and not point.complete:
        at[len(values) // 2 :] += 1
    return at
