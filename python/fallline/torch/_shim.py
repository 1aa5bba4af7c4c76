"""Where torch's C interface for compiled models, whose ABI it keeps, finds a Python tensor.

Its functions take the address of a C++ tensor, which a Python one holds at a place that torch does
not tell. It is looked for, and so is the mark of a negative view, which the interface does not
know. What it saves: no lock and no count of references is touched, so that threads can share the
work; DLPack's exchange and ``is_neg`` take 0.04 and 0.05 µs a tensor for these alone.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

_LIBRARY = {"win32": "torch_cpu.dll", "darwin": "libtorch_cpu.dylib"}
WORD = 8
_IMPL = 22  # words of c10::TensorImpl in torch 2.13, which had more in all versions before

# Functions that read one thing of a tensor, and the values that the core compares with.
_READS = ("layout", "device_type", "dtype", "data_ptr", "dim", "sizes", "strides")
_VALUES = (
    "layout_strided",
    "device_type_cpu",
    *(f"dtype_{name}" for name in ("float32", "float64", "bfloat16", "float16")),
)

Shim = tuple[tuple[int, ...], tuple[int, ...], int, int, int]


@cache
def shim() -> Shim | None:
    """Addresses of the functions, values, offset of the C++ tensor, offset and bit of the mark.

    None where any of it was not found; the core then asks by DLPack.
    """
    path = Path(torch.__file__).parent / "lib" / _LIBRARY.get(sys.platform, "libtorch_cpu.so")
    try:
        library = ctypes.CDLL(str(path))
        reads = [getattr(library, f"aoti_torch_get_{name}") for name in _READS]
        values = [getattr(library, f"aoti_torch_{name}") for name in _VALUES]
    except (OSError, AttributeError):
        return None
    samples = [torch.empty(shape) for shape in ((2,), (3, 4), (0,))]
    held = _only(_holds(tensor) for tensor in (*samples, torch.nn.Parameter(samples[0])))
    mark = _only(_differs(tensor) for tensor in samples)
    if held is None or mark is None:
        return None
    addresses = (ctypes.cast(read, ctypes.c_void_p).value or 0 for read in reads)
    (offset,), (word, bit) = held, mark
    return tuple(addresses), tuple(value() for value in values), offset, word, bit


def _words(address: int, first: int, last: int) -> list[int]:
    return [
        ctypes.c_uint64.from_address(address + WORD * word).value for word in range(first, last)
    ]


def _holds(tensor: Tensor) -> set[tuple[int, ...]]:
    """Offsets in the Python object at which the address of the C++ object stands."""
    first, last = object.__basicsize__ // WORD, Tensor.__basicsize__ // WORD
    words = _words(id(tensor), first, last)
    return {(WORD * (first + i),) for i, word in enumerate(words) if word == tensor._cdata}


def _differs(tensor: Tensor) -> set[tuple[int, ...]]:
    """(offset, bit) of the words in which negative views have one bit more than plain ones.

    Of several views at a time: a word with an address of its own, which can differ by one bit too,
    is then another in each.
    """
    plain = [tensor.view_as(tensor) for _ in range(3)]
    negative = [torch._neg_view(tensor) for _ in range(3)]
    pairs = zip(_common(plain), _common(negative), strict=True)
    more = [
        (i, b & ~a)
        for i, (a, b) in enumerate(pairs)
        if a is not None and b is not None and a & ~b == 0
    ]
    return {(WORD * i, bit) for i, bit in more if bit.bit_count() == 1}


def _common(tensors: list[Tensor]) -> list[int | None]:
    """The words of C++ tensors, None where they are not all the same."""
    words = zip(*(_words(tensor._cdata, 0, _IMPL) for tensor in tensors), strict=True)
    return [word[0] if len(set(word)) == 1 else None for word in words]


def _only(found: Iterable[set[tuple[int, ...]]]) -> tuple[int, ...] | None:
    """What was found every time, where that is one thing."""
    common = set.intersection(*found)
    return common.pop() if len(common) == 1 else None
