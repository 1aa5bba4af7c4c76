"""How a model is to be fitted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .._types import LearningRate
from ..loop.arguments import check_names
from ..optimizer import Optimizer
from ..rules import Adam
from . import rates
from .targets import Kind, Task

__all__ = ["Recipe"]


@dataclass(frozen=True)
class Recipe:
    """What ``fallline fit`` can be told; None leaves the choice to the data or the optimizer."""

    kind: Kind | None = None
    task: Task | None = None
    hidden: tuple[int, ...] = (128,)
    activation: str = "relu"
    optimizer: type[Optimizer] = Adam
    lr: float | None = None
    schedule: tuple[str, Mapping[str, Any]] | None = None  # as rates.parse gives it
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int | None = 64  # None: all samples at every step
    epochs: int = 10
    l2: float = 0.0
    max_norm: float | None = None
    seed: int = 0
    standardize: bool = False
    val: float = 0.0  # share of the samples that is held out
    backend: str | None = None

    def __post_init__(self) -> None:
        given = self.arguments(1)
        check_names(self.optimizer, given)
        self.optimizer(np.zeros(1), **given)

    def arguments(self, steps_per_epoch: int) -> dict[str, Any]:
        """What the optimizer is given."""
        given = {"backend": self.backend, **self.hyperparameters}
        lr = self.rate(steps_per_epoch)
        return given if lr is None else {"lr": lr, **given}

    def rate(self, steps_per_epoch: int) -> LearningRate | None:
        """Learning rate or schedule; None is the optimizer's own."""
        if self.schedule is None:
            return self.lr
        lr = self.lr
        if lr is None:
            lr = inspect.signature(self.optimizer).parameters["lr"].default
        return rates.schedule(*self.schedule, lr, self.epochs, steps_per_epoch)

    def settings(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**asdict(self), "optimizer": self.optimizer.__name__}

    def describe(self) -> str:
        """Optimizer and batches in a line."""
        given = dict(self.hyperparameters)
        if self.lr is not None:
            given = {"lr": self.lr, **given}
        inner = ", ".join(f"{name}={value}" for name, value in given.items())
        text = f"{self.optimizer.__name__}({inner})"
        if self.schedule is not None:
            text += f", {self.schedule[0]} schedule"
        batches = "full batches" if self.batch_size is None else f"batches of {self.batch_size:,}"
        return f"{text}, {batches}"
