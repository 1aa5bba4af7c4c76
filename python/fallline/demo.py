"""The library at work: a small network under several optimizers, and one large update everywhere.

``fallline demo`` shows what is computed here.
"""

from __future__ import annotations

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
    Recipe("SGD", "SGD", {"lr": 0.3}),
    Recipe("SGD, momentum", "SGD", {"lr": 0.1, "momentum": 0.9}),
    Recipe("RMSprop", "RMSprop", {"lr": 3e-3}),
    Recipe("Adam", "Adam", {"lr": 5e-3}),
    Recipe("AdamW", "AdamW", {"lr": 5e-3, "weight_decay": 0.1}),
    Recipe("Lion", "Lion", {"lr": 1e-3, "weight_decay": 0.1}),
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


# ---- a large update on every backend -----------------------------------------------------------

STEPS = 4  # the first brings the state's pages and is not timed
BYTES = 28  # AdamW moves a parameter, its gradient and two states in, all but the gradient out
SHIFT = 16  # elements between the gradients of two steps, which are views of one array
ARRAYS = 5  # float32 numbers a parameter takes: itself, gradient, two states, the first result


@dataclass(frozen=True)
class Update:
    """A large AdamW update on one backend."""

    backend: str
    isa: str | None  # of the native backend
    seconds: float  # a step, the median
    different: int  # parameters whose bits differ from those of the first backend

    def gb_per_second(self, n: int) -> float:
        """Memory that had to be moved for `n` parameters, by time."""
        return BYTES * n / self.seconds / 1e9


def affordable(n: int) -> int:
    """At most `n` parameters, and so few that half of the free memory suffices."""
    free = available_memory()
    return n if free is None else max(1, min(n, free // 2 // (4 * ARRAYS)))


def places() -> list[tuple[str, str | None]]:
    """Every backend usable here, the native one once for each instruction set."""
    names = ((b, config.isas() if b == "native" else (None,)) for b in backends())
    return [(backend, isa) for backend, isas in names for isa in isas]


def updates(n: int, seed: int, tell: Callable[[], object] = lambda: None) -> Iterator[Update]:
    """Take the same AdamW steps in all :func:`places`, one after the other."""
    gradients = np.random.default_rng(seed).standard_normal(n + SHIFT * STEPS, np.float32)
    params = np.empty(n, np.float32)
    expected: Array | None = None
    for backend, isa in places():
        np.random.default_rng(seed).random(dtype=np.float32, out=params)
        with _using(isa):
            seconds = _update(params, gradients, backend, tell)
        if expected is None:
            expected = params.copy()
        different = np.count_nonzero(params.view(np.uint32) != expected.view(np.uint32))
        yield Update(backend, isa, seconds, int(different))


def _update(params: Array, gradients: Array, backend: str, tell: Callable[[], object]) -> float:
    """Seconds a step."""
    small = np.ones(1, np.float32)
    optimizers()["AdamW"](small, backend=backend).step(small.copy())  # Numba compiles
    optimizer = optimizers()["AdamW"](params, backend=backend)
    seconds = []
    for k in range(STEPS):
        grad = gradients[SHIFT * k :][: params.size]
        begin = perf_counter()
        optimizer.step(grad)
        seconds.append(perf_counter() - begin)
        tell()
    return statistics.median(seconds[1:])


@contextmanager
def _using(isa: str | None) -> Iterator[None]:
    """Run this instruction set's kernels, and then again those that ran before."""
    before = config.get_isa()
    if isa is not None:
        config.set_isa(isa)
    try:
        yield
    finally:
        if before is not None:
            config.set_isa(before)
