"""The library at work: a small network under several optimizers, and one large update everywhere.

``fallline demo`` shows what is computed here.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from . import config, datasets
from ._memory import available_memory
from ._types import Array
from .backends import backends
from .optimizer import Optimizer
from .rules import optimizers

__all__ = ["RECIPES", "Data", "Fit", "Recipe", "Update", "affordable", "fit", "updates"]

LAYERS = (64, 32, 10)
BATCH = 32


# ---- the network -------------------------------------------------------------------------------


class Data(NamedTuple):
    """Images and labels, to learn from and to test on."""

    X: Array
    y: Array
    X_test: Array
    y_test: Array

    @classmethod
    def digits(cls, seed: int) -> Data:
        """The handwritten digits, a fifth of them held out."""
        X, y = datasets.digits()
        test, train = np.split(np.random.default_rng(seed).permutation(len(X)), [len(X) // 5])
        return cls(X[train], y[train], X[test], y[test])


def initial(rng: np.random.Generator) -> dict[str, Array]:
    """Weights of variance 2/inputs (He et al. 2015), biases of zero."""
    inputs, hidden, outputs = LAYERS
    scale = np.sqrt(2 / np.float32([inputs, hidden]))
    return {
        "W1": rng.standard_normal((inputs, hidden), np.float32) * scale[0],
        "b1": np.zeros(hidden, np.float32),
        "W2": rng.standard_normal((hidden, outputs), np.float32) * scale[1],
        "b2": np.zeros(outputs, np.float32),
    }


def _forward(params: Mapping[str, Array], X: Array) -> tuple[Array, Array]:
    """Hidden layer, and the logarithms of the probabilities."""
    hidden = np.maximum(X @ params["W1"] + params["b1"], 0)
    scores = hidden @ params["W2"] + params["b2"]
    scores -= scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return hidden, scores


def loss(params: Mapping[str, Array], X: Array, y: Array) -> float:
    """Mean cross-entropy."""
    return -float(_forward(params, X)[1][np.arange(len(y)), y].mean())


def gradient(params: Mapping[str, Array], X: Array, y: Array) -> dict[str, Array]:
    """Gradient of :func:`loss`."""
    hidden, scores = _forward(params, X)
    error = np.exp(scores)
    error[np.arange(len(y)), y] -= 1
    error /= len(y)
    back = (error @ params["W2"].T) * (hidden > 0)
    return {
        "W1": X.T @ back,
        "b1": back.sum(axis=0),
        "W2": hidden.T @ error,
        "b2": error.sum(axis=0),
    }


def accuracy(params: Mapping[str, Array], X: Array, y: Array) -> float:
    """Share of images whose most probable digit is theirs."""
    return float((_forward(params, X)[1].argmax(axis=1) == y).mean())


# ---- several optimizers ------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """An optimizer and its hyperparameters."""

    label: str
    rule: str
    options: Mapping[str, Any]

    def make(self, params: dict[str, Array]) -> Optimizer:
        """The optimizer, over these parameters."""
        cls: Any = optimizers()[self.rule]
        optimizer: Optimizer = cls(params, **self.options)
        return optimizer


RECIPES = (
    Recipe("SGD", "SGD", {"lr": 0.1}),
    Recipe("SGD, momentum", "SGD", {"lr": 0.05, "momentum": 0.9}),
    Recipe("RMSprop", "RMSprop", {"lr": 1e-3}),
    Recipe("Adam", "Adam", {"lr": 2e-3}),
    Recipe("AdamW", "AdamW", {"lr": 2e-3, "weight_decay": 0.1}),
    Recipe("Lion", "Lion", {"lr": 5e-4, "weight_decay": 0.1}),
)


@dataclass(frozen=True)
class Fit:
    """What an optimizer made of the network."""

    recipe: Recipe
    losses: list[float]  # over all training images: before the first epoch and after each
    accuracy: float  # on the images held out
    seconds: float  # of forward, backward and step


def fit(
    recipe: Recipe, data: Data, epochs: int, seed: int, tell: Callable[[], object] = lambda: None
) -> Fit:
    """Train from the seed's weights, on the seed's minibatches: the same for every recipe."""
    rng = np.random.default_rng(seed)
    params = initial(rng)
    optimizer = recipe.make(params)
    losses, seconds = [loss(params, data.X, data.y)], 0.0
    for _ in range(epochs):
        begin = perf_counter()
        order = rng.permutation(len(data.y))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            optimizer.step(gradient(params, data.X[rows], data.y[rows]))
        seconds += perf_counter() - begin
        losses.append(loss(params, data.X, data.y))
        tell()
    return Fit(recipe, losses, accuracy(params, data.X_test, data.y_test), seconds)
