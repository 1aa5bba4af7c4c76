"""The C++ core."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .._types import Array
from . import Work

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


class NativeBinding:
    """Addresses kept in C++; a step is one call."""

    def __init__(
        self, params: list[Array], slots: list[tuple[Array, ...]], cohorts: Sequence[int]
    ) -> None:
        tensors = _core.Tensors(params, slots, list(cohorts))
        self.accept = tensors.accept
        self.bind = tensors.bind
        self.sum_squares = tensors.sum_squares
        self._update = tensors.update

    def update(
        self,
        work: Work,
        watch: bool,
        threads: int,
        progress: list[Any],
        pending: Any,
        sums: list[float] | None,
    ) -> int:
        numbered = tuple([w and (_rule_index[w[0].name], w[1], w[2]) for w in work])
        return self._update(numbered, watch, threads, progress, pending, sums)


bind = NativeBinding

_rule_index: dict[str, int] = (
    {} if _missing else {name: i for i, (name, *_) in enumerate(_core.rules())}
)
