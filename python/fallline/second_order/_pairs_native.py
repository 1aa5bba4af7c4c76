"""A history's passes in the C++ core."""

from __future__ import annotations

from .._types import Array
from ._pairs import Passes

__all__ = ["bind"]


def bind(s: Array, y: Array) -> Passes:
    """Of pairs in these arrays' rows."""
    from .. import _core

    passes: Passes = _core.Pairs(s, y)
    return passes
