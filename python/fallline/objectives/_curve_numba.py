"""Curves compiled by Numba: the C++ core's sums in the same order."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from .._types import Array
from ..backends.numba import compiler
from ._curve import Model, Points

__all__ = ["NumbaCurve"]

LANES = 8
LEAST, MOST = 32, 64  # samples of a leaf; leaves


@cache
def _compiled(model: Model) -> Callable[..., None]:
    """Sums over leaves: partial products by row, and Σ w·ℓ in the last column.

    Arrays that are not there are empty: with None in their place each mixture would be compiled.
    """
    njit = compiler()
    point, point_curve = njit(model.point), njit(model.point_curve)

    def sums(
        phi: Array,
        v: Array,
        x: Array,
        y: Array,
        weight: Array,
        batch: Array,
        rows: int,
        partials: Array,
    ) -> None:
        size = len(batch) if len(batch) > 0 else len(x)
        params = len(phi)
        slope, bend = np.empty(params), np.empty(params)
        for leaf in range(len(partials)):
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
                for l in range(half):  # noqa: E741
                    lanes[:, l] += lanes[:, l + half]
                half //= 2
            partials[leaf] = lanes[:, 0]

    return njit(sums)  # type: ignore[no-any-return]


class NumbaCurve:
    """A curve's sums over batches, on the calling thread."""

    def __init__(self, model: Model, points: Points) -> None:
        self._sums = _compiled(model)
        self._points = points

    def accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        """See :class:`fallline.objectives._curve.Evaluator`."""
        total = self._total(phi, None, batch)
        if gradient is not None:
            gradient[:] = scale * total[:-1]
        return float(total[-1])

    def curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        """See :class:`fallline.objectives._curve.Evaluator`."""
        out[:] = scale * self._total(phi, v, batch)[:-1]

    def _total(self, phi: Array, v: Array | None, batch: Array | None) -> Array:
        p = self._points
        size = len(p.x) if batch is None else len(batch)
        rows = _leaf_rows(size, len(phi))
        partials = np.empty((-(-size // rows), len(phi) + 1))
        self._sums(
            phi.astype(np.float64),
            np.empty(0) if v is None else v.astype(np.float64),
            p.x,
            p.y,
            p.x[:0] if p.weight is None else p.weight,
            np.empty(0, np.int64) if batch is None else batch,
            rows,
            partials,
        )
        return _tree_sum(partials)


def _leaf_rows(size: int, params: int) -> int:
    """Samples of each leaf but the last, as in the core's leaves.hpp."""
    most = min(max((1 << 22) // params, LANES), MOST)
    rows = max(-(-size // most), LEAST)
    return -(-rows // LANES) * LANES


def _tree_sum(parts: Array) -> Array:
    """Σ over the first axis, of neighbours, then of theirs."""
    while len(parts) > 1:
        pairs = len(parts) // 2 * 2
        parts = np.concatenate([parts[:pairs:2] + parts[1:pairs:2], parts[pairs:]])
    total: Array = parts[0]
    return total
