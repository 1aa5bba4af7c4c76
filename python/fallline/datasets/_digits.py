"""Data to try things on."""

from __future__ import annotations

import numpy as np

from .._extras import require
from ._dataset import Dataset


def digits() -> Dataset:
    """Handwritten digits: the 1,797 images of 8 × 8 pixels that ship with scikit-learn.

    Returns
    -------
    Dataset
        `X` float32, shape (1797, 64): one image a row, its pixels from 0 to 1;
        `y` int64, shape (1797,): the digits.

    Raises
    ------
    ImportError
        scikit-learn is missing (extra ``demo``).

    Examples
    --------
    >>> import fallline as fl
    >>> X, y = fl.datasets.digits()
    >>> X.shape, X.dtype.name, int(y.max())
    ((1797, 64), 'float32', 9)

    References
    ----------
    Alpaydin & Kaynak (1998), Optical recognition of handwritten digits, UCI repository.
    """
    pixels, y = require("sklearn.datasets", extra="demo").load_digits(return_X_y=True)
    return Dataset((pixels / 16).astype(np.float32), y.astype(np.int64))
