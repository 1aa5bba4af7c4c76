"""Gradient accumulation: four micro-batches of 10M into float32 sums, and of the peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fallline as fl

SIZE, MICRO_BATCHES = 10_000_000, 4
DTYPES = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(ml_dtypes.bfloat16)}

Grads = list[np.ndarray]
# Builds what accumulates once from the start, and what reads the sum.
Peer = Callable[[Grads], tuple[Callable[[], None], Callable[[], np.ndarray]]]


def ours(grads: Grads) -> tuple[Callable[[], None], Callable[[], np.ndarray]]:
    acc = fl.GradientAccumulator(np.zeros(SIZE, np.float32))

    def accumulate() -> None:
        acc.reset()
        for g in grads:
            acc.add(g)

    return accumulate, acc.sum


def numpy(grads: Grads) -> tuple[Callable[[], None], Callable[[], np.ndarray]]:
    acc = np.zeros(SIZE, np.float32)

    def accumulate() -> None:
        acc[...] = grads[0]
        for g in grads[1:]:
            np.add(acc, g, out=acc)

    return accumulate, lambda: acc


def torch(grads: Grads) -> tuple[Callable[[], None], Callable[[], np.ndarray]]:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(fl.get_num_threads())
    acc = torch.zeros(SIZE)
    given = [
        torch.from_numpy(g.view(np.int16)).view(torch.bfloat16)
        if g.itemsize == 2
        else torch.from_numpy(g)
        for g in grads
    ]

    def accumulate() -> None:
        acc.copy_(given[0])
        for g in given[1:]:
            acc.add_(g)

    return accumulate, acc.numpy


PEERS: dict[str, Peer] = {"fallline": ours, "numpy": numpy, "torch": torch}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("who", PEERS)
def test_accumulate(benchmark: Any, who: str, dtype: str) -> None:
    benchmark.group = f"accumulate {MICRO_BATCHES} x 10M {dtype}"
    rng = np.random.default_rng(0)
    grads = [
        rng.standard_normal(SIZE, dtype=np.float32).astype(DTYPES[dtype])
        for _ in range(MICRO_BATCHES)
    ]
    accumulate, result = PEERS[who](grads)
    benchmark.pedantic(accumulate, rounds=5, warmup_rounds=1)
    expected = grads[0].astype(np.float32)
    for g in grads[1:]:
        expected += g.astype(np.float32)
    np.testing.assert_array_equal(result(), expected)
