"""CIFAR-10's binary version."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from .._types import Array
from ._dataset import DataError, Dataset, float_type
from ._files import PathLike, opened, read

SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
BATCHES = {"train": "data_batch_*.bin", "test": "test_batch.bin"}


def cifar10(
    folder: PathLike,
    split: Literal["train", "test"] = "train",
    *,
    flatten: bool = False,
    dtype: npt.DTypeLike = np.float32,
) -> Dataset:
    """CIFAR-10 from the batches of its official binary version.

    Parameters
    ----------
    folder : path
        Holds ``data_batch_1.bin`` …, ``test_batch.bin`` and, for the classes' names,
        ``batches.meta.txt``.
    split : "train" or "test", default "train"
        All of the folder's ``data_batch_*.bin`` in the order of their names, or the test batch.
    flatten : bool, default False
        An image is a row of 3,072 values; else of shape (3, 32, 32).
    dtype : float type, default float32
        Of the pixels.

    Returns
    -------
    Dataset
        `X` from 0 to 1, shape (n, 3, 32, 32) or (n, 3072): the red, the green and the blue plane,
        each row by row; `y` int64, shape (n,); `classes` if the folder names them.

    Raises
    ------
    FileNotFoundError
        The folder holds no batch of this split.
    DataError
        A batch is no whole number of records, a label exceeds 9, or there are not ten names.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fallline as fl
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "test_batch.bin").write_bytes(bytes([7]) + bytes(3072))
    ...     fl.datasets.cifar10(folder, "test")
    Dataset(X: float32 (1, 3, 32, 32), y: int64 (1,))

    References
    ----------
    Krizhevsky (2009), Learning multiple layers of features from tiny images.
    """
    if split not in BATCHES:
        raise ValueError(f"split is {split!r}; expected 'train' or 'test'")
    dtype, folder = float_type(dtype), Path(folder)
    paths = sorted(folder.glob(BATCHES[split]))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no {BATCHES[split]}")
    batches = [_records(path) for path in paths]
    y = np.concatenate([batch[:, 0] for batch in batches]).astype(np.int64)
    X = np.empty((len(y), RECORD - 1), dtype)
    end = 0
    for batch in batches:
        begin, end = end, end + len(batch)
        np.divide(batch[:, 1:], 255, out=X[begin:end], dtype=dtype)
    names = folder / "batches.meta.txt"
    return Dataset(
        X if flatten else X.reshape(-1, *SHAPE),
        y,
        classes=_names(names) if names.exists() else None,
    )


def _records(path: Path) -> Array:
    with opened(path) as stream:
        data = read(stream)
    if len(data) % RECORD:
        raise DataError(
            f"{path} has {len(data):,} bytes; expected a multiple of {RECORD:,}, "
            "a label and 3 × 32 × 32 pixels an image"
        )
    records: Array = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
    wrong = records[:, 0] > 9
    if wrong.any():
        at = int(wrong.argmax())
        raise DataError(f"{path}: the label of image {at} is {records[at, 0]}; expected 0 to 9")
    return records


def _names(path: Path) -> tuple[str, ...]:
    names = tuple(path.read_text(encoding="utf-8").split())
    if len(names) != 10:
        raise DataError(f"{path} holds {len(names)} names; expected 10")
    return names
