"""What is between a network's products, compiled by Numba: one pass each."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .._types import Array
from ..backends.numba import compiler
from . import _activations
from ._network import Model

__all__ = ["NumbaParts"]


@lru_cache(maxsize=1)
def _njit() -> Callable[..., Any]:
    """Numba's njit, once the activations have their scalar forms."""
    from numba.extending import overload, register_jitable

    @overload(_activations.erf, strict=False)
    def _erf(x: Any) -> Any:
        return lambda x: math.erf(x)

    register_jitable(_activations.sigmoid)  # which others call
    return compiler()


@lru_cache(maxsize=64)
def _activate(activation: Callable[[Any], _activations.Jet]) -> Callable[..., None]:
    jet = _njit()(activation)

    def activate(z: Array, bias: Array, slope: Array, rz: Any, rbias: Any, bend: Any) -> None:
        for i in range(z.shape[0]):
            for j in range(z.shape[1]):
                z[i, j], slope[i, j], b = jet(z[i, j] + bias[j])
                if rz is not None:
                    r = rz[i, j] + rbias[j]
                    rz[i, j], bend[i, j] = slope[i, j] * r, b * r

    return _njit()(activate)  # type: ignore[no-any-return]


def _pull(delta: Array, slope: Array, rdelta: Any, bend: Any) -> None:
    for i in range(delta.shape[0]):
        for j in range(delta.shape[1]):
            if rdelta is not None:
                rdelta[i, j] = rdelta[i, j] * slope[i, j] + delta[i, j] * bend[i, j]
            delta[i, j] *= slope[i, j]


@lru_cache(maxsize=1)
def _compiled_pull() -> Callable[..., None]:
    return _njit()(_pull)  # type: ignore[no-any-return]


@lru_cache(maxsize=64)
def _losses(row: Callable[..., float], row_curve: Callable[..., None]) -> Callable[..., float]:
    row, row_curve = _njit()(row), _njit()(row_curve)

    def losses(
        z: Array, y: Array, weight: Any, rz: Any, scale: float, slope: Array, curve: Array
    ) -> float:
        total = 0.0
        for i in range(z.shape[0]):
            w = 1.0 if weight is None else np.float64(weight[i])
            total += w * row(z[i], y[i], slope)
            if rz is not None:
                for c in range(z.shape[1]):
                    curve[c] = rz[i, c]
                row_curve(z[i], y[i], curve)
                for c in range(z.shape[1]):
                    rz[i, c] = scale * w * curve[c]
            for c in range(z.shape[1]):
                z[i, c] = scale * w * slope[c]
        return total

    return _njit()(losses)  # type: ignore[no-any-return]


class NumbaParts:
    """The reference's parts, compiled."""

    def __init__(self, model: Model) -> None:
        self._activate = _activate(model.activation)
        self._losses = _losses(model.head.row, model.head.row_curve)
        self._pull = _compiled_pull()

    def activate(
        self, z: Array, bias: Array, rz: Array | None, rbias: Array | None
    ) -> tuple[Array, Array, Array | None, Array | None]:
        """See :class:`fallline.objectives._network.Parts`."""
        slope, bend = np.empty_like(z), None if rz is None else np.empty_like(z)
        self._activate(z, bias, slope, rz, rbias, bend)
        return z, slope, rz, bend

    def losses(
        self, z: Array, y: Array, weight: Array | None, rz: Array | None, scale: float
    ) -> tuple[float, Array, Array | None]:
        """See :class:`fallline.objectives._network.Parts`."""
        slope, curve = np.empty((2, z.shape[1]))
        return self._losses(z, y, weight, rz, scale, slope, curve), z, rz

    def pull(
        self, delta: Array, slope: Array, rdelta: Array | None, bend: Array | None
    ) -> tuple[Array, Array | None]:
        """See :class:`fallline.objectives._network.Parts`."""
        self._pull(delta, slope, rdelta, bend)
        return delta, rdelta
