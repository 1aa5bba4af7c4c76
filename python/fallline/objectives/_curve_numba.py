"""Curves compiled by Numba: the C++ core's sums in the same order."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from .._types import Array
from ..backends.numba import compiler
from ..threads import get_num_threads
from ._curve import Model, Points
from ._leaves import sum_leaves

__all__ = ["NumbaCurve"]

LANES = 8


@cache
def _loop(model: Model) -> Callable[..., None]:
    """Σ w·ℓ of leaves first … last − 1, and their partial products where these have columns.

    Arrays that are not there are empty: with None in their place each mixture would be compiled.
    """
    njit = compiler()
    point, point_curve = njit(model.point), njit(model.point_curve)

    def loop(
        phi: Array,
        v: Array,
        x: Array,
        y: Array,
        weight: Array,
        batch: Array,
        first: int,
        last: int,
        rows: int,
        losses: Array,
        partials: Array,
    ) -> None:
        size = len(batch) if len(batch) > 0 else len(x)
        params = partials.shape[1]
        slope, bend = np.empty(len(phi)), np.empty(len(phi))
        for leaf in range(first, last):
            lanes = np.zeros((params + 1, LANES))
            begin = leaf * rows
            for i in range(begin, min(begin + rows, size)):
                k = batch[i] if len(batch) > 0 else i
                lane = (i - begin) % LANES
                at = np.float64(x[k])
                error = point(phi, at, slope) - np.float64(y[k])
                w = np.float64(weight[k]) if len(weight) > 0 else 1.0
                lanes[params, lane] += w * (error * error)
                if len(v) == 0:
                    for j in range(params):
                        lanes[j, lane] += 2.0 * w * error * slope[j]
                else:
                    point_curve(phi, v, at, bend)
                    along = 0.0
                    for j in range(params):
                        along += slope[j] * v[j]
                    for j in range(params):
                        lanes[j, lane] += 2.0 * w * (along * slope[j] + error * bend[j])
            half = LANES // 2
            while half > 0:
                lanes[:, :half] += lanes[:, half : 2 * half]
                half //= 2
            losses[leaf] = lanes[params, 0]
            partials[leaf] = lanes[:params, 0]

    return njit(loop)  # type: ignore[no-any-return]


class NumbaCurve:
    """A curve's sums over batches."""

    def __init__(self, model: Model, points: Points) -> None:
        self._loop = _loop(model)
        self._points = points

    def accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        """See :class:`fallline.objectives._curve.Evaluator`."""
        loss, total = self._sum(phi, np.empty(0), batch, 0 if gradient is None else len(phi))
        if gradient is not None:
            gradient[:] = scale * total
        return loss

    def curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        """See :class:`fallline.objectives._curve.Evaluator`."""
        out[:] = scale * self._sum(phi, v.astype(np.float64), batch, len(phi))[1]

    def _sum(self, phi: Array, v: Array, batch: Array | None, columns: int) -> tuple[float, Array]:
        p = self._points
        size = len(p.x) if batch is None else len(batch)
        point = phi.astype(np.float64)
        weight = p.x[:0] if p.weight is None else p.weight
        indices = np.empty(0, np.int64) if batch is None else batch

        def run(first: int, last: int, rows: int, losses: Array, partials: Array) -> None:
            self._loop(point, v, p.x, p.y, weight, indices, first, last, rows, losses, partials)

        work = size * (32 + 2 * len(phi))
        return sum_leaves(run, size, len(phi), columns, work, get_num_threads())
