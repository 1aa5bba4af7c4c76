"""What a rule is to the backends: the arithmetic of one element, and the operations it may use.

A formula is written once and called twice: by the NumPy backend on whole arrays, and, compiled by
Numba, inside a scalar loop. So it may use ``+ - * /`` and the operations below, all of which IEEE
754 rounds identically at any width, and no literals: every number comes from the coefficients,
which are computed once a step in float64 and cast to the compute type.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

__all__ = [
    "KERNELS",
    "Array",
    "Kernel",
    "absolute",
    "choose",
    "kernel",
    "l2",
    "maximum",
    "minimum",
    "sign",
    "sqrt",
    "where",
]

Array: TypeAlias = Any  # an ndarray (NumPy) or a scalar (Numba), of the compute type

sqrt: Callable[[Array], Array] = np.sqrt
absolute: Callable[[Array], Array] = np.abs


def where(condition: Any, yes: Array, no: Array) -> Array:
    """Elementwise choice (Numba: a scalar select, see ``backends/numba.py``)."""
    return np.where(condition, yes, no)


def sign(x: Array) -> Array:
    """-1, +0 or 1; 0 for NaN, as torch.sign."""
    one, zero = x.dtype.type(1), x.dtype.type(0)
    return np.where(x > 0, one, np.where(x < 0, -one, zero))


def maximum(a: Array, b: Array) -> Array:
    """``a`` where it is greater, else ``b`` (so that a NaN in ``b``, the newer value, stays)."""
    return where(a > b, a, b)


def minimum(a: Array, b: Array) -> Array:
    """``a`` where it is less, else ``b``."""
    return where(a < b, a, b)


def choose(flag: Array, yes: Array, no: Array) -> Array:
    """For switches that are on in some steps only: `flag` is a coefficient, 0 or 1."""
    return where(flag != 0, yes, no)


def l2(g: Array, p: Array, weight_decay: Array) -> Array:
    """Gradient plus L2 term; without decay g untouched, so that a masked (infinite) p stays."""
    return where(weight_decay != 0, g + weight_decay * p, g)


@dataclass(frozen=True)
class Kernel:
    """One variant of a rule, as the backends see it.

    Parameters
    ----------
    name
        Name in the C++ core's list.
    update
        ``update(p, g, *slots, c)``, returning the new ``(p, *slots, *sums)``.
    slots
        Names of the state arrays, as torch.optim names them.
    fields
        Names of the step's coefficients, in the order of the C++ declaration.
    sums
        How many values per element the rule wants summed over its tensors.
    """

    name: str
    update: Callable[..., Any]
    slots: tuple[str, ...]
    fields: tuple[str, ...]
    sums: int = 0

    @cached_property
    def coefficients(self) -> Any:
        """Named tuple of the fields; made when first needed, as sixty cost 15 ms at import."""
        return namedtuple(f"{self.name}_coefficients", self.fields)

    def __reduce__(self) -> tuple[Callable[[str], Kernel], tuple[str]]:
        """Pickled by name: a kernel is one of the registered ones."""
        return find_kernel, (self.name,)


KERNELS: dict[str, Kernel] = {}


def find_kernel(name: str) -> Kernel:
    """The registered kernel of this name."""
    return KERNELS[name]


def kernel(*slots: str, coefficients: str, sums: int = 0) -> Callable[[Callable[..., Any]], Kernel]:
    """Register the decorated formula as a :class:`Kernel` under its own name."""

    def decorate(update: Callable[..., Any]) -> Kernel:
        name = update.__name__
        KERNELS[name] = Kernel(name, update, slots, tuple(coefficients.split()), sums)
        return KERNELS[name]

    return decorate
