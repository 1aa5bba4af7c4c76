"""The fallback where the core could not be built: the same formulas, compiled by Numba."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from .. import kernel as formulas
from .._types import Array
from ..kernel import Kernel
from . import Masters, Streams, _rounding
from ._tiles import LANES, TILE, TileBinding

NAME = "numba"

# One loop serves every rule: only the number of slots and of sums differs. LLVM vectorizes the
# reduction in this form; as an integer or with `or` it costs 1.6 or 12 times the loop.
_LOOP = """
def loop(p, g, {arrays} c):
    nonfinite = False
    for i in range(p.size):
        nothing = g[i] - g[i]
        nonfinite |= nothing != nothing
        {targets} = update(p[i], g[i], {elements} c)
    return nonfinite
"""

# Elements of a job: a call costs some 15 µs, in which the other threads wait for the GIL.
BLOCK = 1024 * TILE


def why_not() -> str | None:
    """Why Numba cannot be used here."""
    if find_spec("numba") is None:
        return "numba is not installed (pip install 'fallline[numba]')"
    return None


@lru_cache(maxsize=1)
def compiler() -> Callable[..., Any]:
    """Numba's njit, once the operations of the formulas have their scalar forms."""
    import numba
    from numba.extending import overload, register_jitable

    @overload(formulas.where, strict=False)
    def _where(condition: Any, yes: Any, no: Any) -> Any:
        return lambda condition, yes, no: yes if condition else no

    @overload(formulas.sign, strict=False)
    def _sign(x: Any) -> Any:
        kind = getattr(np, x.name)
        one, zero = kind(1), kind(0)
        return lambda x: one if x > zero else (-one if x < zero else zero)

    for composed in (
        formulas.choose,
        formulas.l2,
        formulas.maximum,
        formulas.minimum,
        _rounding.rotate,
        _rounding.threefry,
    ):
        register_jitable(composed)

    # Division by zero gives inf as in NumPy (and a branch per element would stop vectorization);
    # without the GIL the blocks run on a pool of threads. Numba's own parallel loops would bring
    # a second OpenMP or a layer that aborts when two threads step at once.
    return numba.njit(nogil=True, error_model="numpy")


@cache
def _loop(kernel: Kernel) -> Callable[..., bool]:
    njit = compiler()
    names = [f"s{i}" for i in range(len(kernel.slots))]
    outputs = [f"x{i}" for i in range(kernel.sums)]
    targets = ", ".join(f"{a}[i]" for a in ["p", *names, *outputs]) + ","
    source = _LOOP.format(
        arrays="".join(f"{a}, " for a in names + outputs),
        targets=targets,
        elements="".join(f"{a}[i], " for a in names),
    )
    scope: dict[str, Any] = {"update": njit(kernel.update)}
    exec(source, scope)
    return njit(scope["loop"])  # type: ignore[no-any-return]


def _tile_sums_loop(x: Array, sums: Array) -> None:
    for tile in range(sums.size):
        part = x[tile * TILE : (tile + 1) * TILE]
        lanes = np.zeros(LANES)
        whole = part.size // LANES * LANES
        for start in range(0, whole, LANES):
            for lane in range(LANES):
                lanes[lane] += part[start + lane]
        for i in range(whole, part.size):
            lanes[i - whole] += part[i]
        width = LANES // 2
        while width > 0:
            for lane in range(width):
                lanes[lane] += lanes[lane + width]
            width //= 2
        sums[tile] = lanes[0]


@cache
def _compiled_tile_sums() -> Callable[[Array, Array], None]:
    return compiler()(_tile_sums_loop)  # type: ignore[no-any-return]


def _tile_sums(x: Array) -> Array:
    sums = np.empty(-(-x.size // TILE))
    _compiled_tile_sums()(x, sums)
    return sums


def _fill_loop(
    words: Array, first: int, row: int, index: int, step: int, low: int, high: int
) -> None:
    word = np.uint64
    for tile in range(words.shape[0]):
        for j in range(words.shape[2]):
            block = word(first + tile * words.shape[2] + j) & _rounding.WORD
            x = _rounding.threefry(
                block, word(row), word(index), word(step), word(low), word(high), word(0), word(0)
            )
            for k in range(4):
                words[tile, 2 * k, j] = x[k] & _rounding.HALF
                words[tile, 2 * k + 1, j] = x[k] >> _rounding.SHIFT


@cache
def _compiled_fill() -> Callable[..., None]:
    return compiler()(_fill_loop)  # type: ignore[no-any-return]


def _fill(words: Array, *counter: int) -> None:
    _compiled_fill()(words, *counter)


def _apply(
    kernel: Kernel, p: Array, g: Array, slots: tuple[Array, ...], c: Any
) -> tuple[bool, tuple[Array, ...]]:
    terms = tuple(np.empty_like(p) for _ in range(kernel.sums))
    return _loop(kernel)(p, g, *slots, *terms, c), terms


@cache
def _pool(threads: int, pid: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="fallline")


def run_jobs(jobs: list[Callable[[], None]], threads: int) -> None:
    """Run jobs on this many threads, each on a contiguous run of them."""
    if threads == 1 or len(jobs) == 1:
        for job in jobs:
            job()
        return

    def share(k: int) -> None:
        for job in jobs[len(jobs) * k // threads : len(jobs) * (k + 1) // threads]:
            job()

    # The process id: a fork's child must not wait for its parent's threads.
    pool = _pool(threads - 1, os.getpid())
    others = [pool.submit(share, k) for k in range(1, threads)]
    share(0)
    for future in others:
        future.result()


def bind(
    params: list[Array],
    slots: list[tuple[Array, ...]],
    cohorts: Sequence[int],
    masters: Masters = (),
    streams: Streams = (),
) -> TileBinding:
    """Bind arrays to this backend."""
    return TileBinding(
        params, slots, cohorts, masters, streams, _apply, run_jobs, BLOCK, _tile_sums, _fill
    )
