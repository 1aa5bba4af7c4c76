"""What takes the steps: a span of them a call, so that a loop in C++ can take its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from .._placement import zeros_beside
from .._types import Array
from ..backends import choose
from ..kernel import Kernel
from ..minibatch import Span
from ..objectives import Objective
from ..optimizer import Optimizer
from ..second_order import Method
from ..second_order._method import ENDLESS
from ..threads import get_num_threads
from .coefficients import coefficient_table
from .history import Record
from .rates import rates
from .result import Status

__all__ = [
    "Done",
    "Engine",
    "GeneralEngine",
    "Halt",
    "Job",
    "MethodEngine",
    "NativeEngine",
    "Watch",
    "engine_for",
    "norm_of",
]

Observe = Callable[[Array], None]
Evaluate = Callable[[Array, "Array | None", Array], float]


class Watch(NamedTuple):
    """Where to halt before a step: at a loss or gradient there. NaN never halts."""

    ceiling: float  # a loss above it has diverged
    gtol: float = math.nan  # the gradient's norm is at most this
    ftol: float = math.nan  # the loss has changed by at most this share since the step before

    def halts(self, loss: float, norm: float, previous: float) -> Status | None:
        """Why to halt here, if it is time to."""
        if not (ENDLESS <= loss <= self.ceiling and norm < math.inf):
            return Status.DIVERGED
        if norm <= self.gtol:
            return Status.GRADIENT
        if abs(previous - loss) <= self.ftol * max(abs(previous), abs(loss)):
            return Status.LOSS_CHANGE
        return None


class Halt(NamedTuple):
    """What was met before a step, which was then not taken."""

    status: Status
    loss: float
    grad_norm: float
    batch: Array | None
    message: str = ""
    settled: bool = False  # only rounding stands against another


class Done(NamedTuple):
    """Steps taken, and why no more."""

    steps: int
    halt: Halt | None


@dataclass
class Job:
    """What an engine is to do."""

    objective: Objective
    optimizer: Any  # an Optimizer or a Method
    phi: Array  # the optimizer's only parameter
    watch: Watch
    max_norm: float | None = None
    evaluate: Evaluate | None = None  # in place of the objective's own
    observers: Sequence[Observe] = ()  # called with the parameters after each step


class Engine(Protocol):
    """Takes steps; nothing may depend on how they are cut into spans."""

    last: Array
    """The parameters before the last step: where loss and gradient were last found finite."""

    def run(self, span: Span | None, count: int, previous: float, record: Record) -> Done:
        """Take a step on each batch of the span; without one, `count` on all samples.

        `previous` is the loss of the step before, NaN without one. Losses and gradient norms of
        the steps taken are written to the record, and lengths that the method finds itself.
        """


def engine_for(job: Job) -> Engine:
    """The fastest engine that can do it."""
    if isinstance(job.optimizer, Method):
        return MethodEngine(job)
    return NativeEngine(job) if NativeEngine.can(job) else GeneralEngine(job)


class GeneralEngine:
    """Any objective, any optimizer, in Python: evaluate, look, step."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._gradient = np.zeros_like(job.phi)
        self._norm = norm_of(job.optimizer, self._gradient)
        self._evaluate = job.evaluate or job.objective._evaluate
        if hasattr(job.optimizer, "lookahead"):
            self._evaluate = _ahead(job.optimizer, self._evaluate)
        self.last = job.phi.copy()

    def run(self, span: Span | None, count: int, previous: float, record: Record) -> Done:
        """See :class:`Engine`."""
        job = self._job
        phi, gradient, last, observers = job.phi, self._gradient, self.last, job.observers
        evaluate, norm_of_gradient, step = self._evaluate, self._norm, job.optimizer.step
        watch, max_norm = job.watch, job.max_norm
        losses, norms, _ = record
        threads = get_num_threads()
        for i, batch in enumerate(_batches(span, count)):
            loss = evaluate(phi, batch, gradient)
            norm = norm_of_gradient(threads)
            if (status := watch.halts(loss, norm, previous)) is not None:
                return Done(i, Halt(status, loss, norm, batch))
            previous = losses[i] = loss
            norms[i] = norm
            last[:] = phi
            if max_norm is None:
                step(gradient)
            else:
                step(gradient, scale=min(1.0, max_norm / (norm + 1e-6)))  # as clip_grad_norm
            for observe in observers:
                observe(phi)
        return Done(count, None)


class NativeEngine:
    """Objectives and rules of the C++ core: a span of steps is one call, without the GIL."""

    @staticmethod
    def can(job: Job) -> bool:
        """Whether this engine can do a job."""
        optimizer, core = job.optimizer, job.objective._core
        return (
            core is not None
            and getattr(job.objective._evaluate, "__func__", None) is Objective._evaluate
            and optimizer.backend == "native"
            and job.phi.dtype == job.objective.dtype
            and job.evaluate is None
            and not job.observers
            and not hasattr(optimizer, "lookahead")  # the gradient is taken elsewhere
            and not any(cohort.kernel.sums for cohort in optimizer._cohorts)
        )

    def __init__(self, job: Job) -> None:
        self._job = job
        self._gradient = zeros_beside(job.phi, job.phi.dtype, 6)  # behind the most states
        self._kernel: Kernel | None = None
        self.last = job.phi.copy()

    def run(self, span: Span | None, count: int, previous: float, record: Record) -> Done:
        """See :class:`Engine`."""
        job, optimizer = self._job, self._job.optimizer
        trainer = self._trainer()
        _, ((t, state),), _ = optimizer._progress[0]
        group = optimizer.param_groups[0]
        table, states = coefficient_table(optimizer, rates(optimizer, count), t, state, count)
        if not np.isfinite(table).all():
            i = int(np.argmin(np.isfinite(table).all(axis=1)))
            lr = float(np.broadcast_to(rates(optimizer, count), count)[i])
            raise optimizer._not_finite(group, t + i + 1, lr)
        steps, halted, loss, norm = trainer.run(
            None if span is None else span.order,
            None if span is None else span.offsets,
            table,
            math.inf if job.max_norm is None else job.max_norm,
            (*job.watch, previous),
            record.losses,
            record.norms,
            get_num_threads(),
            optimizer._progress,
            states,
        )
        if not halted:
            return Done(steps, None)
        status = (Status.DIVERGED, Status.GRADIENT, Status.LOSS_CHANGE)[halted - 1]
        batch = _batches(span, steps + 1)[steps]
        return Done(steps, Halt(status, loss, norm, batch))

    def _trainer(self) -> Any:
        """The loop in C++, for the variant of the rule that the options now select."""
        job, optimizer = self._job, self._job.optimizer
        optimizer._ready()
        kernel = optimizer._cohorts[0].kernel
        if kernel is not self._kernel:
            from .. import _core

            slots = tuple(optimizer._parameters.slots[0][slot] for slot in kernel.slots)
            self._trainer_of_kernel = _core.Trainer(
                job.objective._core, kernel.name, job.phi, slots, self._gradient, self.last
            )
            self._kernel = kernel
        return self._trainer_of_kernel


class MethodEngine:
    """Methods that evaluate the objective themselves: look, move."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.last = job.phi.copy()

    def run(self, span: Span | None, count: int, previous: float, record: Record) -> Done:
        """See :class:`Engine`."""
        job, method = self._job, self._job.optimizer
        for i, batch in enumerate(_batches(span, count)):
            loss, norm = method._look(batch)
            if (status := job.watch.halts(loss, norm, previous)) is not None:
                return Done(i, Halt(status, loss, norm, batch))
            record.losses[i], record.norms[i] = loss, norm
            self.last[:] = method.x
            moved = method._move(batch)
            if not moved.success:
                status = Status.UNBOUNDED if moved.unbounded else Status.NO_DECREASE
                settled = getattr(moved, "settled", False)
                return Done(i, Halt(status, loss, norm, batch, moved.message, settled))
            if method.x is not job.phi:
                job.phi[:] = method.x
            previous, record.lrs[i] = loss, moved.alpha
            for observe in job.observers:
                observe(job.phi)
        return Done(count, None)


def _batches(span: Span | None, count: int) -> Sequence[Array | None]:
    if span is None:
        return [None] * count
    order, bounds = span.order, span.offsets.tolist()
    return [order[bounds[i] : bounds[i + 1]] for i in range(count)]


def _ahead(optimizer: Any, evaluate: Evaluate) -> Evaluate:
    """Evaluate where the momentum alone would lead."""

    def evaluate_ahead(phi: Array, batch: Array | None, gradient: Array) -> float:
        with optimizer.lookahead():
            return evaluate(phi, batch, gradient)

    return evaluate_ahead


def norm_of(optimizer: Optimizer | Method, gradient: Array) -> Callable[[int], float]:
    """The norm of what an array holds when called, by the optimizer's backend and as it does."""
    backend = choose(None) if isinstance(optimizer, Method) else optimizer._backend
    binding = backend.bind([gradient], [()], [0])
    binding.bind([gradient])
    sum_squares, sqrt = binding.sum_squares, math.sqrt

    def norm(threads: int) -> float:
        return sqrt(sum_squares(1.0, threads)[0])

    return norm
