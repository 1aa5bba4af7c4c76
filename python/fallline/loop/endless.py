"""Losses that fall without end, where a fit has come to its limits on the way down."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .._types import Array
from ..clipping import global_norm
from ..linesearch import Line
from ..linesearch._interval import outward
from ..linesearch._line import Probe, dot
from ..second_order import Method
from .plan import Plan
from .result import Status, Stop

__all__ = ["noting_no_bound"]

LOOKED_AT = (Status.EPOCHS, Status.STEPS, Status.TIME, Status.NO_DECREASE)


def noting_no_bound(plan: Plan, stop: Stop, x: Array, loss: float, g: Array, last: Array) -> Stop:
    """Look further down from where a fit ends: by -g, then by its last step.

    Where the loss rises soon, as it does but for those without a bound, that takes a few losses.
    """
    if plan.objective.bounded or stop.status not in LOOKED_AT:
        return stop
    for direction in _ahead(x, g, last):
        probe = Probe(Line(plan.objective, x, direction))
        first = probe.value(1.0)
        found = outward(probe, loss, 1.0, first) if first < loss else None
        if isinstance(plan.optimizer, Method):
            plan.optimizer.nfev += probe.nfev
        if found is not None and found.unbounded:
            away = found.x * float(np.linalg.norm(direction.astype(np.float64)))
            return Stop(
                Status.UNBOUNDED,
                f"{stop.message}; the loss seems to be unbounded below: from {loss:.4g} it falls "
                f"on, to {found.fun:.4g} at a distance of {away:.3g}",
            )
    return stop


def _ahead(x: Array, g: Array, last: Array) -> Iterator[Array]:
    """Steps to begin with, of the last one's length."""
    step = x - last
    size, slope = global_norm(step), global_norm(g)
    if 0 < slope < math.inf:
        yield -g * g.dtype.type((size or 1e-3 * max(1.0, global_norm(x))) / slope)
    if size and dot(g, step) < 0:
        yield step
