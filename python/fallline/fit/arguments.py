"""Checks of what :func:`fallline.minimize` is given, before anything runs."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .._types import Array
from ..minibatch import Minibatches, as_count
from ..objectives import Objective
from ..objectives._data import as_vector
from ..optimizer import Optimizer
from .averaging import EMA, SWA, Average, Averaging
from .svrg import VarianceReduction

__all__ = [
    "as_average",
    "as_batches",
    "as_ceiling",
    "as_every",
    "as_reduction",
    "as_source",
    "as_start",
    "hyperparameters_of",
    "is_rule",
    "make_optimizer",
    "optional_callable",
    "optional_count",
    "optional_number",
    "owned_array",
    "switch_or_count",
]

EXPLODED = 1e8  # times the first loss, or 1 if that is less


def optional_count(name: str, value: Any) -> int | None:
    """None, or an integer of at least 1."""
    return None if value is None else as_count(name, value)


def optional_number(name: str, value: Any, *, positive: bool = False) -> float | None:
    """None, or a finite number of at least 0."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not 0 <= value < math.inf or (positive and value == 0):
        least = "positive" if positive else "at least 0"
        raise ValueError(f"{name} must be finite and {least}, not {value!r}")
    return float(value)


def optional_callable(name: str, value: Any) -> Any:
    """None, or a callable."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be callable, not {value!r}")
    return value


def switch_or_count(name: str, value: Any, when_true: int) -> int:
    """A count of at least 1; False is 0, and True what it stands for."""
    if isinstance(value, (bool, np.bool_)):
        return when_true if value else 0
    return as_count(name, value)


def as_every(name: str, value: Any, steps_per_epoch: int) -> int:
    """Steps between two events."""
    if isinstance(value, str):
        if value != "epoch":
            raise ValueError(f"{name} must be a number of steps or 'epoch', not {value!r}")
        return steps_per_epoch
    return as_count(name, value)


def as_batches(
    objective: Objective, batch_size: Any, seed: int, drop_last: Any
) -> Minibatches | None:
    """The batches; None where every step is on all samples."""
    if not isinstance(drop_last, (bool, np.bool_)):
        raise TypeError(f"drop_last must be True or False, not {drop_last!r}")
    if batch_size is None:
        if drop_last:
            raise ValueError("drop_last=True needs a batch_size")
        return None
    return Minibatches(objective.n_samples, batch_size, seed, drop_last=bool(drop_last))


# ---- the optimizer and its parameter -----------------------------------------------------------


def as_start(objective: Objective, x0: Any, seed: int) -> Array:
    """A new array with the parameters to start from."""
    if x0 is None:
        return np.array(objective.initial(seed), objective.dtype)
    start = np.array(as_vector("x0", x0, objective.n_params, objective.dtype))
    if not np.isfinite(start).all():
        j = int(np.argmin(np.isfinite(start)))
        raise ValueError(f"x0[{j}] is {start[j]}; expected finite numbers")
    return start


def is_rule(cls: Any) -> bool:
    """Whether it is an optimizer's class."""
    return isinstance(cls, type) and issubclass(cls, Optimizer) and cls is not Optimizer


@cache
def hyperparameters_of(cls: Any) -> list[str]:
    """Names of what an optimizer takes beside parameters."""
    return [name for name in inspect.signature(cls).parameters if name != "params"]


def make_optimizer(cls: Any, phi: Array, hyperparameters: Mapping[str, Any]) -> Optimizer:
    """An optimizer of this class over the parameters."""
    if not is_rule(cls):
        raise TypeError(f"optimizer must be one of fallline.optimizers(), not {cls!r}")
    known = hyperparameters_of(cls)
    for name in hyperparameters:
        if name not in known:
            raise TypeError(
                f"{name!r} is neither an argument of minimize nor a hyperparameter of "
                f"{cls.__name__}, which has {', '.join(known)}"
            )
    optimizer: Optimizer = cls(phi, **hyperparameters)
    return optimizer


def owned_array(objective: Objective, optimizer: Optimizer, given: Mapping[str, Any]) -> Array:
    """The array that an optimizer's instance updates, if it fits the objective."""
    name = type(optimizer).__name__
    for argument, value in given.items():
        if value is not None:
            raise ValueError(f"{argument}={value!r} with an instance of {name}, which has its own")
    if len(optimizer._params) != 1:
        raise ValueError(f"the {name} has {len(optimizer._params)} arrays; expected one")
    phi = optimizer._params[0]
    if phi.shape != (objective.n_params,) or phi.dtype != objective.dtype:
        raise ValueError(
            f"the {name}'s array has shape {phi.shape} and dtype {phi.dtype}; the objective's "
            f"parameters have ({objective.n_params},) and {objective.dtype}"
        )
    return phi


def as_ceiling(objective: Objective, phi: Array, batches: Minibatches | None) -> float:
    """The loss above which a fit has diverged; at the start it must be finite.

    A fit on minibatches looks at one there: all samples may cost as much as the fit.
    """
    batch = None
    if batches is not None:
        batch = np.arange(min(batches.batch_size, batches.n_samples), dtype=np.int64)
    loss = objective._evaluate(phi, batch, None)
    if not math.isfinite(loss):
        raise ValueError(f"cannot start at x0: {objective.why_not_finite(loss, phi, batch)}")
    return EXPLODED * max(1.0, abs(loss))


# ---- what goes beyond plain steps --------------------------------------------------------------


def as_average(
    averaging: Averaging | None, optimizer: Optimizer, n_params: int, steps_per_epoch: int
) -> Average | None:
    """What averages the iterates."""
    if averaging is None:
        return None
    if not isinstance(averaging, (EMA, SWA)):
        raise TypeError(f"averaging must be an EMA or SWA, not {averaging!r}")
    if hasattr(optimizer, "eval"):
        raise ValueError(f"averaging={averaging!r} with {type(optimizer).__name__}, which averages")
    return Average(averaging, n_params, steps_per_epoch)


def as_reduction(
    svrg: Any, objective: Objective, batches: Minibatches | None
) -> VarianceReduction | None:
    """What reduces the gradients' variance; by default anew every second epoch, as the paper's."""
    interval = switch_or_count("svrg", svrg, 2 * (batches.steps_per_epoch if batches else 1))
    if not interval:
        return None
    if batches is None:
        raise ValueError(f"svrg={svrg!r} needs a batch_size: full gradients have no variance")
    return VarianceReduction(objective, interval)


def as_source(resume: Any, checkpoint: Any) -> str | os.PathLike[str] | None:
    """The file to go on from."""
    if resume is not True:
        return None if resume is None else Path(resume)
    if checkpoint is None:
        raise ValueError("resume=True needs a checkpoint to go on from")
    return Path(checkpoint) if Path(checkpoint).exists() else None
