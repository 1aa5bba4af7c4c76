"""The images, from a folder of the official files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import fallline as fl
from settings import Size, Task

FOLDERS = {"mnist": "mnist", "cifar10": "cifar-10-batches-bin"}  # as their archives name them


class Data(NamedTuple):
    """Images to learn from and images to judge by."""

    X: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64]
    X_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]


def load(task: Task, folder: Path, size: Size) -> Data:
    """The data of a task: the first images of each split, as many as are wanted."""
    read = getattr(fl.datasets, task.dataset)
    inner = folder / FOLDERS[task.dataset]
    splits = [read(inner if inner.is_dir() else folder, split) for split in ("train", "test")]
    (X, y), (X_test, y_test) = splits
    n, n_test = size.train, size.test
    return normalized(task, Data(X[:n], y[:n], X_test[:n_test], y_test[:n_test]))


def load_held_out(task: Task, folder: Path) -> Data:
    """Training images alone: some to learn from, others, held out, to choose learning rates by."""
    whole = load(task, folder, Size(epochs=0, test=1))
    share = min(0.5, task.search.test / len(whole.y))
    X, X_test, y, y_test = fl.datasets.train_test_split(
        whole.X, whole.y, share, seed=0, stratify=True
    )
    return Data(X[: task.search.train], y[: task.search.train], X_test, y_test)


def normalized(task: Task, data: Data) -> Data:
    """Colour planes of mean 0 and deviation 1; MNIST's pixels stay between 0 and 1."""
    if task.dataset == "cifar10":
        mean = data.X.mean((0, 2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
        deviation = data.X.std((0, 2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
        for X in (data.X, data.X_test):
            X -= mean
            X /= deviation
    return data
