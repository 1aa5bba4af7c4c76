"""The loss along a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..linesearch import Line
from ..linesearch._line import check_count
from ..objectives.base import Batch, Objective
from ._style import COLORS, clean, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["loss_curve"]


def loss_curve(
    objective: Objective,
    center: npt.ArrayLike | None = None,
    direction: npt.ArrayLike | None = None,
    *,
    extent: tuple[float, float] | None = None,
    resolution: int = 401,
    batch: Batch = None,
    ax: Axes | None = None,
    **line: Any,
) -> Axes:
    r"""Draw the loss along a line.

    .. math:: a \mapsto L(φ_0 + a u)

    Of an objective of one parameter, the loss over it.

    Parameters
    ----------
    objective : Objective
        What is drawn.
    center : array_like, shape (n_params,), optional
        φ₀; 0 for an objective of one parameter.
    direction : array_like, shape (n_params,), optional
        u; 1 for an objective of one parameter.
    extent : (float, float), optional
        Ends of the axis; the objective's ``domain`` where it has one and neither `center` nor
        `direction` is given, 2 to either side of one parameter, else from 0 to 1: from φ₀ to
        φ₀ + u.
    resolution : int
        Points along the axis, at least 2.
    batch : array_like of int, optional
        Samples; all by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    **line
        Of matplotlib's ``Axes.plot``: ``color``, ``label``, …

    Returns
    -------
    matplotlib.axes.Axes
        With a line, which has gaps where the loss is not finite.

    Raises
    ------
    ImportError
        matplotlib is missing (extra ``plot``).
    TypeError, ValueError
        An argument is not as described, or no loss is finite.

    Examples
    --------
    >>> import fallline as fl
    >>> ax = fl.plot.loss_curve(fl.objectives.surfaces.Risk())
    >>> tuple(map(float, ax.get_lines()[0].get_xdata()[[0, -1]]))
    (-1.0, 2.0)

    References
    ----------
    Goodfellow, Vinyals & Saxe (2015), Qualitatively characterizing neural network optimization
    problems, section 2 (from one solution to another).
    """
    own = objective.n_params == 1 and center is None and direction is None
    along = _line(objective, center, direction, batch)
    low, high = _ends(objective, extent, own)
    if check_count("resolution", resolution) < 2:
        raise ValueError(f"resolution must be at least 2, not {resolution}")
    a: Array = np.linspace(low, high, resolution)
    losses = np.array([along(x) for x in a])
    if not np.isfinite(losses).any():
        raise ValueError("no loss is finite within the extent: there is nothing to draw")
    ax = new_axes(ax)
    ax.plot(a, np.where(np.isfinite(losses), losses, np.nan), **{"color": COLORS[0], **line})
    ax.set(xlabel="$φ$" if own else "$a$", ylabel="loss")
    clean(ax)
    return ax


def _line(objective: Objective, center: Any, direction: Any, batch: Batch) -> Line:
    n = objective.n_params
    for name, given in (("center", center), ("direction", direction)):
        if given is None and n > 1:
            raise ValueError(f"{name} must say where the line through {n:,} parameters lies")
    line = Line(
        objective,
        [0.0] if center is None else center,
        [1.0] if direction is None else direction,
        batch,
    )
    if not line.direction.any():
        raise ValueError("direction is 0 everywhere")
    return line


def _ends(objective: Objective, extent: Any, own: bool) -> tuple[float, float]:
    if extent is None:
        domain = getattr(objective, "domain", None)
        if own and domain is not None:
            extent = domain[0]
        else:
            extent = (-2, 2) if objective.n_params == 1 else (0, 1)
    ends = np.asarray(extent, np.float64)
    if ends.shape != (2,) or not np.isfinite(ends).all() or not ends[0] < ends[1]:
        raise ValueError(f"extent must be a pair (low, high), not {extent!r}")
    return float(ends[0]), float(ends[1])
