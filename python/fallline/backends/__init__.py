"""The backends: what they share, and which is used.

A backend is a module with ``NAME``, ``why_not()`` (None where it can be used, else the reason) and
``bind(params, slots, cohorts, …)``, which returns a :class:`Binding`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

from .._types import Array
from ..kernel import Kernel

NAMES = ("native", "numba", "numpy")  # best first

# One cohort's share of a step: kernel, factor on the gradient, coefficients, and (seed, step) where
# 16-bit parameters are rounded stochastically. None: it sits out.
Share = (
    tuple[Kernel, float, tuple[float, ...]]
    | tuple[Kernel, float, tuple[float, ...], tuple[int, int]]
)
Work = tuple[Share | None, ...]
Masters = Sequence[Array | None]
Streams = Sequence[tuple[int, int, int]]


class Binding(Protocol):
    """Parameters and states as one backend holds them."""

    def accept(self, grads: list[Any]) -> bool | list[bool]:
        """Bind gradients if they are plainly fine, and say which cohorts take part.

        True where all do, else a list with an entry per cohort; False where a gradient is not
        plainly fine or a cohort is only partly there.
        """

    def bind(self, grads: list[Array | None]) -> None:
        """Bind gradients that have been checked; None sits this step out."""

    def sum_squares(self, scale: float, threads: int) -> tuple[float, int]:
        """Σ (scale·g)² in the canonical order; the first tensor with a non-finite one, or -1."""

    def update(
        self,
        work: Work,
        watch: bool,
        threads: int,
        progress: list[Any],
        pending: Any,
        sums: list[float] | None,
    ) -> int:
        """One step, after which ``progress[0]`` is `pending`: no interrupt comes in between.

        Returns the first tensor with a non-finite gradient when `watch` is set, else -1.
        """


class Backend(Protocol):
    """What a backend's module offers."""

    NAME: str

    def why_not(self) -> str | None:
        """Why it cannot be used here."""

    def bind(
        self,
        params: list[Array],
        slots: list[tuple[Array, ...]],
        cohorts: Sequence[int],
        masters: Masters = (),
        streams: Streams = (),
    ) -> Binding:
        """Fix parameters, their state arrays and their cohorts' indices.

        `masters` has what is updated in place of a 16-bit parameter, which gets it rounded, or
        None; `streams` the (tensor, row, offset) whose random bits are used, by default those of
        the position. Either is empty or has an entry for each parameter.
        """


def _module(name: str) -> Backend:
    module: Backend = import_module(f"{__name__}.{name}")
    return module


def backends() -> tuple[str, ...]:
    """Names of the backends usable here, best first.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.backends()[-1]
    'numpy'
    """
    return tuple(name for name in NAMES if _module(name).why_not() is None)


def choose(name: str | None) -> Backend:
    """The backend of this name; without one, FALLLINE_BACKEND's or the best usable one."""
    source = "backend"
    if name is None and (name := os.environ.get("FALLLINE_BACKEND") or None) is not None:
        source = "FALLLINE_BACKEND"
    if name is None:
        return next(b for b in map(_module, NAMES) if b.why_not() is None)
    if name not in NAMES:
        raise ValueError(f"{source}={name!r} is not a backend; expected one of {', '.join(NAMES)}")
    backend = _module(name)
    if (reason := backend.why_not()) is not None:
        raise RuntimeError(f"{source}={name!r} cannot be used here: {reason}")
    return backend
