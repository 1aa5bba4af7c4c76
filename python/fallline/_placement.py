"""Where state arrays lie in memory, which the hardware does care about."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ._types import Array

LINE = 64  # bytes of a cache line, and of AVX-512's registers
PAGE = 4096
# Room in a page for eight streams: a parameter, six states and a gradient.
STRIDE = PAGE // 8
LARGE = 4 * PAGE


def on_a_line(values: Array) -> Array:
    """A copy that begins with a cache line: loops over it have no prologue."""
    memory = np.empty(values.nbytes + LINE, np.uint8)
    skip = -memory.ctypes.data % LINE
    copy: Array = memory[skip : skip + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


def zeros_beside(param: Array, dtype: DTypeLike, index: int) -> Array:
    """Zeros of a parameter's shape, placed for loops over it and its states; `index` counts these.

    They begin where the parameter does within a cache line, so that one prologue aligns all. Large
    ones begin elsewhere in the page: NumPy places all large arrays 16 bytes into one, and AdamW at
    1M took some 1.25 times as long so, on Zen 4 (streams at one offset share cache sets, and their
    low address bits, by which loads are held against earlier stores). Pages come when they are
    first written, near the thread that does.
    """
    dtype = np.dtype(dtype)
    size = param.size * dtype.itemsize
    unit = PAGE if size >= LARGE else LINE
    memory = np.zeros(size + unit, np.uint8)
    # A parameter of another type passes through an aligned buffer.
    begin = param.ctypes.data if param.dtype == dtype else 0
    skip = (begin + (index + 1) * STRIDE - memory.ctypes.data) % unit
    return memory[skip : skip + size].view(dtype).reshape(param.shape)


def copy_beside(param: Array, array: Array, index: int) -> Array:
    """A copy of a state array, placed as :func:`zeros_beside` does."""
    own = zeros_beside(param, array.dtype, index)
    own[...] = array
    return own
