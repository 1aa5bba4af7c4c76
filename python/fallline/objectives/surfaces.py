"""The classic test functions, with exact gradients and Hessians.

Each is an objective of float64 parameters with these attributes:

``minima``
    The minimizers, shape (k, n_params): those with the lowest value of all where there are such,
    the local ones in ``domain`` where the function is unbounded below, none (k = 0) where it has
    none.
``infimum``
    What the values approach from above, over all parameters; -inf where that is unbounded.
``domain``
    Lower and upper ends of where the function is usually looked at, shape (n_params, 2);
    ``initial(seed)`` draws from it uniformly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from .._types import Array
from .function import PlainFunction

__all__ = [
    "Beale",
    "Cubic",
    "EmpiricalRisk",
    "Himmelblau",
    "MixedCubic",
    "QuadraticValley",
    "Rastrigin",
    "Risk",
    "Rosenbrock",
    "Saddle",
    "StyblinskiTang",
    "Surface",
    "Tanh",
    "UnboundedCubic",
]

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


# ---- one parameter -------------------------------------------------------------------------------


class Cubic(Separable):
    r"""The inflection at 0: critical, and neither minimum nor maximum.

    .. math:: f(x) = x^3

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.Cubic().hessian([0.0])
    array([[0.]])
    """

    def __init__(self) -> None:
        super().__init__([(-2, 2)])

    def _terms_at(self, x: Array) -> Terms:
        return x**3, 3 * x**2, 6 * x


class UnboundedCubic(Separable):
    r"""A local minimum at -1, a local maximum at 1, and no lower bound beyond.

    .. math:: f(x) = -x^3 + 3x

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.surfaces.UnboundedCubic()
    >>> f.loss([-1.0]), f.loss([1.0]), f.infimum
    (-2.0, 2.0, -inf)
    """

    def __init__(self) -> None:
        super().__init__([(-2.5, 2.5)], [[-1]])

    def _terms_at(self, x: Array) -> Terms:
        return 3 * x - x**3, 3 - 3 * x**2, -6 * x


class Tanh(Separable):
    r"""Gradients that vanish, though no minimum is near.

    .. math:: f(x) = \tanh x

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.Tanh().gradient([4.0]).round(5)
    array([0.00134])
    """

    infimum = -1.0

    def __init__(self) -> None:
        super().__init__([(-4, 4)])

    def _terms_at(self, x: Array) -> Terms:
        value = np.tanh(x)
        slope = 1 / np.cosh(x) ** 2
        return value, slope, -2 * value * slope


def _wave(x: Array, frequency: float) -> Terms:
    """cos(frequency · x) and its derivatives."""
    value = np.cos(frequency * x)
    return value, -frequency * np.sin(frequency * x), -(frequency**2) * value


class Risk(Separable):
    r"""A smooth risk with several minima, two of them in its domain.

    .. math:: f(x) = x \cos(π x)

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.Risk().minima.round(4).tolist()
    [[-0.2739], [1.0904]]
    """

    def __init__(self) -> None:
        super().__init__([(-1, 2)], [[-0.27385268680085091], [1.0904082219467212]])

    def _terms_at(self, x: Array) -> Terms:
        wave, slope, bend = _wave(x, math.pi)
        return x * wave, wave + x * slope, 2 * slope + x * bend


class EmpiricalRisk(Risk):
    r""":class:`Risk` with the ripples that few samples make.

    .. math:: f(x) = x \cos(π x) + 0.2 \cos(5 π x)

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.EmpiricalRisk().loss([1.0])
    -1.2
    """

    def __init__(self) -> None:
        super().__init__()
        found = (
            -0.97403729171094430,
            -0.55845871204121747,
            -0.20805498623437829,
            0.18999729312026078,
            0.65163665206175661,
            1.0169834031079085,
            1.3208019867362605,
        )
        self.minima = np.array(found)[:, None]

    def _terms_at(self, x: Array) -> Terms:
        f, slope, bend = super()._terms_at(x)
        ripple = _wave(x, 5 * math.pi)
        return f + 0.2 * ripple[0], slope + 0.2 * ripple[1], bend + 0.2 * ripple[2]


# ---- two parameters ------------------------------------------------------------------------------


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


# ---- any number of parameters --------------------------------------------------------------------


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
        n = _dimension(n_params, least=2)
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
        n = _dimension(n_params, least=2)
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
        n = _dimension(n_params)
        super().__init__([(-5.12, 5.12)] * n, [[0] * n])

    def _terms_at(self, x: Array) -> Terms:
        wave, slope, bend = _wave(x, 2 * math.pi)
        return x**2 + 10 * (1 - wave), 2 * x - 10 * slope, 2 - 10 * bend


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
        n = _dimension(n_params)
        super().__init__([(-5, 5)] * n, [[-2.9035340277711771] * n])
        self.infimum = n * self.lowest

    def _terms_at(self, x: Array) -> Terms:
        return (x**4 - 16 * x**2 + 5 * x) / 2, 2 * x**3 - 16 * x + 2.5, 6 * x**2 - 16


def _dimension(n_params: int, least: int = 1) -> int:
    if isinstance(n_params, bool) or not isinstance(n_params, int):
        raise TypeError(f"n_params must be an integer, not {n_params!r}")
    if n_params < least:
        raise ValueError(f"n_params must be at least {least}, not {n_params}")
    return n_params
