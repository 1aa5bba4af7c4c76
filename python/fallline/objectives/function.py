"""Any function of the parameters as an objective."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .. import _differences as differences
from .._types import Array
from ._data import as_vector, check_finite_rows
from .base import Batch, Objective

__all__ = ["Function", "PlainFunction", "as_start", "log"]

log = logging.getLogger("fallline")


class PlainFunction(Objective):
    """An objective of one sample; a subclass defines value, slope and curvature."""

    def __init__(self, n_params: int) -> None:
        super().__init__(n_samples=1, shapes={"phi": (n_params,)}, dtype=np.float64)

    def _value(self, phi: Array) -> float:
        raise TypeError(f"{type(self).__name__} does not define its value")

    def _value_and_slope(self, phi: Array) -> tuple[float, Array]:
        raise TypeError(f"{type(self).__name__} does not define its gradient")

    def _product(self, phi: Array, v: Array) -> Array:
        raise TypeError(f"{type(self).__name__} does not define its curvature")

    # A batch may hold the one sample several times.

    def _accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        times = self._size(batch)
        if gradient is None:
            return times * self._value(phi)
        value, slope = self._value_and_slope(phi)
        np.multiply(slope, scale * times, out=gradient)
        return times * value

    def _curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        np.multiply(self._product(phi, v), scale * self._size(batch), out=out)

    def _losses(self, phi: Array, batch: Array | None) -> Array:
        return np.full(self._size(batch), self._value(phi))

    def why_not_finite(self, loss: float, phi: Array, batch: Array | None) -> str:
        """Say where a loss that is not finite comes from."""
        if not np.isfinite(phi).all():
            return super().why_not_finite(loss, phi, batch)
        why = "unbounded below there" if loss == -np.inf else "overflow, or out of the domain"
        return f"the loss is {loss} at phi = {np.array2string(phi, threshold=8)}: {why}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n_params:,} parameters)"


class Function(PlainFunction):
    r"""Any function of φ.

    .. math:: L(\varphi) = f(\varphi)

    A derivative that is not given is formed by central differences,

    .. math::
        \frac{\partial f}{\partial φ_j} ≈ \frac{f(φ + h e_j) - f(φ - h e_j)}{2h},
        \qquad H v ≈ \frac{g(φ + t v) - g(φ - t v)}{2t},

    with steps of ε^(1/3) times max(1, \|φ_j\|), ε^(1/4) where differences are taken of differences:
    some ten and seven digits of smooth functions. A gradient costs 2n evaluations of `f` then.
    :attr:`derivatives`, the repr and a message of level INFO to the logger ``fallline`` say so;
    no warning does, as leaving out a gradient is a choice and warnings may be errors.

    Parameters
    ----------
    f : callable
        ``f(phi)``: the loss, of a float64 vector that it must not write to.
    grad : callable or True, optional
        ``grad(phi)``: the gradient, shape (n_params,). True: ``f`` returns loss and gradient.
    hess : callable, optional
        ``hess(phi)``: the Hessian, shape (n_params, n_params).
    hvp : callable, optional
        ``hvp(phi, v)``: its product with v, shape (n_params,); taken from `hess` otherwise.
    x0 : array_like, optional
        Parameters to start from (:meth:`initial`); zeros by default.
    n_params : int, optional
        Number of parameters, where `x0` does not tell.

    Attributes
    ----------
    derivatives : dict of str to str
        Where "gradient" and "hvp" come from.

    Raises
    ------
    TypeError, ValueError
        Here, arguments that are not as described; in a call, a loss that is no real number, a
        gradient, Hessian or product of another shape.

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.Function(lambda x: x[0] ** 2 + 3 * x[1], n_params=2)
    >>> f.gradient([1.0, 0.0]).round(6)
    array([2., 3.])
    >>> f
    Function(<lambda>, 2 parameters, gradient by central differences of f,
             hvp by central differences of the gradient)
    """

    derivatives: dict[str, str]

    def __init__(
        self,
        f: Callable[[Array], Any],
        grad: Callable[[Array], npt.ArrayLike] | Literal[True] | None = None,
        hess: Callable[[Array], npt.ArrayLike] | None = None,
        hvp: Callable[[Array, Array], npt.ArrayLike] | None = None,
        *,
        x0: npt.ArrayLike | None = None,
        n_params: int | None = None,
    ) -> None:
        for name, given in (("f", f), ("grad", grad), ("hess", hess), ("hvp", hvp)):
            optional = name != "f" and (given is None or (name == "grad" and given is True))
            if not (callable(given) or optional):
                raise TypeError(f"{name} must be callable, not {given!r}")
        self._start = as_start(x0, n_params)
        super().__init__(self._start.size)
        self._f, self._grad, self._hess, self._hvp = f, grad, hess, hvp
        by_differences = "central differences of "
        self.derivatives = {
            "gradient": "given" if grad is not None else by_differences + "f",
            "hvp": "given"
            if hvp is not None
            else "hess"
            if hess is not None
            else by_differences + "the gradient",
        }
        if any(by_differences in source for source in self.derivatives.values()):
            log.info("%r", self)

    @property
    def rough_curvature(self) -> bool:
        """Whether the Hessian is formed by differences of differences: to some seven digits."""
        return self._grad is None and self._hess is None and self._hvp is None

    def initial(self, seed: int | np.random.Generator = 0) -> Array:
        """`x0`, or zeros."""
        return np.array(self._start)

    def hessian(self, phi: npt.ArrayLike, batch: Batch = None) -> Array:
        """Full Hessian, of `hess` where that is given; see :meth:`Objective.hessian`."""
        if self._hess is None:
            return super().hessian(phi, batch)
        vector, indices = self._check(phi, batch)
        matrix = self._matrix(vector)
        matrix *= self._scale(indices) * self._size(indices)
        return matrix

    def _value(self, phi: Array) -> float:
        if self._grad is True:
            return self._value_and_slope(phi)[0]
        return _real(self._f(phi))

    def _value_and_slope(self, phi: Array) -> tuple[float, Array]:
        if self._grad is True:
            returned = self._f(phi)
            if not (isinstance(returned, tuple) and len(returned) == 2):
                raise TypeError(
                    f"f must return (loss, gradient) with grad=True, not {type(returned).__name__}"
                )
            return _real(returned[0]), self._vector("the gradient in what f returned", returned[1])
        return _real(self._f(phi)), self._slope(phi)

    def _slope(self, phi: Array, order: int = differences.ONCE) -> Array:
        if self._grad is True:
            return self._value_and_slope(phi)[1]
        if self._grad is not None:
            return self._vector("what grad returned", self._grad(phi))
        return differences.gradient(self._value, phi, order)

    def _product(self, phi: Array, v: Array) -> Array:
        if self._hvp is not None:
            return self._vector("what hvp returned", self._hvp(phi, v))
        if self._hess is not None:
            return np.asarray(self._matrix(phi) @ v)
        order = differences.TWICE if self._grad is None else differences.ONCE
        return differences.product(lambda x: self._slope(x, order), phi, v, order)

    def _matrix(self, phi: Array) -> Array:
        assert self._hess is not None
        n = self.n_params
        matrix: Array = np.asarray(self._hess(phi))
        if matrix.dtype.kind not in "fiu":
            raise TypeError(f"what hess returned must be real numbers, not {matrix.dtype}")
        if matrix.shape != (n, n) and not (n == 1 and matrix.size == 1):
            raise ValueError(f"what hess returned has shape {matrix.shape}; expected ({n}, {n})")
        return matrix.reshape(n, n).astype(np.float64)

    def _vector(self, what: str, value: npt.ArrayLike) -> Array:
        return as_vector(what, value, self.n_params, self.dtype)

    def __repr__(self) -> str:
        name = getattr(self._f, "__name__", type(self._f).__name__)
        sources = "".join(
            f", {what} by {source}"
            for what, source in self.derivatives.items()
            if source != "given"
        )
        return f"Function({name}, {self.n_params:,} parameters{sources})"


def _real(loss: Any) -> float:
    value = np.asarray(loss)
    if value.size != 1:
        raise ValueError(f"f must return one number, not an array of shape {value.shape}")
    if value.dtype.kind not in "fiub":
        raise TypeError(f"f must return a real number, not {loss!r}")
    return float(value.reshape(()))


def as_start(x0: npt.ArrayLike | None, n_params: int | None) -> Array:
    """Parameters to start from: a copy of x0, or zeros."""
    if n_params is not None and (isinstance(n_params, bool) or not isinstance(n_params, int)):
        raise TypeError(f"n_params must be an integer, not {n_params!r}")
    if n_params is not None and n_params < 1:
        raise ValueError(f"n_params must be at least 1, not {n_params}")
    if x0 is None:
        if n_params is None:
            raise TypeError("x0 or n_params must say how many parameters f has")
        return np.zeros(n_params)
    start = as_vector("x0", x0, np.size(x0) if n_params is None else n_params, np.dtype("f8"))
    if start.size == 0:
        raise ValueError("x0 is empty; expected at least one parameter")
    check_finite_rows("x0", start)
    return np.array(start)
