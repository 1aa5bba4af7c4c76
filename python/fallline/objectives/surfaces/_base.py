"""What all surfaces share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from ..._types import Array
from ..function import PlainFunction

__all__ = ["Separable", "Surface", "Terms", "as_dimension", "wave"]

Terms: TypeAlias = tuple[Array, Array, Array]


class Surface(PlainFunction):
    """A function in closed form; see :mod:`fallline.objectives.surfaces`."""

    infimum: float = -math.inf
    minima: Array
    domain: Array

    def __init__(
        self,
        domain: Sequence[tuple[float, float]],
        minima: Sequence[Sequence[float]] = (),
    ) -> None:
        super().__init__(len(domain))
        self.bounded = math.isfinite(self.infimum)
        self.domain = np.array(domain, np.float64)
        self.minima = np.array(minima, np.float64).reshape(len(minima), len(domain))

    def initial(self, seed: int | np.random.Generator = 0) -> Array:
        """Drawn uniformly from the domain."""
        return np.array(np.random.default_rng(seed).uniform(*self.domain.T))

    # A subclass defines these three, or the last by `_matrix_at`.

    def _value_at(self, x: Array) -> float:
        raise TypeError(f"{type(self).__name__} does not define its value")

    def _slope_at(self, x: Array) -> Array:
        raise TypeError(f"{type(self).__name__} does not define its gradient")

    def _product_at(self, x: Array, v: Array) -> Array:
        return np.asarray(self._matrix_at(x) @ v)

    def _matrix_at(self, x: Array) -> Array:
        raise TypeError(f"{type(self).__name__} does not define its Hessian")

    def _value(self, phi: Array) -> float:
        with np.errstate(all="ignore"):
            return float(self._value_at(phi))

    def _value_and_slope(self, phi: Array) -> tuple[float, Array]:
        with np.errstate(all="ignore"):
            return float(self._value_at(phi)), self._slope_at(phi)

    def _product(self, phi: Array, v: Array) -> Array:
        with np.errstate(all="ignore"):
            return self._product_at(phi, v)


class Separable(Surface):
    """A sum of one function of each coordinate."""

    def _terms_at(self, x: Array) -> Terms:
        """The function, its first and its second derivative."""
        raise TypeError(f"{type(self).__name__} does not define its terms")

    def _value_at(self, x: Array) -> float:
        return float(self._terms_at(x)[0].sum())

    def _slope_at(self, x: Array) -> Array:
        return self._terms_at(x)[1]

    def _product_at(self, x: Array, v: Array) -> Array:
        return np.asarray(self._terms_at(x)[2] * v)


def wave(x: Array, frequency: float) -> Terms:
    """cos(frequency · x) and its derivatives."""
    value = np.cos(frequency * x)
    return value, -frequency * np.sin(frequency * x), -(frequency**2) * value


def as_dimension(n_params: int, least: int = 1) -> int:
    """A number of parameters."""
    if isinstance(n_params, bool) or not isinstance(n_params, int):
        raise TypeError(f"n_params must be an integer, not {n_params!r}")
    if n_params < least:
        raise ValueError(f"n_params must be at least {least}, not {n_params}")
    return n_params
