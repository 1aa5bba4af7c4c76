"""Epochs of minibatch gradients, against the memory's speed and against other libraries.

A row of the table is a :class:`GradientWork`: its problem, and who takes part. To add one, write
what builds its problem, what runs an epoch of each new peer, and a line in :func:`gradient_works`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .. import clipping, datasets, objectives
from .._types import Array
from .check import WrongResultError
from .contestants import BOUND, OURS, Contestant
from .peers import need

__all__ = ["GradientWork", "Problem", "gradient_works"]

# An epoch: every batch's gradient in turn; returns the last.
Epoch = Callable[[], Array]


@dataclass(frozen=True)
class GradientWork:
    """One row: an epoch over shuffled batches of a problem with this many samples and features."""

    name: str
    title: str
    problem: Callable[[GradientWork], Problem]
    samples: int
    features: int
    batch: int
    peers: tuple[str, ...]
    tolerance: float = 1e-4  # of the largest component: float32, and other orders of summation
    folder: Path | None = None  # of the data set, where the row has one and it is at hand

    def shrunk(self, size: int) -> GradientWork:
        """The same at a size that takes no time."""
        return replace(
            self,
            samples=min(self.samples, size),
            features=min(self.features, size),
            batch=min(self.batch, 1 + size // 3),
            folder=None,
        )


@dataclass(frozen=True)
class Problem:
    """Samples, parameters, batches, and the same loss in this library."""

    X: Any
    y: Array
    objective: Any
    phi: Array
    batches: list[Array]

    @classmethod
    def of(cls, work: GradientWork, X: Any, y: Array, objective: Any) -> Problem:
        """Small random parameters; a shuffled epoch without its rest."""
        rng = np.random.default_rng(1)
        phi = (0.05 * rng.standard_normal(objective.n_params)).astype(objective.dtype)
        order = rng.permutation(len(y))
        batches = [order[i : i + work.batch] for i in range(0, len(y) - work.batch + 1, work.batch)]
        return cls(X, y, objective, phi, batches)

    @property
    def bytes(self) -> float:
        """What an epoch has to read."""
        arrays = (self.X.data, self.X.indices) if hasattr(self.X, "indices") else (self.X,)
        return float(sum(a.nbytes for a in arrays))

    def split(self, phi: Any) -> tuple[Any, Any]:
        """Weights (k, d), or (d,) for one output, and intercepts."""
        k, d = self.objective.samples.outputs, self.X.shape[1]
        return (phi[: k * d].reshape(k, d) if k > 1 else phi[:d]), phi[k * d :]


# ---- problems ----------------------------------------------------------------------------------


def _dense_logistic(work: GradientWork) -> Problem:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((work.samples, work.features), dtype=np.float32)
    y = rng.integers(0, 2, work.samples).astype(np.float32)
    return Problem.of(work, X, y, objectives.LogisticRegression(X, y))


def _sparse_logistic(work: GradientWork, entries: int = 50) -> Problem:
    need("scipy")
    rng = np.random.default_rng(0)
    n, d = work.samples, work.features
    columns = np.sort(rng.integers(0, d, (n, entries), dtype=np.int32), axis=1)
    fresh = np.ones((n, entries), bool)  # a column drawn twice is dropped the second time
    fresh[:, 1:] = columns[:, 1:] != columns[:, :-1]
    indptr = np.concatenate([[0], np.cumsum(fresh.sum(axis=1))]).astype(np.int32)
    values = rng.standard_normal(int(indptr[-1]), dtype=np.float32)
    X = import_module("scipy.sparse").csr_array((values, columns[fresh], indptr), shape=(n, d))
    y = rng.integers(0, 2, n).astype(np.float32)
    return Problem.of(work, X, y, objectives.LogisticRegression(X, y))


def _softmax(work: GradientWork) -> Problem:
    if work.folder is not None:
        data = datasets.mnist(work.folder)
        X, y = data.X, data.y
    else:
        rng = np.random.default_rng(0)
        X = rng.random((work.samples, work.features), dtype=np.float32)
        X[X < 0.8] = 0  # as dark as MNIST
        y = rng.integers(0, 10, work.samples)
    return Problem.of(work, X, y, objectives.SoftmaxRegression(X, y, 10))


# ---- who takes part ----------------------------------------------------------------------------


def _ours(p: Problem) -> Epoch:
    out = np.empty_like(p.phi)

    def epoch() -> Array:
        for batch in p.batches:
            p.objective.loss_and_gradient(p.phi, batch, out)
        return out

    return epoch


def _read(p: Problem) -> Epoch:
    """Reads the samples' values in the order of memory, by the kernel of the global norm."""
    arrays = [p.X.data] if hasattr(p.X, "indices") else [p.X.reshape(-1)]

    def epoch() -> Array:
        clipping.global_norm(arrays)
        return np.empty(0)

    return epoch


def _by_products(p: Problem) -> Epoch:
    """Two products a batch, as one writes them with NumPy or with SciPy's sparse arrays."""
    w, b = p.split(p.phi)

    def epoch() -> Array:
        for batch in p.batches:
            rows = p.X[batch]
            z = rows @ w + b
            slope = (1 / (1 + np.exp(-z)) - p.y[batch]) / len(batch)
            gradient = np.append(rows.T @ slope, slope.sum())
        return gradient

    return epoch


def _torch(p: Problem) -> Epoch:
    """Autograd over the same batches."""
    need("torch")
    import torch

    X, y = torch.from_numpy(p.X), torch.from_numpy(p.y)
    leaves: list[Any] = [torch.from_numpy(part.copy()) for part in p.split(p.phi)]
    w, b = (leaf.requires_grad_() for leaf in leaves)
    batches = [torch.from_numpy(batch) for batch in p.batches]
    softmax = w.ndim == 2
    loss: Any = (
        torch.nn.functional.cross_entropy
        if softmax
        else torch.nn.functional.binary_cross_entropy_with_logits
    )

    def epoch() -> Array:
        for batch in batches:
            w.grad = b.grad = None
            rows = X[batch]
            loss(rows @ (w.T if softmax else w) + b, y[batch]).backward()
        return np.concatenate([part.grad.numpy().ravel() for part in (w, b)])

    return epoch


EPOCHS: dict[str, Callable[[Problem], Epoch]] = {
    OURS: _ours,
    BOUND: _read,
    "numpy": _by_products,
    "scipy": _by_products,
    "torch": _torch,
}


def contestant(name: str, problem: Problem) -> Contestant:
    """Someone who runs epochs, and whose last gradient can be looked at."""
    epoch = EPOCHS[name](problem)
    last: list[Array] = [np.empty(0)]

    def step() -> None:
        last[0] = epoch()

    detail = problem.objective.backend if name == OURS else ""
    size = float(problem.X.data.nbytes) if name == BOUND else problem.bytes
    return Contestant(name, step, lambda: last, detail, size)


def check(work: GradientWork, problem: Problem, contestants: list[Contestant]) -> None:
    """Raise :class:`WrongResultError` where a last gradient is not the float64 one."""
    batch = problem.batches[-1]
    X, y = problem.X[batch].astype(np.float64), problem.y[batch]
    options = {"n_classes": 10} if problem.phi.size > X.shape[1] + 1 else {}
    double = type(problem.objective)(X, y, backend="numpy", **options)
    expected = double.gradient(problem.phi.astype(np.float64))
    for one in contestants:
        if one.name == BOUND or one.steps == 0:
            continue
        error = np.abs(one.params()[0] - expected).max() / np.abs(expected).max()
        if not error <= work.tolerance:
            raise WrongResultError(f"{one.name} is off by {error:.2g} in {work.title}")


def gradient_works(mnist: Path | None = None) -> dict[str, GradientWork]:
    """All rows by name; softmax on MNIST's files where they are given, else on such numbers."""
    table = [
        GradientWork(
            "logistic",
            "logistic, 200,000 x 512, batches of 4,096",
            _dense_logistic,
            200_000,
            512,
            4096,
            ("numpy", "torch"),
        ),
        GradientWork(
            "softmax",
            f"softmax, {'' if mnist else 'as '}MNIST, batches of 256",
            _softmax,
            60_000,
            784,
            256,
            ("torch",),
            folder=mnist,
        ),
        GradientWork(
            "logistic-csr",
            "logistic, CSR 200,000 x 1,000,000, batches of 4,096",
            _sparse_logistic,
            200_000,
            1_000_000,
            4096,
            ("scipy",),
        ),
    ]
    return {work.name: work for work in table}
