"""The fallback where the core could not be built: a row at a time, compiled by Numba.

Nothing is gathered, and sums are formed in float64, in the canonical order of :mod:`._leaves`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .._types import Array
from ..backends.numba import compiler
from ..threads import get_num_threads
from ._glm import Head, Samples
from ._leaves import share, sum_leaves
from ._sparse import is_sparse

__all__ = ["LinearModel"]


class Batch(NamedTuple):
    """What the loops read beside X; empty arrays stand for what is not given."""

    phi: Array
    direction: Array  # where given, the products are the Hessian's with it
    rows: Array
    y: Array
    weight: Array
    outputs: int
    intercept: bool


# A row's outputs are formed by four sums each, which hide the latency of an addition.


def _dense_output(x: Array, w: Array) -> float:
    a = b = c = d = 0.0
    whole = x.size // 4 * 4
    for j in range(0, whole, 4):
        a += np.float64(x[j]) * w[j]
        b += np.float64(x[j + 1]) * w[j + 1]
        c += np.float64(x[j + 2]) * w[j + 2]
        d += np.float64(x[j + 3]) * w[j + 3]
    for j in range(whole, x.size):
        a += np.float64(x[j]) * w[j]
    return (a + b) + (c + d)


def _sparse_output(values: Array, columns: Array, w: Array) -> float:
    total = 0.0
    for j in range(values.size):
        total += np.float64(values[j]) * w[columns[j]]
    return total


class Loops(NamedTuple):
    """The compiled loops of one head."""

    dense: Callable[..., None]
    sparse: Callable[..., None]
    columns: Callable[..., None]


@cache
def _loops(head: Head) -> Loops:
    njit = compiler()
    row, row_curve = njit(head.row), njit(head.row_curve)
    dense_output, sparse_output = njit(_dense_output), njit(_sparse_output)

    @njit
    def value(b: Batch, i: int, z: Array, u: Array) -> float:
        """A sample's loss from its outputs; u becomes its slopes or their change along u."""
        weight = np.float64(b.weight[i]) if b.weight.size else 1.0
        loss = 0.0
        if b.direction.size:
            row_curve(z, b.y[i], u)
        else:
            loss = row(z, b.y[i], u)
        for c in range(b.outputs):
            u[c] *= weight
        return weight * loss

    @njit
    def dense(
        X: Array, b: Batch, first: int, last: int, rows: int, losses: Array, partials: Array
    ) -> None:
        d = X.shape[1]
        z, u = np.empty(b.outputs), np.empty(b.outputs)
        for leaf in range(first, last):
            partial = partials[leaf]
            for k in range(leaf * rows, min((leaf + 1) * rows, b.rows.size)):
                i = b.rows[k]
                x = X[i]
                for c in range(b.outputs):
                    z[c] = dense_output(x, b.phi[c * d : (c + 1) * d])
                    if b.intercept:
                        z[c] += b.phi[b.outputs * d + c]
                    if b.direction.size:
                        u[c] = dense_output(x, b.direction[c * d : (c + 1) * d])
                        if b.intercept:
                            u[c] += b.direction[b.outputs * d + c]
                losses[leaf] += value(b, i, z, u)
                if partial.size == 0:
                    continue
                for c in range(b.outputs):
                    slope = u[c]
                    own = partial[c * d : (c + 1) * d]
                    for j in range(d):
                        own[j] += slope * x[j]
                    if b.intercept:
                        partial[b.outputs * d + c] += slope

    @njit
    def sparse(
        X: tuple[Array, Array, Array],
        b: Batch,
        slopes: Array,
        first: int,
        last: int,
        rows: int,
        losses: Array,
        partials: Array,
    ) -> None:
        """As `dense`, but of the product only the intercepts' part; the slopes are kept."""
        values, columns, indptr = X
        d = (b.phi.size - (b.outputs if b.intercept else 0)) // b.outputs
        z, u = np.empty(b.outputs), np.empty(b.outputs)
        for leaf in range(first, last):
            for k in range(leaf * rows, min((leaf + 1) * rows, b.rows.size)):
                i = b.rows[k]
                entries = slice(indptr[i], indptr[i + 1])
                for c in range(b.outputs):
                    own = slice(c * d, (c + 1) * d)
                    z[c] = sparse_output(values[entries], columns[entries], b.phi[own])
                    if b.intercept:
                        z[c] += b.phi[b.outputs * d + c]
                    if b.direction.size:
                        u[c] = sparse_output(values[entries], columns[entries], b.direction[own])
                        if b.intercept:
                            u[c] += b.direction[b.outputs * d + c]
                losses[leaf] += value(b, i, z, u)
                for c in range(b.outputs):
                    slopes[k, c] = u[c]
                    partials[leaf, c] += u[c]

    @njit
    def columns(
        X: tuple[Array, Array, Array],
        rows: Array,
        slopes: Array,
        scale: float,
        out: Array,
        first: int,
        last: int,
    ) -> None:
        """Columns first … last − 1 of the product, every row's share in the batch's order."""
        values, columns, indptr = X
        outputs, _ = out.shape
        out[:, first:last] = 0
        for k in range(rows.size):
            begin, end = indptr[rows[k]], indptr[rows[k] + 1]
            begin += np.searchsorted(columns[begin:end], first)
            end = begin + np.searchsorted(columns[begin:end], last)
            for c in range(outputs):
                slope = scale * slopes[k, c]
                for j in range(begin, end):
                    out[c, columns[j]] += slope * values[j]

    return Loops(dense, sparse, columns)


class LinearModel:
    """A generalised linear model's sums over batches, by Numba."""

    def __init__(self, head: Head, samples: Samples) -> None:
        self._samples = samples
        self._loops = _loops(head)
        X, y = samples.X, samples.y
        self._all = np.arange(len(y))
        self._sparse = is_sparse(X)
        self._X: Any = (X.data, X.indices, X.indptr) if self._sparse else X
        self._weight = np.empty(0, y.dtype) if samples.weight is None else samples.weight
        entries = X.nnz / len(y) if self._sparse else X.shape[1]
        self._row_work = int(entries * samples.outputs) + 8

    def accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        """Σ w·ℓ; `gradient`, if given, becomes scale · Σ w·∂ℓ."""
        return self._sum(phi, np.empty(0, phi.dtype), batch, gradient, scale)

    def curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        """`out` becomes scale · Σ w·(∂²ℓ) v."""
        self._sum(phi, v, batch, out, scale)

    def _sum(
        self, phi: Array, direction: Array, batch: Array | None, out: Array | None, scale: float
    ) -> float:
        s = self._samples
        rows = self._all if batch is None else batch
        b = Batch(phi, direction, rows, s.y, self._weight, s.outputs, s.intercept)
        work, threads = self._row_work * len(rows), get_num_threads()
        if self._sparse:
            return self._sum_sparse(b, out, scale, work, threads)
        loss, total = sum_leaves(
            lambda *leaves: self._loops.dense(self._X, b, *leaves),
            len(rows),
            len(phi),
            0 if out is None else len(phi),
            work,
            threads,
        )
        if out is not None:
            out[...] = scale * total
        return loss

    def _sum_sparse(
        self, b: Batch, out: Array | None, scale: float, work: int, threads: int
    ) -> float:
        k = b.outputs
        slopes = np.empty((len(b.rows), k))
        loss, intercepts = sum_leaves(
            lambda *leaves: self._loops.sparse(self._X, b, slopes, *leaves),
            len(b.rows),
            k,
            k,
            work,
            threads,
        )
        if out is not None:
            features = self._samples.X.shape[1]
            weights = out[: k * features].reshape(k, features)
            share(
                lambda first, last: self._loops.columns(
                    self._X, b.rows, slopes, scale, weights, first, last
                ),
                features,
                work,
                threads,
            )
            out[k * features :] = scale * intercepts[: len(out) - k * features]
        return loss
