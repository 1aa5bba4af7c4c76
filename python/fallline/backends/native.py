"""The C++ core."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .._types import Array
from . import Binding

NAME = "native"

try:
    from .. import _core
except ImportError as error:
    _missing: str | None = (
        f"the C++ core is missing ({error}); it is built at install where a C++ compiler is found"
    )
else:
    _missing = None
    if (_forced := os.environ.get("FALLLINE_ISA") or None) is not None and not _core.activate(
        _forced
    ):
        _usable = ", ".join(name for name, usable in _core.isas() if usable)
        raise ImportError(f"FALLLINE_ISA={_forced!r} is not usable here; expected one of {_usable}")


def why_not() -> str | None:
    """Why the core cannot be used here."""
    return _missing


def bind(params: list[Array], slots: list[tuple[Array, ...]], cohorts: Sequence[int]) -> Binding:
    """Keep the addresses in C++, where a step is one call."""
    tensors: Binding = _core.Tensors(params, slots, list(cohorts))
    return tensors
