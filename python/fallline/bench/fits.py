"""Whole fits, step by step over the same batches: ours against other libraries'.

A row of the table is a :class:`FitWork`: its objective, its rule, and who takes part. To add one,
write what builds the objective, and a line in :func:`fit_works`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from .. import datasets, objectives, rules
from .._types import Array
from ..minibatch import Minibatches
from ..minimize import minimize
from .check import WrongResultError
from .contestants import OURS, Contestant
from .peers import need

__all__ = ["FitWork", "fit_works"]


@dataclass(frozen=True)
class FitWork:
    """One row: so many steps of a rule from one start."""

    name: str
    title: str
    objective: Callable[[FitWork], Any]
    samples: int
    batch: int
    steps: int
    rule: str
    options: dict[str, Any]
    peers: tuple[str, ...]
    layers: tuple[int, ...] = ()
    tolerance: float = 0.01  # of the loss at the end

    def shrunk(self, size: int) -> FitWork:
        """The same at a size that takes no time."""
        return replace(
            self,
            samples=min(self.samples, size),
            steps=min(self.steps, size),
            layers=tuple(min(layer, size) for layer in self.layers),
        )


# ---- objectives --------------------------------------------------------------------------------


def _logistic(work: FitWork) -> Any:
    """Labels that a linear map of the samples tells, one in ten of them wrong."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((work.samples, work.layers[0]), dtype=np.float32)
    y = X @ rng.standard_normal(work.layers[0], dtype=np.float32) > 0
    return objectives.LogisticRegression(X, y ^ (rng.random(work.samples) < 0.1))


def _gabor(work: FitWork) -> Any:
    rng = np.random.default_rng(0)
    x = rng.uniform(-15, 15, work.samples).astype(np.float32)
    u = np.float32(0.06) * 16.6 * x
    y = np.sin(u) * np.exp(-u * u / 32) + 0.1 * rng.standard_normal(work.samples)
    return objectives.Gabor(x, y.astype(np.float32))


def _network(work: FitWork) -> Any:
    """Classes that a linear map of the samples tells."""
    rng = np.random.default_rng(0)
    features, *hidden, classes = work.layers
    X = rng.random((work.samples, features), dtype=np.float32)
    y = np.argmax((X - 0.5) @ rng.standard_normal((features, classes), dtype=np.float32), axis=1)
    return objectives.MLP(X, y, tuple(hidden), n_classes=classes)


def _digits(work: FitWork) -> Any:
    need("sklearn")
    X, y = datasets.digits()
    return objectives.MLP(X[: work.samples], y[: work.samples], work.layers[1:-1], n_classes=10)


# ---- who takes part ----------------------------------------------------------------------------


def _ours(work: FitWork, f: Any, start: Array) -> Callable[[], Array]:
    cls: Any = rules.optimizers()[work.rule]

    def fit() -> Array:
        fitted = minimize(
            f,
            start,
            cls,
            batch_size=work.batch,
            steps=work.steps,
            progress=False,
            final_loss=False,
            **work.options,
        )
        found: Array = fitted.x
        return found

    return fit


def _batches(work: FitWork, n: int) -> list[Array]:
    """Those that :func:`minimize` goes through."""
    batches = Minibatches(n, work.batch, 0)
    found: list[Array] = []
    while len(found) < work.steps:
        found.extend(batch.copy() for batch in batches)
    return found[: work.steps]


def _torch(work: FitWork, f: Any, start: Array) -> Callable[[], Array]:
    """An eager loop as one writes it."""
    need("torch")
    import torch

    batches = [torch.from_numpy(batch) for batch in _batches(work, f.n_samples)]
    form = {"fused": True} if work.rule == "AdamW" else {}
    predict, measure, x, y = _torch_model(f)

    def fit() -> Array:
        leaves: list[Any] = [torch.from_numpy(p.copy()) for p in f.unpack(start).values()]
        for leaf in leaves:
            leaf.requires_grad_()
        optimizer = getattr(torch.optim, work.rule)(leaves, **work.options, **form)
        for batch in batches:
            optimizer.zero_grad()
            measure(predict(leaves, x[batch]), y[batch]).backward()
            optimizer.step()
        return np.concatenate([leaf.detach().numpy().ravel() for leaf in leaves])

    return fit


def _torch_model(f: Any) -> tuple[Callable[..., Any], Callable[..., Any], Any, Any]:
    """The model, its loss, inputs and targets."""
    import torch
    from torch.nn import functional

    def gabor(leaves: list[Any], x: Any) -> Any:
        u = leaves[0] + 0.06 * leaves[1] * x
        return torch.sin(u) * torch.exp(-u * u / 32)

    def network(leaves: list[Any], x: Any) -> Any:
        for i in range(0, len(leaves), 2):
            x = functional.linear(torch.relu(x) if i else x, leaves[i], leaves[i + 1])
        return x

    if isinstance(f, objectives.Gabor):
        x, y = map(torch.from_numpy, (f.points.x, f.points.y))
        return gabor, functional.mse_loss, x, y
    samples = f._model.samples
    labels = torch.from_numpy(samples.y[:, 0].astype(np.int64))
    return network, functional.cross_entropy, torch.from_numpy(samples.X), labels


def _sklearn(work: FitWork, f: Any, start: Array) -> Callable[[], Array]:
    """An epoch of SGDClassifier, in an order of its own, without its checks of the samples."""
    need("sklearn")
    sklearn: Any = import_module("sklearn")
    model: Any = import_module("sklearn.linear_model")
    X, y = f.samples.X, f.samples.y[:, 0].astype(np.int64)

    def fit() -> Array:
        classifier = model.SGDClassifier(
            loss="log_loss",
            penalty=None,
            learning_rate="constant",
            eta0=work.options["lr"],
            random_state=0,
        )
        with sklearn.config_context(assume_finite=True):
            classifier.partial_fit(X, y, [0, 1])
        return np.append(classifier.coef_, classifier.intercept_).astype(np.float32)

    return fit


FITS: dict[str, Callable[[FitWork, Any, Array], Callable[[], Array]]] = {
    OURS: _ours,
    "torch": _torch,
    "scikit-learn": _sklearn,
}


def contestant(name: str, work: FitWork, f: Any) -> Contestant:
    """Someone who fits this objective."""
    start = f.initial(0)
    fit = FITS[name](work, f, start)
    last: list[Array] = [start]

    def step() -> None:
        last[0] = fit()

    return Contestant(name, step, lambda: last, f.backend if name == OURS else "")


def check(work: FitWork, f: Any, contestants: list[Contestant]) -> None:
    """Raise :class:`WrongResultError` unless all have come to one loss, a lower one."""
    expected = f.loss(_ours(work, f, f.initial(0))())
    for one in contestants:
        if one.steps == 0:
            continue
        phi, before = one.params()[0], f.loss(f.initial(0))
        loss = f.loss(phi) if np.isfinite(phi).all() else math.nan  # without its warning
        if not (loss < before and abs(loss - expected) <= work.tolerance * expected):
            raise WrongResultError(
                f"{one.name} is off in {work.title}: from {before:.4g} to a loss of {loss:.4g}, "
                f"not {expected:.4g}"
            )


def fit_works() -> dict[str, FitWork]:
    """All rows by name."""
    table = [
        FitWork(
            "sgd-1",
            "SGD, logistic 200,000 x 512, one sample a step: an epoch",
            _logistic,
            200_000,
            1,
            200_000,
            "SGD",
            {"lr": 1e-3},
            ("scikit-learn",),
            layers=(512,),
            tolerance=0.1,
        ),
        FitWork(
            "gabor",
            "Adam, Gabor, 28 points, batches of 5: 3,000 steps",
            _gabor,
            28,
            5,
            3000,
            "Adam",
            {"lr": 1e-2},
            ("torch",),
        ),
        FitWork(
            "mlp",
            "AdamW, MLP 784-1024-1024-10, batches of 64 of 60,000: 40 steps",
            _network,
            60_000,
            64,
            40,
            "AdamW",
            {"lr": 1e-3, "weight_decay": 1e-2},
            ("torch",),
            layers=(784, 1024, 1024, 10),
            tolerance=0.05,
        ),
        FitWork(
            "mlp-digits",
            "AdamW, MLP 64-32-10 on digits, batches of 32: 5 epochs",
            _digits,
            1797,
            32,
            285,
            "AdamW",
            {"lr": 1e-3, "weight_decay": 1e-2},
            ("torch",),
            layers=(64, 32, 10),
            tolerance=0.05,
        ),
    ]
    return {work.name: work for work in table}
