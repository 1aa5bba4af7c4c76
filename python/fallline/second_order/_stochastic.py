"""What methods on batches share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._types import Array, LearningRate
from ..linesearch._line import check_number
from ._method import Method, Step

__all__ = ["StochasticMethod", "check_lr"]


class StochasticMethod(Method):
    """Steps of a learning rate along a direction of its own."""

    stochastic = True
    lr: LearningRate

    def _check_batch(self) -> None:
        """Any batch will do."""

    def _rate(self) -> float:
        return check_number("lr", float(self.lr(self.nit) if callable(self.lr) else self.lr), 0)

    def _rng(self, purpose: int) -> np.random.Generator:
        """Of this step alone: nothing but the number of steps is to be remembered of it."""
        return np.random.default_rng([self.seed, self.nit, purpose])

    def _follow(self, direction: Array, rate: float, message: str) -> Step:
        """Step by rate · direction; the loss there is the next step's to find."""
        before = self.fun, self.grad_norm
        with np.errstate(all="ignore"):
            x = self.x + self.x.dtype.type(rate) * direction
        if not np.isfinite(x).all():
            return self._failed("the step is not finite")
        self._arrive(x)
        return Step(True, message, *before, math.nan, rate)


def check_lr(lr: Any) -> LearningRate:
    """A schedule, or a number of at least 0."""
    return lr if callable(lr) else check_number("lr", lr, 0)
