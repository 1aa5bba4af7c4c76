"""Central differences: derivatives of functions that come without them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._types import Array

__all__ = ["gradient", "jacobian", "product", "step"]

# The errors of a central difference, h²f'''/6 of truncation and eps·f/h of rounding, balance at
# h ~ eps^(1/3); of a difference of differences at eps^(1/4) (Nocedal & Wright 2006, section 8.1).
ONCE, TWICE = 3, 4


def step(x: float, dtype: np.dtype[np.floating], order: int = ONCE) -> float:
    """Step at a coordinate x."""
    return float(np.finfo(dtype).eps ** (1 / order) * max(1.0, abs(x)))


def gradient(f: Callable[[Array], float], x: Array, order: int = ONCE) -> Array:
    """∂f/∂x of a scalar function, by 2n evaluations."""
    return jacobian(f, x, order)


def jacobian(f: Callable[[Array], Array | float], x: Array, order: int = ONCE) -> Array:
    """∂fᵢ/∂xⱼ, shape (*shape of f, n); f may keep what it is given no longer than its call."""
    point = x.copy()
    columns = []
    for j in range(x.size):
        h = step(x[j], x.dtype, order)
        point[j] = x[j] + h
        above, upper = np.array(f(point)), float(point[j])
        point[j] = x[j] - h
        below, lower = np.array(f(point)), float(point[j])
        point[j] = x[j]
        with np.errstate(all="ignore"):
            columns.append((above - below) / (upper - lower))  # the step as it was rounded
    return np.stack(columns, axis=-1)


def product(slope: Callable[[Array], Array], x: Array, v: Array, order: int = ONCE) -> Array:
    """H(x) v from two gradients, at x ± t v."""
    size = float(np.abs(v).max(initial=0))
    if size == 0:
        return np.zeros_like(x)
    t = x.dtype.type(step(float(np.abs(x).max()), x.dtype, order) / size)
    with np.errstate(all="ignore"):
        above = np.array(slope(x + t * v))
        result: Array = (above - slope(x - t * v)) / (2 * t)
    return result
