"""State dicts in: of this module, of torch.optim, of DeepSpeedCPUAdam."""

from __future__ import annotations

from copy import deepcopy
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from . import _tensors

if TYPE_CHECKING:
    from ._optimizer import Optimizer


def load(optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
    """See :meth:`Optimizer.load_state_dict`."""
    state_dict = state_dict.copy()
    for hook in optimizer._optimizer_load_state_dict_pre_hooks.values():
        replaced = hook(optimizer, state_dict)
        if replaced is not None:
            state_dict = replaced
    groups = _groups(optimizer, state_dict["param_groups"])
    state = _state(optimizer, state_dict)
    optimizer.__setstate__({"state": state, "param_groups": groups})
    for after in optimizer._optimizer_load_state_dict_post_hooks.values():
        after(optimizer)


def _groups(optimizer: Optimizer, saved: list[dict[str, Any]]) -> list[dict[str, Any]]:
    own = optimizer.param_groups
    if len(own) != len(saved):
        raise ValueError(
            f"loaded state dict has a different number of parameter groups: {len(saved)}, not "
            f"{len(own)}"
        )
    merged = []
    for i, (group, new) in enumerate(zip(own, saved, strict=True)):
        if len(group["params"]) != len(new["params"]):
            raise ValueError(
                f"loaded state dict contains a parameter group that doesn't match the size of "
                f"optimizer's group: group {i} has {len(new['params'])} parameters, not "
                f"{len(group['params'])}"
            )
        new = deepcopy({key: value for key, value in new.items() if key != "params"})
        corrected = new.pop("bias_correction", None)  # DeepSpeed's
        if corrected is False:
            raise ValueError(
                f"group {i} of the state dict was trained with bias_correction=False (DeepSpeed), "
                f"which {type(optimizer).__name__} does not have"
            )
        if corrected:
            new["amsgrad"] = False  # which DeepSpeedCPUAdam takes and leaves aside
        merged.append({**group, **new, "params": group["params"]})
        optimizer._take_up(merged[-1])
    return merged


def _state(optimizer: Optimizer, state_dict: dict[str, Any]) -> dict[Any, Any]:
    indices = chain.from_iterable(group["params"] for group in state_dict["param_groups"])
    params = chain.from_iterable(group["params"] for group in optimizer.param_groups)
    param_of = dict(zip(indices, params, strict=True))
    state: dict[Any, Any] = type(optimizer.state)(dict)
    for key, own in state_dict["state"].items():
        param = param_of.get(key)
        if param is None:
            state[key] = own  # of no parameter: kept as it is, as torch does
        else:
            state[param] = {
                name: _copied(name, value, param)
                for name, value in own.items()
                if name != "master" or _is_master(value, param)
            }
    return state


def _is_master(value: Any, param: Tensor) -> bool:
    """False where torch's optimizer has cast it, which updates the parameter alone."""
    return isinstance(value, Tensor) and value.dtype == _tensors.compute_dtype(param.dtype)


def _copied(name: str, value: Any, param: Tensor) -> Any:
    if not isinstance(value, Tensor):
        return deepcopy(value)
    if value.dim() == 0 or name == "step":
        dtype = value.dtype if value.is_floating_point() else torch.float32
        return value.detach().to("cpu", dtype, copy=True)
    if value.shape != param.shape:
        raise ValueError(
            f"{name} of the state dict has shape {tuple(value.shape)}; its parameter has "
            f"{tuple(param.shape)}"
        )
    dtype = _tensors.compute_dtype(param.dtype)
    return value.detach().to(param.device, dtype, copy=True)
