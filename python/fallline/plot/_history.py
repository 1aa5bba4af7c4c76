"""Loss curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._types import Array
from ._style import clean, new_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["history"]

LOG_FROM = 30.0  # ratio of largest to smallest loss from which a linear axis hides the end


def history(
    histories: Mapping[str, Any] | npt.ArrayLike | Any,
    *,
    ax: Axes | None = None,
    xlabel: str = "step",
    ylabel: str = "loss",
    log: bool | None = None,
) -> Axes:
    """Draw the loss curves of one or several runs.

    Parameters
    ----------
    histories
        Losses by run's name, or those of a single run: a row of them, or what has one as
        ``history``. The first of a run stands at 0 on the horizontal axis. Losses that are not
        finite leave a gap.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    xlabel, ylabel : str
        What the axes are labelled with.
    log : bool, optional
        Whether the vertical axis is logarithmic; by default, where all losses are positive and
        the largest is at least 30 times the smallest.

    Returns
    -------
    matplotlib.axes.Axes
        ``.figure`` is the figure, with ``savefig``.

    Raises
    ------
    ImportError
        matplotlib is missing (extra ``plot``).
    ValueError
        There is nothing to draw, or a run's losses are not one-dimensional.

    Examples
    --------
    >>> import fallline as fl
    >>> from matplotlib.figure import Figure
    >>> runs = {"slow": [1.0, 0.9, 0.8], "fast": [1.0, 0.3, 0.01]}
    >>> ax = fl.plot.history(runs, ax=Figure().subplots(), xlabel="epoch")
    >>> ax.get_yscale(), [line.get_label() for line in ax.get_lines()]
    ('log', ['slow', 'fast'])
    """
    runs = _runs(histories)
    ax = new_axes(ax)
    for i, (name, losses) in enumerate(runs.items()):
        ax.plot(losses, label=name, **style(i))
    if _spread(runs) >= LOG_FROM if log is None else log:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.margins(x=0)
    clean(ax)
    if len(runs) > 1 or "histories" not in runs:
        ax.legend(frameon=False)
    return ax


def _runs(histories: Any) -> dict[str, Array]:
    """Losses by name, fit to be drawn."""
    several = isinstance(histories, Mapping) and not hasattr(histories, "history")
    given = histories if several else {"histories": histories}
    runs = {
        name: np.asarray(getattr(run, "history", run), np.float64) for name, run in given.items()
    }
    for name, losses in runs.items():
        if losses.ndim != 1 or not losses.size:
            what = f"histories[{name!r}]" if given is histories else name
            raise ValueError(f"{what} has shape {losses.shape}; expected a row of losses")
    if not runs:
        raise ValueError("histories is empty: there is nothing to draw")
    return {name: np.where(np.isfinite(losses), losses, np.nan) for name, losses in runs.items()}


def _spread(runs: Mapping[str, Array]) -> float:
    """Largest by smallest loss; 0 where one is not positive."""
    losses = np.concatenate(list(runs.values()))
    losses = losses[np.isfinite(losses)]
    return float(losses.max() / losses.min()) if losses.size and losses.min() > 0 else 0.0
