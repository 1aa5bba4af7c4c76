"""Generalised linear models: outputs z = W x + b and a loss of them, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..backends import choose
from ._data import as_floats, as_weights, check_finite_rows
from ._sparse import as_csr, is_sparse
from .base import Objective, Reduction

__all__ = ["GeneralizedLinearModel", "Head", "Samples", "as_samples"]


@dataclass(frozen=True)
class Head:
    """The loss of a linear model's outputs z, spelled for two backends (C++ has its own).

    Parameters
    ----------
    name
        Name in the C++ core's list.
    value
        ``value(z, y)``: losses and their slopes ∂ℓ/∂z of many samples, for NumPy; z is (n, k).
    curve
        ``curve(z, y, u)``: (∂²ℓ/∂z²) u of many samples.
    row
        ``row(z, y, slope)``: loss of one sample, for Numba; z and slope have length k, y is the
        sample's row of targets.
    row_curve
        ``row_curve(z, y, u)``: replaces u by (∂²ℓ/∂z²) u.
    """

    name: str
    value: Callable[[Array, Array], tuple[Array, Array]]
    curve: Callable[[Array, Array, Array], Array]
    row: Callable[[Array, Array, Array], float]
    row_curve: Callable[[Array, Array, Array], None]


@dataclass(frozen=True)
class Samples:
    """What a backend reads: rows of X (dense, or CSR), their targets and weights."""

    X: Any
    y: Array  # (n, number of targets), of the compute type
    weight: Array | None
    outputs: int
    intercept: bool


class GeneralizedLinearModel(Objective):
    """A linear model under the loss of its :class:`Head`; see the subclasses."""

    unpenalized = ("intercept",)
    convex = True
    bounded = True
    head: ClassVar[Head]

    def __init__(
        self,
        X: Any,
        y: Array,
        *,
        outputs: int,
        squeeze: bool,
        intercept: bool,
        sample_weight: npt.ArrayLike | None,
        reduction: Reduction,
        l2: float,
        backend: str | None,
    ) -> None:
        X = as_samples("X", X)
        n, features = X.shape
        if len(y) != n:
            raise ValueError(f"y has {len(y)} entries; X has {n} samples")
        k = () if squeeze else (outputs,)
        shapes = {"weight": (*k, features)} | ({"intercept": k} if intercept else {})
        super().__init__(n_samples=n, shapes=shapes, dtype=X.dtype, reduction=reduction, l2=l2)
        self.n_features = features
        self.intercept = intercept
        self.samples = Samples(
            X,
            np.ascontiguousarray(y.reshape(n, -1), X.dtype),
            as_weights(sample_weight, n, self.dtype),
            outputs,
            intercept,
        )
        chosen = choose(backend)
        self.backend = chosen.NAME
        if chosen.NAME == "native":
            self._core = _core_model(self.head, self.samples, self._terms())
        else:
            self._evaluator = evaluators(chosen.NAME).LinearModel(self.head, self.samples)

    def _accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        return float(self._evaluator.accumulate(phi, batch, gradient, scale))

    def _curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        self._evaluator.curve(phi, v, batch, out, scale)

    def _losses(self, phi: Array, batch: Array | None) -> Array:
        X, y = self.samples.X, self.samples.y
        rows, targets = (X, y) if batch is None else (X[batch], y[batch])
        return self.head.value(self._outputs(phi, rows), targets)[0]

    def _outputs(self, phi: Array, X: Any) -> Array:
        return linear_outputs(phi, X, self.samples.outputs, self.intercept)

    def outputs(self, phi: npt.ArrayLike, X: Any = None) -> Array:
        """Outputs z = W x + b of each sample of X (its own without one), shape (n, k)."""
        vector, _ = self._check(phi, None)
        if X is None:
            X = self.samples.X
        else:
            X = as_samples("X", X)
            if X.shape[1] != self.n_features:
                raise ValueError(f"X has {X.shape[1]} features; the model has {self.n_features}")
        return self._outputs(vector, X)


def _core_model(head: Head, samples: Samples, terms: dict[str, Any]) -> Any:
    from .. import _core

    X = samples.X
    return _core.LinearModel(
        head=head.name,
        x=(X.data, X.indices, X.indptr) if is_sparse(X) else (X,),
        y=samples.y,
        weight=samples.weight,
        features=X.shape[1],
        outputs=samples.outputs,
        intercept=samples.intercept,
        **terms,
    )


def evaluators(backend: str) -> Any:
    """Module of objectives that computes by this backend."""
    return import_module(f"{__package__}._{backend}")


def linear_outputs(phi: Array, X: Any, outputs: int, intercept: bool) -> Array:
    """X Wᵀ + b, shape (n, outputs)."""
    size = outputs * X.shape[1]
    z = np.asarray(X @ phi[:size].reshape(outputs, -1).T)
    return z + phi[size:] if intercept else z


def as_samples(what: str, X: Any) -> Any:
    if is_sparse(X):
        return as_csr(what, X)
    array = as_floats(what, X)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{what} has shape {array.shape}; expected (samples, features), at least one of each"
        )
    check_finite_rows(what, array)
    return array
