"""Iterations of training: the step must not slow what torch does around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np

from .. import rules
from .._types import Array
from .check import WrongResultError
from .contestants import OURS, Contestant
from .peers import need
from .works import LR, Training

FIRST = 3  # iterations after which all networks must still agree

Problem = tuple[Any, Any, Any]  # network, inputs, labels


@dataclass
class Trainee(Contestant):
    """A network in training."""

    loss: Callable[[], float] = lambda: float("nan")
    first_loss: float = 0.0
    early: list[Array] = field(default_factory=list)  # parameters after the first iterations


def problem(work: Training) -> Problem:
    """A network, and a batch to learn by heart."""
    need("torch")
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return NETWORKS[work.network](work)


def _mlp(work: Training) -> Problem:
    import torch
    from torch import nn

    network = nn.Sequential(
        nn.Linear(784, work.width),
        nn.ReLU(),
        nn.Linear(work.width, work.width),
        nn.ReLU(),
        nn.Linear(work.width, 10),
    )
    return network, torch.randn(work.batch, 784), torch.randint(10, (work.batch,))


def _transformer(work: Training, words: int = 1000, length: int = 32) -> Problem:
    """Without biases: those of keys have no gradient but rounding errors, which Adam makes ±lr."""
    import torch
    from torch import nn

    layer = nn.TransformerEncoderLayer(
        work.width,
        4,
        4 * work.width,
        dropout=0.0,
        batch_first=True,
        norm_first=True,
        bias=False,
    )
    network = nn.Sequential(
        nn.Embedding(words, work.width),
        nn.TransformerEncoder(layer, 4, enable_nested_tensor=False),
        nn.Linear(work.width, words, bias=False),
    )
    tokens = torch.randint(words, (work.batch, length + 1))
    return network, tokens[:, :-1], tokens[:, 1:]


NETWORKS: dict[str, Callable[[Training], Problem]] = {"mlp": _mlp, "transformer": _transformer}


def _update(name: str, work: Training, leaves: list[Any]) -> Callable[[], object]:
    """What clips and steps after the backward pass."""
    import torch

    limit = work.max_norm
    if name == OURS and work.tensors:
        own = import_module("fallline.torch").AdamW(leaves, lr=LR)
        return lambda: own.step(max_norm=limit)
    if name == OURS:
        cls: Any = rules.optimizers()["AdamW"]
        plain = cls([leaf.detach().numpy() for leaf in leaves], lr=LR)
        return lambda: plain.step([leaf.grad.numpy() for leaf in leaves], max_norm=limit)

    if name == "torch fused":
        optimizer: Any = torch.optim.AdamW(leaves, lr=LR, fused=True)
    else:
        optimizer = import_module("fallline.torch").AdamW(leaves, lr=LR)

    def update() -> None:
        if limit is not None:
            torch.nn.utils.clip_grad_norm_(leaves, limit)
        optimizer.step()

    return update


def contestant(name: str, work: Training, start: Problem) -> Trainee:
    """A loop as one writes it: zero_grad, forward, backward, clip, step."""
    import torch

    network, inputs, labels = deepcopy(start[0]), *start[1:]
    leaves = list(network.parameters())
    update = _update(name, work, leaves)

    def forward() -> Any:
        scores = network(inputs).flatten(0, -2)
        return torch.nn.functional.cross_entropy(scores, labels.flatten())

    def loss() -> float:
        return float(forward().detach())

    def step() -> None:
        network.zero_grad()
        forward().backward()
        begin = perf_counter()
        update()
        if work.backward:
            trainee.untimed += perf_counter() - begin

    def params() -> list[Array]:
        return [leaf.detach().numpy() for leaf in leaves]

    trainee = Trainee(name, step, params, loss=loss, first_loss=loss())
    trainee.run(FIRST)
    trainee.early = [p.copy() for p in params()]
    return trainee


def check(work: Training, _: Problem, trainees: Sequence[Any]) -> None:
    """Raise :class:`WrongResultError` unless all began alike, and have learnt something."""
    for one in trainees:
        _compare(work, trainees[0].early, one.early)
        if not one.loss() < one.first_loss:  # NaN, too, is not
            raise WrongResultError(f"{one.name}: no lower loss after {one.steps} of {work.title}")


def _compare(work: Training, ours: list[Array], theirs: list[Array]) -> None:
    """Networks drift apart, as Adam's step turns a rounded-off gradient's sign into ±lr."""
    for a, b in zip(ours, theirs, strict=True):
        error = float(np.sqrt(np.mean((a - b) ** 2)))
        if not error <= 0.02 * LR * FIRST:
            raise WrongResultError(f"{work.title}: parameters differ by {error:.2g} in the mean")
