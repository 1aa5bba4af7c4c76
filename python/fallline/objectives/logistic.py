"""Logistic regression."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..numerics import sigmoid
from ._glm import GeneralizedLinearModel, Head
from .base import Reduction

__all__ = ["LogisticRegression", "as_labels"]


def value(z: Array, y: Array) -> tuple[Array, Array]:
    z = z.astype(np.float64)
    e = np.exp(-np.abs(z))  # never overflows
    loss = np.maximum(z, 0) - y * z + np.log1p(e)
    return loss[:, 0], np.where(z >= 0, 1, e) / (1 + e) - y


def curve(z: Array, y: Array, u: Array) -> Array:
    e = np.exp(-np.abs(z.astype(np.float64)))
    return np.asarray(e / ((1 + e) * (1 + e)) * u)


def row(z: Array, y: Array, slope: Array) -> float:
    x = np.float64(z[0])
    e = math.exp(-abs(x))
    slope[0] = (1.0 if x >= 0 else e) / (1.0 + e) - y[0]
    return float(max(x, 0.0) - y[0] * x + math.log1p(e))


def row_curve(z: Array, y: Array, u: Array) -> None:
    e = math.exp(-abs(np.float64(z[0])))
    u[0] = e / ((1.0 + e) * (1.0 + e)) * u[0]


def as_labels(y: npt.ArrayLike) -> Array:
    """Labels 0 and 1, or probabilities of 1."""
    targets = np.asarray(y)
    if targets.ndim != 1 or targets.size == 0 or targets.dtype.kind not in "fiub":
        raise ValueError(
            f"y has shape {targets.shape} and dtype {targets.dtype}; expected one number a sample"
        )
    if not ((targets >= 0) & (targets <= 1)).all():
        i = int(np.argmin((targets >= 0) & (targets <= 1)))
        raise ValueError(f"y[{i}] is {targets[i]}; expected a label 0 or 1")
    return targets


class LogisticRegression(GeneralizedLinearModel):
    r"""Binary cross-entropy of a linear model, stable for any logit.

    .. math:: \ell_i = \max(z, 0) - y z + \log(1 + e^{-|z|}), \quad z = φ_0 + φ^T x_i

    Parameters
    ----------
    X, intercept, sample_weight, reduction, l2, backend
        As for :class:`LinearRegression`.
    y : array of shape (n,)
        0 and 1 (or False and True), or probabilities between them.

    Raises
    ------
    ValueError, TypeError
        As :class:`LinearRegression`, and for targets outside [0, 1].

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> f = fl.objectives.LogisticRegression([[-1.0], [1.0]], [0, 1])
    >>> round(f.loss([0.0, 0.0]), 4), f.loss([1e4, 0.0])
    (0.6931, 0.0)

    References
    ----------
    Hastie, Tibshirani & Friedman (2009), The Elements of Statistical Learning, eq. 4.20.
    """

    head = Head("logistic", value, curve, row, row_curve)

    def __init__(
        self,
        X: Any,
        y: npt.ArrayLike,
        intercept: bool = True,
        *,
        sample_weight: npt.ArrayLike | None = None,
        reduction: Reduction = "mean",
        l2: float = 0.0,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            X,
            as_labels(y),
            outputs=1,
            squeeze=True,
            intercept=intercept,
            sample_weight=sample_weight,
            reduction=reduction,
            l2=l2,
            backend=backend,
        )

    def predict_proba(self, phi: npt.ArrayLike, X: Any = None) -> Array:
        """Probability of label 1 for each sample."""
        return np.asarray(sigmoid(self.outputs(phi, X)[:, 0]))

    def predict(self, phi: npt.ArrayLike, X: Any = None) -> Array:
        """The likelier label, 0 or 1, for each sample."""
        return (self.outputs(phi, X)[:, 0] > 0).astype(np.int64)
