"""The library at work: a small network under several optimizers, and one large update everywhere.

``fallline demo`` shows what is computed here.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from . import config, datasets, plot
from ._extras import require
from ._memory import available_memory
from ._types import Array
from .backends import backends
from .optimizer import Optimizer
from .rules import AdamW, optimizers

__all__ = [
    "RECIPES",
    "Data",
    "Fit",
    "LargeUpdate",
    "Recipe",
    "Update",
    "affordable",
    "fit",
    "places",
    "save_plot",
]

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
    return {
        "W1": rng.standard_normal((inputs, hidden), np.float32) * np.float32((2 / inputs) ** 0.5),
        "b1": np.zeros(hidden, np.float32),
        "W2": rng.standard_normal((hidden, outputs), np.float32) * np.float32((2 / hidden) ** 0.5),
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
    Recipe("RMSprop", "RMSprop", {"lr": 2e-3}),
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


def save_plot(fits: Sequence[Fit], path: Path) -> None:
    """Draw the losses of all fits."""
    figure = require("matplotlib.figure", extra="plot").Figure((7, 4.5), layout="constrained")
    curves = {fit.recipe.label: fit.losses for fit in fits}
    axes = plot.history(
        curves, ax=figure.subplots(), xlabel="epoch", ylabel="cross-entropy, training images"
    )
    axes.set_title(f"Handwritten digits, network {'-'.join(map(str, LAYERS))}")
    figure.savefig(path, dpi=150)


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
    size: int
    seconds: float  # a step, the median
    different: int  # parameters whose bits differ from those of the first backend

    @property
    def gigabytes_per_second(self) -> float:
        """Memory that a step has to move, by its time."""
        return BYTES * self.size / self.seconds / 1e9


def affordable(n: int) -> int:
    """At most `n` parameters, and so few that half of the free memory suffices."""
    free = available_memory()
    return n if free is None else max(1, min(n, free // 2 // (4 * ARRAYS)))


def places() -> list[tuple[str, str | None]]:
    """Every backend usable here, the native one once for each instruction set."""
    names = ((b, config.isas() if b == "native" else (None,)) for b in backends())
    return [(backend, isa) for backend, isas in names for isa in isas]


class LargeUpdate:
    """The same AdamW steps from the same start, on one backend after the other."""

    def __init__(self, n: int, seed: int) -> None:
        self._seed = seed
        self._gradients = np.random.default_rng(seed).standard_normal(n + SHIFT * STEPS, np.float32)
        self._params = np.empty(n, np.float32)
        self._expected: Array | None = None

    def run(
        self, backend: str, isa: str | None, tell: Callable[[], object] = lambda: None
    ) -> Update:
        """Take the steps, and compare every parameter with the first run's."""
        np.random.default_rng(self._seed).random(dtype=np.float32, out=self._params)
        with _using(isa):
            seconds = self._steps(backend, tell)
        if self._expected is None:
            self._expected = self._params.copy()
        bits = self._params.view(np.uint32), self._expected.view(np.uint32)
        different = int(np.count_nonzero(np.not_equal(*bits)))
        return Update(backend, isa, self._params.size, seconds, different)

    def _steps(self, backend: str, tell: Callable[[], object]) -> float:
        """Seconds a step."""
        AdamW(small := np.ones(1, np.float32), backend=backend).step(small.copy())  # compiles
        optimizer = AdamW(self._params, backend=backend)
        seconds = []
        for k in range(STEPS):
            gradient = self._gradients[SHIFT * k :][: self._params.size]
            begin = perf_counter()
            optimizer.step(gradient)
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
