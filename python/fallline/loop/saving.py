"""A fit in a file: everything that going on bit for bit takes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import serialization
from .._extras import require
from .._types import Array
from ..optimizer import Optimizer
from ..second_order import Method
from .averaging import Averaging
from .plan import Plan

__all__ = ["check_writable", "read", "settings_of", "state_of", "write"]

FORMAT = "fallline-fit"


def check_writable(path: str | os.PathLike[str], optimizer: Optimizer | Method) -> None:
    """Fail now where saving would fail later."""
    require("safetensors.numpy", extra="checkpoint")
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"checkpoint={os.fspath(path)!r}: there is no such folder")
    serialization.pack(optimizer)


def settings_of(plan: Plan, seed: int, averaging: Averaging | None) -> dict[str, Any]:
    """What a fit that goes on must share with the one before, beside hyperparameters."""
    f, batches = plan.objective, plan.batches
    return {
        "optimizer": type(plan.optimizer).__name__,
        "objective": type(f).__name__,
        "n_samples": f.n_samples,
        "n_params": f.n_params,
        "dtype": str(f.dtype),
        "reduction": f.reduction,
        "l2": f.l2,
        "batch_size": batches and batches.batch_size,
        "drop_last": batches is not None and batches.drop_last,
        "seed": seed,
        "max_norm": plan.max_norm,
        "svrg": plan.svrg and plan.svrg.interval,
        "escape_saddles": plan.escape_saddles,
        "averaging": averaging and repr(averaging),
        "trajectory": plan.trajectory and plan.trajectory.every,
    }


def state_of(plan: Plan) -> tuple[dict[str, Array], dict[str, Any]]:
    """Everything that changes from step to step, save the optimizer's own."""
    arrays = {"x": plan.phi}
    if plan.average is not None:
        arrays["average"] = plan.average.value
    if plan.svrg is not None:
        arrays |= {"svrg_snapshot": plan.svrg.snapshot, "svrg_mean": plan.svrg.mean}
    if plan.trajectory is not None:
        arrays["trajectory"] = plan.trajectory.array
    return arrays, {
        "ceiling": plan.ceiling,
        "batches": plan.batches and plan.batches.state_dict(),
        "averaged": plan.average and plan.average.count,
    }


def write(
    path: str | os.PathLike[str], plan: Plan, arrays: Mapping[str, Array], numbers: dict[str, Any]
) -> None:
    """Write a fit; an interrupt or a crash leaves the old file or the new."""
    states, config = serialization.pack(plan.optimizer)
    everything = {**arrays, **{f"optimizer/{name}": array for name, array in states.items()}}
    numbers = {**numbers, "format": FORMAT, "optimizer": config, "settings": plan.settings}
    serialization.write(path, everything, numbers)


def read(path: str | os.PathLike[str], plan: Plan) -> tuple[dict[str, Array], dict[str, Any]]:
    """Take over a file's state; its arrays and numbers. All is checked before."""
    name = os.fspath(path)
    arrays, numbers = serialization.read(path, FORMAT, "fallline.minimize")
    _same(name, numbers["settings"], plan.settings)
    _same(name, _hyperparameters(numbers["optimizer"]), _own_hyperparameters(plan.optimizer))
    states = {k.partition("/")[2]: v for k, v in arrays.items() if k.startswith("optimizer/")}
    loaded = serialization.unpack(name, states, numbers["optimizer"], plan.optimizer)
    plan.optimizer.load_state_dict(loaded)
    np.copyto(plan.phi, arrays["x"])
    plan.ceiling = numbers["ceiling"]
    if plan.batches is not None:
        plan.batches.load_state_dict(numbers["batches"])
    if plan.average is not None:
        plan.average.restore(arrays["average"], numbers["averaged"], numbers["steps"])
    if plan.svrg is not None:
        plan.svrg.restore(arrays["svrg_snapshot"], arrays["svrg_mean"], numbers["steps"])
    if plan.trajectory is not None:
        plan.trajectory.restore(arrays["trajectory"], numbers["steps"])
    return arrays, numbers


def _same(path: str, saved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    for name in dict.fromkeys([*given, *saved]):
        old, new = saved.get(name), given.get(name)
        if old != new:
            raise ValueError(f"{path!r} is of a fit with {name}={old!r}; this one has {new!r}")


def _own_hyperparameters(optimizer: Optimizer | Method) -> dict[str, Any]:
    """As a file gives them back: tuples are lists."""
    return _hyperparameters(json.loads(json.dumps(serialization.pack(optimizer)[1])))


def _hyperparameters(config: Mapping[str, Any]) -> dict[str, Any]:
    group = config["param_groups"][0]
    return {name: _stateless(value) for name, value in group.items() if name != "params"}


def _stateless(value: Any) -> Any:
    """A schedule's configuration without what it has learnt from the losses."""
    if isinstance(value, dict):
        return {k: _stateless(v) for k, v in value.items() if k != "state"}
    return [_stateless(v) for v in value] if isinstance(value, list) else value
