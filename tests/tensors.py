"""Parameters and steps for the tests of fallline.torch, the same for ours and torch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import fallline.torch as flt


def parameters(dtype: Any = torch.float64, shapes: Any = ((4, 3), (5,), ()), seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return [
        torch.nn.Parameter(torch.randn(shape, dtype=torch.float64).to(dtype)) for shape in shapes
    ]


def set_grads(params: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for p in params:
        p.grad = torch.randn(p.shape, dtype=torch.float64, generator=generator).to(p.dtype)


def train(optimizer: Any, params: Any, first: int, last: int) -> None:
    for k in range(first, last):
        set_grads(params, k)
        optimizer.step()


def assert_close(ours: Any, theirs: Any, rtol: float = 1e-12) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.detach(), b.detach(), rtol=rtol, atol=rtol)


def both(name: str, params: Callable[[], Any] = parameters, **options: Any) -> Any:
    ours, theirs = params(), params()
    return (
        (getattr(flt, name)(ours, **options), ours),
        (getattr(torch.optim, name)(theirs, **options), theirs),
    )
