"""Checks of what objectives are given: samples, targets, weights, batches, parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._types import Array

__all__ = ["as_batch", "as_floats", "as_vector", "as_weights", "check_finite_rows"]


def as_vector(what: str, value: npt.ArrayLike, n: int, dtype: np.dtype[Any]) -> Array:
    """A C-contiguous vector of n numbers of this dtype; `value` itself where it is one."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise TypeError(f"{what} must be real numbers, not of dtype {array.dtype}")
    if array.shape != (n,) and not (n == 1 and array.shape == ()):
        raise ValueError(f"{what} has shape {array.shape}; expected ({n},)")
    return np.ascontiguousarray(array, dtype).reshape(n)


def as_batch(batch: npt.ArrayLike, n: int) -> Array:
    """Sample indices as a C-contiguous int64 vector, each in [0, n)."""
    array = np.asarray(batch)
    if array.ndim != 1:
        raise ValueError(f"batch must have one dimension, not shape {array.shape}")
    if array.size == 0:
        raise ValueError("batch is empty; expected at least one sample index")
    if array.dtype.kind not in "iu":
        raise TypeError(f"batch must hold integer indices, not dtype {array.dtype}")
    if array.dtype.kind == "u":  # 2^63 and above would wrap
        array = np.minimum(array, np.iinfo(np.int64).max)
    array = np.ascontiguousarray(array, np.int64)
    # As unsigned numbers negative ones are large: one pass finds either.
    if int(array.view(np.uint64).max()) >= n:
        k = int(np.argmax((array < 0) | (array >= n)))
        raise IndexError(f"batch[{k}] is {array[k]}; expected an index in [0, {n})")
    return array


def as_floats(what: str, value: Any) -> Array:
    """Numbers as a C-contiguous array of float32 or float64; float32 only where they are that."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise TypeError(f"{what} must be real numbers, not of dtype {array.dtype}")
    small = array.dtype.name in ("float32", "float16", "bfloat16")
    return np.ascontiguousarray(array, np.float32 if small else np.float64)


def as_weights(weights: npt.ArrayLike | None, n: int, dtype: np.dtype[Any]) -> Array | None:
    """Sample weights: n finite numbers of at least 0."""
    if weights is None:
        return None
    array = as_vector("sample_weight", weights, n, dtype)
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"sample_weight[{i}] is {array[i]}; expected a finite number >= 0")
    return array


def check_finite_rows(what: str, array: Array) -> None:
    """Raise where a value is infinite or NaN, naming its row."""
    rows = array.reshape(len(array), -1)
    block = max(1, 2**20 // max(1, rows.shape[1]))  # the mask stays small
    for begin in range(0, len(rows), block):
        bad = ~np.isfinite(rows[begin : begin + block])
        if bad.any():
            i, j = (int(k[0]) for k in np.nonzero(bad))
            where = f"[{begin + i}, {j}]" if array.ndim > 1 else f"[{begin + i}]"
            raise ValueError(f"{what}{where} is {rows[begin + i, j]}; expected finite numbers")
