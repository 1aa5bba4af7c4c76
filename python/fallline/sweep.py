"""Fits over a grid of settings, or over random ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from .loop.arguments import hyperparameters_of
from .loop.many import SETTINGS, check_options, run_all
from .loop.table import Table
from .minibatch import as_count
from .objectives import Objective
from .rules import Adam

__all__ = ["LogUniform", "Uniform", "sweep"]

Settings = dict[str, Any]


@dataclass(frozen=True)
class Uniform:
    """Numbers from low to high, each as likely, for :func:`sweep` with `trials`.

    Raises
    ------
    ValueError
        Not low < high, or not finite.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> 0.5 <= fl.Uniform(0.5, 0.99).rvs(random_state=np.random.default_rng(0)) <= 0.99
    True
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"expected finite low < high, not {self}")

    def rvs(self, *, random_state: np.random.Generator) -> float:
        """One of them."""
        return float(random_state.uniform(self.low, self.high))


@dataclass(frozen=True)
class LogUniform:
    """Numbers from low to high, each order of magnitude as likely, for :func:`sweep`.

    Raises
    ------
    ValueError
        Not 0 < low < high, or not finite.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> 1e-4 <= fl.LogUniform(1e-4, 1e-1).rvs(random_state=np.random.default_rng(0)) <= 1e-1
    True
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < math.inf:
            raise ValueError(f"expected finite 0 < low < high, not {self}")

    def rvs(self, *, random_state: np.random.Generator) -> float:
        """One of them."""
        return math.exp(random_state.uniform(math.log(self.low), math.log(self.high)))


def sweep(
    objective: Objective,
    x0: npt.ArrayLike | None = None,
    *,
    trials: int | None = None,
    search_seed: int = 0,
    workers: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Table:
    """Minimize with every combination of settings, or with random ones, several at once.

    An option given as a list is swept over: ``optimizer=[fl.SGD, fl.Adam], lr=[0.01, 0.1]`` makes
    four fits. All others are the same in every fit. A hyperparameter that only some of the
    optimizers have is left out, and blank in the table, for the others.

    Parameters
    ----------
    objective : Objective
        What to minimize. Its methods run on several threads at once.
    x0 : array of shape (n_params,), optional
        Where all start.
    trials : int, optional
        Draw so many settings at random: one entry of each list, and a number of each
        :class:`Uniform`, :class:`LogUniform` or distribution of ``scipy.stats``. Without it, go
        through the whole grid, the last list fastest.
    search_seed : int
        Of the random settings. (``seed``, as any option, is that of the fits; a list of them
        repeats each setting.)
    workers : int, optional
        Fits that run at once, on a thread each; by default :func:`get_num_threads`. The results
        are the same bits for any number.
    progress : bool, optional
        Whether to draw a bar, as in :func:`minimize`.
    **options
        Of :func:`minimize`: ``optimizer`` (classes), ``lr`` (numbers or schedules), ``batch_size``,
        ``momentum``, …

    Returns
    -------
    Table
        A row for each fit in the order of the grid or of the draws, with the swept settings before
        the outcome. ``.best`` is the result with the lowest loss.

    Raises
    ------
    TypeError, ValueError
        An option is unknown, a list is empty, or a distribution is given without `trials`. What a
        single fit raises is put in its row.

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.LinearRegression([[1.0], [2.0]], [3.0, 5.0])
    >>> table = fl.sweep(f, optimizer=[fl.SGD, fl.Adam], lr=[0.05, 0.1], momentum=[0.0, 0.9])
    >>> [(row["optimizer"].__name__, row["lr"], row["momentum"]) for row in table]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('SGD', 0.05, 0.0), ('SGD', 0.05, 0.9), ('SGD', 0.1, 0.0), ('SGD', 0.1, 0.9),
     ('Adam', 0.05, None), ('Adam', 0.1, None)]
    >>> drawn = fl.sweep(f, lr=fl.LogUniform(1e-3, 1.0), trials=5, epochs=20)
    >>> len(drawn)
    5

    References
    ----------
    Bergstra & Bengio (2012), Random search for hyper-parameter optimization.
    """
    if not isinstance(objective, Objective):
        raise TypeError(f"objective must be one of fallline.objectives, not {objective!r}")
    swept = {name: value for name, value in options.items() if _is_swept(value)}
    fixed = {name: value for name, value in options.items() if name not in swept}
    _check_swept(swept, trials)
    optimizers = options.get("optimizer", Adam)
    optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
    check_options("sweep", options, optimizers)
    if trials is None:
        drawn = list(_grid(swept))
    else:
        rng = np.random.default_rng(as_count("search_seed", search_seed, 0))
        drawn = [_draw(swept, rng) for _ in range(as_count("trials", trials))]
    fits, chosen = [], []
    for settings in drawn:
        whole = _fitting({**fixed, **settings}, optimizers)
        own = {name: whole[name] for name in settings if name in whole}
        if trials is None and own in chosen:  # it differs only in what this optimizer lacks
            continue
        fits.append({**whole, "x0": x0})
        chosen.append(own)
    blank = dict.fromkeys(swept)
    rows = [{**blank, **own} for own in chosen]
    return Table(rows, run_all(objective, fits, workers, progress))


def _is_swept(value: Any) -> bool:
    return isinstance(value, list) or (hasattr(value, "rvs") and not isinstance(value, type))


def _check_swept(swept: Mapping[str, Any], trials: int | None) -> None:
    for name, value in swept.items():
        if isinstance(value, list) and not value:
            raise ValueError(f"{name} is an empty list; expected values to sweep over")
        if not isinstance(value, list) and trials is None:
            raise ValueError(f"{name}={value!r} is a distribution, which needs trials")


def _grid(swept: Mapping[str, Sequence[Any]]) -> Iterator[Settings]:
    return (dict(zip(swept, values, strict=True)) for values in product(*swept.values()))


def _draw(swept: Mapping[str, Any], rng: np.random.Generator) -> Settings:
    return {
        name: value[int(rng.integers(len(value)))]
        if isinstance(value, list)
        else value.rvs(random_state=rng)
        for name, value in swept.items()
    }


def _fitting(settings: Settings, optimizers: Sequence[Any]) -> Settings:
    """Without hyperparameters that only other optimizers of the sweep have."""
    known = {*SETTINGS, *hyperparameters_of(settings.get("optimizer", Adam))}
    return {name: value for name, value in settings.items() if name in known}
