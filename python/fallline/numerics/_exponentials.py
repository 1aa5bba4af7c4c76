"""Sums of exponentials, and what is made of them."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .._types import Array, compute_dtype, float64

Axis: TypeAlias = int | tuple[int, ...] | None
DType: TypeAlias = np.dtype[Any]


def _real(what: str, x: npt.ArrayLike) -> tuple[Array, DType]:
    """`x` in the type to compute in, and the type to return."""
    array = np.asarray(x)
    if array.dtype.kind in "biu":
        return array.astype(float64), float64
    if array.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        raise TypeError(f"{what} must hold real numbers of at most 64 bits, not {array.dtype}")
    return array.astype(compute_dtype(array.dtype), copy=False), array.dtype


def _returned(value: Array, dtype: DType) -> Array:
    return value.astype(dtype, copy=False)[()]


def _partition(x: Array, axis: Axis) -> tuple[Array, Array, Array]:
    """The maximum m, x - m, and log Σ exp(x - m), which is accurate where it is near 0."""
    top = np.max(x, axis, keepdims=True, initial=-np.inf)
    level = x == top
    below = np.where(level, 0, x - top)
    ties = np.maximum(np.sum(level, axis, keepdims=True, dtype=x.dtype), 1)
    rest = np.sum(np.where(level, 0, np.exp(below)), axis, keepdims=True)
    return top, below, np.log1p(rest / ties) + np.log(ties)


@np.errstate(all="ignore")
def log_sum_exp(x: npt.ArrayLike, axis: Axis = -1, keepdims: bool = False) -> Array:
    r"""Logarithm of a sum of exponentials.

    .. math:: \log \sum_i e^{x_i} = m + \log \sum_i e^{x_i - m}, \qquad m = \max_i x_i

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.
    axis : int, tuple of int or None
        What is summed over; None is everything.
    keepdims : bool
        Keep the summed axes, with length 1.

    Returns
    -------
    ndarray or scalar
        -inf where all terms are -inf or there are none; inf where a term is.

    Raises
    ------
    TypeError
        `x` does not hold real numbers.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.numerics.log_sum_exp([[1000.0, 1000.0], [0.0, 0.0]]).round(4)
    array([1.0006931e+03, 6.9310000e-01])

    References
    ----------
    Blanchard, Higham & Higham (2021), Accurately computing the log-sum-exp and softmax functions,
    equation 1.4.
    """
    values, dtype = _real("x", x)
    top, _, log_total = _partition(values, axis)
    result = top + log_total
    return _returned(result if keepdims else np.squeeze(result, axis), dtype)


@np.errstate(all="ignore")
def softmax(x: npt.ArrayLike, axis: Axis = -1) -> Array:
    r"""Probabilities in proportion to exponentials.

    .. math:: p_i = \frac{e^{x_i - m}}{\sum_j e^{x_j - m}}, \qquad m = \max_j x_j

    Entries of inf share the whole, as do entries of -inf where there are no others.

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.
    axis : int, tuple of int or None
        Over what the probabilities sum to 1; None is everything.

    Returns
    -------
    ndarray
        Of the shape of `x`.

    Raises
    ------
    TypeError
        `x` does not hold real numbers.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.numerics.softmax([1000.0, 990.0, 980.0]).round(7)
    array([9.999546e-01, 4.540000e-05, 0.000000e+00])

    References
    ----------
    Blanchard, Higham & Higham (2021), Accurately computing the log-sum-exp and softmax functions,
    equation 1.5.
    """
    values, dtype = _real("x", x)
    _, below, _ = _partition(values, axis)
    weights = np.exp(below)
    return _returned(weights / np.sum(weights, axis, keepdims=True), dtype)


@np.errstate(all="ignore")
def log_softmax(x: npt.ArrayLike, axis: Axis = -1) -> Array:
    r"""Logarithm of :func:`softmax`, also where that underflows or is next to 1.

    .. math:: \log p_i = x_i - m - \log \sum_j e^{x_j - m}, \qquad m = \max_j x_j

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.
    axis : int, tuple of int or None
        Over what the probabilities sum to 1; None is everything.

    Returns
    -------
    ndarray
        Of the shape of `x`.

    Raises
    ------
    TypeError
        `x` does not hold real numbers.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.numerics.log_softmax([1000.0, 0.0])
    array([    0., -1000.])

    References
    ----------
    Blanchard, Higham & Higham (2021), Accurately computing the log-sum-exp and softmax functions,
    section 1.
    """
    values, dtype = _real("x", x)
    return _returned(_log_softmax(values, axis), dtype)


def _log_softmax(x: Array, axis: Axis) -> Array:
    _, below, log_total = _partition(x, axis)
    return below - log_total


@np.errstate(all="ignore")
def sigmoid(x: npt.ArrayLike) -> Array:
    r"""The logistic function.

    .. math:: \sigma(x) = \frac{1}{1 + e^{-x}}

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.

    Returns
    -------
    ndarray or scalar
        Of the shape of `x`; accurate in its smallest values, too.

    Raises
    ------
    TypeError
        `x` does not hold real numbers.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.numerics.sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    values, dtype = _real("x", x)
    decay = np.exp(-np.abs(values))
    return _returned(np.where(values < 0, decay, 1) / (1 + decay), dtype)
