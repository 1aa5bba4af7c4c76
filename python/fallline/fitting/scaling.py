"""Features, and targets of a regression, with mean 0 and variance 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._types import Array

__all__ = ["Scaling"]

BLOCK = 4096  # rows in float64 at a time
CONSTANT = 1e-12  # a feature that varies by less than this share of its mean is constant


@dataclass(frozen=True)
class Scaling:
    """Means and deviations of the training samples."""

    mean: Array
    scale: Array
    target_mean: Array
    target_scale: float

    @classmethod
    def of(cls, X: Array, y: Array | None) -> Scaling:
        """Those of the samples and of the targets; of classes, None, there are none."""
        mean, scale = _moments(X)
        if y is None:
            return cls(mean, scale, np.zeros(()), 1.0)
        target_mean = np.mean(y, axis=0, dtype=np.float64)
        deviation = float(np.sqrt(np.mean((y - target_mean) ** 2)))  # one for all targets
        return cls(mean, scale, np.asarray(target_mean), deviation or 1.0)

    def features(self, X: Array, out: Array | None = None) -> Array:
        """Samples, standardised; `out` may be X."""
        mean, scale = (a.astype(X.dtype) for a in (self.mean, self.scale))
        result: Array = np.subtract(X, mean, out=out)
        result /= scale
        return result

    def targets(self, y: Array) -> Array:
        """Targets, standardised."""
        return (y - self.target_mean) / self.target_scale

    def restored(self, z: Array) -> Array:
        """Predictions in the targets' own units."""
        return (z * self.target_scale + self.target_mean).astype(z.dtype)


def _moments(X: Array) -> tuple[Array, Array]:
    """Mean and deviation of each column, in two passes; 1 for columns that do not vary."""
    mean = np.asarray(np.mean(X, axis=0, dtype=np.float64))
    squares = np.zeros_like(mean)
    for begin in range(0, len(X), BLOCK):
        squares += ((X[begin : begin + BLOCK] - mean) ** 2).sum(axis=0)
    scale = np.sqrt(squares / len(X))
    scale[scale <= CONSTANT * np.abs(mean)] = 1.0
    return mean, scale
