"""Saddles: left where that is asked for, and mentioned where a fit ends at one."""

from __future__ import annotations

import warnings

import numpy as np

from .. import curvature
from .._types import Array
from ..curvature._spectrum import ritz
from ..objectives import Function
from ..second_order import Method
from .plan import Plan
from .result import Status, Stop

__all__ = ["SaddleWarning", "Saddles"]

LOOKS = 10  # products with the Hessian at the end of a fit, at most
CLEAR = 0.01  # of the largest |λ|: less may be a network's flat valley, which has no end
HALVINGS = 60


class SaddleWarning(UserWarning):
    """A fit has ended by its tolerance for the gradient, at a saddle.

    It takes a gradient that is 0 up to ε^(1/3), in units of the largest curvature, and a negative
    curvature of at least a hundredth of that. A few Lanczos iterations look for it (at most ten
    products with the Hessian; an objective that is convex is not asked).
    """


class Saddles:
    """A plan's dealings with them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.escapes: list[tuple[int, float]] = []  # steps done, curvature

    def leave(self, loss: float, nit: int) -> bool:
        """Move down along the most negative curvature, if there is one."""
        plan = self._plan
        if not plan.escape_saddles or (self.escapes and self.escapes[-1][0] == nit):
            return False
        try:
            v = curvature.escape_direction(plan.objective, plan.phi)
        except ValueError:  # none is negative
            return False
        product = plan.objective.hvp(plan.phi, v)
        bend = float(np.dot(v.astype(np.float64), product))
        if (x := self._descend(v, bend, loss)) is None:
            return False
        np.copyto(plan.phi, x)
        if isinstance(plan.optimizer, Method):
            plan.optimizer._place(x)
        self.escapes.append((nit, bend))
        return True

    def _descend(self, v: Array, bend: float, loss: float) -> Array | None:
        """The first point along v with half of the decrease that the curvature promises."""
        phi, evaluate = self._plan.phi, self._plan.objective._evaluate
        h = 0.1 * max(1.0, float(np.abs(phi).max()))
        with np.errstate(all="ignore"):
            for _ in range(HALVINGS):
                x = (phi + h * v).astype(phi.dtype)
                now = evaluate(x, None, None)
                if now < loss and now <= loss + h * h * bend / 4:
                    return x
                h /= 2
        return None

    def mention(self, stop: Stop, x: Array, norm: float) -> Stop:
        """Say what saddles were left, and whether it ends at one."""
        message = stop.message
        if self.escapes:
            step, bend = self.escapes[-1]
            count = len(self.escapes)
            which = "a saddle was" if count == 1 else f"{count} saddles were"
            message += (
                f"; {which} left along negative curvature, "
                f"{'' if count == 1 else 'last '}at step {step} ({bend:.3g})"
            )
        if stop.status == Status.GRADIENT and (saddle := self._saddle(x, norm)) is not None:
            message += f"; but {saddle}"
            warnings.warn(message, SaddleWarning, stacklevel=5)
        return Stop(stop.status, message)

    def _saddle(self, x: Array, norm: float) -> str | None:
        f = self._plan.objective
        if f.convex:
            return None
        rough = isinstance(f, Function) and f.rough_curvature
        try:
            values = ritz(f, x, None, LOOKS)
        except (TypeError, FloatingPointError):  # it has no curvature, or none there
            return None
        low, largest = float(values[0]), float(np.abs(values).max())
        eps = float(np.finfo(f.dtype).eps)
        critical = norm <= eps ** (1 / 3) * max(1.0, largest)
        if not critical or low >= -max(CLEAR, eps ** (1 / 3) if rough else 0) * largest:
            return None
        hint = "escape_saddles=True goes on from there"
        return f"this is no minimum: a curvature is {low:.3g}, the largest {largest:.3g}; {hint}"
