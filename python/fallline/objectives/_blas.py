"""Where in memory the matrix products are of the BLAS that NumPy carries, for C++ to call."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["Blas", "find", "unthreaded"]


class Blas(NamedTuple):
    """Addresses of functions; 0 where there is none."""

    sgemm: int
    dgemm: int
    wide: bool  # its integers are int64, not int32
    get_threads: int  # how many threads a product takes
    set_threads: int


# Around "cblas_sgemm": OpenBLAS in NumPy's wheels, OpenBLAS and MKL of 64-bit integers, macOS'
# Accelerate; then those of 32-bit integers.
NAMES = (
    ("scipy_", "64_"),
    ("", "64_"),
    ("", "_64"),
    ("", "$NEWLAPACK$ILP64"),
    ("scipy_", ""),
    ("", ""),
    ("", "$NEWLAPACK"),
)


@cache
def find() -> Blas | None:
    """NumPy's BLAS; None where it keeps none, or no C interface to it."""
    for library in _libraries():
        for prefix, suffix in NAMES:
            sgemm, dgemm = (_address(library, f"{prefix}cblas_{kind}gemm{suffix}") for kind in "sd")
            if sgemm and dgemm:
                get, put = (
                    _address(library, f"{prefix}openblas_{verb}_num_threads{suffix}")
                    for verb in ("get", "set")
                )
                wide = "64" in suffix or _has_wide_integers(library, f"{prefix}openblas_get_config")
                return Blas(sgemm, dgemm, wide, get if put else 0, put if get else 0)
    return None


@contextmanager
def unthreaded() -> Iterator[None]:
    """Keep NumPy's products on the calling thread meanwhile: between steps, not beside them.

    OpenBLAS' workers spin for some 25 ms after a product, and take that from the steps that follow:
    a softmax regression validated every 40 ms took 2.4 times as long on two cores, a step of K-FAC
    on the digits, whose products come between evaluations, 3 to 40 times.
    """
    blas = find()
    if blas is None or not blas.set_threads:
        yield
        return
    put = ctypes.CFUNCTYPE(None, ctypes.c_int)(blas.set_threads)
    before = ctypes.CFUNCTYPE(ctypes.c_int)(blas.get_threads)()
    put(1)
    try:
        yield
    finally:
        put(before)


def _libraries() -> Iterator[ctypes.CDLL]:
    package = getattr(np, "_core", None) or np.core  # NumPy 2 or 1
    # A name is looked up in what the library was linked to, too; but not on Windows.
    paths = [package._multiarray_umath.__file__]
    if sys.platform == "win32":
        paths = sorted(Path(np.__file__).parent.with_name("numpy.libs").glob("*openblas*.dll"))
    for path in paths:
        try:
            yield ctypes.CDLL(str(path))
        except OSError:
            continue


def _address(library: ctypes.CDLL, name: str) -> int:
    try:
        return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    except AttributeError:
        return 0


def _has_wide_integers(library: ctypes.CDLL, name: str) -> bool:
    """Whether an OpenBLAS of plain names was built with 64-bit integers all the same."""
    if not _address(library, name):
        return False
    config = getattr(library, name)
    config.restype = ctypes.c_char_p
    return b"USE64BITINT" in config()
