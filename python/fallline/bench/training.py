"""Whole iterations of training: the step must not slow what torch does around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import rules
from .._types import Array
from .check import WrongResultError
from .contestants import OURS, Contestant
from .peers import need
from .works import LR, Training

FIRST = 3  # iterations after which both networks must still agree


@dataclass
class Trainee(Contestant):
    """A network in training."""

    loss: Callable[[], float] = lambda: float("nan")
    first_loss: float = 0.0


def _network(work: Training) -> Any:
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(784, work.width),
            nn.ReLU(),
            nn.Linear(work.width, work.width),
            nn.ReLU(),
            nn.Linear(work.width, 10),
        )


def _trainee(name: str, work: Training) -> Trainee:
    """A loop as one writes it: zero_grad, forward, backward, step."""
    import torch

    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.standard_normal((work.batch, 784), dtype=np.float32))
    labels = torch.from_numpy(rng.integers(0, 10, work.batch))
    network = _network(work)
    leaves = list(network.parameters())
    params = [leaf.detach().numpy() for leaf in leaves]
    if name == OURS:
        cls: Any = rules.optimizers()["AdamW"]
        own = cls(params, lr=LR)

        def update() -> None:
            own.step([leaf.grad.numpy() for leaf in leaves])
    else:
        update = torch.optim.AdamW(leaves, lr=LR, fused=True).step

    def forward() -> Any:
        return torch.nn.functional.cross_entropy(network(images), labels)

    def loss() -> float:
        return float(forward().detach())

    def step() -> None:
        network.zero_grad()
        forward().backward()
        update()

    return Trainee(name, step, lambda: params, loss=loss, first_loss=loss())


def contestants(work: Training) -> list[Trainee]:
    """Our loop and torch's, from the same start, which have been seen to agree."""
    need("torch")
    pair = [_trainee(name, work) for name in (OURS, *work.peers)]
    for one in pair:
        one.run(FIRST)
    _compare(work, *(one.params() for one in pair))
    return pair


def _compare(work: Training, ours: list[Array], theirs: list[Array]) -> None:
    """Networks drift apart, as Adam's step turns a rounded-off gradient's sign into ±lr."""
    for a, b in zip(ours, theirs, strict=True):
        error = float(np.sqrt(np.mean((a - b) ** 2)))
        if not error <= 0.02 * LR * FIRST:
            raise WrongResultError(f"{work.title}: parameters differ by {error:.2g} in the mean")


def check(work: Training, trainees: list[Trainee]) -> None:
    """Raise :class:`WrongResultError` unless the timed steps have learnt something."""
    for one in trainees:
        if not one.loss() < one.first_loss:  # NaN, too, is not
            raise WrongResultError(f"{one.name}: no lower loss after {one.steps} of {work.title}")
