"""Stochastic variance-reduced gradients."""

from __future__ import annotations

import numpy as np

from .._types import Array
from ..objectives import Objective

__all__ = ["VarianceReduction"]


class VarianceReduction:
    r"""Minibatch gradients corrected by those at a snapshot of the parameters.

    .. math:: g = \nabla f_B(\varphi) - \nabla f_B(\tilde\varphi) + \tilde\mu,
        \qquad \tilde\mu = \nabla f(\tilde\varphi)

    with the snapshot φ̃ taken anew every `interval` steps: option I of the paper, where it is the
    current φ. Under ``reduction="sum"`` the batch's share of μ̃ is added.

    References
    ----------
    Johnson & Zhang (2013), Accelerating stochastic gradient descent using predictive variance
    reduction, procedure SVRG.
    """

    def __init__(self, objective: Objective, interval: int) -> None:
        self._objective = objective
        self.interval = interval
        self.snapshot = np.zeros(objective.n_params, objective.dtype)
        self.mean = np.zeros_like(self.snapshot)
        self._own = np.empty_like(self.snapshot)
        self._share = np.empty_like(self.snapshot)
        self.step = 0

    def evaluate(self, phi: Array, batch: Array | None, gradient: Array) -> float:
        """The batch's loss at `phi`; `gradient` becomes the corrected one."""
        f = self._objective
        if self.step % self.interval == 0:
            np.copyto(self.snapshot, phi)
            f._evaluate(self.snapshot, None, self.mean)
        self.step += 1
        loss = f._evaluate(phi, batch, gradient)
        f._evaluate(self.snapshot, batch, self._own)
        gradient -= self._own
        if f.reduction == "sum" and batch is not None:
            np.multiply(self.mean, len(batch) / f.n_samples, out=self._share)
            gradient += self._share
        else:
            gradient += self.mean
        return loss

    def restore(self, snapshot: Array, mean: Array, step: int) -> None:
        """Go on from the snapshot of a run that was cut off."""
        self.snapshot, self.mean, self.step = snapshot, mean, step
