"""Tensors as NumPy arrays: for the Python backends, and for a torch before the exchange API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import _extras
from .._types import Array
from ..backends import Backend
from ..backends import Binding as Arrays
from ..threads import get_num_threads


def as_array(tensor: Tensor) -> Array:
    """A tensor's memory, flat and in its own order."""
    flat = tensor.detach().as_strided((tensor.numel(),), (1,))
    if tensor.dtype != torch.bfloat16:
        return flat.numpy()
    ml_dtypes: Any = _extras.require("ml_dtypes", extra="bfloat16")
    bits: Array = flat.view(torch.int16).numpy()
    return bits.view(ml_dtypes.bfloat16)


class ByArrays:
    """The same as :class:`fallline._core.ExchangedTensors`, bound anew at every step."""

    def __init__(
        self,
        backend: Backend,
        lists: list[list[Tensor]],
        entries: list[Any],
        conform: Callable[[int, Tensor], Any],
    ) -> None:
        self._backend = backend
        self._params = [param for params in lists for param in params]
        self._entries = entries
        self._conform = conform
        self._fresh = True
        self._present: list[Any] = []
        self._binding: Arrays | None = None
        self._owners: list[int] = []
        self._grads: list[Array | None] = []  # copies that the core knows by address alone

    def remember_state(self, state: dict[Any, Any]) -> None:
        """Nothing is kept that could be out of date."""

    def release(self) -> None:
        """Let the gradients go."""
        self._grads = []

    def accept(self, lists: list[Any], state: dict[Any, Any], threads: int) -> bool | list[bool]:
        if not self._fresh:
            return False
        self._fresh = False
        params: list[Array] = []
        slots: list[tuple[Array, ...]] = []
        cohorts: list[int] = []
        grads: list[Array | None] = []
        masters: list[Array | None] = []
        streams: list[tuple[int, int, int]] = []
        self._owners, self._present = [], []
        for i, (param, entry) in enumerate(zip(self._params, self._entries, strict=True)):
            if entry is None:
                continue
            home, master, own, _, _, cohort, by_rows, offset = entry
            tensor = len(self._present)
            self._present.append(entry if param.grad is not None else None)
            whole = [as_array(home), *map(as_array, own)]
            if master is not None:
                whole.append(as_array(master))
            for row, part, grad in self._parts(i, param.grad, whole, by_rows):
                params.append(part[0])
                slots.append(tuple(part[1 : 1 + len(own)]))
                masters.append(None if master is None else part[-1])
                streams.append((i, row, offset))
                cohorts.append(cohort)
                grads.append(grad)
                self._owners.append(tensor)
        self._binding = self._backend.bind(params, slots, cohorts, masters, streams)
        self._binding.bind(grads)
        self._grads = grads
        active = [False] * (max((e[5] for e in self._entries if e), default=-1) + 1)
        for entry in self._present:
            if entry is not None:
                active[entry[5]] = True
        return active

    def _parts(
        self, i: int, grad: Tensor | None, arrays: list[Array], by_rows: bool
    ) -> list[tuple[int, list[Array], Array | None]]:
        if grad is None:
            return [(0, arrays, None)]
        if not by_rows:
            return [(0, arrays, as_array(self._conform(i, grad)))]
        indices, values = self._conform(i, grad)
        length = values[0].numel() if len(indices) else 0
        flat = as_array(values)
        return [
            (row, [a[row * length : (row + 1) * length] for a in arrays], flat[k : k + length])
            for k, row in zip(range(0, flat.size, max(length, 1)), indices.tolist(), strict=True)
        ]

    def sum_squares(self, scale: float, threads: int) -> tuple[float, int]:
        assert self._binding is not None
        total, bad = self._binding.sum_squares(scale, get_num_threads())
        return total, -1 if bad < 0 else self._owners[bad]

    def update(
        self,
        work: tuple[Any, ...],
        watch: bool,
        threads: int,
        progress: list[Any],
        pending: Any,
        sums: list[float] | None,
        numbers: tuple[tuple[float, ...] | None, ...],
    ) -> int:
        assert self._binding is not None
        bad = self._binding.update(work, watch, threads, progress, pending, sums)
        for entry in self._present:
            if entry is not None:
                for number, value in zip(entry[3], numbers[entry[5]] or (), strict=False):
                    np.copyto(number.detach().numpy(), value, casting="unsafe")
        return -1 if bad < 0 else self._owners[bad]
