"""The one place that says what is wrong with an array."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ._types import Array

DTYPES = ("float64", "float32", "bfloat16", "float16")


def check_array(what: str, array: Any) -> Array:
    """Return `array` if the kernels can read it as it lies in memory, else raise."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{what} must be a numpy.ndarray, not {type(array).__name__}")
    if array.dtype.name not in DTYPES:
        raise TypeError(f"{what} has dtype {array.dtype}; expected one of {', '.join(DTYPES)}")
    if not array.dtype.isnative:
        raise TypeError(f"{what} has dtype {array.dtype.str!r}, of foreign byte order")
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{what} is not C-contiguous (shape {array.shape}, strides {array.strides}); "
            "pass numpy.ascontiguousarray of it"
        )
    if not array.flags.aligned:
        raise ValueError(f"{what} is not aligned to its dtype {array.dtype}")
    return array


def check_parameter(what: str, array: Any) -> Array:
    """As :func:`check_array`, for an array that is written to."""
    check_array(what, array)
    if not array.flags.writeable:
        raise ValueError(f"{what} is read-only; it is updated in place and must be writeable")
    return array  # type: ignore[no-any-return]


def check_gradient(what: str, grad: Any, param: Array) -> Array:
    """As :func:`check_array`, for the gradient of `param`."""
    check_array(what, grad)
    if grad.shape != param.shape:
        raise ValueError(f"{what} has shape {grad.shape}; its parameter has {param.shape}")
    return grad  # type: ignore[no-any-return]


def check_apart(
    written: Sequence[tuple[str, Array]], read: Iterable[tuple[str, Array]] = ()
) -> None:
    """Raise where an array that is written shares memory with another one.

    Contiguous arrays overlap exactly where their address ranges do, so one sort finds all.
    """
    ranges = [(*byte_bounds(a), True, name) for name, a in written if a.size]
    ranges += [(*byte_bounds(a), False, name) for name, a in read if a.size]
    ranges.sort(key=lambda r: r[0])
    # Read-only ranges may overlap each other: remember the furthest end of either kind.
    furthest: dict[bool, tuple[int, str]] = {True: (0, ""), False: (0, "")}
    for begin, end, is_written, name in ranges:
        for other_written, (other_end, other) in furthest.items():
            if (is_written or other_written) and begin < other_end:
                raise ValueError(f"{name} and {other} overlap in memory")
        furthest[is_written] = max(furthest[is_written], (end, name))
