"""What the two Python backends share: blocks of tiles, staging, canonical sums, gradient checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from .._interrupts import shielded
from .._types import Array, compute_dtype
from ..arrays import check_apart, check_gradient
from ..kernel import Kernel
from . import Masters, Share, Streams, Work
from ._rounding import Fill, check_seed, fill, random_words, round_randomly

TILE = 1024  # cpp/include/fallline/types.hpp
LANES = 32  # cpp/include/fallline/reduce.hpp
MAX_SUMS = 2
STAGED = 64 * TILE  # elements of a job that needs temporary arrays: a few of these stay in L2

# apply(kernel, p, g, slots, c) updates p and slots in place; it returns whether a gradient is not
# finite, and the terms of the rule's sums.
Apply = Callable[[Kernel, Array, Array, tuple[Array, ...], Any], tuple[bool, tuple[Array, ...]]]


def tile_sums(x: Array) -> Array:
    """Sum of each tile of a flat float64 array: 32 lanes, then a tree over the lanes."""
    tiles = -(-x.size // TILE)
    padded = np.zeros(tiles * TILE)
    padded[: x.size] = x
    rows = padded.reshape(tiles, TILE // LANES, LANES)
    lanes = np.zeros((tiles, LANES))
    for r in range(rows.shape[1]):
        lanes += rows[:, r]
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]


def tree_sum(values: Array) -> float:
    """Sum of all values in a fixed binary tree over their positions."""
    if values.size == 0:
        return 0.0
    while values.size > 1:
        pairs = values[: values.size // 2 * 2].reshape(-1, 2)
        values = np.concatenate([pairs[:, 0] + pairs[:, 1], values[pairs.size :]])
    return float(values[0])


class TileBinding:
    """A :class:`Binding` whose arithmetic is given by `apply` and `runner`.

    Parameters
    ----------
    apply
        One kernel over one block.
    runner
        ``runner(jobs, threads)`` calls every job; they are independent.
    block
        Elements of a job, a multiple of the tile, where nothing has to be staged.
    tile_sums
        The canonical sums of the tiles of a flat float64 array.
    fill
        See :func:`random_words`.
    """

    def __init__(
        self,
        params: list[Array],
        slots: list[tuple[Array, ...]],
        cohorts: Sequence[int],
        masters: Masters,
        streams: Streams,
        apply: Apply,
        runner: Callable[[list[Callable[[], None]], int], None],
        block: int,
        tile_sums: Callable[[Array], Array] = tile_sums,
        fill: Fill = fill,
    ) -> None:
        self._params = params
        self._flat = [p.reshape(-1) for p in params]
        self._slots = [tuple(s.reshape(-1) for s in own) for own in slots]
        self._cohorts = cohorts
        self._masters = [
            None if m is None else m.reshape(-1) for m in masters or [None] * len(params)
        ]
        self._streams = streams or [(i, 0, 0) for i in range(len(params))]
        self._apply = apply
        self._runner = runner
        self._block = block
        self._tile_sums = tile_sums
        self._fill = fill
        self._grads: list[Array | None] = []

    def accept(self, grads: list[Any]) -> bool | list[bool]:
        if len(grads) != len(self._params) or any(g is None for g in grads):
            return False
        try:
            for grad, param in zip(grads, self._params, strict=True):
                check_gradient("", grad, param)
                if not param.flags.writeable:
                    return False
            written = [("", p) for p in self._flat]
            written += [("", s) for own in self._slots for s in own]
            written += [("", m) for m in self._masters if m is not None]
            check_apart(written, [("", g) for g in grads])
        except (TypeError, ValueError):
            return False
        self.bind(grads)
        return True

    def bind(self, grads: list[Array | None]) -> None:
        self._grads = [None if g is None else g.reshape(-1) for g in grads]

    def _present(self) -> Iterator[tuple[int, Array]]:
        return ((i, g) for i, g in enumerate(self._grads) if g is not None)

    def sum_squares(self, scale: float, threads: int) -> tuple[float, int]:
        partials: list[Array] = []
        first_nonfinite = -1
        with np.errstate(all="ignore"):
            for i, grad in self._present():
                dtype = compute_dtype(self._params[i].dtype)
                for start in range(0, grad.size, STAGED):
                    g = _load(grad[start : start + STAGED], dtype, scale)
                    if first_nonfinite < 0 and not np.isfinite(g).all():
                        first_nonfinite = i
                    wide = g.astype(np.float64)
                    partials.append(self._tile_sums(wide * wide))
            return tree_sum(np.concatenate(partials or [np.zeros(0)])), first_nonfinite

    def update(
        self,
        work: Work,
        watch: bool,
        threads: int,
        progress: list[Any],
        pending: Any,
        sums: list[float] | None,
    ) -> int:
        bad: list[int] = []
        terms: list[dict[int, Array]] = [{} for _ in self._grads]
        jobs: list[Callable[[], None]] = []
        for i, grad in self._present():
            share = work[self._cohorts[i]]
            assert share is not None
            kernel, factor, values = share[:3]
            if len(share) == 4:
                check_seed(share[3][0])
            dtype = compute_dtype(self._params[i].dtype)
            c = kernel.coefficients(*map(dtype.type, values))
            in_place = factor == 1.0 and grad.dtype == dtype == self._params[i].dtype
            size = self._block if in_place and not kernel.sums else STAGED
            jobs += [
                partial(self._job, i, grad[start : start + size], start, share, c, bad, terms[i])
                for start in range(0, grad.size, size)
            ]
        with shielded():
            self._runner(jobs, threads)
            if sums is not None:
                sums[:] = self._totals(len(work), terms)
            progress[0] = pending
        return min(bad, default=-1) if watch else -1

    @np.errstate(all="ignore")  # here, as a pool's thread does not inherit it
    def _job(
        self,
        i: int,
        grad: Array,
        start: int,
        share: Share,
        c: Any,
        bad: list[int],
        terms: dict[int, Array],
    ) -> None:
        kernel, factor = share[:2]
        block = slice(start, start + grad.size)
        home = self._flat[i][block]
        dtype = compute_dtype(home.dtype)
        g = _load(grad, dtype, factor)
        master = self._masters[i]
        if master is not None:
            p = master[block]
        else:
            p = home if home.dtype == dtype else home.astype(dtype)
        nonfinite, own = self._apply(kernel, p, g, tuple(s[block] for s in self._slots[i]), c)
        if p is not home:
            home[...] = self._rounded(i, p, start, share)
        if nonfinite:
            bad.append(i)
        if own:
            terms[start] = np.stack([self._tile_sums(x.astype(np.float64)) for x in own])

    def _rounded(self, i: int, p: Array, start: int, share: Share) -> Array:
        dtype = self._params[i].dtype
        if len(share) == 3:
            return p.astype(dtype)
        random = random_words(share[3], self._streams[i], start, p.size, self._fill)
        return round_randomly(p, random, dtype)

    @np.errstate(all="ignore")
    def _totals(self, cohorts: int, terms: list[dict[int, Array]]) -> list[float]:
        totals = []
        for c in range(cohorts):
            own = [
                t[start]
                for i, t in enumerate(terms)
                if self._cohorts[i] == c
                for start in sorted(t)
            ]
            joined = np.concatenate(own, axis=1) if own else np.zeros((0, 0))
            totals += [tree_sum(joined[s]) if s < len(joined) else 0.0 for s in range(MAX_SUMS)]
        return totals


def _load(grad: Array, dtype: np.dtype[Any], factor: float) -> Array:
    g = grad if grad.dtype == dtype else grad.astype(dtype)
    return g if factor == 1.0 else g * dtype.type(factor)
