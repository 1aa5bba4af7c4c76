"""Data to learn from and data to test on."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._types import Array


def train_test_split(
    X: Any,
    y: Array,
    fraction: float = 0.2,
    seed: int | np.random.Generator = 0,
    *,
    stratify: bool = False,
) -> tuple[Any, Any, Array, Array]:
    """Hold out some samples, drawn at random.

    Parameters
    ----------
    X : ndarray or SciPy sparse array in CSR, shape (n, ...)
        The samples.
    y : ndarray, shape (n, ...)
        Their targets.
    fraction : float, default 0.2
        The share to hold out, above 0 and below 1; rounded to whole samples, at least one on
        either side.
    seed : int or numpy.random.Generator, default 0
        The same seed draws the same samples.
    stratify : bool, default False
        Hold out this share of each class in `y`. Where that is no whole number, the classes with
        the largest remainders give one sample more.

    Returns
    -------
    X_train, X_test, y_train, y_test
        Copies, in scikit-learn's order; rows in random order.

    Raises
    ------
    ValueError
        The lengths differ, there are fewer than two samples, or `fraction` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import fallline as fl
    >>> X, y = np.arange(20).reshape(10, 2), np.arange(10)
    >>> X_train, X_test, y_train, y_test = fl.datasets.train_test_split(X, y, 0.3, seed=0)
    >>> X_train.shape, X_test.shape
    ((7, 2), (3, 2))
    """
    n = X.shape[0]
    if n != len(y):
        raise ValueError(f"X has {n} rows, but y has {len(y)}")
    if n < 2:
        raise ValueError(f"X has {n} rows; expected at least 2 to split")
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}; expected above 0 and below 1")
    rng = np.random.default_rng(seed)
    n_test = min(max(round(fraction * n), 1), n - 1)
    order = rng.permutation(n)
    held_out = np.zeros(n, dtype=bool)
    if stratify:
        held_out[_stratified(y[order], n_test)] = True
    else:
        held_out[:n_test] = True
    train, test = order[~held_out], order[held_out]
    return X[train], X[test], y[train], y[test]


def _stratified(y: Array, n_test: int) -> Array:
    """Positions of the samples to hold out: the first few of each class."""
    if y.ndim != 1:
        raise ValueError(f"y has shape {y.shape}; expected (n,) to stratify by")
    _, member, sizes = np.unique(y, return_inverse=True, return_counts=True)
    shares = sizes * n_test / len(y)
    quota = np.floor(shares).astype(np.int64)
    # Stable: equal remainders go to the classes in sorted order.
    largest = np.argsort(quota - shares, kind="stable")
    quota[largest[: n_test - int(quota.sum())]] += 1
    by_class = np.argsort(member, kind="stable")
    rank = np.arange(len(y)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return by_class[rank < np.repeat(quota, sizes)]
