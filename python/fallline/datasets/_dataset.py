"""What every reader returns and raises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._types import Array

__all__ = ["DataError", "Dataset"]


class DataError(ValueError):
    """A data file is damaged, or is not what it was read as.

    The message names the file, the place in it, what was found and what was expected.

    Examples
    --------
    >>> import fallline as fl
    >>> issubclass(fl.datasets.DataError, ValueError)
    True
    """


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples and their targets; unpacks like a pair, ``X, y = dataset``.

    Parameters
    ----------
    X : ndarray or scipy.sparse.csr_array, shape (n, ...)
        One sample a row.
    y : ndarray, shape (n, ...)
        The targets; class indices where the file's labels are words.
    feature_names : tuple of str, optional
        The columns of `X`, where the file names them.
    classes : tuple of str, optional
        The word for each class index in `y`, where the file has one.

    Raises
    ------
    ValueError
        `X` and `y` differ in length.

    Examples
    --------
    >>> import numpy as np
    >>> import fallline as fl
    >>> data = fl.datasets.Dataset(np.eye(2), np.array([1, 0]), classes=("cat", "dog"))
    >>> data
    Dataset(X: float64 (2, 2), y: int64 (2,), 2 classes)
    >>> X, y = data
    >>> data.classes[y[0]]
    'dog'
    """

    X: Any
    y: Array
    feature_names: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.X.shape[:1] != self.y.shape[:1]:
            raise ValueError(f"X has shape {self.X.shape}, y {self.y.shape}: lengths differ")

    def __iter__(self) -> Iterator[Any]:
        """Yield `X`, then `y`."""
        return iter((self.X, self.y))

    def __repr__(self) -> str:
        parts = [f"{name}: {a.dtype} {a.shape}" for name, a in (("X", self.X), ("y", self.y))]
        if self.classes:
            parts.append(f"{len(self.classes)} classes")
        return f"Dataset({', '.join(parts)})"


def plain_target(y: Array) -> Array:
    """Numbers as int64 where all of them are whole, as class labels are; else unchanged."""
    whole = np.all((y == np.floor(y)) & (np.abs(y) < 2**53))
    return y.astype(np.int64) if whole else y


def encode(words: Sequence[str] | Array) -> tuple[Array, tuple[str, ...]]:
    """Class indices, and the words in sorted order that they stand for."""
    classes, y = np.unique(np.asarray(words, dtype=str), return_inverse=True)
    return y.astype(np.int64), tuple(classes.tolist())


def first_nonfinite(X: Array) -> tuple[int, ...] | None:
    """Where the first NaN or infinity stands."""
    finite = np.isfinite(X)
    if finite.all():
        return None
    return tuple(int(i) for i in np.unravel_index(int(finite.argmin()), X.shape))


def float_type(dtype: Any) -> np.dtype[Any]:
    """`dtype`, checked to hold fractions."""
    result: np.dtype[Any] = np.dtype(dtype)
    if result.kind != "f":
        raise TypeError(f"dtype is {result}; expected float64, float32 or another float type")
    return result
