"""NumPy's archives."""

from __future__ import annotations

import zipfile
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from .._types import Array
from ._dataset import DataError, Dataset, encode, first_nonfinite, float_type
from ._files import PathLike


def npz(
    path: PathLike,
    target: str | None = "y",
    *,
    data: str = "X",
    dtype: npt.DTypeLike | None = None,
    allow_nonfinite: bool = False,
) -> Dataset:
    """Arrays from a file that ``numpy.savez`` or ``numpy.savez_compressed`` wrote.

    Parameters
    ----------
    path : path
        The file. Arrays ``feature_names`` and ``classes`` in it are taken as such.
    target, data : str, default "y" and "X"
        The names of the targets' and of the samples' array. A `target` of None stands for no
        targets; `y` is then of shape (n, 0).
    dtype : float type, optional
        What to convert `X` to; by default it stays as stored.
    allow_nonfinite : bool, default False
        Let NaN and infinities pass.

    Returns
    -------
    Dataset
        `X` of shape (n, ...), `y` of shape (n, ...) as stored, or indices of its words.

    Raises
    ------
    DataError
        The file is damaged, lacks an array, holds pickled objects, or its arrays do not fit.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import fallline as fl
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "points.npz")
    ...     np.savez(path, X=np.eye(3), y=np.array(["a", "b", "a"]))
    ...     fl.datasets.npz(path)
    Dataset(X: float64 (3, 3), y: int64 (3,), 2 classes)
    """
    arrays = _arrays(path, data, *([] if target is None else [target]))
    X = arrays[data]
    y = np.empty((*X.shape[:1], 0)) if target is None else arrays[target]
    for name, array, kinds in ((data, X, "fiub"), (target, y, "fiubU")):
        if name is None:
            continue
        if array.dtype.kind not in kinds or array.ndim == 0 or array.size == 0:
            raise DataError(
                f"{path}: {name} is {array.dtype} of shape {array.shape}; expected "
                f"{'numbers or words' if 'U' in kinds else 'numbers'} of shape (n, ...)"
            )
        at = None if allow_nonfinite or array.dtype.kind != "f" else first_nonfinite(array)
        if at is not None:
            raise DataError(f"{path}: {name}{list(at)} is {array[at]}; expected a finite number")
    if len(X) != len(y):
        raise DataError(f"{path}: {data} has {len(X)} rows, but {target} has {len(y)}")
    feature_names, classes = (
        tuple(str(name) for name in arrays[key].ravel()) if key in arrays else None
        for key in ("feature_names", "classes")
    )
    if y.dtype.kind == "U":
        y, classes = encode(y)
    X = X if dtype is None else X.astype(float_type(dtype), copy=False)
    return Dataset(X, y, feature_names, classes)


def _arrays(path: PathLike, *needed: str) -> dict[str, Array]:
    with open(path, "rb") as file:
        if not file.read(1):
            raise DataError(f"{path} is empty")
        file.seek(0)
        try:
            archive: Any = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path} holds a single array; expected a .npz archive")
            missing = [name for name in needed if name not in archive.files]
            if missing:
                raise DataError(
                    f"{path} holds {', '.join(archive.files) or 'nothing'}; "
                    f"expected an array named {missing[0]}"
                )
            optional = {"feature_names", "classes"}.intersection(archive.files)
            return {name: archive[name] for name in (*needed, *optional)}
        except DataError:
            raise
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{path} cannot be read as a .npz archive: {error}") from error
