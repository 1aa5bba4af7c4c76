"""A history's passes: the reference, on whole arrays a block at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._types import Array
from ..backends._tiles import STAGED, tile_sums, tree_sum

__all__ = ["Reference", "bind"]


class Reference:
    """See :class:`fallline.second_order._pairs.Passes`."""

    def __init__(self, s: Array, y: Array) -> None:
        self._s, self._y = s, y

    def products(
        self,
        rows: Sequence[int],
        added: int,
        gradient: Array,
        before: Array,
        x: Array,
        alpha: float,
        threads: int,
    ) -> list[float]:
        s, y = self._s[added], self._y[added]
        with np.errstate(all="ignore"):
            if alpha != 1:
                np.multiply(s, s.dtype.type(alpha), out=s)
            np.add(x, s, out=x)
            np.subtract(gradient, before, out=y)
            sums = [
                self._dot(old, new, threads)
                for i in (*rows, added)
                for old in (self._s[i], self._y[i])
                for new in (y, gradient)
            ]
            return [*sums, self._dot(gradient, gradient, threads)]

    def combine(
        self,
        rows: Sequence[int],
        s_weights: Sequence[float],
        y_weights: Sequence[float],
        g_weight: float,
        gradient: Array,
        x: Array,
        alpha: float,
        direction: int,
        trial: Array,
        threads: int,
    ) -> list[float]:
        d = self._s[direction]
        weights = np.array(s_weights, np.float64), np.array(y_weights, np.float64)
        with np.errstate(all="ignore"):
            self._combine(list(rows), *weights, g_weight, gradient, d, threads)
            np.multiply(d, d.dtype.type(alpha), out=trial)
            np.add(x, trial, out=trial)
            return [self._dot(d, gradient, threads), self._dot(d, d, threads)]

    def slope(self, direction: int, gradient: Array, threads: int) -> float:
        with np.errstate(all="ignore"):
            return self._dot(self._s[direction], gradient, threads)

    def _dot(self, a: Array, b: Array, threads: int) -> float:
        partials = [
            tile_sums(a[i : i + STAGED].astype(np.float64) * b[i : i + STAGED])
            for i in range(0, a.size, STAGED)
        ]
        return tree_sum(np.concatenate(partials))

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
        for i in range(0, d.size, STAGED):
            block = slice(i, i + STAGED)
            total = g_weight * gradient[block].astype(np.float64)
            for row, a, b in zip(rows, s_weights, y_weights, strict=True):
                total += a * self._s[row, block].astype(np.float64)
                total += b * self._y[row, block].astype(np.float64)
            d[block] = total


def bind(s: Array, y: Array) -> Reference:
    """Of pairs in these arrays' rows."""
    return Reference(s, y)
