"""Why a fit ends: the rules, and how they are said."""

from __future__ import annotations

import math

from ..second_order._method import ENDLESS
from .engine import Halt, Watch
from .plan import Plan
from .result import Status, Stop

__all__ = ["Rules"]

HINTS = "a smaller lr, max_norm, which clips gradients, or features of a like scale"
MET = (Status.GRADIENT, Status.LOSS_CHANGE, Status.CALLBACK)
LIMITS = (Status.EPOCHS, Status.STEPS, Status.TIME)


class Rules:
    """A plan's stopping rules. Those that a single step decides are the engine's to watch."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    @property
    def watch(self) -> Watch:
        """What halts the engine."""
        gtol, ftol = self._plan.gtol, self._plan.ftol
        if self._plan.batches is not None:  # a batch's loss and gradient say too little
            gtol = ftol = None
        never = math.nan
        return Watch(
            self._plan.ceiling, never if gtol is None else gtol, never if ftol is None else ftol
        )

    # ---- limits --------------------------------------------------------------------------------

    def limit(self, nit: int, seconds: float) -> Stop | None:
        """Whether steps, epochs or time are used up."""
        plan = self._plan
        if plan.steps is not None and nit >= plan.steps:
            return self._unmet(Status.STEPS, f"{_steps(nit)} done")
        if nit >= plan.last_step:
            epochs = nit // plan.steps_per_epoch
            done = f"{epochs:,} epoch{'s' * (epochs != 1)} done, {_steps(nit)}"
            return self._unmet(Status.EPOCHS, done)
        if plan.time_limit is not None and seconds >= plan.time_limit:
            passed = f"{plan.time_limit:g} s have passed, {_steps(nit)} done"
            return self._unmet(Status.TIME, passed)
        return None

    def _unmet(self, status: Status, message: str) -> Stop:
        tolerances = {"gtol": self._plan.gtol, "ftol": self._plan.ftol}
        asked = [f"{name}={value:g}" for name, value in tolerances.items() if value is not None]
        return Stop(status, message + (f"; {' or '.join(asked)} not reached" if asked else ""))

    # ---- tolerances ----------------------------------------------------------------------------

    def flat(self, norm: float, nit: int) -> Stop | None:
        """Whether the full gradient is small."""
        gtol = self._plan.gtol
        if gtol is None or not norm <= gtol:
            return None
        message = f"the gradient's norm is {norm:.3g}, at most gtol={gtol:g}, after {_steps(nit)}"
        return Stop(Status.GRADIENT, message)

    def settled(self, before: float, now: float, nit: int) -> Stop | None:
        """Whether the loss has hardly changed."""
        ftol = self._plan.ftol
        if ftol is None or not abs(before - now) <= ftol * max(abs(before), abs(now)):
            return None
        last = "step" if self._plan.batches is None else "epoch"
        return Stop(
            Status.LOSS_CHANGE,
            f"the last {last} changed the loss from {before:.9g} to {now:.9g}, by at most "
            f"ftol={ftol:g} of it, after {_steps(nit)}",
        )

    # ---- what comes from outside, and accidents ------------------------------------------------

    def told(self, nit: int) -> Stop:
        """By the callback."""
        return Stop(Status.CALLBACK, f"the callback ended it after {_steps(nit)}")

    def interrupted(self, nit: int) -> Stop:
        """By Ctrl-C."""
        return Stop(Status.INTERRUPTED, f"interrupted after {_steps(nit)}")

    def diverged(self, halt: Halt, nit: int) -> Stop:
        """By what was met at the parameters as they are, before the next step."""
        objective, phi = self._plan.objective, self._plan.phi
        if halt.loss < -self._plan.ceiling or halt.loss < ENDLESS:
            return self.unbounded(halt, nit)
        if not math.isfinite(halt.loss):
            why = objective.why_not_finite(halt.loss, phi, halt.batch)
        elif not math.isfinite(halt.grad_norm):
            why = f"the loss is {halt.loss:.4g}, the norm of its gradient {halt.grad_norm}"
        else:
            why = f"the loss is {halt.loss:.4g}, above {self._plan.ceiling:.4g}"
        return Stop(Status.DIVERGED, f"diverged after {_steps(nit)}: {why}. Try {HINTS}")

    def unbounded(self, halt: Halt, nit: int) -> Stop:
        """By a loss that falls without end."""
        why = halt.message or f"the loss has fallen to {halt.loss:.4g}"
        if "unbounded" not in why:
            why += ": it seems to be unbounded below"
        return Stop(Status.UNBOUNDED, f"{why}, after {_steps(nit)}")

    def stuck(self, halt: Halt, nit: int) -> Stop:
        """By a method that finds nothing lower."""
        if halt.settled and not self._plan.gtol_asked:
            at = f"the gradient's norm is {halt.grad_norm:.3g}, after {_steps(nit)}"
            return Stop(Status.LOSS_CHANGE, f"{halt.message}; {at}")
        at = f"loss {halt.loss:.9g}, gradient's norm {halt.grad_norm:.3g}"
        return self._unmet(
            Status.NO_DECREASE, f"no further step after {_steps(nit)} ({at}): {halt.message}"
        )

    def success(self, status: Status) -> bool:
        """Whether what was asked for has been reached."""
        tolerant = self._plan.gtol is not None or self._plan.ftol is not None
        return status in MET or (status in LIMITS and not tolerant)


def _steps(count: int) -> str:
    return f"{count:,} step{'s' * (count != 1)}"
