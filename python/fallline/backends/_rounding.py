"""Stochastic rounding: the Python spelling of cpp/include/fallline/rounding.hpp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._types import Array, float32
from ..kernel import where

# Elements of a tile, each with 16 bits of a block of 128: the k-th ones of all blocks are
# neighbours.
TILE = 1024
BLOCKS = TILE // 8

Word = Any  # an array of uint64 (NumPy) or one (Numba), of which the lower 32 bits are used
Block = tuple[Word, Word, Word, Word]

WORD = np.uint64(0xFFFFFFFF)
BITS = np.uint64(32)
HALF, SHIFT = np.uint64(0xFFFF), np.uint64(16)
PARITY = np.uint64(0x1BD11BDA)
ROTATIONS = tuple(
    tuple(np.uint64(r) for r in pair)
    for pair in ((10, 26), (11, 21), (13, 27), (23, 5), (6, 20), (17, 11), (25, 10), (18, 20))
)
TURNS = tuple(np.uint64(turn) for turn in range(6))


def rotate(x: Word, by: Word) -> Word:
    return (x << by | x >> (BITS - by)) & WORD


def threefry(a: Word, b: Word, c: Word, d: Word, k0: Word, k1: Word, k2: Word, k3: Word) -> Block:
    """Threefry4x32-20 (Salmon, Moraes, Dror & Shaw 2011, section 3.3): counter, then key."""
    key = (k0, k1, k2, k3, PARITY ^ k0 ^ k1 ^ k2 ^ k3)
    for turn in range(6):
        if turn > 0:
            for pair in range(2):
                # Two rounds; in the second b and d change places.
                r = ROTATIONS[(4 * turn + 2 * pair - 4) % 8]
                a = (a + b) & WORD
                c = (c + d) & WORD
                b = rotate(b, r[0]) ^ a
                d = rotate(d, r[1]) ^ c
                r = ROTATIONS[(4 * turn + 2 * pair - 3) % 8]
                a = (a + d) & WORD
                c = (c + b) & WORD
                d = rotate(d, r[0]) ^ a
                b = rotate(b, r[1]) ^ c
        a = (a + key[turn % 5]) & WORD
        b = (b + key[(turn + 1) % 5]) & WORD
        c = (c + key[(turn + 2) % 5]) & WORD
        d = (d + key[(turn + 3) % 5] + TURNS[turn]) & WORD
    return a, b, c, d


# fill(words, first, …) puts the bits of the tiles from element 8·first on into `words`, of the
# shape (tiles, 8, BLOCKS): a counter's other words and the key follow.
Fill = Callable[..., None]


def fill(words: Array, first: int, row: int, index: int, step: int, low: int, high: int) -> None:
    blocks = np.uint64(first) + np.arange(words.size // 8, dtype=np.uint64)
    zero = np.uint64(0)
    b, c, d, k0, k1 = map(np.uint64, (row, index, step, low, high))
    for k, x in enumerate(threefry(blocks & WORD, b, c, d, k0, k1, zero, zero)):
        words[:, 2 * k] = (x & HALF).reshape(-1, BLOCKS)
        words[:, 2 * k + 1] = (x >> SHIFT).reshape(-1, BLOCKS)


def check_seed(seed: int) -> None:
    """Raise an OverflowError where a seed, edited since it was checked, is none."""
    np.uint64(seed)


def random_words(
    counter: tuple[int, int], stream: tuple[int, int, int], start: int, size: int, fill: Fill = fill
) -> Array:
    """16 bits for each of `size` elements from `start` on.

    `counter` is (seed, step), `stream` (tensor, row, offset): a shard has the bits that its
    elements, the first of which is at `offset`, have in the whole tensor.
    """
    seed, step = counter
    index, row, offset = stream
    before = (offset + start) % TILE
    words = np.empty((-(-(before + size) // TILE), 8, BLOCKS), np.uint16)
    first = (offset + start - before) // 8
    fill(words, first, row, index, step, seed & 0xFFFFFFFF, seed >> 32)
    return words.reshape(-1)[before : before + size]


def round_randomly(x: Array, random: Array, dtype: np.dtype[Any]) -> Array:
    """`x` in `dtype`: away from zero where the fraction and the random bits exceed a unit."""
    nearest = x.astype(dtype)
    bits = x.view(np.uint32)
    magnitude = bits & np.uint32(0x7FFFFFFF)
    random = random.astype(np.uint32)
    if dtype == np.float16:
        largest = np.finfo(np.float16).max
        normal = (magnitude - np.uint32(0x38000000) + (random >> np.uint32(3))) >> np.uint32(13)
        subnormal = np.abs(x) < np.finfo(np.float16).smallest_normal
        units = (where(subnormal, np.abs(x), float32.type(0)) * float32.type(2**40)).astype("u4")
        rounded = where(subnormal, (units + random) >> np.uint32(16), normal)
        rounded |= (bits ^ magnitude) >> np.uint32(16)
    else:
        largest = np.uint32(0x7F7F0000).view(float32)
        rounded = (bits + random) >> np.uint32(16)
    away = rounded.astype(np.uint16).view(dtype)
    return np.where(np.abs(x) <= largest, away, nearest)
