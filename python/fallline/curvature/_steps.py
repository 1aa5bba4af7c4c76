"""What curvature says about steps."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..linesearch._line import dot
from ..objectives._data import as_vector
from ..objectives.base import Batch, Objective
from ._critical import _finite_gradient
from ._spectrum import spectrum

__all__ = [
    "TaylorPrediction",
    "condition_number",
    "optimal_step",
    "taylor_prediction",
    "worst_case_step",
]


class TaylorPrediction(NamedTuple):
    """The change that a step makes, predicted and real."""

    linear: float
    quadratic: float
    actual: float


def taylor_prediction(
    objective: Objective, phi: npt.ArrayLike, step: npt.ArrayLike, *, batch: Batch = None
) -> TaylorPrediction:
    r"""Predict the change of the loss by a step, beside the real one.

    .. math:: g^T s, \qquad g^T s + \tfrac12 s^T H s, \qquad L(\varphi + s) - L(\varphi)

    Parameters
    ----------
    objective : Objective
        What changes.
    phi, step : array_like, shape (n_params,)
        Where the step begins, and the step.
    batch : array_like of int, optional
        Samples; all by default.

    Returns
    -------
    TaylorPrediction
        (linear, quadratic, actual).

    Raises
    ------
    FloatingPointError
        The gradient is not finite.
    TypeError, ValueError, IndexError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.surfaces.Cubic()
    >>> fl.curvature.taylor_prediction(f, [1.0], [0.5])
    TaylorPrediction(linear=1.5, quadratic=2.25, actual=2.375)

    References
    ----------
    Goodfellow, Bengio & Courville (2016), Deep learning, equation 4.9.
    """
    point, indices = objective._check(phi, batch)
    s = as_vector("step", step, objective.n_params, objective.dtype)
    gradient = _finite_gradient(objective, point, indices)
    linear = dot(gradient, s)
    with np.errstate(all="ignore"):
        bend = dot(s, objective.hvp(point, s, indices))
        after = objective._evaluate(point + s, indices, None)
        actual = after - objective._evaluate(point, indices, None)
    return TaylorPrediction(linear, linear + bend / 2, actual)


def optimal_step(objective: Objective, phi: npt.ArrayLike, *, batch: Batch = None) -> float:
    r"""Learning rate of steepest descent that minimizes the quadratic model of the loss.

    .. math:: α = \frac{g^T g}{g^T H g} ≥ \frac{1}{λ_{\max}}

    It is the least, 1/λmax (:func:`worst_case_step`), where the gradient is an eigenvector of the
    largest curvature.

    Parameters
    ----------
    objective : Objective
        What is to be minimized.
    phi : array_like, shape (n_params,)
        Where the step begins.
    batch : array_like of int, optional
        Samples; all by default.

    Returns
    -------
    float
        α, positive.

    Raises
    ------
    ValueError
        The gradient is 0, or the curvature along it not positive: the model has no minimum.
    FloatingPointError
        Gradient or curvature are not finite.
    TypeError, IndexError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.surfaces.QuadraticValley(10)
    >>> fl.curvature.optimal_step(f, [1.0, 0.0]), fl.curvature.optimal_step(f, [0.0, 1.0])
    (1.0, 0.1)

    References
    ----------
    Goodfellow, Bengio & Courville (2016), Deep learning, equation 4.10.
    """
    point, indices = objective._check(phi, batch)
    gradient = _finite_gradient(objective, point, indices)
    # By the length: squares of a gradient may under- or overflow.
    size = float(np.abs(gradient).max())
    if size == 0:
        raise ValueError("the gradient is 0 at phi: no step along it changes the loss")
    unit = gradient / gradient.dtype.type(size)
    with np.errstate(all="ignore"):
        bend = dot(unit, objective.hvp(point, unit, indices))
    if not math.isfinite(bend):
        raise FloatingPointError(f"the curvature along the gradient is {bend} at phi")
    if bend <= 0:
        raise ValueError(
            f"the curvature along the gradient is {bend / dot(unit, unit):.3g} at phi: the "
            "quadratic model has no minimum along it"
        )
    return dot(unit, unit) / bend


def worst_case_step(
    objective: Objective, phi: npt.ArrayLike, *, batch: Batch = None, dense: bool | None = None
) -> float:
    r"""Learning rate that suits the largest curvature, 1/λmax.

    Gradient descent at a fixed rate on a quadratic loss diverges from twice this on.

    Parameters
    ----------
    objective : Objective
        What is to be minimized.
    phi : array_like, shape (n_params,)
        Where the curvature is taken.
    batch : array_like of int, optional
        Samples; all by default.
    dense : bool, optional
        Whether to form the Hessian, as in :func:`critical_point`.

    Returns
    -------
    float
        1/λmax.

    Raises
    ------
    ValueError
        No eigenvalue is positive.
    FloatingPointError, MemoryError, RuntimeError, TypeError, IndexError
        As in :func:`critical_point`.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.curvature.worst_case_step(fl.objectives.surfaces.QuadraticValley(8), [1.0, 0.0])
    0.125

    References
    ----------
    Goodfellow, Bengio & Courville (2016), Deep learning, section 4.3.1.
    """
    point, indices = objective._check(phi, batch)
    high = float(spectrum(objective, point, indices, 1, "largest", dense).values[-1])
    if high <= 0:
        raise ValueError(f"the Hessian's largest eigenvalue is {high:.3g}; expected a positive one")
    return 1 / high


def condition_number(
    objective: Objective, phi: npt.ArrayLike, *, batch: Batch = None, dense: bool | None = None
) -> float:
    r"""How much faster the loss curves in one direction than in another.

    .. math:: κ = \frac{λ_{\max}}{λ_{\min}}

    Steepest descent with exact steps on a quadratic loss leaves at most ((κ - 1)/(κ + 1))² of it a
    step.

    Parameters
    ----------
    objective : Objective
        What is to be minimized.
    phi : array_like, shape (n_params,)
        Where the curvature is taken.
    batch : array_like of int, optional
        Samples; all by default.
    dense : bool, optional
        Whether to form the Hessian, as in :func:`critical_point`.

    Returns
    -------
    float
        κ ≥ 1; inf where the smallest eigenvalue is 0, up to rounding.

    Raises
    ------
    ValueError
        The Hessian is indefinite or negative: the ratio would say nothing about descent.
    FloatingPointError, MemoryError, RuntimeError, TypeError, IndexError
        As in :func:`critical_point`.

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.surfaces.QuadraticValley(1000)
    >>> round(fl.curvature.condition_number(f, [1.0, 1.0]), 6)
    1000.0

    References
    ----------
    Nocedal & Wright (2006), Numerical optimization, section 3.3.
    """
    point, indices = objective._check(phi, batch)
    values = spectrum(objective, point, indices, 1, dense=dense).values
    low, high = float(values[0]), float(values[-1])
    noise = 10 * objective.n_params * float(np.finfo(objective.dtype).eps) * max(high, -low)
    if low < -noise or high <= 0:
        raise ValueError(
            f"the Hessian has eigenvalues from {low:.3g} to {high:.3g}; a condition number is "
            "defined where none is negative and one is positive"
        )
    return high / low if low > noise else math.inf
