"""MNIST's IDX format."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .._types import Array
from ._dataset import DataError, Dataset, float_type
from ._files import PathLike, opened, read

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
PREFIXES = {"train": "train", "test": "t10k"}
MAX_DIMENSIONS = 64  # NumPy's


def idx(path: PathLike) -> Array:
    """One array from an IDX file, plain or compressed (gzip, bzip2, xz).

    Parameters
    ----------
    path : path
        The file. Its header: two zero bytes, a byte for the type, a byte for the number of
        dimensions, then each dimension as a big-endian 32-bit word.

    Returns
    -------
    ndarray
        Of uint8, int8, int16, int32, float32 or float64 in native byte order, writeable.

    Raises
    ------
    DataError
        The header is none of IDX's, or the file is shorter or longer than it promises.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fallline as fl
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     fl.datasets.idx(path)
    array([7, 2, 1], dtype=uint8)

    References
    ----------
    LeCun, Cortes & Burges (1998), The MNIST database of handwritten digits.
    """
    with opened(path) as stream:
        magic = read(stream, 4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
            raise DataError(
                f"{path} starts with {magic.hex(' ') or 'nothing'}; expected IDX's 00 00, a type "
                f"of {', '.join(f'{t:02x}' for t in TYPES)}, and the number of dimensions"
            )
        dtype, ndim = np.dtype(TYPES[magic[2]]), magic[3]
        if not 1 <= ndim <= MAX_DIMENSIONS:
            raise DataError(f"{path} promises {ndim} dimensions; expected 1 to {MAX_DIMENSIONS}")
        words = read(stream, 4 * ndim)
        if len(words) < 4 * ndim:
            raise DataError(f"{path} ends in its header: {len(words)} of {4 * ndim} bytes")
        shape = tuple(np.frombuffer(words, ">u4").tolist())
        size = math.prod(shape) * dtype.itemsize
        body = read(stream, size + 1)
    if len(body) != size:
        found = "more than that" if len(body) > size else f"{len(body):,}"
        raise DataError(
            f"{path} promises {dtype.name} of shape {shape}, {size:,} bytes; found {found}"
        )
    try:
        array: Array = np.ndarray(shape, dtype, buffer=body)
    except ValueError as error:  # a length of zero beside enormous ones
        raise DataError(f"{path} promises shape {shape}: {error}") from error
    return array.astype(dtype.newbyteorder("="), copy=False)


def mnist(
    folder: PathLike,
    split: Literal["train", "test"] = "train",
    *,
    flatten: bool = True,
    dtype: npt.DTypeLike = np.float32,
) -> Dataset:
    """MNIST, or a set in its format (Fashion-MNIST, KMNIST), from its official files.

    Parameters
    ----------
    folder : path
        Holds ``train-images-idx3-ubyte`` and its three companions, plain or with ``.gz``.
    split : "train" or "test", default "train"
        60,000 images to learn from, or 10,000 to test on.
    flatten : bool, default True
        An image is a row of 784 pixels; else a matrix of 28 × 28.
    dtype : float type, default float32
        Of the pixels.

    Returns
    -------
    Dataset
        `X` from 0 (background) to 1, shape (n, 784) or (n, 28, 28); `y` int64, shape (n,).

    Raises
    ------
    FileNotFoundError
        An images or labels file is missing.
    DataError
        A file is damaged, the numbers of images and labels differ, or a label is not 0 to 9.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.datasets.mnist("nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere holds no train-images-idx3-ubyte, plain or .gz

    References
    ----------
    LeCun, Bottou, Bengio & Haffner (1998), Gradient-based learning applied to document
    recognition, Proceedings of the IEEE.
    """
    if split not in PREFIXES:
        raise ValueError(f"split is {split!r}; expected 'train' or 'test'")
    images, labels = (
        _find(Path(folder), f"{PREFIXES[split]}-{kind}-ubyte")
        for kind in ("images-idx3", "labels-idx1")
    )
    data = images_and_labels(images, labels, flatten=flatten, dtype=dtype)
    wrong = (data.y < 0) | (data.y > 9)
    if wrong.any():
        at = int(wrong.argmax())
        raise DataError(f"{labels}: label {at} is {data.y[at]}; expected 0 to 9")
    return data


def images_and_labels(
    images: PathLike, labels: PathLike, *, flatten: bool = True, dtype: Any = np.float32
) -> Dataset:
    """Pixels scaled to [0, 1] from one IDX file, class indices from another."""
    dtype = float_type(dtype)
    pixels, y = idx(images), idx(labels)
    if pixels.ndim != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
        raise DataError(
            f"{images} holds {pixels.dtype} of shape {pixels.shape}; expected uint8 images "
            "of shape (n, rows, columns)"
        )
    if y.ndim != 1 or y.dtype.kind not in "ui":
        raise DataError(
            f"{labels} holds {y.dtype} of shape {y.shape}; expected integers of shape (n,)"
        )
    if len(pixels) != len(y):
        raise DataError(f"{images} holds {len(pixels)} images, but {labels} {len(y)} labels")
    X = np.divide(pixels, 255, dtype=dtype)
    return Dataset(X.reshape(len(X), -1) if flatten else X, y.astype(np.int64))


def beside(images: Path) -> Path:
    """The labels file that belongs to an images file, by its name."""
    kind = images.name.replace("images", "labels").replace("idx3", "idx1")
    if kind == images.name:
        raise ValueError(
            f"{images} has no 'images' in its name, so its labels file cannot be told; "
            "read both with fallline.datasets.idx"
        )
    return _find(images.parent, kind.removesuffix(".gz"))


def _find(folder: Path, name: str) -> Path:
    for spelling in (name, name.replace("-idx", ".idx")):
        for path in (folder / spelling, folder / f"{spelling}.gz"):
            if path.is_file():
                return path
    raise FileNotFoundError(f"{folder} holds no {name}, plain or .gz")
