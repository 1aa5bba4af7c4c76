"""Linear regression."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._types import Array
from ._data import as_floats, check_finite_rows
from ._glm import GeneralizedLinearModel, Head
from .base import Reduction

__all__ = ["LinearRegression", "as_targets"]


def value(z: Array, y: Array) -> tuple[Array, Array]:
    r = z.astype(np.float64) - y
    return (r * r).sum(axis=1), 2 * r


def curve(z: Array, y: Array, u: Array) -> Array:
    return 2 * u


def row(z: Array, y: Array, slope: Array) -> float:
    loss = 0.0
    for c in range(len(z)):
        r = np.float64(z[c]) - y[c]
        loss += r * r
        slope[c] = 2.0 * r
    return loss


def row_curve(z: Array, y: Array, u: Array) -> None:
    for c in range(len(u)):
        u[c] = 2.0 * u[c]


def as_targets(y: npt.ArrayLike) -> Array:
    """Finite numbers, one or a row a sample."""
    targets = as_floats("y", y)
    if targets.ndim not in (1, 2) or targets.size == 0:
        raise ValueError(f"y has shape {targets.shape}; expected (samples,) or (samples, k)")
    check_finite_rows("y", targets)
    return targets


class LinearRegression(GeneralizedLinearModel):
    r"""Least squares: the squared error of a linear model, of one output or several.

    .. math:: \ell_i(\varphi) = \sum_c (φ_{c0} + φ_c^T x_i - y_{ic})^2

    Parameters
    ----------
    X : array or scipy.sparse.csr_array, shape (n, d)
        Samples, float32 or float64, a row each; read in place where C-contiguous.
    y : array, shape (n,) or (n, k)
        Targets.
    intercept : bool
        Whether each output has a constant term.
    sample_weight : array of shape (n,), optional
        Weights of at least 0.
    reduction : {"mean", "sum"}
        Over a batch's samples.
    l2 : float
        Adds (l2/2)‖weight‖² (not of the intercept).
    backend : {"native", "numba", "numpy"}, optional
        Where it is computed.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not match, values that are not finite (named by row), a malformed CSR.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> f = fl.objectives.LinearRegression([[1.0], [2.0], [3.0]], [1.0, 3.0, 5.0])
    >>> f.loss([2.0, -1.0]), f.loss([2.0, 0.0])
    (0.0, 1.0)
    """

    head = Head("linear", value, curve, row, row_curve)

    def __init__(
        self,
        X: Any,
        y: npt.ArrayLike,
        intercept: bool = True,
        *,
        sample_weight: npt.ArrayLike | None = None,
        reduction: Reduction = "mean",
        l2: float = 0.0,
        backend: str | None = None,
    ) -> None:
        targets = as_targets(y)
        super().__init__(
            X,
            targets,
            outputs=1 if targets.ndim == 1 else targets.shape[1],
            squeeze=targets.ndim == 1,
            intercept=intercept,
            sample_weight=sample_weight,
            reduction=reduction,
            l2=l2,
            backend=backend,
        )

    def predict(self, phi: npt.ArrayLike, X: Any = None) -> Array:
        """Predicted targets, shaped as y."""
        z = self.outputs(phi, X)
        return z[:, 0] if len(self.shapes["weight"]) == 1 else z
