"""The C++ core."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec

from .._types import Array
from . import Binding, Masters, Streams

NAME = "native"

_missing: str | None = None
_forced = os.environ.get("FALLLINE_ISA") or None

try:
    from .. import _core
except ImportError as error:
    if find_spec("fallline._core") is None:
        _missing = (
            "the C++ core is missing: no working C++20 compiler was found when fallline was "
            "installed (FALLLINE_REQUIRE_CORE=1 makes pip fail instead, and say why)"
        )
    else:
        _missing = f"the C++ core cannot be loaded: {error}"
    _usable = _missing
else:
    _usable = "expected one of " + ", ".join(name for name, usable in _core.isas() if usable)

if _forced is not None and (_missing or not _core.activate(_forced)):
    raise ImportError(f"FALLLINE_ISA={_forced!r} is not usable here: {_usable}")


def why_not() -> str | None:
    """Why the core cannot be used here."""
    return _missing


def bind(
    params: list[Array],
    slots: list[tuple[Array, ...]],
    cohorts: Sequence[int],
    masters: Masters = (),
    streams: Streams = (),
) -> Binding:
    """Keep the addresses in C++, where a step is one call."""
    tensors: Binding = _core.Tensors(params, slots, list(cohorts), list(masters), list(streams))
    return tensors
