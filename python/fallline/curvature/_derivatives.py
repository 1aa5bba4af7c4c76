"""Derivatives by central differences, and a gradient held against them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _differences as differences
from .._types import Array
from ..linesearch._line import check_count
from ..objectives.base import Batch, Objective

__all__ = ["GradientCheck", "check_gradient", "hessian", "jacobian"]


def jacobian(f: Callable[[Array], npt.ArrayLike], x: npt.ArrayLike) -> Array:
    r"""Jacobian of a vector function, by central differences.

    .. math:: J_{ij} = \frac{\partial f_i}{\partial x_j}

    Parameters
    ----------
    f : callable
        ``f(x)``: an array of any one shape, or a number.
    x : array_like, shape (n,)
        Where.

    Returns
    -------
    ndarray, shape (*shape of f, n)
        float64; about ten digits of a smooth function.

    Raises
    ------
    TypeError, ValueError
        `x` is no vector of real numbers, `f` no function of it.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> fl.curvature.jacobian(lambda x: [x[0] * x[1], x[0] ** 2], [2.0, 3.0]).round(6)
    array([[3., 2.],
           [4., 0.]])
    """
    if not callable(f):
        raise TypeError(f"f must be callable, not {f!r}")
    point = np.asarray(x)
    if point.dtype.kind not in "fiub":
        raise TypeError(f"x must be real numbers, not of dtype {point.dtype}")
    if point.ndim != 1 or not point.size:
        raise ValueError(f"x has shape {point.shape}; expected (n,)")
    return differences.jacobian(lambda at: _values(f(at)), point.astype(np.float64))


def _values(value: npt.ArrayLike) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"f must return real numbers, not of dtype {array.dtype}")
    return array.astype(np.float64)


def hessian(gradient: Callable[[Array], npt.ArrayLike] | Objective, x: npt.ArrayLike) -> Array:
    r"""Hessian as the Jacobian of the gradient, by central differences.

    .. math:: H = \tfrac12 (J + J^T), \qquad J_{ij} = \frac{\partial g_i}{\partial x_j}

    An objective's own :meth:`~fallline.objectives.Objective.hessian` is exact; this one checks it.

    Parameters
    ----------
    gradient : callable or Objective
        ``gradient(x)``, shape (n,), or an objective that has one.
    x : array_like, shape (n,)
        Where.

    Returns
    -------
    ndarray, shape (n, n)
        Symmetric, float64.

    Raises
    ------
    TypeError, ValueError
        `x` is no vector of real numbers, `gradient` no function of it of its shape.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.curvature.hessian(lambda x: [2 * x[0] + x[1], x[0]], [1.0, 1.0]).round(6)
    array([[2., 1.],
           [1., 0.]])
    """
    slope = gradient.gradient if isinstance(gradient, Objective) else gradient
    J = jacobian(slope, x)
    if J.ndim != 2 or J.shape[0] != J.shape[1]:
        raise ValueError(f"gradient has shape {J.shape[:-1]}; expected that of x, {J.shape[-1:]}")
    result: Array = (J + J.T) / 2
    return result


class GradientCheck(NamedTuple):
    """Largest disagreement of a gradient with central differences.

    Attributes
    ----------
    error : float
        abs(gradient - difference) / max(1, ‖g‖∞).
    parameter : int
        Index at which it is largest.
    gradient, difference : float
        Both values there.
    """

    error: float
    parameter: int
    gradient: float
    difference: float


def check_gradient(
    objective: Objective,
    phi: npt.ArrayLike,
    *,
    batch: Batch = None,
    max_params: int = 100,
    seed: int = 0,
) -> GradientCheck:
    r"""Hold an objective's gradient against central differences of its loss.

    .. math:: \max_j \frac{|g_j - Δ_j|}{\max(1, \|g\|_\infty)}, \qquad
        Δ_j = \frac{L(φ + h e_j) - L(φ - h e_j)}{2h}

    Parameters
    ----------
    objective : Objective
        What has the gradient.
    phi : array_like, shape (n_params,)
        Where.
    batch : array_like of int, optional
        Samples; all by default.
    max_params : int
        Of more than these, a random choice of so many is checked.
    seed : int
        Of the choice.

    Returns
    -------
    GradientCheck
        (error, parameter, gradient, difference); about 1e-9 in float64 and 1e-3 in float32 is what
        rounding leaves of a right gradient.

    Raises
    ------
    TypeError, ValueError, IndexError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> wrong = fl.objectives.Function(lambda x: x[0] * x[1], lambda x: [x[1], 1.0], n_params=2)
    >>> fl.curvature.check_gradient(wrong, [2.0, 3.0]).parameter
    1
    """
    point, indices = objective._check(phi, batch)
    n = objective.n_params
    gradient = np.empty_like(point)
    with np.errstate(all="ignore"):
        objective._evaluate(point, indices, gradient)
    chosen = np.arange(n)
    if n > check_count("max_params", max_params):
        chosen = np.sort(np.random.default_rng(seed).choice(n, max_params, replace=False))

    def loss(part: Array) -> float:
        whole = point.copy()
        whole[chosen] = part
        with np.errstate(all="ignore"):
            return objective._evaluate(whole, indices, None)

    slopes = differences.gradient(loss, point[chosen])
    exact: Any = gradient[chosen].astype(np.float64)
    errors = np.abs(exact - slopes) / max(1.0, float(np.abs(exact).max()))
    worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
    return GradientCheck(
        float(errors[worst]), int(chosen[worst]), float(exact[worst]), float(slopes[worst])
    )
