"""Functions of two parameters."""

from __future__ import annotations

import numpy as np

from ..._types import Array
from ._base import Surface

__all__ = ["Beale", "Himmelblau", "MixedCubic", "Saddle"]


class Saddle(Surface):
    r"""The plainest saddle, at 0.

    .. math:: f(x, y) = x^2 - y^2

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.Saddle().hessian([0.0, 0.0]).tolist()
    [[2.0, 0.0], [0.0, -2.0]]
    """

    def __init__(self) -> None:
        super().__init__([(-1, 1)] * 2)

    def _value_at(self, x: Array) -> float:
        return float(x[0] ** 2 - x[1] ** 2)

    def _slope_at(self, x: Array) -> Array:
        return np.array([2 * x[0], -2 * x[1]])

    def _matrix_at(self, x: Array) -> Array:
        return np.diag([2.0, -2.0])


class MixedCubic(Surface):
    r"""A saddle at 0 beside a local minimum at (-2/3, 2/3), which only mixed curvature tells apart.

    .. math:: f(x, y) = x^2 + 2xy + y^3

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.surfaces.MixedCubic()
    >>> round(f.loss(f.minima[0]) * 27, 12)
    -4.0
    """

    def __init__(self) -> None:
        super().__init__([(-1.5, 1.5)] * 2, [[-2 / 3, 2 / 3]])

    def _value_at(self, x: Array) -> float:
        return float(x[0] ** 2 + 2 * x[0] * x[1] + x[1] ** 3)

    def _slope_at(self, x: Array) -> Array:
        return np.array([2 * x[0] + 2 * x[1], 2 * x[0] + 3 * x[1] ** 2])

    def _matrix_at(self, x: Array) -> Array:
        return np.array([[2, 2], [2, 6 * x[1]]])


class Beale(Surface):
    r"""Steep corners and a nearly flat valley to the minimum at (3, 1/2).

    .. math::
        f(x, y) = \sum_{k=1}^{3} (c_k - x (1 - y^k))^2, \qquad c = (1.5, 2.25, 2.625)

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.Beale().loss([3.0, 0.5])
    0.0

    References
    ----------
    Beale (1958), On an iterative method for finding a local minimum of a function of more than one
    variable.
    """

    infimum = 0.0
    powers = np.arange(1, 4)
    targets = np.array([1.5, 2.25, 2.625])

    def __init__(self) -> None:
        super().__init__([(-4.5, 4.5)] * 2, [[3, 0.5]])

    def _residuals(self, x: Array) -> tuple[Array, Array]:
        """Residuals, shape (3,), and their derivatives, shape (3, 2)."""
        k = self.powers
        rest = 1 - x[1] ** k
        return self.targets - x[0] * rest, np.stack([-rest, x[0] * k * x[1] ** (k - 1)], axis=1)

    def _value_at(self, x: Array) -> float:
        residuals, _ = self._residuals(x)
        return float(residuals @ residuals)

    def _slope_at(self, x: Array) -> Array:
        residuals, jacobian = self._residuals(x)
        return np.asarray(2 * residuals @ jacobian)

    def _matrix_at(self, x: Array) -> Array:
        residuals, jacobian = self._residuals(x)
        k = self.powers
        mixed = residuals @ (k * x[1] ** (k - 1))
        # y^(k-2) has the factor k-1 = 0 at k = 1, where y = 0 would make it infinite.
        bend = residuals @ (x[0] * k * (k - 1) * x[1] ** np.maximum(k - 2, 0))
        result: Array = 2 * (jacobian.T @ jacobian + np.array([[0, mixed], [mixed, bend]]))
        return result


class Himmelblau(Surface):
    r"""Four minima of value 0.

    .. math:: f(x, y) = (x^2 + y - 11)^2 + (x + y^2 - 7)^2

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.Himmelblau().loss([3.0, 2.0])
    0.0

    References
    ----------
    Himmelblau (1972), Applied nonlinear programming.
    """

    infimum = 0.0

    def __init__(self) -> None:
        minima = [
            [3.0, 2.0],
            [-2.8051180869527449, 3.1313125182505730],
            [-3.7793102533777469, -3.2831859912861694],
            [3.5844283403304917, -1.8481265269644036],
        ]
        super().__init__([(-5, 5)] * 2, minima)

    def _value_at(self, x: Array) -> float:
        return float((x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2)

    def _slope_at(self, x: Array) -> Array:
        a, b = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
        return np.array([4 * x[0] * a + 2 * b, 2 * a + 4 * x[1] * b])

    def _matrix_at(self, x: Array) -> Array:
        a, b = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
        mixed = 4 * (x[0] + x[1])
        return np.array([[8 * x[0] ** 2 + 4 * a + 2, mixed], [mixed, 8 * x[1] ** 2 + 4 * b + 2]])
