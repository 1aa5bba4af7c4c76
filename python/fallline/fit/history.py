"""What is remembered of every step."""

from __future__ import annotations

import numpy as np

from .._memory import available_memory
from .._types import Array

__all__ = ["Epochs", "History", "Series", "Trajectory"]


class Series:
    """Float64 numbers, appended in runs."""

    def __init__(self) -> None:
        self._room = np.empty(64)
        self._size = 0

    def extend(self, values: Array) -> None:
        """Append them."""
        needed = self._size + len(values)
        if needed > len(self._room):
            room = np.empty(max(needed, 2 * len(self._room)))
            room[: self._size] = self.array
            self._room = room
        self._room[self._size : needed] = values
        self._size = needed

    @property
    def array(self) -> Array:
        """All of them so far, as a view."""
        return self._room[: self._size]


class History:
    """Loss before each step on its batch, its learning rate, and the norm of its gradient."""

    def __init__(self) -> None:
        self.loss = Series()
        self.lr = Series()
        self.grad_norm = Series()

    def extend(self, loss: Array, lr: Array, grad_norm: Array) -> None:
        """Append a span of steps."""
        self.loss.extend(loss)
        self.lr.extend(lr)
        self.grad_norm.extend(grad_norm)

    def arrays(self) -> dict[str, Array]:
        """By name, in the order of :meth:`extend`."""
        return {"loss": self.loss.array, "lr": self.lr.array, "grad_norm": self.grad_norm.array}


class Epochs:
    """An epoch's loss from its steps': the mean over its samples, or under "sum" their sum."""

    def __init__(self, sizes: Array, reduction: str) -> None:
        self._weights = sizes / sizes.sum() if reduction == "mean" else np.ones(len(sizes))

    def __len__(self) -> int:
        return len(self._weights)

    def losses(self, steps: Array) -> Array:
        """Loss of each whole epoch in the losses of steps from an epoch's start."""
        whole = steps[: len(steps) - len(steps) % len(self)].reshape(-1, len(self))
        means: Array = (whole * self._weights).sum(axis=1)
        return means


class Trajectory:
    """The parameters before the first step and after every so many."""

    def __init__(self, phi: Array, every: int, steps: float) -> None:
        self.every = every
        points = steps // every + 1
        free = available_memory()
        if free is not None and points < np.inf and points * phi.nbytes > free / 2:
            raise MemoryError(
                f"a trajectory of {points:,.0f} points of {phi.size:,} parameters would take "
                f"{points * phi.nbytes / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are available; "
                f"record every so many steps only: trajectory={int(every * 10)}"
            )
        self._points = [phi.copy()]
        self._step = 0

    def observe(self, phi: Array) -> None:
        """Take note of the parameters after a step."""
        self._step += 1
        if self._step % self.every == 0:
            self._points.append(phi.copy())

    @property
    def array(self) -> Array:
        """Shape (points, parameters)."""
        return np.array(self._points)

    def restore(self, points: Array, step: int) -> None:
        """Go on from the points of a run that was cut off."""
        self._points = list(points)
        self._step = step
