"""Data files as parts: to learn from, to validate on, to test on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile, ZipFile

import numpy.typing as npt

from .._memory import available_memory
from ..datasets import Dataset, csv, load, npz, train_test_split
from ..datasets._cifar import BATCHES
from ..datasets._csv import opened_table
from ..datasets._files import PathLike
from ..datasets._load import delimiter_of, format_of
from ..objectives._data import as_floats
from ..objectives._sparse import is_sparse

__all__ = ["Source", "dense", "read", "read_new", "split_off"]

TEST_FILES = {"mnist": "t10k-images?idx3-ubyte*", "cifar10": BATCHES["test"]}


class Source(NamedTuple):
    """Where data comes from, and how it is read."""

    path: PathLike
    target: int | str | None = None
    format: str | None = None
    dtype: npt.DTypeLike | None = None

    def options(self, format: str) -> dict[str, Any]:
        """Those of the format's reader."""
        return {"format": format} | ({} if self.dtype is None else {"dtype": self.dtype})


def read(source: Source, test: PathLike | None = None) -> tuple[Dataset, Dataset | None]:
    """Samples to learn from, and those to test on: from `test`, or where the folder has some."""
    format = format_of(source.path, source.format)
    options = source.options(format)
    data = _matrix(load(source.path, target=source.target, **options))
    if test is None:
        if format not in TEST_FILES or not any(Path(source.path).glob(TEST_FILES[format])):
            return data, None
        return data, _matrix(load(source.path, split="test", **options))
    options = source._replace(format=None).options(format_of(test, source.format))
    if options["format"] == "svmlight":
        options["n_features"] = data.X.shape[1]
    held_out = _matrix(load(test, target=source.target, **options))
    _check_columns(test, held_out, data.X.shape[1], data.feature_names)
    return data, held_out


def read_new(source: Source, features: int, names: tuple[str, ...] | None) -> Dataset:
    """Samples for a model of so many features, with targets if there are any.

    Without targets `y` has shape (n, 0). Of a folder with a test part, that part is read.
    """
    format = format_of(source.path, source.format)
    options = source.options(format)
    if format in TEST_FILES and any(Path(source.path).glob(TEST_FILES[format])):
        options["split"] = "test"
    if format == "svmlight":
        options["n_features"] = features
    path, plain = source.path, {k: v for k, v in options.items() if k != "format"}
    if format == "csv" and _width(path) == features:
        data = csv(path, None, delimiter=delimiter_of(path), **plain)
    elif format == "npz" and not _has_array(path, f"{source.target or 'y'}.npy"):
        data = npz(path, None, **plain)
    else:
        data = load(path, target=source.target, **options)
    data = _matrix(data)
    _check_columns(path, data, features, names)
    return data


def split_off(data: Dataset, share: float, seed: int, stratify: bool) -> tuple[Dataset, Dataset]:
    """What is left to learn from, and a part to validate on."""
    X, X_out, y, y_out = train_test_split(data.X, data.y, share, seed, stratify=stratify)
    return replace(data, X=X, y=y), replace(data, X=X_out, y=y_out)


def dense(X: Any, why: str) -> Any:
    """Samples as an array, where memory allows."""
    if not is_sparse(X):
        return X
    size, free = X.shape[0] * X.shape[1] * X.dtype.itemsize, available_memory()
    if free is not None and size > free / 2:
        raise ValueError(
            f"{why} takes dense samples: {size / 1e9:,.1f} GB; {free / 1e9:,.1f} GB are free"
        )
    return X.toarray()


def _matrix(data: Dataset) -> Dataset:
    """A row of floats a sample, whatever shape it had."""
    if is_sparse(data.X):
        return data
    return replace(data, X=as_floats("X", data.X.reshape(len(data.X), -1)))


def _check_columns(
    path: PathLike, data: Dataset, features: int, names: tuple[str, ...] | None
) -> None:
    if data.X.shape[1] != features:
        raise ValueError(f"{path} has {data.X.shape[1]} features; the model has {features}")
    if names and data.feature_names and data.feature_names != names:
        pairs = zip(data.feature_names, names, strict=True)
        at, (found, expected) = next((i, p) for i, p in enumerate(pairs) if p[0] != p[1])
        raise ValueError(f"{path}: feature {at + 1} is {found!r}; the model has {expected!r} there")


def _width(path: PathLike) -> int:
    return opened_table(path, delimiter_of(path)).width


def _has_array(path: PathLike, name: str) -> bool:
    try:
        with ZipFile(path) as archive:
            return name in archive.namelist()
    except (BadZipFile, OSError):
        return True  # the reader says what is wrong
