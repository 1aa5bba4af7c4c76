"""The results of timed steps, against a float64 run of the same steps on a sample."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import numpy as np

from .._types import Array
from .contestants import BOUND, Contestant, kernel_of, make
from .works import LR, Data, Work

EDGE = 32  # elements looked at on both sides of an array: vector bodies and tails
TENSORS = 8


class WrongResultError(AssertionError):
    """A contestant's parameters are not what its steps should have made of them."""


def check(work: Work, data: Data, contestants: Iterable[Contestant]) -> None:
    """Raise :class:`WrongResultError` where a contestant's result is wrong.

    Float32 runs may differ from the float64 one by 1e-5, and by half an ulp a step: a constant
    gradient makes for constant updates, whose rounding errors all go one way.
    """
    # Where a rule forms sums over its elements, no sample can stand for the whole.
    whole = kernel_of(work).sums > 0
    start, grad = _sample(data.params, whole), _sample(data.grads, whole)
    if work.max_norm is not None:
        grad = grad * min(1.0, work.max_norm / (data.norm() + 1e-6))
    for contestant in contestants:
        found = _sample(contestant.params(), whole)
        n = contestant.steps
        if contestant.name == BOUND:
            expected = start + n * _sample(data.grads, whole)
        else:
            expected = reference(work, start, grad, n)
        size = np.maximum(np.maximum(np.abs(expected), np.abs(start)), 1.0)
        error = np.abs(found - expected) / size
        if not bool((error <= 1e-5 + n * 2.0**-24).all()):
            raise WrongResultError(
                f"{contestant.name} is off by {error.max():.2g} after {n} steps of {work.title}"
            )


def _sample(arrays: list[Array], whole: bool) -> Array:
    if whole:
        return np.concatenate(arrays).astype(np.float64)
    chosen = arrays[:: max(1, len(arrays) // TENSORS)]
    parts = [part for a in chosen for part in (a[:EDGE], a[a.size // 2 :][:EDGE], a[-EDGE:])]
    return np.concatenate(parts).astype(np.float64)


def reference(work: Work, start: Array, grad: Array, steps: int) -> Array:
    """Float64 parameters after these steps.

    AdamW is transcribed from the paper; other rules are torch's where torch has them, else this
    library's NumPy backend, whose formulas its tests hold against the papers.
    """
    if work.rule == "AdamW" and not work.options:
        return _adamw(start, grad, steps)
    if find_spec("torch") is not None:
        import torch

        if hasattr(torch.optim, work.rule):
            leaf = torch.nn.Parameter(torch.from_numpy(start.copy()))
            leaf.grad = torch.from_numpy(grad)
            return _stepped(
                getattr(torch.optim, work.rule)([leaf], lr=LR, **work.options).step,
                leaf.detach().numpy(),
                steps,
            )
    params = start.copy()
    optimizer = make(work, [params], backend="numpy")
    return _stepped(lambda: optimizer.step(grad), params, steps)


def _stepped(step: Any, params: Array, steps: int) -> Array:
    for _ in range(steps):
        step()
    return params


def _adamw(p: Array, g: Array, steps: int) -> Array:
    """Loshchilov & Hutter (2019), algorithm 2, with torch's defaults."""
    beta1, beta2, eps, decay = 0.9, 0.999, 1e-8, 1e-2
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t in range(1, steps + 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        ratio = (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        p = p - LR * (ratio + decay * p)
    return p
