"""The canonical order of sums over a batch, for backends without the C++ core.

A batch is cut into leaves, which are summed one by one and joined in a fixed tree. Where the cuts
lie depends on the sizes of the batch and of the model alone, as in the core (leaves.hpp), so the
bits are the same at any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from .._types import Array
from ..backends.numba import run_jobs

__all__ = ["GRAIN", "cut", "share", "sum_leaves", "tree_sum"]

GRAIN = 1 << 16  # multiplications that one thread should have before another is woken

# run(first, last, rows, losses, partials): leaves first … last − 1, of `rows` samples each; writes
# losses[i] and, where partials has columns, partials[i].
Run: TypeAlias = Callable[[int, int, int, Array, Array], object]


def cut(size: int, params: int) -> tuple[int, int]:
    """Samples of each leaf but the last, and the number of leaves."""
    most = min(max((1 << 22) // params, 8), 64)
    least = min(max((1 << 16) // params, 32), 256)
    rows = max(-(-size // most), least)
    rows = -(-rows // 8) * 8
    return rows, -(-size // rows)


def tree_sum(values: Array) -> Array:
    """Sum over the first axis: neighbours are added; an odd one out joins the next round."""
    while len(values) > 1:
        pairs = values[0 : len(values) - 1 : 2] + values[1::2]
        values = np.concatenate([pairs, values[-1:]]) if len(values) % 2 else pairs
    return values[0]  # type: ignore[no-any-return]


def share(job: Callable[[int, int], object], count: int, work: int, threads: int) -> None:
    """job(first, last) over [0, count), each thread on a contiguous run."""
    parts = max(1, min(threads, count, work // GRAIN))

    def part(k: int) -> Callable[[], None]:
        return lambda: (job(count * k // parts, count * (k + 1) // parts), None)[1]

    run_jobs([part(k) for k in range(parts)], parts)


def sum_leaves(
    run: Run, size: int, params: int, columns: int, work: int, threads: int
) -> tuple[float, Array]:
    """Σ of the losses and of the partial products, of `columns` numbers each, in float64."""
    rows, count = cut(size, params)
    losses, partials = np.zeros(count), np.zeros((count, columns))
    share(lambda first, last: run(first, last, rows, losses, partials), count, work, threads)
    return float(tree_sum(losses)), tree_sum(partials)
