"""The loop of a fit: spans of steps, and between them whatever is due."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

import numpy as np

from .._interrupts import noticed
from .._types import Array
from ..second_order import Method
from ..threads import get_num_threads
from . import saving
from .endless import noting_no_bound
from .engine import Done, Engine, Halt, Job, engine_for, norm_of
from .history import History
from .plan import Plan
from .progress import Bar
from .rates import listening, lr_of, rates, steps_taken
from .result import Result, Status, Stop
from .saddles import Saddles
from .stopping import Rules

__all__ = ["Run"]

SPAN = 0.05  # seconds between two returns from the engine, for Ctrl-C, time limits and progress
LONGEST = 2**16  # steps in a span


class Event(NamedTuple):
    """Something due after every so many steps, which may end the fit."""

    every: int
    act: Callable[[], Stop | None]


class Run:
    """A fit under way, from its start or from where a file was written."""

    def __init__(self, plan: Plan, source: str | os.PathLike[str] | None = None) -> None:
        self.plan = plan
        self.history = History(plan.last_step)
        self.nit = 0
        self.saddles = Saddles(plan)
        previous = None if source is None else self._restore(source)
        self.rules = Rules(plan)
        self.engine: Engine = engine_for(
            Job(
                plan.objective,
                plan.optimizer,
                plan.phi,
                self.rules.watch,
                plan.max_norm,
                None if plan.svrg is None else plan.svrg.evaluate,
                [w.observe for w in (plan.average, plan.trajectory) if w is not None],
            )
        )
        if previous is not None:
            np.copyto(self.engine.last, previous)
        self._epochs = plan.epoch_losses()
        self._gradient = np.zeros_like(plan.phi)  # over all samples
        self._norm = norm_of(plan.optimizer, self._gradient)
        self._events = self._due()
        self._pace = 1  # steps in the coming span
        self._whole = True  # between two steps, with everything about the last one noted

    def _due(self) -> list[Event]:
        plan, epoch = self.plan, self.plan.steps_per_epoch
        events = [
            (next(listening(lr_of(plan.optimizer)), None), epoch, self._tell),
            (plan.batches and plan.ftol, epoch, self._check_losses),
            (plan.batches and plan.gtol, epoch, self._check_gradient),
            (plan.callback, plan.callback_every, self._call_back),
            (plan.checkpoint, plan.checkpoint_every, self._save),
        ]
        return [Event(every, act) for wanted, every, act in events if wanted is not None]

    # ---- the loop ------------------------------------------------------------------------------

    def go(self) -> Result:
        """Take steps until something ends it."""
        plan, begin = self.plan, perf_counter()
        bar = Bar(plan.progress, plan.last_step)
        stop = None
        try:
            with noticed() as request:
                while stop is None:
                    if request.asked:
                        stop = self.rules.interrupted(self.nit)
                    else:
                        stop = self.rules.limit(self.nit, perf_counter() - begin)
                    stop = stop or self._advance(bar)
        except KeyboardInterrupt:
            stop = self.rules.interrupted(self.nit)
        finally:
            bar.close()
        if plan.checkpoint is not None and self._whole and stop.status != Status.DIVERGED:
            self._save()
        return self._finish(stop)

    def _advance(self, bar: Bar) -> Stop | None:
        """A span of steps, and what is due after it."""
        count = min(self._pace, self.plan.last_step - self.nit, *map(self._until, self._events))
        begin = perf_counter()
        self._whole = False
        count, halt = self._span(int(count))
        self._whole = True
        self._keep_pace(count, perf_counter() - begin)
        if halt is not None:
            return self._halted(halt)
        bar.update(self.nit, f"epoch {self.nepoch}, loss {self.history.loss.array[-1]:.4g}")
        stops = (event.act() for event in self._events if self.nit % event.every == 0)
        return next((stop for stop in stops if stop is not None), None)

    def _span(self, most: int) -> tuple[int, Halt | None]:
        """Have the engine take steps, and note them, those before an interrupt as well."""
        plan = self.plan
        span = None if plan.batches is None else plan.batches.take(most)
        count = most if span is None else len(span)
        record = self.history.room(count)
        record.lrs[:] = rates(plan.optimizer, count)
        previous = float(self.history.loss.array[-1]) if self.nit else math.nan
        taken = steps_taken(plan.optimizer)
        done = Done(0, None)
        try:
            done = self.engine.run(span, count, previous, record)
        except KeyboardInterrupt:  # a second Ctrl-C, in the midst of a step
            done = Done(steps_taken(plan.optimizer) - taken, None)
            raise
        finally:
            n = done.steps
            self.nit += n
            self.history.grow(n)
        return count, done.halt

    def _until(self, event: Event) -> int:
        """Steps until it is due."""
        return event.every - self.nit % event.every

    def _keep_pace(self, count: int, seconds: float) -> None:
        fitting = int(count * SPAN / max(seconds, 1e-9))
        self._pace = max(1, min(fitting, 8 * max(count, self._pace), LONGEST))

    # ---- what is due between spans -------------------------------------------------------------

    @property
    def nepoch(self) -> int:
        """Whole epochs done."""
        return self.nit // self.plan.steps_per_epoch

    def _last_epochs(self, count: int) -> list[float]:
        begin = (self.nepoch - count) * self.plan.steps_per_epoch
        losses: list[float] = self._epochs.losses(self.history.loss.array[begin:]).tolist()
        return losses

    def _tell(self) -> None:
        for schedule in listening(lr_of(self.plan.optimizer)):
            schedule.update(self._last_epochs(1)[0])

    def _check_losses(self) -> Stop | None:
        if self.nepoch < 2:
            return None
        before, now = self._last_epochs(2)
        return self.rules.settled(before, now, self.nit)

    def _check_gradient(self) -> Stop | None:
        self.plan.objective._evaluate(self.plan.phi, None, self._gradient)
        return self.rules.flat(self._norm(get_num_threads()), self.nit)

    def _call_back(self) -> Stop | None:
        x, history = self.plan.phi.view(), self.history
        losses = history.loss.array
        x.flags.writeable = losses.flags.writeable = False
        now = Result(
            x=x,
            fun=float(losses[-1]),
            nit=self.nit,
            nepoch=self.nepoch,
            lr=float(history.lr.array[-1]),
            grad_norm=float(history.grad_norm.array[-1]),
            history=losses,
        )
        assert self.plan.callback is not None
        try:
            word = self.plan.callback(now)
        except StopIteration:  # as scipy.optimize takes it
            word = True
        return self.rules.told(self.nit) if word else None

    def _save(self) -> None:
        assert self.plan.checkpoint is not None
        arrays, numbers = saving.state_of(self.plan)
        numbers["steps"] = self.nit
        numbers["escapes"] = self.saddles.escapes
        arrays["previous"] = self.engine.last
        saving.write(self.plan.checkpoint, self.plan, arrays | self.history.arrays(), numbers)

    def _restore(self, source: str | os.PathLike[str]) -> Array:
        """Take everything over from a file; the parameters before its last step."""
        arrays, numbers = saving.read(source, self.plan)
        self.nit = numbers["steps"]
        self.saddles.escapes = [tuple(escape) for escape in numbers["escapes"]]
        self.history.restore(arrays)
        return arrays["previous"]

    # ---- the end -------------------------------------------------------------------------------

    def _halted(self, halt: Halt) -> Stop | None:
        """Why it ends; None where it has left a saddle and goes on."""
        if halt.status == Status.GRADIENT and self.saddles.leave(halt.loss, self.nit):
            return None
        special = {
            Status.DIVERGED: self.rules.diverged,
            Status.NO_DECREASE: self.rules.stuck,
            Status.UNBOUNDED: self.rules.unbounded,
        }
        stop = special[halt.status](halt, self.nit) if halt.status in special else None
        stop = stop or self.rules.flat(halt.grad_norm, self.nit)
        stop = stop or self.rules.settled(float(self.history.loss.array[-1]), halt.loss, self.nit)
        assert stop is not None
        return stop

    def _finish(self, stop: Stop) -> Result:
        plan = self.plan
        diverged = stop.status in (Status.DIVERGED, Status.UNBOUNDED)
        if stop.status == Status.DIVERGED or not np.isfinite(plan.phi).all():
            np.copyto(plan.phi, self.engine.last)
            if isinstance(plan.optimizer, Method):
                plan.optimizer._place(plan.phi)
        x, last = self._reached(diverged)
        if plan.final_loss:
            loss = self._evaluate(x)
            norm = self._norm(get_num_threads())
        else:
            loss = self._recent_loss()
            norm = 0.0 if np.isfinite(x).all() else math.inf
        if not (math.isfinite(loss) and math.isfinite(norm)) and not diverged:
            halt = Halt(Status.DIVERGED, loss, norm, None)  # at the last step
            return self._finish(self.rules.diverged(halt, self.nit))
        stop = self.saddles.mention(stop, x, norm if plan.final_loss else math.nan)
        if plan.final_loss:
            stop = noting_no_bound(plan, stop, x, loss, self._gradient, self.engine.last)
        result = Result(
            x=x,
            fun=loss,
            nit=self.nit,
            nepoch=self.nepoch,
            success=self.rules.success(stop.status),
            status=stop.status,
            message=stop.message,
            history=self.history.loss.final,
            history_epoch=self._epochs.losses(self.history.loss.array),
            history_lr=self.history.lr.final,
            history_grad_norm=self.history.grad_norm.final,
            optimizer=plan.optimizer,
        )
        if plan.final_loss:
            result["jac"] = self._gradient.copy()
        if isinstance(plan.optimizer, Method):
            method = plan.optimizer
            result |= {"nfev": method.nfev, "njev": method.ngev, "nhev": method.nhev}
        if plan.escape_saddles:
            result["escapes"] = [step for step, _ in self.saddles.escapes]
        if plan.average is not None:
            result["last"] = last
        if plan.trajectory is not None:
            result["trajectory"] = plan.trajectory.array
        return result

    def _evaluate(self, x: Array) -> float:
        """Loss over all samples, and `_gradient` there; a method may know both, and counts."""
        method = self.plan.optimizer
        if isinstance(method, Method) and np.array_equal(method.x, x):
            loss, _ = method._look(None)
            self._gradient[:] = method.gradient
            return loss
        return self.plan.objective._evaluate(x, None, self._gradient)

    def _recent_loss(self) -> float:
        """Mean loss of the last steps, an epoch of them at most; at the start of none."""
        losses = self.history.loss.array[-self.plan.steps_per_epoch :]
        if not len(losses):
            return self.plan.objective._evaluate(self.plan.phi, None, None)
        return float(losses.mean())

    def _reached(self, diverged: bool) -> tuple[Array, Array]:
        """The point to hand out, and the last iterate; averages may hold what has diverged."""
        plan = self.plan
        if hasattr(plan.optimizer, "eval") and not diverged:
            plan.optimizer.eval()
        last = plan.phi.copy()
        if plan.average is None or not plan.average.count or diverged:
            return last, last
        return plan.average.value.astype(last.dtype), last
