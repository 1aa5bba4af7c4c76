"""Functions of any number of parameters."""

from __future__ import annotations

import math

import numpy as np

from ..._types import Array
from ._base import Separable, Surface, Terms, as_dimension, wave

__all__ = ["QuadraticValley", "Rastrigin", "Rosenbrock", "StyblinskiTang"]


class QuadraticValley(Surface):
    r"""A quadratic bowl, as ill-conditioned as is asked for.

    .. math:: f(x) = \tfrac12 x^T H x, \qquad H = Q\, \mathrm{diag}(λ)\, Q

    The eigenvalues λ run from 1 to the condition number in geometric progression. Q is 1, so that
    the valley lies along the first axis, or a reflection that turns it somewhere; products with
    H take O(n).

    Parameters
    ----------
    condition : float
        λmax/λmin, at least 1.
    n_params : int
        At least 2.
    seed : int, optional
        Turns the axes at random.

    Attributes
    ----------
    eigenvalues : ndarray, shape (n_params,)
        λ, ascending.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> f = fl.objectives.surfaces.QuadraticValley(100, 3, seed=1)
    >>> np.linalg.eigvalsh(f.hessian(f.initial())).round(6)
    array([  1.,  10., 100.])
    """

    infimum = 0.0

    def __init__(
        self, condition: float = 100.0, n_params: int = 2, *, seed: int | None = None
    ) -> None:
        if isinstance(condition, bool) or not (1 <= condition < math.inf):
            raise ValueError(f"condition must be a finite number of at least 1, not {condition!r}")
        n = as_dimension(n_params, least=2)
        super().__init__([(-1, 1)] * n, [[0] * n])
        self.condition = float(condition)
        self.eigenvalues = np.geomspace(1, condition, n)
        self._mirror = None if seed is None else np.random.default_rng(seed).normal(size=n)
        if self._mirror is not None:
            self._mirror /= np.linalg.norm(self._mirror)

    def _reflect(self, x: Array) -> Array:
        u = self._mirror
        return x if u is None else np.asarray(x - 2 * (u @ x) * u)

    def _value_at(self, x: Array) -> float:
        z = self._reflect(x)
        return 0.5 * float(self.eigenvalues @ (z * z))

    def _slope_at(self, x: Array) -> Array:
        return self._reflect(self.eigenvalues * self._reflect(x))

    def _product_at(self, x: Array, v: Array) -> Array:
        return self._slope_at(v)


class Rosenbrock(Surface):
    r"""A curved valley, flat along its floor, to the minimum at (1, ..., 1).

    .. math:: f(x) = \sum_{i=1}^{n-1} 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2

    Parameters
    ----------
    n_params : int
        At least 2. From 4 on there is a second, local minimum near (-1, 1, ..., 1).

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.Rosenbrock(3).loss([1.0, 1.0, 2.0])
    100.0

    References
    ----------
    Rosenbrock (1960), An automatic method for finding the greatest or least value of a function.
    """

    infimum = 0.0

    def __init__(self, n_params: int = 2) -> None:
        n = as_dimension(n_params, least=2)
        domain = [(-2.0, 2.0), (-1.0, 3.0)] if n == 2 else [(-2.0, 2.0)] * n
        super().__init__(domain, [[1] * n])

    def _value_at(self, x: Array) -> float:
        rise, gap = x[1:] - x[:-1] ** 2, 1 - x[:-1]
        return float(100 * (rise @ rise) + gap @ gap)

    def _slope_at(self, x: Array) -> Array:
        rise, gap = x[1:] - x[:-1] ** 2, 1 - x[:-1]
        out = np.zeros_like(x)
        out[1:] = 200 * rise
        out[:-1] -= 400 * x[:-1] * rise + 2 * gap
        return out

    def _product_at(self, x: Array, v: Array) -> Array:
        head, tail = x[:-1], x[1:]
        out = np.zeros_like(x)
        out[1:] = 200 * v[1:] - 400 * head * v[:-1]
        out[:-1] += (1200 * head**2 - 400 * tail + 2) * v[:-1] - 400 * head * v[1:]
        return out


class Rastrigin(Separable):
    r"""A bowl full of local minima, at about every vector of integers; the lowest is at 0.

    .. math:: f(x) = \sum_i x_i^2 + 10 (1 - \cos 2π x_i)

    Parameters
    ----------
    n_params : int
        At least 1.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.Rastrigin().loss([1.0, 2.0])
    5.0

    References
    ----------
    Rastrigin (1974), Systems of extremal control.
    """

    infimum = 0.0

    def __init__(self, n_params: int = 2) -> None:
        n = as_dimension(n_params)
        super().__init__([(-5.12, 5.12)] * n, [[0] * n])

    def _terms_at(self, x: Array) -> Terms:
        value, slope, bend = wave(x, 2 * math.pi)
        return x**2 + 10 * (1 - value), 2 * x - 10 * slope, 2 - 10 * bend


class StyblinskiTang(Separable):
    r"""Two minima in each coordinate, of which the lower lies at -2.9035.

    .. math:: f(x) = \tfrac12 \sum_i x_i^4 - 16 x_i^2 + 5 x_i

    Parameters
    ----------
    n_params : int
        At least 1; the lowest of the 2ⁿ minima is -39.16617 n.

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.surfaces.StyblinskiTang(2)
    >>> round(f.loss(f.minima[0]), 4), round(f.infimum, 4)
    (-78.3323, -78.3323)

    References
    ----------
    Styblinski & Tang (1990), Experiments in nonconvex optimization.
    """

    lowest = -39.166165703771415

    def __init__(self, n_params: int = 2) -> None:
        n = as_dimension(n_params)
        super().__init__([(-5, 5)] * n, [[-2.9035340277711771] * n])
        self.infimum = n * self.lowest

    def _terms_at(self, x: Array) -> Terms:
        return (x**4 - 16 * x**2 + 5 * x) / 2, 2 * x**3 - 16 * x + 2.5, 6 * x**2 - 16
