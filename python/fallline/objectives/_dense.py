"""Residuals with a Jacobian that has been formed."""

from __future__ import annotations

import numpy as np

from .._types import Array

__all__ = ["Dense"]


class Dense:
    """With a Jacobian that has been formed."""

    def __init__(self, residuals: Array, jacobian: Array) -> None:
        self.residuals = residuals
        self._jacobian = jacobian

    def jacobian(self) -> Array:
        """See :class:`~fallline.objectives.residuals.Linearized`."""
        return self._jacobian

    def push(self, v: Array) -> Array:
        """See :class:`~fallline.objectives.residuals.Linearized`."""
        return np.asarray(self._jacobian @ v)

    def pull(self, u: Array) -> Array:
        """See :class:`~fallline.objectives.residuals.Linearized`."""
        return np.asarray(self._jacobian.T @ u)
