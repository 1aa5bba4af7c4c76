"""The loss at many points: exhaustive search over a grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ._memory import available_memory
from ._types import Array
from .loop.result import Result
from .objectives import Objective
from .objectives._data import as_floats, as_vector
from .objectives.base import Batch, _bytes
from .threads import get_num_threads

__all__ = ["grid_search", "losses_at", "points_at_once"]

Parameter: TypeAlias = "int | str | tuple[str | int, ...]"

# Parameters of the points that one native call takes, and its samples times parameters: it is over
# within a second or so, and Ctrl-C is heard.
BLOCK = 1 << 21
BLOCK_WORK = 1 << 29


def grid_search(
    objective: Objective,
    axes: Mapping[Parameter, npt.ArrayLike],
    phi: npt.ArrayLike | None = None,
    *,
    batch: Batch = None,
) -> Result:
    r"""Evaluate the loss at every point of a grid over a few parameters.

    .. math:: L_{ij…} = L(φ), \quad φ_a = \text{values}_a[i],\ φ_b = \text{values}_b[j],\ …

    All other parameters stay as in `phi`. The points of a built-in objective are shared out over
    the threads in one native call (several for millions of points, so that Ctrl-C is heard); the
    losses have the same bits as ``objective.loss`` gives one by one.

    Parameters
    ----------
    objective : Objective
        What is evaluated.
    axes : dict
        Values by parameter, one-dimensional, finite, in any order; an axis of the grid for each
        entry. A parameter is an index into the parameter vector, the name of a part that is a
        single number (``"phi0"``), or a tuple of a part's name and its index there
        (``("theta1", 2)``, ``("weight", 0, 3)``).
    phi : array of shape (n_params,), optional
        The parameters that no axis sets; may be left out where there are none.
    batch : array of int, optional
        Sample indices; all samples without it.

    Returns
    -------
    Result
        ``x`` the best point, of the objective's dtype, ``fun`` its loss, ``index`` its place in the
        grid (the first of several; the first of all where no loss is finite), ``losses`` float64 of
        the grid's shape, ``axes`` the values by parameter in the objective's dtype, ``nfev`` the
        number of points, ``success`` whether any loss is finite, ``message``. Losses that are not
        finite stay in ``losses``, are not the best, and are told in ``message``.

    Raises
    ------
    TypeError, ValueError, IndexError
        A parameter does not exist or is set by two axes, values are empty, not finite or not
        one-dimensional, or `phi` is missing.
    MemoryError
        The grid would take more than half of the memory that is available.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> f = fl.objectives.LinearRegression([[1.0], [2.0]], [3.0, 5.0])
    >>> values = np.linspace(0, 4, 9)
    >>> best = fl.grid_search(f, {("weight", 0): values, "intercept": values})
    >>> best.x, best.fun, best.losses.shape
    (array([2., 1.]), 0.0, (9, 9))
    """
    if not isinstance(objective, Objective):
        raise TypeError(f"objective must be one of fallline.objectives, not {objective!r}")
    places, values = _as_axes(objective, axes)
    shape = tuple(map(len, values))
    _refuse_if_too_large(shape)
    base, indices = objective._check(_as_base(objective, phi, places), batch)
    losses = np.empty(shape)
    flat = losses.reshape(-1)
    step = points_at_once(objective, indices)
    for begin in range(0, losses.size, step):
        chosen = np.arange(begin, min(begin + step, losses.size))
        points = _points(base, places, values, np.unravel_index(chosen, shape))
        flat[chosen[0] : chosen[-1] + 1] = losses_at(objective, points, indices)
    return _result(objective, dict(zip(axes, values, strict=True)), base, places, losses, indices)


def losses_at(objective: Objective, points: Array, batch: Array | None) -> Array:
    """Loss at each row of `points`, C-contiguous and of the objective's dtype."""
    losses = np.empty(len(points))
    if objective._core is not None:
        objective._core.losses_at(points, batch, losses, get_num_threads())
        return losses
    with np.errstate(all="ignore"):
        for i, phi in enumerate(points):
            losses[i] = objective._evaluate(phi, batch, None)
    return losses


def _as_axes(objective: Objective, axes: Any) -> tuple[list[int], list[Array]]:
    """Index and values of each axis's parameter."""
    if not isinstance(axes, Mapping) or not axes:
        raise TypeError(f"axes must be a dict of values by parameter, not {axes!r}")
    places: list[int] = []
    values = []
    for parameter, given in axes.items():
        place = _as_index(objective, parameter)
        if place in places:
            raise ValueError(f"axes sets parameter {place} twice, the second time as {parameter!r}")
        places.append(place)
        values.append(_as_values(f"axes[{parameter!r}]", given, objective.dtype))
    return places, values


def _as_index(objective: Objective, parameter: Any) -> int:
    """Where a parameter is in the vector."""
    if isinstance(parameter, (int, np.integer)) and not isinstance(parameter, bool):
        n = objective.n_params
        if not -n <= parameter < n:
            raise IndexError(f"axes: parameter {parameter} of {n}; expected one in [{-n}, {n})")
        return int(parameter) % n
    name, *index = parameter if isinstance(parameter, tuple) and parameter else (parameter,)
    if not isinstance(name, str) or name not in objective.shapes:
        names = ", ".join(objective.shapes)
        raise ValueError(f"axes: no parameter {parameter!r}; expected an index, or one of {names}")
    part = np.arange(objective.n_params)[objective._parts[name]].reshape(objective.shapes[name])
    whole = all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in index)
    if not whole or len(index) != part.ndim:
        what = f"has shape {part.shape}; expected ({name!r}" + ", index" * part.ndim + ")"
        raise ValueError(f"axes: {parameter!r} is not one parameter: {name} {what}")
    try:
        return int(part[tuple(index)])
    except IndexError:
        raise IndexError(f"axes: no {parameter!r}: {name} has shape {part.shape}") from None


def _as_values(what: str, given: Any, dtype: np.dtype[Any]) -> Array:
    array = as_floats(what, given)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{what} has shape {array.shape}; expected a row of values")
    with np.errstate(over="ignore"):  # found below
        values = array.astype(dtype)
    if not np.isfinite(values).all():
        i = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"{what}[{i}] is {array[i]}; expected a finite number of {dtype}")
    return values


def _as_base(objective: Objective, phi: Any, places: Sequence[int]) -> Array:
    n = objective.n_params
    if phi is not None:
        return as_vector("phi", phi, n, objective.dtype)
    if len(places) < n:
        raise ValueError(f"phi is missing: axes set {len(places)} of {n} parameters")
    return np.zeros(n, objective.dtype)


def _refuse_if_too_large(shape: tuple[int, ...]) -> None:
    size = 24 * math.prod(shape)  # the losses, and a copy and a mask in the search for the best
    available = available_memory()
    if available is not None and size > available / 2:
        sides = " x ".join(f"{n:,}" for n in shape)
        raise MemoryError(
            f"a grid of {sides} points would take {_bytes(size)}; {_bytes(available)} are available"
        )


def points_at_once(objective: Objective, batch: Array | None) -> int:
    """How many a call of :func:`losses_at` should be given."""
    samples = objective.n_samples if batch is None else len(batch)
    most = min(BLOCK, BLOCK_WORK // samples) // objective.n_params
    return max(most, get_num_threads())


def _points(
    base: Array, places: Sequence[int], values: Sequence[Array], index: Sequence[Array]
) -> Array:
    points = np.tile(base, (len(index[0]), 1))
    for place, own, k in zip(places, values, index, strict=True):
        points[:, place] = own[k]
    return points


def _result(
    objective: Objective,
    axes: dict[Parameter, Array],
    base: Array,
    places: Sequence[int],
    losses: Array,
    batch: Array | None,
) -> Result:
    finite = np.isfinite(losses)
    index = np.unravel_index(int(np.where(finite, losses, np.inf).argmin()), losses.shape)
    values = list(axes.values())

    def point(at: Sequence[Any]) -> Array:
        phi: Array = _points(base, places, values, [np.asarray([k]) for k in at])[0]
        return phi

    message = (
        f"the lowest of {finite.sum():,} finite losses" if finite.any() else "no loss to choose"
    )
    if bad := losses.size - int(finite.sum()):
        first = np.unravel_index(int(finite.argmin()), losses.shape)
        where = ", ".join(f"{a!r}: {v[k]}" for (a, v), k in zip(axes.items(), first, strict=True))
        why = objective.why_not_finite(losses[first], point(first), batch)
        message += f"; {bad:,} of {losses.size:,} are not finite, the first at {{{where}}}: {why}"
    return Result(
        x=point(index),
        fun=float(losses[index]),
        index=tuple(int(k) for k in index),
        losses=losses,
        axes=axes,
        nfev=losses.size,
        success=bool(finite.any()),
        message=message,
    )
