"""Learning-rate schedules by name, in epochs."""

from __future__ import annotations

import math
from ast import literal_eval
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .. import schedules

__all__ = ["SCHEDULES", "parse", "schedule"]

SCHEDULES: dict[str, type[Any]] = {
    "cosine": schedules.Cosine,
    "linear": schedules.Polynomial,
    "onecycle": schedules.OneCycle,
    "step": schedules.StepDecay,
    "exponential": schedules.Exponential,
    "plateau": schedules.ReduceOnPlateau,
}
COUNTS = ("steps", "every")  # of steps in a schedule, of epochs here


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the parameters in ``name`` or ``name:key=value,key=value``.

    Raises
    ------
    ValueError
        There is no such schedule, or it has no such parameter.
    """
    name, _, rest = text.partition(":")
    name = name.strip().lower()
    if name not in SCHEDULES:
        raise ValueError(f"{name!r} is not one of {', '.join(SCHEDULES)}")
    known = [f.name for f in fields(SCHEDULES[name]) if f.init and f.name != "lr"]
    parameters = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = (word.strip() for word in part.partition("="))
        if key not in known or not equals:
            raise ValueError(f"{part!r}: {name} takes {'=…, '.join(known)}=…")
        try:
            parameters[key] = literal_eval(value)
        except (ValueError, SyntaxError):
            parameters[key] = value
    schedule(name, parameters, 1.0, 1, 1)
    return name, parameters


def schedule(
    name: str, parameters: Mapping[str, Any], lr: float, epochs: int, steps_per_epoch: int
) -> schedules.Schedule:
    """A schedule of steps: over all epochs, by default to a tenth each third, or to a hundredth."""
    given: dict[str, Any] = dict(parameters)
    if name in ("cosine", "linear", "onecycle"):
        given.setdefault("steps", epochs)
    elif name == "step":
        given = {"every": math.ceil(epochs / 3), "factor": 0.1} | given
    elif name == "exponential":
        given.setdefault("factor", 0.01 ** (1 / epochs))
        given["factor"] **= 1 / steps_per_epoch
    for key in COUNTS:
        if key in given:
            given[key] *= steps_per_epoch
    made: schedules.Schedule = SCHEDULES[name](lr=lr, **given)
    return made
