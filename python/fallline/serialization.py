"""Optimizer state in files: safetensors, written so that a crash leaves the old file whole."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checkpoint, schedules
from ._extras import require
from ._types import Array
from .second_order._method import Method

if TYPE_CHECKING:
    from .optimizer import Optimizer

__all__ = ["load", "save"]

FORMAT = "fallline-optimizer"


def save(path: str | os.PathLike[str], optimizer: Optimizer | Method) -> None:
    """Write an optimizer's state, hyperparameters and schedules to a safetensors file.

    Parameters are not part of it: they are the caller's arrays; but those of methods such as
    :class:`~fallline.Newton` are, as they are the method's own. The file is written under another
    name, flushed to the disk and renamed, so that a crash leaves either the old file or the new.

    Parameters
    ----------
    path
        File to write; replaced if it exists.
    optimizer
        Any of :func:`fallline.optimizers`, or a method with an objective.

    Raises
    ------
    ImportError
        safetensors is missing (extra ``checkpoint``).
    TypeError
        A learning-rate schedule has a plain callable inside, which no file can hold. (A plain
        callable as ``lr`` itself is left out; the loading optimizer must bring its own.)

    Examples
    --------
    >>> import numpy as np, fallline as fl, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "adam.safetensors"
    >>> x = np.ones(3)
    >>> opt = fl.Adam(x)
    >>> opt.step(x.copy())
    >>> fl.save(path, opt)
    >>> again = fl.Adam(x)
    >>> fl.load(path, again)
    >>> again.state[0]["step"]
    1
    """
    require("safetensors", extra="checkpoint")
    with optimizer._exclusive():
        write(path, *pack(optimizer))


def load(path: str | os.PathLike[str], optimizer: Optimizer | Method) -> None:
    """Read what :func:`save` wrote into an optimizer over parameters of the same shapes.

    Everything is checked before anything is replaced: after an error the optimizer is as it was.

    Parameters
    ----------
    path
        File to read.
    optimizer
        Of the same class and with the same groups as the one saved; on any backend.

    Raises
    ------
    ImportError
        safetensors is missing (extra ``checkpoint``).
    ValueError, TypeError
        The file is damaged, foreign, of a newer version, or of another optimizer, other groups,
        shapes or dtypes.
    FileNotFoundError
        There is no such file.
    """
    arrays, config = read(path, FORMAT, "fallline.save")
    optimizer.load_state_dict(unpack(os.fspath(path), arrays, config, optimizer))


def pack(optimizer: Optimizer | Method) -> tuple[dict[str, Array], dict[str, Any]]:
    """An optimizer's state as named arrays (the live ones), and the rest as JSON can hold it."""
    if isinstance(optimizer, Method):
        return _pack_method(optimizer)
    whole = checkpoint.state_dict(optimizer, copy=False)
    arrays: dict[str, Array] = {}
    scalars: dict[str, dict[str, Any]] = {}
    for index, own in whole["state"].items():
        scalars[str(index)] = {k: v for k, v in own.items() if not isinstance(v, np.ndarray)}
        for slot, value in own.items():
            if isinstance(value, np.ndarray):
                arrays[f"{index}/{slot}"] = value
    return arrays, {
        "format": FORMAT,
        "fallline": whole["fallline"],
        "param_groups": [_group_config(group) for group in whole["param_groups"]],
        "state": scalars,
    }


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], config: Mapping[str, Any]
) -> None:
    """Write both to a file that is either the old one or, whole, the new."""
    safetensors = require("safetensors.numpy", extra="checkpoint")
    metadata = {"fallline": json.dumps(config)}
    replace(Path(path), lambda name: safetensors.save_file(arrays, name, metadata))


def read(
    path: str | os.PathLike[str], form: str, writer: str
) -> tuple[dict[str, Array], dict[str, Any]]:
    """What :func:`write` wrote, if it has this format."""
    safetensors = require("safetensors", extra="checkpoint")
    name = os.fspath(path)
    if not Path(path).exists():
        raise FileNotFoundError(f"no file {name!r}")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{name!r} is damaged or no safetensors file: {error}") from None
    try:
        config = json.loads(metadata["fallline"])
        if config["format"] != form:
            raise KeyError(form)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{name!r} was not written by {writer}") from None
    return arrays, config


def _pack_method(method: Method) -> tuple[dict[str, Array], dict[str, Any]]:
    arrays: dict[str, Array] = {}
    whole = method.state_dict()
    given = {name: _lr_config(value) for name, value in whole["hyperparameters"].items()}
    return arrays, {
        "format": FORMAT,
        "method": whole["method"],
        "param_groups": [given],
        "state": _without_arrays("", whole["state"], arrays),
    }


def _without_arrays(name: str, value: Any, arrays: dict[str, Array]) -> Any:
    """`value` with its arrays moved to `arrays`, and left as a mention of their names."""
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    if isinstance(value, dict):
        return {"dict": {k: _without_arrays(f"{name}.{k}", v, arrays) for k, v in value.items()}}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(f"{name}.{i}", v, arrays) for i, v in enumerate(value)]
    return value


def _with_arrays(value: Any, arrays: Mapping[str, Array]) -> Any:
    """What :func:`_without_arrays` was given."""
    if isinstance(value, list):
        return [_with_arrays(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    return {k: _with_arrays(v, arrays) for k, v in value["dict"].items()}


def _lr_config(lr: Any) -> Any:
    if isinstance(lr, (schedules.Schedule, schedules.ReduceOnPlateau)):
        return {"schedule": schedules.to_config(lr)}
    if callable(lr):
        return {"callable": getattr(lr, "__qualname__", type(lr).__qualname__)}
    return lr


def _group_config(group: dict[str, Any]) -> dict[str, Any]:
    return {**group, "lr": _lr_config(group["lr"])}


def unpack(
    path: str, arrays: Mapping[str, Any], config: dict[str, Any], optimizer: Optimizer | Method
) -> dict[str, Any]:
    """The state dict that a file's contents stand for."""
    if isinstance(optimizer, Method):
        if "method" not in config:
            raise ValueError(f"{path!r} is of an optimizer; expected {type(optimizer).__name__}")
        given = dict(config["param_groups"][0])
        if isinstance(given.get("lr"), dict):
            given["lr"] = _schedule(path, given["lr"], getattr(optimizer, "lr", None))
        return {**config, "hyperparameters": given, "state": _with_arrays(config["state"], arrays)}
    try:
        state = {int(index): dict(own) for index, own in config["state"].items()}
        for name, array in arrays.items():
            index, slot = name.split("/", 1)
            state[int(index)][slot] = array
        groups, about = config["param_groups"], config["fallline"]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError(f"{path!r} was not written by fallline.save") from None
    own_groups = optimizer.param_groups + [{}] * len(groups)
    for group, own in zip(groups, own_groups, strict=False):
        if isinstance(group["lr"], dict):
            group["lr"] = _schedule(path, group["lr"], own.get("lr"))
    return {"state": state, "param_groups": groups, "fallline": about}


def _schedule(path: str, saved: dict[str, Any], own: Any) -> Any:
    if "schedule" in saved:
        return schedules.from_config(saved["schedule"])
    if not callable(own):
        raise ValueError(
            f"{path!r} was saved with the callable {saved['callable']!r} as lr, which a file "
            "cannot hold; give the optimizer that callable before loading"
        )
    return own


def replace(path: Path, write: Callable[[str], object]) -> None:
    """Write to a temporary file beside `path`, flush it to the disk, and rename it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    try:
        write(name)
        _flush(Path(name))
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if os.name == "posix":
        _flush(path.parent)  # the rename itself


def _flush(path: Path) -> None:
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
