"""Schedules as plain dicts, for checkpoints."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from fallline.schedules._anneal import Cosine, CosineRestarts, OneCycle, WarmupStableDecay
from fallline.schedules._base import Schedule, checks
from fallline.schedules._compose import Chained, LinearWarmup, PerEpoch, Scaled
from fallline.schedules._decay import (
    Constant,
    Exponential,
    InverseSqrt,
    MultiStep,
    Piecewise,
    Polynomial,
    StepDecay,
)
from fallline.schedules._plateau import ReduceOnPlateau

KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Chained,
        Constant,
        Cosine,
        CosineRestarts,
        Exponential,
        InverseSqrt,
        LinearWarmup,
        MultiStep,
        OneCycle,
        PerEpoch,
        Piecewise,
        Polynomial,
        ReduceOnPlateau,
        Scaled,
        StepDecay,
        WarmupStableDecay,
    )
}


def to_config(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as a plain dict that JSON can hold; `from_config` reads it.

    The key ``"type"`` holds the name of the class, the others hold the arguments; a nested
    schedule is a dict of the same kind. A `ReduceOnPlateau` has its state under ``"state"``.

    Parameters
    ----------
    schedule : Schedule
        One of the schedules of this module.

    Returns
    -------
    dict
        Strings, numbers, booleans, None, lists and dicts.

    Raises
    ------
    TypeError
        If `schedule`, or one nested in it, is a plain callable or a class from elsewhere.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedules.to_config(schedules.LinearWarmup(schedules.Constant(0.1), steps=10))
    {'type': 'LinearWarmup', 'schedule': {'type': 'Constant', 'lr': 0.1}, 'steps': 10, 'start': 0.0}
    """
    kind: Any = type(schedule)
    if kind not in KINDS.values():
        raise TypeError(
            f"only the schedules of fallline.schedules can be serialised, got {schedule!r}: "
            "set a plain callable again after loading"
        )
    config: dict[str, Any] = {"type": kind.__name__}
    config |= {name: _encode(getattr(schedule, name)) for name in checks(kind)}
    if isinstance(schedule, ReduceOnPlateau):
        config["state"] = schedule.state_dict()
    return config


def from_config(config: Mapping[str, Any]) -> Schedule:
    """Return the schedule that `to_config` described.

    Parameters
    ----------
    config : mapping
        The name of the class under ``"type"``, its arguments (those with a default may be left
        out), and for a `ReduceOnPlateau` possibly its ``"state"``.

    Returns
    -------
    Schedule
        A new schedule.

    Raises
    ------
    ValueError
        If the type is unknown, an argument is unknown, missing or outside its range.
    TypeError
        If `config` is not a mapping or an argument is of the wrong type.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedules.from_config({"type": "Cosine", "lr": 0.1, "steps": 100})
    Cosine(lr=0.1, steps=100, end=0.0)
    """
    if not isinstance(config, Mapping):
        raise TypeError(f"config must be a mapping, got {config!r}")
    arguments = dict(config)
    name = arguments.pop("type", None)
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"config type must be one of {', '.join(KINDS)}, got {name!r}")
    state = arguments.pop("state", None) if kind is ReduceOnPlateau else None
    try:
        signature(kind).bind(**arguments)
    except TypeError as error:
        raise ValueError(f"config of {name}: {error}") from None
    schedule: Schedule = kind(**{key: _decode(value) for key, value in arguments.items()})
    if state is not None and isinstance(schedule, ReduceOnPlateau):
        schedule.load_state_dict(state)
    return schedule


def _encode(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return to_config(value) if callable(value) else value


def _decode(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_decode(item) for item in value]
    return from_config(value) if isinstance(value, Mapping) else value
