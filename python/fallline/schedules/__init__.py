"""Learning-rate schedules: callables from the 0-based step index to the learning rate.

Any of them, and any plain function of the step, can be given as ``lr=`` to an optimizer:

Examples
--------
>>> from fallline import schedules
>>> schedule = schedules.LinearWarmup(schedules.Cosine(lr=0.5, steps=90), steps=10)
>>> [schedule(step) for step in (0, 5, 10, 55, 100)]
[0.0, 0.25, 0.5, 0.25, 0.0]

All but `ReduceOnPlateau`, which listens to the loss, are immutable values: they can be compared,
hashed, pickled and shared. `to_config` and `from_config` turn them into plain dicts and back.
"""

from fallline.schedules._anneal import Cosine, CosineRestarts, OneCycle, WarmupStableDecay
from fallline.schedules._base import Schedule
from fallline.schedules._compose import Chained, LinearWarmup, PerEpoch, Scaled
from fallline.schedules._config import from_config, to_config
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

__all__ = [
    "Chained",
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "InverseSqrt",
    "LinearWarmup",
    "MultiStep",
    "OneCycle",
    "PerEpoch",
    "Piecewise",
    "Polynomial",
    "ReduceOnPlateau",
    "Scaled",
    "Schedule",
    "StepDecay",
    "WarmupStableDecay",
    "from_config",
    "to_config",
]
