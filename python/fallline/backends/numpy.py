"""The reference: each formula on whole arrays, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._types import Array
from ..kernel import Kernel
from . import Masters, Streams
from ._tiles import STAGED, TileBinding

NAME = "numpy"


def why_not() -> str | None:
    """NumPy is always there."""
    return None


def _apply(
    kernel: Kernel, p: Array, g: Array, slots: tuple[Array, ...], c: Any
) -> tuple[bool, tuple[Array, ...]]:
    outputs = kernel.update(p, g, *slots, c)
    for array, new in zip((p, *slots), outputs, strict=False):  # the rest are sums
        array[...] = new
    return not np.isfinite(g).all(), outputs[1 + len(slots) :]


def _run(jobs: list[Callable[[], None]], threads: int) -> None:
    for job in jobs:
        job()


def bind(
    params: list[Array],
    slots: list[tuple[Array, ...]],
    cohorts: Sequence[int],
    masters: Masters = (),
    streams: Streams = (),
) -> TileBinding:
    """Bind arrays to this backend."""
    return TileBinding(params, slots, cohorts, masters, streams, _apply, _run, STAGED)
