"""torch.optim as the outside truth: trajectories of 100 steps in float64, over its options."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import fallline as fl

torch = pytest.importorskip("torch")


def grid(**options: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


# Options that both libraries spell alike, by optimizer.
TORCH = {
    "SGD": [
        *grid(momentum=(0.0, 0.9), dampening=(0.0, 0.3), weight_decay=(0.0, 0.1), maximize=(False, True)),
        *grid(momentum=(0.9,), nesterov=(True,), weight_decay=(0.0, 0.1)),
    ],
    "Adam": grid(
        betas=((0.9, 0.999), (0.8, 0.9)),
        eps=(1e-8, 1e-3),
        weight_decay=(0.0, 0.1),
        amsgrad=(False, True),
        maximize=(False, True),
    ),
    "AdamW": grid(
        betas=((0.9, 0.999), (0.8, 0.9)),
        weight_decay=(0.0, 0.1),
        amsgrad=(False, True),
        maximize=(False, True),
    ),
}


def trajectory_errors(name: str, options: dict[str, Any], steps: int = 100) -> float:
    """Greatest relative error against torch over the steps of one run."""
    rng = np.random.default_rng(7)
    start = rng.standard_normal(53)
    ours = start.copy()
    theirs = torch.tensor(start, requires_grad=True)
    opt = fl.optimizers()[name](ours, lr=0.01, **options)
    reference = getattr(torch.optim, name)([theirs], lr=0.01, **options)
    worst = 0.0
    for _ in range(steps):
        grad = rng.standard_normal(53) + 0.3 * ours
        theirs.grad = torch.tensor(grad)
        reference.step()
        opt.step(grad)
        expected = theirs.detach().numpy()
        worst = max(worst, float(np.max(np.abs(ours - expected) / (1 + np.abs(expected)))))
    return worst


@pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name, grid in TORCH.items() for options in grid], ids=str
)
def test_trajectory_is_torchs(name: str, options: dict[str, Any]) -> None:
    assert trajectory_errors(name, options) < 1e-12


def test_every_shared_optimizer_is_compared() -> None:
    shared = {name for name in fl.optimizers() if hasattr(torch.optim, name)}
    assert shared == set(TORCH)
