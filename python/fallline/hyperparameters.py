"""What each hyperparameter's value may be. A name means the same in nearly every rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, TypeAlias

from ._types import Group

Check: TypeAlias = Callable[[str, Any], Any]


def check(group: Group, names: Iterable[str], own: Mapping[str, Check]) -> None:
    """Raise a TypeError or ValueError that names the first bad hyperparameter of a group.

    `own` is a rule's :attr:`fallline.Optimizer.checks`.
    """
    for name in names:
        (own.get(name) or CHECKS[name])(name, group[name])


def _real(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, not {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, not {value!r}")
    return number


def _between(
    low: float, high: float = math.inf, *, open_low: bool = False, open_high: bool = False
) -> Callable[[str, Any], None]:
    brackets = ("(" if open_low else "[") + f"{low:g}, {high:g}" + (")" if open_high else "]")

    def check_number(name: str, value: Any) -> None:
        x = _real(name, value)
        if x < low or x > high or (open_low and x == low) or (open_high and x == high):
            raise ValueError(f"{name} must lie in {brackets}, not {value!r}")

    return check_number


def _each(*checks: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    def check_tuple(name: str, value: Any) -> None:
        if not isinstance(value, (tuple, list)) or len(value) != len(checks):
            raise TypeError(f"{name} must be {len(checks)} numbers, not {value!r}")
        for i, (check_one, item) in enumerate(zip(checks, value, strict=True)):
            check_one(f"{name}[{i}]", item)

    return check_tuple


def _one_of(*choices: Any) -> Callable[[str, Any], None]:
    def check_choice(name: str, value: Any) -> None:
        if not any(value is choice or value == choice for choice in choices):
            raise ValueError(f"{name} must be one of {choices}, not {value!r}")

    return check_choice


def _count(low: int, below: int | None = None) -> Callable[[str, Any], None]:
    def check_count(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise TypeError(f"{name} must be an integer, not {value!r}")
        if value < low:
            raise ValueError(f"{name} must be at least {low}, not {value!r}")
        if below is not None and int(value) >= below:
            raise ValueError(f"{name} must be less than {below}, not {value!r}")

    return check_count


def _optional(check_one: Check) -> Callable[[str, Any], None]:
    def check_unless_none(name: str, value: Any) -> None:
        if value is not None:
            check_one(name, value)

    return check_unless_none


def _learning_rate(name: str, value: Any) -> None:
    if not callable(value):
        nonnegative(name, value)


finite = _real
nonnegative = _between(0.0)
positive = _between(0.0, open_low=True)
decay = _between(0.0, 1.0, open_high=True)
share = _between(0.0, 1.0)
open_share = _between(0.0, 1.0, open_low=True, open_high=True)
more_than_one = _between(1.0, open_low=True)
count = _count(0)
positive_count = _count(1)
flag = _one_of(False, True)
three_decays = _each(decay, decay, decay)

CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "lr": _learning_rate,
    "momentum": nonnegative,
    "dampening": finite,
    "weight_decay": nonnegative,
    "nesterov": flag,
    "maximize": flag,
    "betas": _each(decay, decay),
    "eps": nonnegative,
    "amsgrad": _one_of(False, True, "uncorrected", "corrected"),
    "eps_hat": flag,
    "decoupled": flag,
    "beta": decay,
    "alpha_warmup": _optional(positive_count),
    "beta3_warmup": _optional(positive_count),
    "initial_accumulator": nonnegative,
    "r": finite,
    "tolerance": _optional(nonnegative),
    "warmup_steps": count,
    "weight_lr_power": nonnegative,
    "lr_decay": nonnegative,
    "initial_accumulator_value": nonnegative,
    "accumulate": _one_of("sum", "mean"),
    "centered": flag,
    "initial": _one_of("zero", "gradient"),
    "eps_inside": flag,
    "rho": share,
    "momentum_decay": nonnegative,
    "etas": _each(open_share, more_than_one),
    "step_sizes": _each(nonnegative, nonnegative),
    "lambd": nonnegative,
    "t0": finite,
    "master_weights": flag,
    "rounding": _one_of("nearest", "stochastic"),
    "seed": _count(0, 2**64),
}
