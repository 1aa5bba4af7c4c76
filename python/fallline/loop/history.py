"""What is remembered of every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .._memory import available_memory
from .._types import Array

__all__ = ["Epochs", "History", "Record", "Series", "Trajectory"]


EXPECTED = 2**18  # steps that memory is set aside for at most; it is there once it is written to


class Record(NamedTuple):
    """What becomes of each step of a span."""

    losses: Array
    norms: Array
    lrs: Array  # filled with the optimizer's


class Series:
    """Float64 numbers, appended in runs; `expected` of them fit without a copy."""

    def __init__(self, expected: int) -> None:
        self._room = np.empty(expected)
        self._size = 0

    def room(self, count: int) -> Array:
        """Where the next numbers will stand, to be written there before :meth:`grow`."""
        needed = self._size + count
        if needed > len(self._room):
            room = np.empty(max(needed, 2 * len(self._room)))
            room[: self._size] = self.array
            self._room = room
        return self._room[self._size : needed]

    def grow(self, count: int) -> None:
        """Take up so many of them."""
        self._size += count

    @property
    def array(self) -> Array:
        """All of them so far, as a view."""
        return self._room[: self._size]

    @property
    def final(self) -> Array:
        """All of them, to be kept: a copy where a view would hold on to much more."""
        return self.array if 2 * self._size >= len(self._room) else self.array.copy()


class History:
    """Loss before each step on its batch, its learning rate, and the norm of its gradient."""

    def __init__(self, steps: float) -> None:
        expected = int(min(steps, EXPECTED))
        self.loss = Series(expected)
        self.lr = Series(expected)
        self.grad_norm = Series(expected)

    def room(self, count: int) -> Record:
        """Where the coming steps are noted, to be written there before :meth:`grow`."""
        return Record(self.loss.room(count), self.grad_norm.room(count), self.lr.room(count))

    def grow(self, count: int) -> None:
        """Take up so many of them."""
        for series in (self.loss, self.grad_norm, self.lr):
            series.grow(count)

    def arrays(self) -> dict[str, Array]:
        """By name."""
        return {"loss": self.loss.array, "lr": self.lr.array, "grad_norm": self.grad_norm.array}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Go on from what :meth:`arrays` gave."""
        record = self.room(len(arrays["loss"]))
        record.losses[:], record.norms[:] = arrays["loss"], arrays["grad_norm"]
        record.lrs[:] = arrays["lr"]
        self.grow(len(record.losses))


class Epochs:
    """An epoch's loss from its steps': the mean over its samples, or under "sum" their sum."""

    def __init__(self, samples: int, batch_size: int, reduction: str) -> None:
        self._steps = -(-samples // batch_size)
        last = samples - (self._steps - 1) * batch_size
        mean = reduction == "mean"
        self._weights = (batch_size / samples, last / samples) if mean else (1.0, 1.0)

    def __len__(self) -> int:
        return self._steps

    def losses(self, steps: Array) -> Array:
        """Loss of each whole epoch in the losses of steps from an epoch's start."""
        whole = steps[: len(steps) - len(steps) % len(self)].reshape(-1, len(self))
        weight, last = self._weights
        means: Array = weight * whole[:, :-1].sum(axis=1) + last * whole[:, -1]
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
