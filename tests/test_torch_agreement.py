"""torch.optim as the outside truth: trajectories of 100 steps in float64, over its options."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

import fallline as fl

torch = pytest.importorskip("torch")


def grid(**options: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


# Options by optimizer, as we spell them.
TORCH = {
    "SGD": [
        *grid(
            momentum=(0.0, 0.9),
            dampening=(0.0, 0.3),
            weight_decay=(0.0, 0.1),
            maximize=(False, True),
        ),
        *grid(momentum=(0.9,), nesterov=(True,), weight_decay=(0.0, 0.1)),
    ],
    "Adagrad": grid(
        lr_decay=(0.0, 0.1),
        weight_decay=(0.0, 0.1),
        initial_accumulator_value=(0.0, 0.3),
        eps=(1e-10, 1e-3),
        maximize=(False, True),
    ),
    "RMSprop": grid(
        alpha=(0.99, 0.5),
        eps=(1e-8, 1e-3),
        weight_decay=(0.0, 0.1),
        momentum=(0.0, 0.9),
        centered=(False, True),
        maximize=(False, True),
    ),
    "Adadelta": grid(
        rho=(0.9, 0.5), eps=(1e-6, 1e-3), weight_decay=(0.0, 0.1), maximize=(False, True)
    ),
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
    "Adamax": grid(
        betas=((0.9, 0.999), (0.8, 0.9)),
        eps=(1e-8, 1e-3),
        weight_decay=(0.0, 0.1),
        maximize=(False, True),
    ),
    "NAdam": grid(
        betas=((0.9, 0.999), (0.8, 0.9)),
        weight_decay=(0.0, 0.1),
        momentum_decay=(4e-3, 0.0, 1.0),
        decoupled=(False, True),
        maximize=(False, True),
    ),
    "RAdam": grid(
        betas=((0.9, 0.999), (0.8, 0.9), (0.9, 0.6)),
        eps=(1e-8, 1e-3),
        weight_decay=(0.0, 0.1),
        decoupled=(False, True),
        maximize=(False, True),
    ),
    "Rprop": grid(
        etas=((0.5, 1.2), (0.3, 2.0)),
        step_sizes=((1e-6, 50), (0.008, 0.02)),
        maximize=(False, True),
    ),
    "ASGD": grid(
        lambd=(1e-4, 0.5),
        alpha=(0.75, 0.5),
        t0=(1e6, 20),
        weight_decay=(0.0, 0.1),
        maximize=(False, True),
    ),
}

# What torch calls differently.
NAMES = {"decoupled": "decoupled_weight_decay"}


@pytest.fixture(autouse=True)
def _scalars_in_float64() -> Iterator[None]:
    """Torch keeps NAdam's product and ASGD's rates in its default dtype."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(default)


def relative_error(got: Any, expected: Any) -> float:
    return float(np.max(np.abs(got - expected) / (1 + np.abs(expected))))


def trajectory_errors(name: str, options: dict[str, Any], steps: int = 100) -> float:
    """Greatest relative error against torch, of parameters and state, over the steps of a run."""
    rng = np.random.default_rng(7)
    start = rng.standard_normal(53)
    ours = start.copy()
    theirs = torch.tensor(start, requires_grad=True)
    opt = fl.optimizers()[name](ours, lr=0.01, **options)
    renamed = {NAMES.get(key, key): value for key, value in options.items()}
    reference = getattr(torch.optim, name)([theirs], lr=0.01, **renamed)
    worst = 0.0
    for _ in range(steps):
        grad = rng.standard_normal(53) + 0.3 * ours
        theirs.grad = torch.tensor(grad)
        reference.step()
        opt.step(grad)
        worst = max(worst, relative_error(ours, theirs.detach().numpy()))
        state = reference.state[theirs]
        for key, value in opt.state[0].items():
            if key != "step" or "step" in state:  # torch's SGD counts none
                worst = max(worst, relative_error(value, state[key].numpy()))
    return worst


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, options) for name, grid in TORCH.items() for options in grid],
    ids=str,
)
def test_trajectory_is_torchs(name: str, options: dict[str, Any]) -> None:
    assert trajectory_errors(name, options) < 1e-12


def test_every_shared_optimizer_is_compared() -> None:
    shared = {name for name in fl.optimizers() if hasattr(torch.optim, name)}
    assert shared == set(TORCH)


def test_sgd_goes_on_from_torchs_buffer() -> None:
    """Torch's SGD saves no step, and ours must not take the next one for the first."""
    theirs = torch.ones(3, requires_grad=True)
    reference = torch.optim.SGD([theirs], lr=0.1, momentum=0.9)
    theirs.grad = torch.ones(3)
    reference.step()
    ours = theirs.detach().numpy().copy()
    opt = fl.SGD([ours], lr=0.1, momentum=0.9)
    opt.load_state_dict(reference.state_dict())
    reference.step()
    opt.step([np.ones(3)])
    assert relative_error(ours, theirs.detach().numpy()) < 1e-7
