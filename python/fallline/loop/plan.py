"""What a fit is to do."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .._types import Array
from ..minibatch import Minibatches
from ..objectives import Objective
from ..optimizer import Optimizer
from ..second_order import Method
from .averaging import Average
from .history import Epochs, Trajectory
from .result import Result
from .svrg import VarianceReduction

__all__ = ["Plan"]


@dataclass
class Plan:
    """The checked arguments of :func:`fallline.minimize`."""

    objective: Objective
    optimizer: Optimizer | Method
    phi: Array  # the optimizer's parameter
    batches: Minibatches | None  # None: all samples at every step
    ceiling: float = math.inf  # a loss above it has diverged
    epochs: int | None = None
    steps: int | None = None
    time_limit: float | None = None
    gtol: float | None = None
    gtol_asked: bool = True  # or a default
    ftol: float | None = None
    max_norm: float | None = None
    average: Average | None = None
    svrg: VarianceReduction | None = None
    escape_saddles: bool = False
    trajectory: Trajectory | None = None
    callback: Callable[[Result], bool | None] | None = None
    callback_every: int = 1  # steps
    checkpoint: str | os.PathLike[str] | None = None
    checkpoint_every: int = 1  # steps
    progress: bool | None = None
    final_loss: bool = True  # form loss and gradient over all samples at the end
    settings: dict[str, Any] = field(default_factory=dict)  # that a resumed fit must share

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch."""
        return 1 if self.batches is None else self.batches.steps_per_epoch

    @property
    def last_step(self) -> float:
        """Number of steps that epochs and steps allow."""
        by_epochs = math.inf if self.epochs is None else self.epochs * self.steps_per_epoch
        return min(by_epochs, math.inf if self.steps is None else self.steps)

    def epoch_losses(self) -> Epochs:
        """What makes an epoch's loss of its steps'."""
        if self.batches is None:
            return Epochs(1, 1, self.objective.reduction)
        size = self.batches.batch_size
        seen = min(self.batches.n_samples, self.steps_per_epoch * size)
        return Epochs(seen, size, self.objective.reduction)
