"""Steps of a network under AdamW: gradient and update, ours and torch's with its fused AdamW."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import fallline as fl

# Layers, rows of a batch, steps of a round.
NETWORKS = {
    "64-32-10, batch 32": ((64, 32, 10), 32, 200),
    "784-1024-1024-10, batch 64": ((784, 1024, 1024, 10), 64, 20),
}
SAMPLES, CLASSES = 2000, 10

Step = Callable[[np.ndarray], float]  # takes a batch's indices, returns the loss before it


def problem(features: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes that a linear map of the samples tells."""
    rng = np.random.default_rng(0)
    X = rng.random((SAMPLES, features), np.float32)
    return X, np.argmax(X @ rng.standard_normal((features, CLASSES), np.float32), axis=1)


def ours(layers: tuple[int, ...]) -> Step:
    f = fl.objectives.MLP(*problem(layers[0]), layers[1:-1], n_classes=CLASSES)
    phi = f.initial(0)
    opt, gradient = fl.AdamW(phi, lr=1e-3), np.empty_like(phi)

    def step(batch: np.ndarray) -> float:
        loss, _ = f.loss_and_gradient(phi, batch, gradient)
        opt.step(gradient)
        return loss

    return step


def torch(layers: tuple[int, ...]) -> Step:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(fl.get_num_threads())
    X, y = map(torch.from_numpy, problem(layers[0]))
    modules: list[Any] = []
    for inputs, outputs in pairwise(layers):
        modules += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1])
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    cross_entropy = torch.nn.CrossEntropyLoss()

    def step(batch: np.ndarray) -> float:
        rows = torch.from_numpy(batch)
        loss = cross_entropy(model(X[rows]), y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        return float(loss.detach())

    return step


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("who", [ours, torch], ids=["fallline", "torch"])
def test_steps(benchmark: Any, who: Callable[[tuple[int, ...]], Step], network: str) -> None:
    layers, size, steps = NETWORKS[network]
    benchmark.group = f"{steps} steps of {network}"
    step, rng = who(layers), np.random.default_rng(1)
    batches = [rng.integers(0, SAMPLES, size) for _ in range(steps)]
    losses: list[float] = []
    benchmark.pedantic(lambda: losses.extend(map(step, batches)), rounds=10, warmup_rounds=1)
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:20])
