"""Sums of squares: residuals, and products with their Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .. import _differences as differences
from .._types import Array
from ._dense import Dense
from ._layers import Layers, layers_of
from .base import Objective
from .function import PlainFunction, as_start
from .linear import LinearRegression

__all__ = ["LeastSquares", "Linearized", "linearized"]


class Linearized(Protocol):
    r"""Residuals r at a point, and their Jacobian J: L = ½‖r‖², its gradient Jᵀr."""

    residuals: Array

    def jacobian(self) -> Array:
        """J, shape (residuals, parameters)."""

    def push(self, v: Array) -> Array:
        """J v."""

    def pull(self, u: Array) -> Array:
        """Jᵀ u."""


class Layered:
    """Those of a linear model or network under squared errors, √(2sw)(z - y), and √l2 φ."""

    def __init__(self, objective: Objective, layers: Layers, phi: Array) -> None:
        self._layers, self._phi = layers, phi
        X, y, weight = layers.rows(None)
        self._passed = layers.forward(phi, X)
        scale = np.full(len(y), 2 * objective._scale(None))
        self._factor = np.sqrt(scale if weight is None else scale * weight)[:, None]
        self._shape = self._passed.z.shape
        self._size = self._passed.z.size
        self._penalized = objective._penalized if objective.l2 else []
        self._root = np.sqrt(objective._penalty(None))
        errors = self._factor * (self._passed.z.astype(np.float64) - y)
        self.residuals = np.concatenate([errors.reshape(-1), *self._penalty(phi)])

    def _penalty(self, v: Array) -> list[Array]:
        return [self._root * v[part].astype(np.float64) for part in self._penalized]

    def jacobian(self) -> Array:
        """See :class:`Linearized`."""
        errors = self._factor[:, :, None] * self._layers.jacobian(self._phi, self._passed)
        rows = [errors.reshape(self._size, -1)]
        for part in self._penalized:
            width = part.stop - part.start
            block = np.zeros((width, len(self._phi)))
            block[np.arange(width), np.arange(part.start, part.stop)] = self._root
            rows.append(block)
        return np.concatenate(rows)

    def push(self, v: Array) -> Array:
        """See :class:`Linearized`."""
        along = self._layers.pushed(self._phi, self._passed, v.astype(self._phi.dtype))
        return np.concatenate([(self._factor * along).reshape(-1), *self._penalty(v)])

    def pull(self, u: Array) -> Array:
        """See :class:`Linearized`."""
        delta = (self._factor * u[: self._size].reshape(self._shape)).astype(self._phi.dtype)
        layers = self._layers
        out = layers.pulled(self._passed, layers.backward(self._phi, self._passed, delta))
        back, begin = out.astype(np.float64), self._size
        for part in self._penalized:
            end = begin + part.stop - part.start
            back[part] += self._root * u[begin:end]
            begin = end
        return back


class LeastSquares(PlainFunction):
    r"""Half the sum of squares of any residuals.

    .. math:: L(\varphi) = \tfrac12 \sum_i r_i(\varphi)^2

    the cost of :func:`scipy.optimize.least_squares`; for :class:`~fallline.GaussNewton` and
    :class:`~fallline.LevenbergMarquardt`, which use the residuals, and for all others.

    Parameters
    ----------
    residuals : callable
        ``residuals(phi)``: a vector, of a float64 vector that it must not write to.
    jac : callable, optional
        ``jac(phi)``: its Jacobian, shape (residuals, n_params); by central differences without.
    x0 : array_like, optional
        Parameters to start from (:meth:`initial`); zeros by default.
    n_params : int, optional
        Number of parameters, where `x0` does not tell.

    Raises
    ------
    TypeError, ValueError
        Here, arguments that are not as described; in a call, residuals or a Jacobian of another
        shape.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> t = np.arange(5.0)
    >>> y = 2 * np.exp(-0.5 * t)
    >>> f = fl.objectives.LeastSquares(lambda p: p[0] * np.exp(-p[1] * t) - y, x0=[1.0, 0.0])
    >>> fl.minimize(f, optimizer=fl.LevenbergMarquardt).x.round(6)
    array([2. , 0.5])
    """

    bounded = True

    def __init__(
        self,
        residuals: Callable[[Array], npt.ArrayLike],
        jac: Callable[[Array], npt.ArrayLike] | None = None,
        *,
        x0: npt.ArrayLike | None = None,
        n_params: int | None = None,
    ) -> None:
        for name, given in (("residuals", residuals), ("jac", jac)):
            if not (callable(given) or (given is None and name == "jac")):
                raise TypeError(f"{name} must be callable, not {given!r}")
        self._start = as_start(x0, n_params)
        super().__init__(self._start.size)
        self._residuals, self._jac = residuals, jac

    def initial(self, seed: int | np.random.Generator = 0) -> Array:
        """`x0`, or zeros."""
        return np.array(self._start)

    def residuals(self, phi: npt.ArrayLike) -> Array:
        """The residuals r."""
        return self._errors(self._check(phi, None)[0])

    def jacobian(self, phi: npt.ArrayLike) -> Array:
        """Their Jacobian, shape (residuals, n_params)."""
        vector = self._check(phi, None)[0]
        return self._slopes(vector, self._errors(vector).size)

    def _errors(self, phi: Array) -> Array:
        r = np.asarray(self._residuals(phi))
        if r.dtype.kind not in "fiub" or r.ndim > 1 or not r.size:
            raise TypeError(
                "residuals must return a vector of real numbers, not "
                f"an array of shape {r.shape} and dtype {r.dtype}"
            )
        return r.reshape(-1).astype(np.float64)

    def _slopes(self, phi: Array, size: int) -> Array:
        if self._jac is None:
            return differences.jacobian(self._errors, phi)
        given: Any = self._jac(phi)
        J: Array = np.asarray(given.toarray() if hasattr(given, "toarray") else given, np.float64)
        if J.shape != (size, self.n_params):
            raise ValueError(
                f"what jac returned has shape {J.shape}; expected ({size}, {self.n_params})"
            )
        return J

    def _value(self, phi: Array) -> float:
        r = self._errors(phi)
        return 0.5 * float(r @ r)

    def _value_and_slope(self, phi: Array) -> tuple[float, Array]:
        r = self._errors(phi)
        slope: Array = self._slopes(phi, r.size).T @ r
        return 0.5 * float(r @ r), slope

    def _product(self, phi: Array, v: Array) -> Array:
        order = differences.TWICE if self._jac is None else differences.ONCE
        return differences.product(lambda x: self._value_and_slope(x)[1], phi, v, order)

    def _linearized(self, phi: Array) -> Linearized:
        r = self._errors(phi)
        return Dense(r, self._slopes(phi, r.size))


def is_squared(objective: Objective) -> bool:
    """Whether it is a sum of squares."""
    if isinstance(objective, LinearRegression) or hasattr(objective, "_linearized"):
        return True
    return getattr(objective, "loss_name", None) == "squared"


def linearized(objective: Objective, phi: Array) -> Linearized:
    """Residuals and their Jacobian, of one for which :func:`is_squared` holds."""
    if hasattr(objective, "_linearized"):
        found: Linearized = objective._linearized(phi)
        return found
    layers = layers_of(objective)
    assert layers is not None
    return Layered(objective, layers, phi)
