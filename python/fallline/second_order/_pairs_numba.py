"""A history's passes, compiled by Numba."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from .._types import Array
from ..backends._tiles import LANES, TILE, tree_sum
from ..backends.numba import BLOCK, compiler, run_jobs
from ._pairs_numpy import Reference

__all__ = ["bind"]


def _dots_loop(a: Array, b: Array, sums: Array) -> None:
    for tile in range(sums.size):
        first = a[tile * TILE : (tile + 1) * TILE]
        second = b[tile * TILE : (tile + 1) * TILE]
        lanes = np.zeros(LANES)
        whole = first.size // LANES * LANES
        for start in range(0, whole, LANES):
            for lane in range(LANES):
                lanes[lane] += np.float64(first[start + lane]) * np.float64(second[start + lane])
        for i in range(whole, first.size):
            lanes[i - whole] += np.float64(first[i]) * np.float64(second[i])
        width = LANES // 2
        while width > 0:
            for lane in range(width):
                lanes[lane] += lanes[lane + width]
            width //= 2
        sums[tile] = lanes[0]


def _combine_loop(
    s: Array, y: Array, rows: Array, a: Array, b: Array, c: float, g: Array, d: Array, first: int
) -> None:
    total = np.empty(TILE)
    for begin in range(0, d.size, TILE):
        n = min(TILE, d.size - begin)
        for i in range(n):
            total[i] = c * np.float64(g[begin + i])
        for k in range(rows.size):
            step, change = s[rows[k]], y[rows[k]]
            at = first + begin
            for i in range(n):
                total[i] += a[k] * np.float64(step[at + i])
            for i in range(n):
                total[i] += b[k] * np.float64(change[at + i])
        for i in range(n):
            d[begin + i] = total[i]


@cache
def _compiled(loop: Callable[..., None]) -> Callable[..., None]:
    compiled: Callable[..., None] = compiler()(loop)
    return compiled


class Compiled(Reference):
    """The two loops over elements; all else is NumPy's."""

    def _dot(self, a: Array, b: Array, threads: int) -> float:
        sums = np.empty(-(-a.size // TILE))
        tiles = BLOCK // TILE
        jobs: list[Callable[[], None]] = [
            partial(
                _compiled(_dots_loop),
                a[i * TILE : (i + tiles) * TILE],
                b[i * TILE : (i + tiles) * TILE],
                sums[i : i + tiles],
            )
            for i in range(0, sums.size, tiles)
        ]
        run_jobs(jobs, threads)
        return tree_sum(sums)

    def _combine(
        self,
        rows: list[int],
        s_weights: Array,
        y_weights: Array,
        g_weight: float,
        gradient: Array,
        d: Array,
        threads: int,
    ) -> None:
        order = np.array(rows, np.int64)
        fixed: Any = (self._s, self._y, order, s_weights, y_weights, float(g_weight))
        blocks = [slice(i, i + BLOCK) for i in range(0, d.size, BLOCK)]
        jobs: list[Callable[[], None]] = [
            partial(_compiled(_combine_loop), *fixed, gradient[block], d[block], block.start)
            for block in blocks
        ]
        run_jobs(jobs, threads)


def bind(s: Array, y: Array) -> Compiled:
    """Of pairs in these arrays' rows."""
    return Compiled(s, y)
