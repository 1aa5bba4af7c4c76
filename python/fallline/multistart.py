"""Fits from many starting points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ._types import Array
from .loop.many import check_options, run_all
from .loop.table import Table
from .minibatch import as_count
from .objectives import Objective
from .rules import Adam

__all__ = ["multistart"]

Starts: TypeAlias = int | npt.ArrayLike | Callable[[np.random.Generator], npt.ArrayLike]


def multistart(
    objective: Objective,
    starts: Starts,
    *,
    n_starts: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Table:
    """Minimize from many starting points, several at once.

    Fit i is ``minimize(objective, starts[i], seed=seed + i, **options)``, with the same bits for
    any number of workers.

    Parameters
    ----------
    objective : Objective
        What to minimize. Its methods run on several threads at once.
    starts : int, array of shape (k, n_params) or callable
        How many of the objective's own starts, ``objective.initial(seed + i)``; or the starts; or
        a function that draws one, ``starts(rng)`` with ``rng = numpy.random.default_rng(seed + i)``
        (then `n_starts` says how many).
    n_starts : int, optional
        How many starts a callable draws.
    seed : int
        Fit i has the seed ``seed + i``, of its start and of its batches.
    workers : int, optional
        Fits that run at once, on a thread each; by default :func:`get_num_threads`.
    progress : bool, optional
        Whether to draw a bar, as in :func:`minimize`.
    **options
        Of :func:`minimize`: ``optimizer`` (a class), ``lr``, ``batch_size``, …

    Returns
    -------
    Table
        A row for each start in their order, with ``start`` and ``seed`` before the outcome.
        ``.best`` is the result with the lowest loss.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or the objective's own starts are all the same. What a
        single fit raises is put in its row.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> f = fl.objectives.LinearRegression([[1.0], [2.0]], [3.0, 5.0])
    >>> table = fl.multistart(f, np.eye(2), optimizer=fl.SGD, lr=0.1, epochs=500)
    >>> len(table), table.best.x.round(3)
    (2, array([2., 1.]))
    """
    if not isinstance(objective, Objective):
        raise TypeError(f"objective must be one of fallline.objectives, not {objective!r}")
    check_options("multistart", options, [options.get("optimizer", Adam)])
    seed = as_count("seed", seed, 0)
    points = _points(objective, starts, n_starts, seed)
    fits = [{**options, "x0": x0, "seed": seed + i} for i, x0 in enumerate(points)]
    chosen = [{"start": i, "seed": seed + i} for i in range(len(points))]
    return Table(chosen, run_all(objective, fits, workers, progress))


def _points(
    objective: Objective, starts: Any, n_starts: int | None, seed: int
) -> list[npt.ArrayLike]:
    if callable(starts):
        count = as_count("n_starts", n_starts)
        return [starts(np.random.default_rng(seed + i)) for i in range(count)]
    if n_starts is not None:
        raise ValueError(f"n_starts={n_starts!r} is for starts that are drawn by a callable")
    if np.ndim(starts) == 0:
        own = [objective.initial(seed + i) for i in range(as_count("starts", starts))]
        if len(own) > 1 and all(np.array_equal(own[0], x) for x in own):
            raise ValueError(
                f"{type(objective).__name__} starts at the same point for every seed; give starts "
                "as an array or as a callable"
            )
        return list(own)
    array: Array = np.asarray(starts)
    if array.ndim != 2 or array.shape[1] != objective.n_params or not len(array):
        raise ValueError(
            f"starts has shape {array.shape}; expected (k, {objective.n_params}), k at least 1"
        )
    return list(array)
