"""What is to be predicted: numbers, or classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from .._types import Array
from ..datasets import Dataset

__all__ = ["KINDS", "TASKS", "Classes", "Kind", "Loss", "Task", "losses_of"]

Kind: TypeAlias = Literal["linear", "logistic", "softmax", "mlp"]
Task: TypeAlias = Literal["classification", "regression"]
Loss: TypeAlias = Literal["squared", "logistic", "softmax"]

KINDS: tuple[Kind, ...] = ("linear", "logistic", "softmax", "mlp")
TASKS: tuple[Task, ...] = ("classification", "regression")
TASK_OF: dict[str, Task] = {
    "linear": "regression",
    "logistic": "classification",
    "softmax": "classification",
}
FEW = 20  # whole numbers with more values than this are taken for amounts, not for classes


@dataclass(frozen=True)
class Classes:
    """The labels that a model tells apart, in the order of its outputs: all words, or all ints."""

    labels: tuple[str, ...] | tuple[int, ...]

    @classmethod
    def of(cls, data: Dataset) -> Classes:
        """Those of a data set; raises ValueError where they are fewer than two."""
        if data.classes:
            return cls(data.classes)
        labels = tuple(int(label) for label in np.unique(data.y))
        if len(labels) < 2:
            raise ValueError(f"all labels are {labels[0]}; expected at least 2 classes")
        return cls(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def index(self, data: Dataset) -> Array:
        """Class index of each sample; -1 where its label is none of these.

        Where only the model knows words, the data's numbers are taken for their indices.
        """
        known: Sequence[Any] = self.labels
        if isinstance(known[0], str) and data.classes is None:
            known = range(len(known))
        place = {label: i for i, label in enumerate(known)}
        values, inverse = np.unique(data.y, return_inverse=True)
        names = [data.classes[int(v)] for v in values] if data.classes else values.tolist()
        return np.array([place.get(name, -1) for name in names], np.int64)[inverse]

    def at(self, indices: Array) -> Array:
        """Labels by their indices."""
        return np.array(self.labels)[indices]


def losses_of(data: Dataset, kind: Kind | None, task: Task | None) -> tuple[Kind, Loss]:
    """The model and its loss, chosen by the targets as far as they are left open.

    Raises
    ------
    ValueError
        The targets do not suit the model, or the model not the task.
    """
    fixed = None if kind is None else TASK_OF.get(kind)
    if fixed and task and fixed != task:
        raise ValueError(f"model {kind} is for {fixed}, not for {task}")
    task = fixed or task or ("classification" if _look_like_classes(data) else "regression")
    if task == "regression":
        if data.classes:
            raise ValueError(
                f"the targets are words ({_some(data.classes)}); regression takes numbers. "
                "Try model logistic, softmax or mlp"
            )
        return kind or "linear", "squared"
    n = _count_classes(data, kind or "classification")
    if kind == "logistic" and n != 2:
        raise ValueError(f"model logistic tells 2 classes apart; the data has {n}. Try softmax")
    if kind == "softmax" or n > 2:
        return kind or "softmax", "softmax"
    return kind or "logistic", "logistic"


def _look_like_classes(data: Dataset) -> bool:
    y = data.y
    whole = y.ndim == 1 and y.dtype.kind in "iub"
    return bool(data.classes) or (whole and len(np.unique(y)) <= FEW)


def _count_classes(data: Dataset, what: str) -> int:
    y = data.y
    if y.ndim != 1:
        raise ValueError(f"the targets have shape {y.shape}; {what} takes one label a sample")
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        at = int(np.argmax(y != np.floor(y)))
        raise ValueError(
            f"target {at} is {y[at]}; {what} takes whole numbers or words as labels. "
            "Try model linear or mlp"
        )
    return len(Classes.of(data))


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:3]) + (", …" if len(words) > 3 else "")
