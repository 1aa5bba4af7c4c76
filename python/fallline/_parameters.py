"""An optimizer's parameters, and what lies beside each in memory: state arrays, a master copy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ._placement import copy_beside, zeros_beside
from ._types import Array, Group, compute_dtype
from .kernel import Kernel
from .storage import has_master

Initial = Callable[[str, Group, Array], "float | Array"]  # Optimizer.initial_slot


class Parameters:
    """All lists are by parameter, in the order of the groups.

    Attributes
    ----------
    names, arrays
        Where each is in what the user gave, and the array itself.
    slots
        State arrays by name, the master copy (``"master"``) among them.
    masters
        The master copies, None without one.
    following
        Those whose master copies are the parameters still: no step has been taken.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.arrays: list[Array] = []
        self.slots: list[dict[str, Array]] = []
        self.masters: list[Array | None] = []
        self.following: set[int] = set()

    def __len__(self) -> int:
        return len(self.arrays)

    def add(self, names: list[str], arrays: list[Array]) -> range:
        """Append some without state; their indices."""
        first = len(self)
        self.names += names
        self.arrays += arrays
        self.slots += [{} for _ in arrays]
        self.masters += [None for _ in arrays]
        return range(first, len(self))

    def written(self) -> list[tuple[str, Array]]:
        """Every array that a step writes, with its name."""
        written = list(zip(self.names, self.arrays, strict=True))
        for name, slots in zip(self.names, self.slots, strict=True):
            written += [(f"{slot} of {name}", array) for slot, array in slots.items()]
        return written

    def furnish(self, i: int, kernel: Kernel, group: Group, initial: Initial) -> tuple[Array, ...]:
        """The state arrays that a kernel needs, in its order, made where there are none yet.

        Sees to the master copy, too: to a new one, or that one no longer wanted goes.
        """
        own, param = self.slots[i], self.arrays[i]
        for slot in kernel.slots:
            if slot not in own:
                own[slot] = new_slot(slot, group, param, len(own), initial)
        if not has_master(group, param):
            self.forget_master(i)
        elif "master" not in own:
            own["master"] = zeros_beside(param, compute_dtype(param.dtype), len(own))
            own["master"][...] = param
            self.following.add(i)
        self.masters[i] = own.get("master")
        return tuple(own[slot] for slot in kernel.slots)

    def forget_master(self, i: int) -> None:
        """Let the next :meth:`furnish` begin a new one."""
        self.slots[i].pop("master", None)
        self.following.discard(i)

    def follow(self, indices: Iterable[int]) -> None:
        """Let master copies be what the parameters are now."""
        for i in indices:
            master = self.masters[i]
            if master is not None:
                master[...] = self.arrays[i]

    def start(self, indices: Iterable[int]) -> None:
        """Let those that take their first step begin where their parameters are now."""
        self.follow(self.following.intersection(indices))
        self.following.difference_update(indices)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.slots = [
            {slot: copy_beside(param, a, i) for i, (slot, a) in enumerate(slots.items())}
            for param, slots in zip(self.arrays, self.slots, strict=True)
        ]


def new_slot(slot: str, group: Group, param: Array, index: int, initial: Initial) -> Array:
    """A state array before the first step."""
    array = zeros_beside(param, compute_dtype(param.dtype), index)
    value = initial(slot, group, param)
    if isinstance(value, np.ndarray) or value != 0.0:
        array[...] = value
    return array
