"""Data to try things on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._extras import require

__all__ = ["digits"]


def digits() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Handwritten digits: the 1,797 images of 8 × 8 pixels that ship with scikit-learn.

    Returns
    -------
    X : ndarray of float32, shape (1797, 64)
        One image a row, its pixels from 0 to 1.
    y : ndarray of int64, shape (1797,)
        The digits.

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
    return (pixels / 16).astype(np.float32), y.astype(np.int64)
