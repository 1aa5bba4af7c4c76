"""Cross-entropies."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .._types import Array
from ._exponentials import DType, _log_softmax, _real, _returned

Reduction: TypeAlias = Literal["none", "sum", "mean"]

REDUCTIONS = ("none", "sum", "mean")
ROW_SUM_TOLERANCE = 1e-2  # probabilities rounded to bfloat16 sum to 1 ± 2⁻⁸


def _reduced(losses: Array, reduction: str, dtype: DType) -> Array:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {REDUCTIONS}, not {reduction!r}")
    if reduction != "none":
        total = np.sum(losses)
        losses = np.divide(total, losses.size, dtype=losses.dtype) if reduction == "mean" else total
    return _returned(losses, dtype)


@np.errstate(all="ignore")
def binary_cross_entropy(
    logits: npt.ArrayLike, labels: npt.ArrayLike, reduction: Reduction = "none"
) -> Array:
    r"""Negative log likelihood of two-class labels, for any logit.

    .. math:: \ell = -y \log \sigma(z) - (1 - y) \log(1 - \sigma(z))
                   = y \log(1 + e^{-z}) + (1 - y) \log(1 + e^{z})

    Parameters
    ----------
    logits : array_like
        The log odds z of label 1, of any shape.
    labels : array_like
        The labels y of the same shape: 0 and 1, booleans, or probabilities in [0, 1].
    reduction : {"none", "sum", "mean"}
        A loss per sample, or their sum or mean.

    Returns
    -------
    ndarray or scalar
        In the type of the logits.

    Raises
    ------
    TypeError
        Logits or labels are not real numbers.
    ValueError
        Shapes differ, or a label is not in [0, 1].

    Examples
    --------
    >>> import fallline as fl
    >>> fl.numerics.binary_cross_entropy([1e4, -1e4, 1e4], [1, 0, 0])
    array([    0.,     0., 10000.])

    References
    ----------
    Bishop (2006), Pattern recognition and machine learning, equation 4.90.
    """
    z, dtype = _real("logits", logits)
    y, _ = _real("labels", labels)
    if y.shape != z.shape:
        raise ValueError(f"labels have shape {y.shape}; the logits have {z.shape}")
    _check_probabilities(y)
    y = y.astype(z.dtype, copy=False)
    losses = _times(y, np.logaddexp(0, -z)) + _times(1 - y, np.logaddexp(0, z))
    return _reduced(losses, reduction, dtype)


@np.errstate(all="ignore")
def cross_entropy(
    logits: npt.ArrayLike, labels: npt.ArrayLike, reduction: Reduction = "none"
) -> Array:
    r"""Negative log likelihood of labels among K classes, for any logits.

    .. math:: \ell = -\sum_k y_k \log p_k, \qquad p = \operatorname{softmax}(z)

    Parameters
    ----------
    logits : array_like
        The logits z, of shape (..., K).
    labels : array_like
        Integers in 0, ..., K - 1 of shape (...), or rows of probabilities y of shape (..., K).
    reduction : {"none", "sum", "mean"}
        A loss per sample, or their sum or mean.

    Returns
    -------
    ndarray or scalar
        In the type of the logits; of shape (...) without a reduction.

    Raises
    ------
    TypeError
        Logits or labels are not numbers of these kinds.
    ValueError
        Shapes do not agree, a class is out of range, or a row does not hold probabilities.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.numerics.cross_entropy([[1e4, 0.0], [0.0, 0.0]], [1, 0]).round(4)
    array([1.000e+04, 6.931e-01])
    >>> float(fl.numerics.cross_entropy([0.0, 0.0], [0.9, 0.1]).round(4))
    0.6931

    References
    ----------
    Bishop (2006), Pattern recognition and machine learning, equation 4.108.
    """
    z, dtype = _real("logits", logits)
    if z.ndim == 0:
        raise ValueError("logits must have an axis of classes, not shape ()")
    y = np.asarray(labels)
    if y.shape == z.shape:
        rows, _ = _real("labels", y)
        _check_probabilities(rows, sum_to_one=True)
        losses = _times(rows.astype(z.dtype, copy=False), -_log_softmax(z, -1)).sum(-1)
    elif y.shape == z.shape[:-1]:
        indices = _class_indices(y, z.shape[-1])
        losses = -np.take_along_axis(_log_softmax(z, -1), indices[..., None], -1)[..., 0]
    else:
        raise ValueError(
            f"labels have shape {y.shape}; logits of shape {z.shape} need class indices of shape "
            f"{z.shape[:-1]} or probabilities of shape {z.shape}"
        )
    return _reduced(losses, reduction, dtype)


def _times(weight: Array, x: Array) -> Array:
    """Product that is 0 where the weight is, as the limit of y log y."""
    return np.where(weight == 0, 0, weight * x)


def _class_indices(labels: Array, classes: int) -> Array:
    if labels.dtype.kind not in "iu":
        raise TypeError(f"class labels must be integers, not {labels.dtype}")
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.size:
        raise ValueError(f"labels must lie in 0, ..., {classes - 1}; one is {outside.flat[0]}")
    return labels.astype(np.intp)


def _check_probabilities(labels: Array, *, sum_to_one: bool = False) -> None:
    outside = labels[~((labels >= 0) & (labels <= 1))]
    if outside.size:
        raise ValueError(f"labels must lie in [0, 1]; one is {outside.flat[0]}")
    if sum_to_one:
        sums = np.sum(labels, -1)
        wrong = sums[np.abs(sums - 1) > ROW_SUM_TOLERANCE]
        if wrong.size:
            raise ValueError(f"rows of labels must sum to 1; one sums to {wrong.flat[0]}")
