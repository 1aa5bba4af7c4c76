"""Readers of data files, and data to try things on."""

from __future__ import annotations

from ._cifar import cifar10
from ._csv import csv
from ._dataset import DataError, Dataset
from ._digits import digits
from ._idx import idx, mnist
from ._load import load
from ._npz import npz
from ._split import train_test_split
from ._svmlight import svmlight

__all__ = [
    "DataError",
    "Dataset",
    "cifar10",
    "csv",
    "digits",
    "idx",
    "load",
    "mnist",
    "npz",
    "svmlight",
    "train_test_split",
]
