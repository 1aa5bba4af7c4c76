"""Curves f(x; φ) through points (x, y), fitted by squared errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..backends import choose
from ._data import as_floats, as_weights, check_finite_rows
from ._dense import Dense
from .base import Objective, Reduction

__all__ = ["Curve", "Evaluator", "Model", "Points"]


@dataclass(frozen=True)
class Model:
    """A curve, spelled for two backends (C++ has its own); all numbers are float64.

    Parameters
    ----------
    name
        Name in the C++ core's list.
    value
        ``value(phi, x)``: f at n inputs, for NumPy.
    slope
        ``slope(phi, x)``: f and ∂f/∂φ, shape (n_params, n).
    curve
        ``curve(phi, v, x)``: (∂²f/∂φ²) v, shape (n_params, n).
    point
        ``point(phi, x, slope)``: f at one input, for Numba; fills ∂f/∂φ.
    point_curve
        ``point_curve(phi, v, x, bend)``: fills (∂²f/∂φ²) v.
    """

    name: str
    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], tuple[Array, Array]]
    curve: Callable[[Array, Array, Array], Array]
    point: Callable[[Array, float, Array], float]
    point_curve: Callable[[Array, Array, float, Array], None]


@dataclass(frozen=True)
class Points:
    """What a backend reads, all of one dtype."""

    x: Array
    y: Array
    weight: Array | None


class Evaluator(Protocol):
    """A curve's sums over batches."""

    def accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        """Σ w·ℓ; `gradient`, if given, becomes scale · Σ w·∂ℓ."""

    def curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        """`out` becomes scale · Σ w·(∂²ℓ) v."""


class Curve(Objective):
    """Squared errors of a curve of one input; see the subclasses."""

    bounded = True
    model: ClassVar[Model]

    def __init__(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        shapes: Mapping[str, tuple[int, ...]],
        *,
        sample_weight: npt.ArrayLike | None,
        reduction: Reduction,
        l2: float,
        backend: str | None,
    ) -> None:
        inputs = _as_numbers("x", x, None)
        targets = _as_numbers("y", y, inputs.dtype)
        n = len(inputs)
        if len(targets) != n:
            raise ValueError(f"y has {len(targets)} entries; x has {n}")
        super().__init__(n_samples=n, shapes=shapes, dtype=inputs.dtype, reduction=reduction, l2=l2)
        self.points = Points(inputs, targets, as_weights(sample_weight, n, self.dtype))
        self.backend = choose(backend).NAME
        if self.backend == "native":
            self._core = self._core_curve()
        else:
            self._evaluator = _evaluator(self.backend, self.model, self.points)

    def _core_curve(self) -> Any:
        from .. import _core

        return _core.Curve(
            model=self.model.name,
            x=self.points.x,
            y=self.points.y,
            weight=self.points.weight,
            params=self.n_params,
            **self._terms(),
        )

    def _accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        return self._evaluator.accumulate(phi, batch, gradient, scale)

    def _curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        self._evaluator.curve(phi, v, batch, out, scale)

    def _losses(self, phi: Array, batch: Array | None) -> Array:
        x, y, _ = chosen(self.points, batch)
        return (self.model.value(phi.astype(np.float64), x) - y) ** 2

    def _linearized(self, phi: Array) -> Dense:
        """Residuals √(2sw)(f - y), and √l2 φ, with their Jacobian."""
        x, y, weight = chosen(self.points, None)
        with np.errstate(all="ignore"):
            f, slopes = self.model.slope(phi.astype(np.float64), x)
        factor = np.sqrt(2 * self._scale(None) * weight)
        root = math.sqrt(self._penalty(None))
        kept = np.concatenate([np.arange(self.n_params)[part] for part in self._penalized])
        rows = root * np.eye(self.n_params)[kept] if root else np.empty((0, self.n_params))
        return Dense(
            np.concatenate([factor * (f - y), rows @ phi.astype(np.float64)]),
            np.concatenate([(factor * slopes).T, rows]),
        )

    def predict(self, phi: npt.ArrayLike, X: npt.ArrayLike | None = None) -> Array:
        """The curve at each input of X (its own without one)."""
        vector, _ = self._check(phi, None)
        x = self.points.x if X is None else _as_numbers("X", X, None)
        with np.errstate(all="ignore"):
            f = self.model.value(vector.astype(np.float64), x.astype(np.float64))
            return f.astype(self.dtype)


class NumpyCurve:
    """The reference: a batch's points at once."""

    def __init__(self, model: Model, points: Points) -> None:
        self._model = model
        self._points = points

    def accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        """See :class:`Evaluator`."""
        x, y, weight = chosen(self._points, batch)
        phi = phi.astype(np.float64)
        with np.errstate(all="ignore"):
            if gradient is None:
                error = self._model.value(phi, x) - y
            else:
                f, slopes = self._model.slope(phi, x)
                error = f - y
                gradient[:] = scale * (slopes @ (2 * weight * error))
            return float((weight * (error * error)).sum())

    def curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        """See :class:`Evaluator`."""
        x, y, weight = chosen(self._points, batch)
        phi, v = phi.astype(np.float64), v.astype(np.float64)
        with np.errstate(all="ignore"):
            f, slopes = self._model.slope(phi, x)
            bends = self._model.curve(phi, v, x)
            out[:] = scale * (slopes @ (2 * weight * (v @ slopes)) + bends @ (2 * weight * (f - y)))


def chosen(points: Points, batch: Array | None) -> tuple[Array, Array, Array]:
    """A batch's inputs, targets and weights in float64."""
    weight = np.ones_like(points.x) if points.weight is None else points.weight
    x, y, w = (a if batch is None else a[batch] for a in (points.x, points.y, weight))
    return x.astype(np.float64), y.astype(np.float64), w.astype(np.float64)


def _evaluator(backend: str, model: Model, points: Points) -> Evaluator:
    if backend == "numpy":
        return NumpyCurve(model, points)
    from ._curve_numba import NumbaCurve

    return NumbaCurve(model, points)


def _as_numbers(what: str, value: npt.ArrayLike, dtype: np.dtype[Any] | None) -> Array:
    array = as_floats(what, value)
    if array.ndim == 2 and array.shape[1] == 1:  # a table of one column
        array = array.reshape(-1)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{what} has shape {array.shape}; expected one number a sample")
    with np.errstate(over="ignore"):  # found below
        array = array.astype(dtype or array.dtype, copy=False)
    check_finite_rows(what, array)
    return array
