"""Where torch's C interface for compiled models, whose ABI it keeps, tells a tensor's address."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch

_LIBRARY = {"win32": "torch_cpu.dll", "darwin": "libtorch_cpu.dylib"}


@cache
def shim() -> tuple[Any, int, int] | None:
    """What makes a handle of a tensor, and the addresses of the C functions that read and free it.

    None where this torch has no such thing; the core then asks as it does for gradients.
    """
    path = Path(torch.__file__).parent / "lib" / _LIBRARY.get(sys.platform, "libtorch_cpu.so")
    try:
        library = ctypes.CDLL(str(path))
        functions = (library.aoti_torch_get_data_ptr, library.aoti_torch_delete_tensor_object)
        make = torch._C._aoti.unsafe_alloc_void_ptr_from_tensor
    except (OSError, AttributeError):
        return None
    read, free = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions)
    return make, read, free
