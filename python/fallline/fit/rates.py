"""Learning rates over a fit: in steps or in epochs, and those that listen to the loss."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import schedules
from .._types import Array
from ..optimizer import Optimizer

__all__ = ["as_schedule", "listening", "rates"]


def as_schedule(lr: Any, unit: str, steps_per_epoch: int) -> Any:
    """What to give to the optimizer as lr: a fit's own copy, and in steps."""
    if not callable(lr):
        return lr
    if next(listening(lr), None) is not None:
        lr = copy.deepcopy(lr)  # it changes; the caller's is left as it is
    if unit == "step":
        return lr
    if isinstance(lr, schedules.Schedule):
        return schedules.PerEpoch(lr, steps_per_epoch)

    def per_epoch(step: int) -> float:
        return float(lr(step // steps_per_epoch))

    per_epoch.__qualname__ = getattr(lr, "__qualname__", type(lr).__qualname__)  # files name it
    return per_epoch


def listening(lr: Any) -> Iterator[schedules.ReduceOnPlateau]:
    """Every schedule in this one, itself included, that wants to be told the loss."""
    if isinstance(lr, schedules.ReduceOnPlateau):
        yield lr
    elif isinstance(lr, schedules.Schedule):
        for inner in (getattr(lr, "schedule", None), *getattr(lr, "schedules", ())):
            yield from listening(inner)


def rates(optimizer: Optimizer, count: int) -> Array | float:
    """Learning rates of the coming steps."""
    lr = optimizer.param_groups[0]["lr"]
    if not callable(lr):
        return float(lr)
    taken = optimizer._progress[0][0]
    return np.array([float(lr(step)) for step in range(taken, taken + count)])
