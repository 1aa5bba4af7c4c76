"""The coefficients of many steps at once, with the bits of one at a time."""

from __future__ import annotations

import math
from types import FunctionType
from typing import Any

import numpy as np

from .._types import Array, Group
from ..optimizer import Optimizer, State

__all__ = ["coefficient_table"]


class Lockstep(np.ndarray[Any, Any]):
    """Numbers that take the same branches: a rule's coefficients of many steps go through at once.

    Sums, products, quotients and roots are those of floats. NumPy's powers may differ from
    Python's in the last bit, so these are Python's; where the numbers would part at a branch, the
    attempt ends with a ValueError.
    """

    def __bool__(self) -> bool:
        first = bool(self.flat[0])
        if (np.asarray(self, bool) != first).any():
            raise ValueError("the steps take different branches")
        return first

    def __pow__(self, exponent: Any, modulo: None = None) -> Any:
        return _lockstep([base**exponent for base in self.tolist()])

    def __rpow__(self, base: Any, modulo: None = None) -> Any:
        return _lockstep([base**exponent for exponent in self.tolist()])


def _lockstep(numbers: Any) -> Lockstep:
    return np.array(numbers).view(Lockstep)


def coefficient_table(
    optimizer: Optimizer, lrs: Any, t: int, state: State, count: int
) -> tuple[Array, tuple[State, ...]]:
    """Coefficients of steps t + 1 … t + count, a row each, and the scalars.

    The scalars are those before the first step and after each, or those of all steps where there
    are none.
    """
    cls, group = type(optimizer), optimizer.param_groups[0]
    every_lr = np.broadcast_to(lrs, count)
    if state or count == 1:
        return _one_by_one(cls, group, every_lr, t, state)
    try:
        # The very first step is the one that rules treat differently.
        alone = 1 if t == 0 else 0
        first, _ = _one_by_one(cls, group, every_lr[:alone], t, state)
        columns = _at_once(
            cls, group, lrs if np.ndim(lrs) == 0 else lrs[alone:], t + alone, count - alone
        )
        table = np.empty((count, len(columns)))
        table[:alone] = first.reshape(alone, len(columns))
        for j, column in enumerate(columns):
            table[alone:, j] = column
        return table, (state,)
    except (TypeError, ValueError, ArithmeticError):
        return _one_by_one(cls, group, every_lr, t, state)[0], (state,)


def _one_by_one(
    cls: type[Optimizer], group: Group, lrs: Array, t: int, state: State
) -> tuple[Array, tuple[State, ...]]:
    rows, states = [], [state]
    for i, lr in enumerate(lrs.tolist()):
        state = dict(state)
        rows.append(cls.coefficients(group, lr, t + i + 1, state))
        states.append(state)
    return np.array(rows, np.float64), tuple(states)


def _at_once(cls: type[Optimizer], group: Group, lrs: Any, t: int, count: int) -> tuple[Any, ...]:
    """A number or an array for each coefficient."""
    lr = float(lrs) if np.ndim(lrs) == 0 else lrs.view(Lockstep)
    steps = np.arange(t + 1, t + count + 1).view(Lockstep)
    with np.errstate(all="raise"):
        columns: tuple[Any, ...] = _on_arrays(cls)(cls, group, lr, steps, {})
    return columns


def _on_arrays(cls: type[Optimizer]) -> FunctionType:
    """A rule's ``coefficients`` with NumPy's square root, which rounds as math's does."""
    function = cls.coefficients.__func__  # type: ignore[attr-defined]
    names = function.__globals__
    roots = {name: np.sqrt for name, value in names.items() if value is math.sqrt}
    return FunctionType(function.__code__, names | roots, closure=function.__closure__)
