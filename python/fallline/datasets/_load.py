"""Any file that one of the readers can read."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._cifar import BATCHES, cifar10
from ._csv import csv
from ._dataset import Dataset
from ._files import SUFFIXES, PathLike
from ._idx import beside, images_and_labels, mnist
from ._npz import npz
from ._svmlight import svmlight


def _idx(path: PathLike, *, flatten: bool = True, dtype: Any = "float32") -> Dataset:
    return images_and_labels(path, beside(Path(path)), flatten=flatten, dtype=dtype)


FORMATS: dict[str, Callable[..., Dataset]] = {
    "npz": npz,
    "csv": csv,
    "svmlight": svmlight,
    "idx": _idx,
    "mnist": mnist,
    "cifar10": cifar10,
}
ENDINGS = {
    ".npz": "npz",
    ".csv": "csv",
    ".tsv": "csv",
    ".svm": "svmlight",
    ".libsvm": "svmlight",
    ".svmlight": "svmlight",
    "-ubyte": "idx",
    ".idx": "idx",
}


def load(
    path: PathLike, *, target: int | str | None = None, format: str | None = None, **options: Any
) -> Dataset:
    r"""Read a file or folder in whichever format it has.

    ==========  ===================================================================
    format      told by
    ==========  ===================================================================
    npz         ``.npz``
    csv         ``.csv``; ``.tsv``, with tabs between fields
    svmlight    ``.svm``, ``.libsvm``, ``.svmlight``
    idx         ``…-ubyte`` or ``.idx``: images, with a labels file beside them
    mnist       a folder with MNIST's files
    cifar10     a folder with CIFAR-10's ``.bin`` batches
    ==========  ===================================================================

    Files may end in ``.gz``, ``.bz2`` or ``.xz`` besides, except ``.npz``.

    Parameters
    ----------
    path : path
        The file or folder.
    target : int or str, optional
        The target's column in a CSV file (default: the last one), or its array in an NPZ file.
    format : str, optional
        One of the formats above; by default told by the name.
    **options
        What else the format's reader takes, such as ``dtype``, ``split`` or ``n_features``.

    Returns
    -------
    Dataset
        As the format's reader returns it.

    Raises
    ------
    FileNotFoundError
        There is no such file or folder.
    DataError
        The file is damaged.
    ValueError
        The name does not tell the format.
    TypeError
        The format's reader has no such option.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fallline as fl
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "prices.csv")
    ...     _ = path.write_text("price,area,rooms\n310.5,75,3\n420,98,4\n")
    ...     fl.datasets.load(path, target="price")
    Dataset(X: float64 (2, 2), y: float64 (2,))
    """
    format = format_of(path, format)
    read = FORMATS[format]
    if target is not None:
        options["target"] = target
    if format == "csv":
        options.setdefault("delimiter", delimiter_of(path))
    known = list(inspect.signature(read).parameters)[1:]
    for name in options:
        if name not in known:
            raise TypeError(f"a {format} file takes no {name}; its options: {', '.join(known)}")
    return read(path, **options)


def format_of(path: PathLike, format: str | None = None) -> str:
    """The format that is given, else the one that the name tells."""
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no {path}")
    if format is None:
        format = _folder_format(Path(path)) if Path(path).is_dir() else _file_format(Path(path))
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; expected one of {', '.join(FORMATS)}")
    return format


def delimiter_of(path: PathLike) -> str:
    """Between the fields of a table by this name."""
    return "\t" if _stem(Path(path)).endswith(".tsv") else ","


def _stem(path: Path) -> str:
    """The name in lower case, without the suffix of a compression."""
    name = path.name.lower()
    return name[: -len(path.suffix)] if path.suffix.lower() in SUFFIXES else name


def _file_format(path: Path) -> str:
    for ending, format in ENDINGS.items():
        if _stem(path).endswith(ending):
            return format
    raise ValueError(
        f"the name of {path} does not tell its format: expected an end of {', '.join(ENDINGS)}, "
        f"or format= one of {', '.join(FORMATS)}"
    )


def _folder_format(path: Path) -> str:
    if any(any(path.glob(pattern)) for pattern in BATCHES.values()):
        return "cifar10"
    if any(path.glob("*-images?idx3-ubyte*")):
        return "mnist"
    raise ValueError(
        f"{path} is a folder, but holds neither MNIST's train-images-idx3-ubyte nor CIFAR-10's "
        "data_batch_1.bin or test_batch.bin"
    )
