"""Checks of sparse samples (SciPy's CSR)."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .._extras import require

__all__ = ["as_csr", "is_sparse"]


def is_sparse(X: Any) -> bool:
    """Whether X is a SciPy sparse array or matrix (without importing SciPy)."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(X))


def as_csr(what: str, X: Any) -> Any:
    """X as a CSR array whose structure has been checked, so that no index is out of bounds."""
    csr_array = require("scipy.sparse", extra="sparse").csr_array
    if X.format != "csr":
        raise TypeError(f"{what} is sparse of format {X.format!r}; expected 'csr' ({what}.tocsr())")
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"{what} has shape {X.shape}; expected at least one sample and feature")
    data, indices, indptr = X.data, X.indices, X.indptr
    if data.dtype.kind not in "fiub":
        raise TypeError(f"{what}.data must be real numbers, not of dtype {data.dtype}")
    if data.dtype not in (np.float32, np.float64):
        data = data.astype(np.float32 if data.dtype == np.float16 else np.float64)
    check_structure(what, indices, indptr, len(data), X.shape)
    finite = np.isfinite(data)
    if not finite.all():
        k = int(np.argmin(finite))
        row = int(np.searchsorted(indptr, k, side="right")) - 1
        raise ValueError(f"{what}[{row}, {indices[k]}] is {data[k]}; expected finite numbers")
    arrays = (np.ascontiguousarray(a) for a in (data, indices, indptr))
    return csr_array(tuple(arrays), shape=X.shape)


def check_structure(
    what: str, indices: Any, indptr: Any, size: int, shape: tuple[int, int]
) -> None:
    """Raise where row pointers or column indices are malformed."""
    rows, columns = shape
    if indices.dtype not in (np.int32, np.int64) or indptr.dtype != indices.dtype:
        raise TypeError(
            f"{what}.indices and {what}.indptr have dtypes {indices.dtype} and {indptr.dtype}; "
            "expected both int32 or both int64"
        )
    if len(indptr) != rows + 1 or indptr[0] != 0 or (np.diff(indptr) < 0).any():
        raise ValueError(f"{what}.indptr must rise from 0 over {rows + 1} entries")
    if indptr[-1] > size or indptr[-1] > len(indices):
        raise ValueError(
            f"{what}.indptr ends at {indptr[-1]}; "
            f"there are {len(indices)} indices and {size} values"
        )
    used = indices[: indptr[-1]]
    if used.size == 0:
        return
    if used.min() < 0 or used.max() >= columns:
        k = int(np.argmax((used < 0) | (used >= columns)))
        raise ValueError(f"{what}.indices[{k}] is {used[k]}; expected a column in [0, {columns})")
    rising = used[1:] > used[:-1]
    starts = indptr[1:-1]
    starts = starts[(starts > 0) & (starts < len(used))]
    rising[starts - 1] = True
    if not rising.all():
        k = int(np.argmin(rising))
        row = int(np.searchsorted(indptr, k + 1, side="right")) - 1
        raise ValueError(
            f"{what} row {row} has unsorted or duplicate columns ({used[k]}, {used[k + 1]}); "
            f"call {what}.sum_duplicates() first"
        )
