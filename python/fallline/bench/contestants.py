"""Who steps: this library's backends and the memory bound's kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .. import rules, threads
from .._placement import zeros_beside
from .._types import Array
from ..backends import choose
from ..kernel import Kernel
from ..optimizer import Optimizer
from ..rules.elementwise import streams
from .works import ITEM, LR, Data, Work

OURS = "fallline"
BOUND = "memory bound"


class UnavailableError(Exception):
    """A peer cannot take part; the message is the reason."""


@dataclass
class Contestant:
    """Something that steps, and whose parameters can be looked at."""

    name: str
    step: Callable[[], Any]
    params: Callable[[], list[Array]]
    detail: str = ""
    bytes: float = 0.0  # that one step moves; 0 where that is not known
    steps: int = 0
    untimed: float = 0.0  # seconds of its steps that are not to be counted

    def run(self, calls: int) -> None:
        """Take this many steps."""
        step = self.step
        for _ in range(calls):
            step()
        self.steps += calls


def make(work: Work, params: list[Array], backend: str | None = None) -> Optimizer:
    """The work's optimizer for these arrays."""
    cls: Any = rules.optimizers()[work.rule]
    given = params[0] if len(params) == 1 else params
    optimizer: Optimizer = cls(given, lr=LR, backend=backend, **work.options)
    return optimizer


def kernel_of(work: Work) -> Kernel:
    """The formula that the work's rule and options come to."""
    optimizer = make(work, [np.zeros(1, np.float32)], backend="numpy")
    return optimizer.kernel(optimizer.param_groups[0])


def moved(work: Work) -> float:
    """Bytes a step has to move: parameter and state in and out, gradient in."""
    streams_ = 2 * len(kernel_of(work).slots) + 3
    streams_ += work.max_norm is not None  # the norm reads the gradient first
    return float(ITEM * work.elements * streams_)


def ours(work: Work, data: Data, backend: str | None = None) -> Contestant:
    """A backend of this library; the best one by default."""
    try:
        name = choose(backend).NAME
    except RuntimeError as error:
        raise UnavailableError(str(error)) from None
    params = [p.copy() for p in data.params]
    grads = [g.copy() for g in data.grads]
    optimizer = make(work, params, backend)
    step = partial(optimizer.step, grads[0] if len(grads) == 1 else grads)
    if work.max_norm is not None:
        step = partial(step, max_norm=work.max_norm)
    label, detail = (OURS, name) if backend is None else (f"{OURS} {backend}", "")
    return Contestant(label, step, lambda: params, detail, moved(work))


def memory_bound(work: Work, data: Data, backend: str = "native") -> Contestant:
    """Trivial arithmetic on as many streams as the work's rule has (at most stream4's)."""
    try:
        chosen = choose(backend)
    except RuntimeError as error:
        raise UnavailableError(str(error)) from None
    params = [p.copy() for p in data.params]
    grads = [g.copy() for g in data.grads]
    slots = min(len(kernel_of(work).slots), len(streams) - 1)
    states = [tuple(zeros_beside(p, p.dtype, s) for s in range(slots)) for p in params]
    binding = chosen.bind(params, states, [0] * len(params))
    share = ((streams[slots], 1.0, (0.0,)),)
    count = threads.get_num_threads()

    def step() -> None:
        binding.accept(grads)
        binding.update(share, False, count, [None], None, None)

    size = ITEM * work.elements * (2 * slots + 3)
    return Contestant(BOUND, step, lambda: params, streams[slots].name, size)


def line_up(
    build: Callable[[str], Contestant], others: Iterable[str]
) -> tuple[list[Contestant], dict[str, str]]:
    """Ours and all others who take part, by their names; and why some do not."""
    present = [build(OURS)]
    skipped: dict[str, str] = {}
    for name in others:
        try:
            present.append(build(name))
        except UnavailableError as reason:
            skipped[name] = str(reason)
    return present, skipped
