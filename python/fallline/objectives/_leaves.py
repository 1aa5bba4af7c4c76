"""A batch's samples cut into leaves, whose sums are joined in a fixed tree.

Where the cuts lie depends on the sizes of the batch and of the model alone, and so do the bits
(the core's leaves.hpp does the same).
"""

from __future__ import annotations

from .._types import Array

__all__ = ["leaves", "tree_sum"]

LEAST = 32  # samples of a leaf
PARTIAL = 1 << 22  # numbers that all partial gradients may take; beyond, there are fewer leaves


def leaves(size: int, params: int) -> tuple[int, int]:
    """Samples of each leaf but the last, and the number of leaves."""
    most = min(max(PARTIAL // max(params, 1), 8), 64)
    rows = max(-(-size // most), LEAST)
    return rows, -(-size // rows)


def tree_sum(parts: Array) -> Array:
    """Σ over the first axis, pairwise; `parts` is overwritten."""
    count = len(parts)
    while count > 1:
        half = (count + 1) // 2
        parts[: count - half] += parts[half:count]
        count = half
    total: Array = parts[0]
    return total
