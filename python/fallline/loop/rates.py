"""Learning rates over a fit: in steps or in epochs, and those that listen to the loss."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import schedules
from .._types import Array
from ..optimizer import Optimizer
from ..second_order import Method

__all__ = ["as_schedule", "listening", "lr_of", "rates", "steps_taken"]


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


def lr_of(optimizer: Optimizer | Method) -> Any:
    """Its learning rate: a number or a schedule; NaN for a method without one."""
    if isinstance(optimizer, Method):
        return getattr(optimizer, "lr", math.nan)
    return optimizer.param_groups[0]["lr"]


def steps_taken(optimizer: Optimizer | Method) -> int:
    """Steps so far, those before an interrupt among them."""
    return optimizer.nit if isinstance(optimizer, Method) else optimizer._progress[0][0]


def rates(optimizer: Optimizer | Method, count: int) -> Array | float:
    """Learning rates of the coming steps."""
    lr = lr_of(optimizer)
    if not callable(lr):
        return float(lr)
    taken = steps_taken(optimizer)
    return np.array([float(lr(step)) for step in range(taken, taken + count)])
