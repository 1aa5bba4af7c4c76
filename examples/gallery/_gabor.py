"""The Gabor model's data and window, which several figures show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

import fallline as fl

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRUTH = (0.0, 16.6)
SEED = 12
NOISE = 0.17  # with this seed, the sum of squares at the global minimum is 0.64
WINDOW = ((-10.0, 10.0), (2.5, 22.5))


def gabor(phi: tuple[float, float], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The curve at parameters φ."""
    return fl.objectives.Gabor(x, np.zeros(len(x))).predict(np.array(phi))


def points() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 28 training points: x uniform, y the true curve and normal noise."""
    rng = np.random.default_rng(SEED)
    x = rng.uniform(-15, 15, 28)
    return x, gabor(TRUTH, x) + rng.normal(0, NOISE, 28)


def loss(reduction: Literal["sum", "mean"] = "sum") -> fl.objectives.Gabor:
    """The squares of the residuals: their sum is what is drawn, steps go down their mean."""
    return fl.objectives.Gabor(*points(), reduction=reduction)
