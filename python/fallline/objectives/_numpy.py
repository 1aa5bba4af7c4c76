"""The reference: a batch's rows at once."""

from __future__ import annotations

import numpy as np

from .._types import Array
from ._glm import Head, Samples, linear_outputs

__all__ = ["LinearModel"]


class LinearModel:
    """A generalised linear model's sums over batches, by NumPy."""

    def __init__(self, head: Head, samples: Samples) -> None:
        self._head = head
        self._samples = samples

    def accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        """Σ w·ℓ; `gradient`, if given, becomes scale · Σ w·∂ℓ."""
        s = self._samples
        X, y, weight = self._rows(batch)
        with np.errstate(all="ignore"):
            losses, slopes = self._head.value(linear_outputs(phi, X, s.outputs, s.intercept), y)
            if weight is not None:
                losses, slopes = losses * weight, slopes * weight[:, None]
            if gradient is not None:
                self._pull_back(X, slopes, scale, gradient)
            return float(losses.sum())

    def curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        """`out` becomes scale · Σ w·(∂²ℓ) v."""
        s = self._samples
        X, y, weight = self._rows(batch)
        with np.errstate(all="ignore"):
            z, u = (linear_outputs(p, X, s.outputs, s.intercept) for p in (phi, v))
            slopes = self._head.curve(z, y, u)
            self._pull_back(X, slopes if weight is None else slopes * weight[:, None], scale, out)

    def _rows(self, batch: Array | None) -> tuple[Array, Array, Array | None]:
        s = self._samples
        if batch is None:
            return s.X, s.y, s.weight
        return s.X[batch], s.y[batch], None if s.weight is None else s.weight[batch]

    def _pull_back(self, X: Array, slopes: Array, scale: float, out: Array) -> None:
        size = self._samples.outputs * X.shape[1]
        out[:size] = scale * (slopes.T @ X).reshape(-1)
        if self._samples.intercept:
            out[size:] = scale * slopes.sum(axis=0)
