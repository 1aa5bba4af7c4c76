"""Types that several modules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
LearningRate: TypeAlias = float | Callable[[int], float]
Group: TypeAlias = dict[str, Any]
Params: TypeAlias = Array | Sequence[Array] | Mapping[str, Array] | Sequence[Mapping[str, Any]]
Grads: TypeAlias = (
    Array
    | Sequence["Array | None"]
    | Mapping[str, "Array | None"]
    | Sequence[Any]
    | Mapping[str, Any]
)
OnNonfinite: TypeAlias = Literal["raise", "skip", "warn", "ignore"]

float64 = np.dtype(np.float64)
float32 = np.dtype(np.float32)


def compute_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type a parameter of this dtype is updated in, and its states are kept in."""
    return float64 if dtype == float64 else float32
