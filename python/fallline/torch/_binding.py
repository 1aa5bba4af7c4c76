"""Parameters, states and gradients of a torch optimizer, as a backend of the core takes them.

What torch's users may edit, ``param_groups`` and ``state``, is the truth; a binding is made of it,
kept while it is as it was, and made anew when anything but gradients has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

from .._types import Group
from ..backends import Backend
from ..kernel import Kernel
from ..optimizer import Optimizer as Rule
from ..optimizer import State
from . import _mesh, _tensors
from ._shim import shim
from ._tensors import PLAIN, compute_dtype, local

# (home, master, slots, numbers, state, cohort, by_rows, offset) of a parameter; None: it has no
# state
Entry = tuple[Tensor, "Tensor | None", tuple[Tensor, ...], tuple[Tensor, ...], Any, int, bool, int]


@dataclass
class GroupRule:
    """What a group's hyperparameters amount to."""

    values: list[Any]  # as found in the group, to see whether they are still the same
    group: Group  # as plain numbers, under the rule's own names
    rule: type[Rule]
    kernel: Kernel
    fixed: bool  # no value can change behind its identity (a tensor's can)

    def binds_like(self, other: GroupRule) -> bool:
        """Whether the same arrays are needed."""
        return self.kernel is other.kernel and all(
            self.group[name] == other.group[name] for name in ("master_weights", "rounding")
        )


@dataclass
class Cohort:
    """Tensors of one group that have taken part in the same steps, and so share coefficients."""

    group: int
    kernel: Kernel
    by_rows: bool
    active: bool = True
    params: list[Tensor] = field(default_factory=list)


class Native(Protocol):
    """What binds entries: :class:`fallline._core.ExchangedTensors`, or :class:`ByArrays`."""

    def remember_state(self, state: dict[Any, Any]) -> None: ...
    def accept(
        self, lists: list[Any], state: dict[Any, Any], threads: int
    ) -> bool | list[bool]: ...
    def sum_squares(self, scale: float, threads: int) -> tuple[float, int]: ...
    def release(self) -> None: ...
    def update(
        self,
        work: tuple[Any, ...],
        watch: bool,
        threads: int,
        progress: list[Any],
        pending: Any,
        sums: list[float] | None,
        numbers: tuple[tuple[float, ...] | None, ...],
    ) -> int: ...


class Bound:
    """One binding: entries, cohorts, and how far each cohort has come."""

    def __init__(
        self,
        backend: Backend,
        groups: list[dict[str, Any]],
        state: dict[Any, Any],
        rules: list[GroupRule],
        check_rows: Callable[[GroupRule, str, bool], None],
    ) -> None:
        self.names: list[str] = []  # by bound tensor
        self.cohorts: list[Cohort] = []
        self.packed: list[tuple[Tensor, Tensor]] = []  # not updated in place, and their copies
        self.on_mesh: list[Tensor] = []  # parameters that have parts on other ranks
        self._all_names: list[str] = []  # by parameter
        self._entries: list[Entry | None] = []
        self._written: list[tuple[str, Tensor]] = []
        # Together in memory, as a step reads and writes them all.
        count = sum(len(group["params"]) for group in groups)
        self._steps = iter(torch.zeros(count, dtype=torch.float32, device="cpu").unbind())
        keys: dict[Any, int] = {}
        progress: list[tuple[int, State]] = []
        for g, (group, rule) in enumerate(zip(groups, rules, strict=True)):
            for i, param in enumerate(group["params"]):
                name = _name(group, g, i)
                self._all_names.append(name)
                if type(param) not in PLAIN and hasattr(param, "device_mesh"):
                    self.on_mesh.append(param)
                bound = self._bind(name, param, state, rule)
                if bound is None:
                    self._entries.append(None)
                    continue
                t, scalars, parts = bound
                rows = param.grad is not None and param.grad.layout == torch.sparse_coo
                if param.grad is not None:
                    check_rows(rule, name, rows)
                key = (g, t, tuple(scalars.items()), param.grad is not None, rows)
                if key not in keys:
                    keys[key] = len(keys)
                    self.cohorts.append(Cohort(g, rule.kernel, rows))
                    progress.append((t, scalars))
                self.cohorts[keys[key]].params.append(param)
                counts = rule.group["rounding"] == "stochastic"
                offset = _mesh.offset_in_whole(param) if counts else 0
                self._entries.append((*parts, keys[key], rows, offset))
                self.names.append(name)
        _tensors.check_apart(self._written)
        self.progress: list[Any] = [(tuple(progress), None)]
        self.summing = any(cohort.kernel.sums for cohort in self.cohorts)
        lists = [group["params"] for group in groups]
        self.native = _native(backend, lists, self._entries, self._local, self._conform)
        self.native.remember_state(state)

    def accept(self, lists: list[Any], state: dict[Any, Any], threads: int) -> bool | list[bool]:
        """Bind the gradients, if nothing else has changed; see :class:`Native`."""
        for param in self.on_mesh:
            _mesh.place_gradient(param)
        return self.native.accept(lists, state, threads)

    def _bind(
        self, name: str, param: Tensor, state: dict[Any, Any], of: GroupRule
    ) -> tuple[int, State, tuple[Any, ...]] | None:
        own = state.get(param)
        grad = param.grad
        if grad is None and not own:
            return None
        _tensors.check_parameter(name, param)
        home = local(param)
        initial = of.rule.initial_scalars(of.group)
        if not _tensors.in_place(home):
            self._written.append((name, home))
            home, strided = torch.empty(home.shape, dtype=home.dtype, device="cpu"), home
            self.packed.append((strided, home))
        self._written.append((name, home))
        narrow = compute_dtype(home.dtype) != home.dtype
        has_master = narrow and of.group["master_weights"]
        counts = narrow and of.group["rounding"] == "stochastic"
        if own and not has_master:
            own.pop("master", None)
        if not of.kernel.slots and not initial and not has_master and not counts:
            return 0, {}, (home, None, (), (), own if own else None)
        if own is None:
            own = state[param]
        slots = []
        found = False
        for index, slot in enumerate(of.kernel.slots):
            had = isinstance(own.get(slot), Tensor)
            slots.append(_slot(name, slot, own, param, home, of, index))
            found |= had
        master = None
        if has_master:
            master = _slot(name, "master", own, param, home, of, len(slots))
        own["step"], t = _count(name, own.get("step", float(found)), self._steps)
        numbers = [own["step"]]
        scalars: State = {}
        for key, start in initial.items():
            value = own.get(key, start)
            if isinstance(start, float):
                own[key] = _number(value, torch.float64)
                numbers.append(own[key])
                value = own[key].item()
            else:
                own[key] = value
            scalars[key] = value
        if "sums" in own:
            scalars["sums"] = tuple(own["sums"])
        self._written += [
            (f"{slot} of {name}", array) for slot, array in zip(of.kernel.slots, slots, strict=True)
        ]
        if master is not None:
            self._written.append((f"the master copy of {name}", master))
        return t, scalars, (home, master, tuple(slots), tuple(numbers), own)

    def _local(self, param: Tensor) -> Tensor | None:
        """The tensor that one of another type has now; None where a copy is used."""
        if type(param) in PLAIN:
            return None
        tensor = local(param)
        return tensor if _tensors.in_place(tensor) else None

    def _conform(self, i: int, grad: Tensor) -> Tensor | tuple[Tensor, Tensor] | None:
        entry = self._entries[i]
        assert entry is not None
        name, home, by_rows = self._all_names[i], entry[0], entry[6]
        if (grad.layout == torch.sparse_coo) is not by_rows:
            return None  # bound anew, as the cohort is another
        if by_rows:
            return _tensors.rows(name, grad, home)
        return _tensors.conform(name, grad, home)


def _name(group: Group, g: int, i: int) -> str:
    names = group.get("param_names")
    return names[i] if names else f"param_groups[{g}]['params'][{i}]"


def _slot(
    name: str, slot: str, own: State, param: Tensor, home: Tensor, of: GroupRule, index: int
) -> Tensor:
    """The state array, made where there is none, and replaced where it does not lie as `home`."""
    dtype = compute_dtype(home.dtype)
    value = own.get(slot)
    if isinstance(value, Tensor):
        array = local(value)
        if array.shape != home.shape:
            raise ValueError(
                f"{slot} of {name} has shape {tuple(array.shape)}; expected {tuple(home.shape)}"
            )
        fits = array.dtype == dtype and array.device == home.device
        if fits and _tensors.lies_like(array, home):
            return array
        new = _tensors.like(home, array, dtype)
    else:
        new = _tensors.zeros(home, dtype, index)
        if slot == "master":
            new.copy_(local(param).detach())
        else:
            initial = of.rule.initial_slot(slot, of.group, new.numpy())
            if isinstance(initial, float):
                new.fill_(initial)
            else:
                new.copy_(torch.from_numpy(initial))
    own[slot] = _wrapped(new, param)
    return new


def _wrapped(tensor: Tensor, param: Tensor) -> Tensor:
    """A state as torch's own optimizers would have it: of a DTensor, a DTensor."""
    if type(param) in PLAIN or not hasattr(param, "device_mesh"):
        return tensor
    from torch.distributed.tensor import DTensor

    assert isinstance(param, DTensor)
    return DTensor.from_local(
        tensor,
        param.device_mesh,
        param.placements,
        run_check=False,
        shape=param.shape,
        stride=param.stride(),
    )


def _number(value: Any, dtype: torch.dtype) -> Tensor:
    if isinstance(value, Tensor):
        fits = value.dtype in (torch.float32, torch.float64) and value.dim() == 0
        if fits and value.device.type == "cpu" and type(value) in PLAIN:
            return value
        value = value.item()
    return torch.tensor(float(value), dtype=dtype, device="cpu")


def _count(name: str, step: Any, fresh: Iterator[Tensor]) -> tuple[Tensor, int]:
    given = isinstance(step, Tensor)
    number = _number(step, torch.float32) if given else next(fresh).fill_(step)
    t = number.item()
    if t != int(t) or t < 0:
        raise ValueError(f"the state of {name} has step {t}")
    return number, int(t)


@cache
def _exchanges() -> bool:
    """Whether this torch tells C++ where its tensors lie (2.10 and newer)."""
    return hasattr(Tensor, "__dlpack_c_exchange_api__") and hasattr(torch._C.TensorBase, "is_neg")


def _native(
    backend: Backend,
    lists: list[list[Tensor]],
    entries: list[Entry | None],
    local: Callable[[Tensor], Tensor | None],
    conform: Callable[[int, Tensor], Any],
) -> Native:
    if backend.NAME == "native" and _exchanges():
        from .. import _core

        return _core.ExchangedTensors(PLAIN[::-1], lists, entries, local, conform, shim())
    from ._arrays import ByArrays

    return ByArrays(backend, lists, entries, conform)
