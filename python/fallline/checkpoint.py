"""Optimizer state in and out: state dicts, and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import hyperparameters
from ._parameters import new_slot
from ._placement import copy_beside
from ._types import Array, Group, compute_dtype
from .storage import has_master

if TYPE_CHECKING:
    from .optimizer import Optimizer, State

VERSION = 1

_OURS = {"decoupled_weight_decay": "decoupled"}  # torch's names that differ from ours


def state_dict(optimizer: Optimizer, *, copy: bool) -> dict[str, Any]:
    """See :meth:`fallline.optimizer.Optimizer.state_dict`."""
    state = optimizer.state
    if copy:
        for own in state.values():
            own.update({k: v.copy() for k, v in own.items() if isinstance(v, np.ndarray)})
    groups, first = [], 0
    for group in optimizer.param_groups:
        count = len(group["params"])
        groups.append({**group, "params": list(range(first, first + count))})
        first += count
    about = {
        "version": VERSION,
        "optimizer": type(optimizer).__name__,
        "steps": optimizer._progress[0][0],
        "skipped_steps": optimizer.skipped_steps,
    }
    return {"state": state, "param_groups": groups, "fallline": about}


def load_state_dict(optimizer: Optimizer, loaded: dict[str, Any]) -> None:
    """See :meth:`fallline.optimizer.Optimizer.load_state_dict`."""
    about, groups = _check_frame(optimizer, loaded)
    entries = _check_entries(optimizer, groups, loaded["state"])

    from .optimizer import Cohort

    # All is checked: from here on nothing can fail.
    for group, new in zip(optimizer.param_groups, groups, strict=True):
        group.update({k: v for k, v in new.items() if k != "params"})
    cohorts: list[Cohort] = []
    progress: list[tuple[int, State]] = []
    first = 0
    for group in optimizer.param_groups:
        members: list[tuple[tuple[int, State], list[int]]] = []
        for i in range(first, first + len(group["params"])):
            t, scalars, arrays = entries[i]
            optimizer._parameters.forget_master(i)
            for slot, array in arrays.items():
                optimizer._parameters.slots[i][slot] = array
            for own, tensors in members:
                if own == (t, scalars):
                    tensors.append(i)
                    break
            else:
                members.append(((t, scalars), [i]))
        for own, tensors in members:
            cohorts.append(Cohort(group, tensors, optimizer.kernel(group)))
            progress.append(own)
        first += len(group["params"])
    optimizer._cohorts = cohorts
    steps = about.get("steps", max((t for t, _ in progress), default=0))
    optimizer._progress[0] = steps, tuple(progress), None
    optimizer.skipped_steps = about.get("skipped_steps", 0)
    optimizer._rebind()


def _check_frame(optimizer: Optimizer, loaded: Any) -> tuple[dict[str, Any], list[Group]]:
    """What surrounds the state: its version, the optimizer's name, groups and their sizes."""
    if not isinstance(loaded, dict) or not {"state", "param_groups"} <= set(loaded):
        raise TypeError("a state dict must be a dict with 'state' and 'param_groups'")
    about = loaded.get("fallline", {})
    if about.get("version", VERSION) > VERSION:
        raise ValueError(f"state dict has version {about['version']}; this library reads {VERSION}")
    name = type(optimizer).__name__
    if about.get("optimizer", name) != name:
        raise ValueError(f"state dict is of {about['optimizer']}, not of {name}")
    groups = loaded["param_groups"]
    if len(groups) != len(optimizer.param_groups):
        raise ValueError(
            f"state dict has {len(groups)} parameter groups; the optimizer has "
            f"{len(optimizer.param_groups)}"
        )
    merged = []
    for i, (own, new) in enumerate(zip(optimizer.param_groups, groups, strict=True)):
        if len(new["params"]) != len(own["params"]):
            raise ValueError(
                f"group {i} of the state dict has {len(new['params'])} parameters; the "
                f"optimizer's has {len(own['params'])}"
            )
        given = {_OURS.get(name, name): _plain(value) for name, value in new.items()}
        group = {**own, **given, "params": list(new["params"])}
        hyperparameters.check(group, optimizer.defaults, optimizer.checks)
        optimizer.check_group(group)
        merged.append(group)
    return about, merged


def _check_entries(
    optimizer: Optimizer, groups: list[Group], state: dict[Any, Any]
) -> list[tuple[int, State, dict[str, Array]]]:
    """(t, scalars, new arrays) of each parameter, copied and of the right shape and dtype."""
    entries: list[tuple[int, State, dict[str, Array]]] = []
    own = optimizer._parameters
    for group in groups:
        kernel = optimizer.kernel(group)
        for index in group["params"]:
            param, name = own.arrays[len(entries)], own.names[len(entries)]
            saved = state.get(index, {})
            arrays: dict[str, Array] = {}
            for slot in kernel.slots:
                if slot in saved:
                    arrays[slot] = _checked_slot(slot, name, saved[slot], param, len(arrays))
                elif saved:
                    raise ValueError(f"state dict has no {slot} for {name}")
                else:
                    arrays[slot] = new_slot(slot, group, param, len(arrays), optimizer.initial_slot)
            if "master" in saved and has_master(group, param):  # else taken from the parameter
                arrays["master"] = _checked_slot(
                    "master", name, saved["master"], param, len(arrays)
                )
            initial = optimizer.initial_scalars(group)
            scalars = {k: _plain(saved.get(k, v)) for k, v in initial.items()}
            if "sums" in saved:
                scalars["sums"] = tuple(saved["sums"])
            # Where there is state there was a step: torch's SGD counts none.
            step = _plain(saved.get("step", int(bool(saved))))
            if step != int(step) or step < 0:
                raise ValueError(f"state dict has step {step} for {name}")
            entries.append((int(step), scalars, arrays))
    return entries


def _checked_slot(slot: str, name: str, value: Any, param: Array, index: int) -> Array:
    array = np.asarray(value)
    dtype = compute_dtype(param.dtype)
    if array.shape != param.shape:
        raise ValueError(f"{slot} of {name} has shape {array.shape}; expected {param.shape}")
    if array.dtype != dtype:
        raise TypeError(f"{slot} of {name} has dtype {array.dtype}; expected {dtype}")
    return copy_beside(param, array, index)


def _plain(value: Any) -> Any:
    """Zero-dimensional arrays and tensors as Python numbers, lists as tuples."""
    if isinstance(value, list):
        return tuple(value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value
