"""Softmax (multinomial logistic) regression."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..numerics import softmax
from ._glm import GeneralizedLinearModel, Head
from .base import Reduction

__all__ = ["SoftmaxRegression", "as_classes"]


def value(z: Array, y: Array) -> tuple[Array, Array]:
    z = z.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)  # the log-sum-exp of what is left cannot overflow
    e = np.exp(z)
    total = e.sum(axis=1)
    samples, label = np.arange(len(z)), y[:, 0].astype(np.intp)
    slope = e / total[:, None]
    slope[samples, label] -= 1
    return np.log(total) - z[samples, label], slope


def curve(z: Array, y: Array, u: Array) -> Array:
    z = z.astype(np.float64)
    p: Array = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return np.asarray(p * (u - (p * u).sum(axis=1, keepdims=True)))


def row(z: Array, y: Array, slope: Array) -> float:
    top = np.float64(z[0])
    for c in range(1, len(z)):
        top = max(top, np.float64(z[c]))
    total = 0.0
    for c in range(len(z)):
        slope[c] = math.exp(np.float64(z[c]) - top)
        total += slope[c]
    for c in range(len(z)):
        slope[c] /= total
    label = int(y[0])
    slope[label] -= 1.0
    return float(math.log(total) - (np.float64(z[label]) - top))


def row_curve(z: Array, y: Array, u: Array) -> None:
    top = np.float64(z[0])
    for c in range(1, len(z)):
        top = max(top, np.float64(z[c]))
    total, mean = 0.0, 0.0
    for c in range(len(z)):
        e = math.exp(np.float64(z[c]) - top)
        total += e
        mean += e * u[c]
    mean /= total
    for c in range(len(z)):
        u[c] = math.exp(np.float64(z[c]) - top) / total * (u[c] - mean)


def as_classes(y: npt.ArrayLike, n_classes: int | None) -> tuple[Array, int]:
    """Class indices as an int64 vector, and how many classes there are."""
    labels = np.asarray(y)
    if labels.ndim != 1 or labels.size == 0 or labels.dtype.kind not in "iub":
        raise ValueError(
            f"y has shape {labels.shape} and dtype {labels.dtype}; "
            "expected one integer class index a sample"
        )
    k = int(labels.max()) + 1 if n_classes is None else n_classes
    if k < 2:
        raise ValueError(f"n_classes is {k}; expected at least 2")
    bad = (labels < 0) | (labels >= k)
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"y[{i}] is {labels[i]}; expected a class in [0, {k})")
    return labels.astype(np.int64), k


class SoftmaxRegression(GeneralizedLinearModel):
    r"""Multiclass cross-entropy of a linear model, by a stable log-sum-exp.

    .. math:: \ell_i = \log \sum_c e^{z_c} - z_{y_i}, \quad z = W x_i + b

    Parameters
    ----------
    X, intercept, sample_weight, reduction, l2, backend
        As for :class:`LinearRegression`.
    y : array of int, shape (n,)
        Class of each sample, from 0.
    n_classes : int, optional
        Number of classes; one more than the largest label without it.

    Raises
    ------
    ValueError, TypeError
        As :class:`LinearRegression`, and for labels out of range.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> X, y = fl.datasets.digits()
    >>> f = fl.objectives.SoftmaxRegression(X, y)
    >>> f.n_params, round(f.loss(f.initial()), 4)  # log 10
    (650, 2.3026)

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, eq. 4.108.
    """

    head = Head("softmax", value, curve, row, row_curve)

    def __init__(
        self,
        X: Any,
        y: npt.ArrayLike,
        n_classes: int | None = None,
        intercept: bool = True,
        *,
        sample_weight: npt.ArrayLike | None = None,
        reduction: Reduction = "mean",
        l2: float = 0.0,
        backend: str | None = None,
    ) -> None:
        labels, k = as_classes(y, n_classes)
        super().__init__(
            X,
            labels,
            outputs=k,
            squeeze=False,
            intercept=intercept,
            sample_weight=sample_weight,
            reduction=reduction,
            l2=l2,
            backend=backend,
        )

    def predict_proba(self, phi: npt.ArrayLike, X: Any = None) -> Array:
        """Probability of each class for each sample, shape (n, classes)."""
        return np.asarray(softmax(self.outputs(phi, X)))

    def predict(self, phi: npt.ArrayLike, X: Any = None) -> Array:
        """The likeliest class of each sample."""
        return np.asarray(np.argmax(self.outputs(phi, X), axis=1))
