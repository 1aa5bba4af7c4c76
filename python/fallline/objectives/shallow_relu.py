"""Shallow networks of rectified linear units."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._types import Array
from ._curve import Curve, Model
from .base import Reduction

__all__ = ["ShallowReLU"]


def units(phi: Array, x: Array) -> tuple[Array, Array]:
    """Output weights φ_k, and the units' sums z, shape (hidden, n)."""
    output, bias, weight = phi[1:].reshape(3, -1, 1)
    return output, bias + weight * x


def relu(z: Array) -> Array:
    return np.where(z < 0, 0.0, z)  # NaN stays


def value(phi: Array, x: Array) -> Array:
    output, z = units(phi, x)
    f: Array = phi[0] + (output * relu(z)).sum(axis=0)
    return f


def slope(phi: Array, x: Array) -> tuple[Array, Array]:
    output, z = units(phi, x)
    on = np.where(z > 0, output, 0.0)
    return value(phi, x), np.concatenate([np.ones((1, len(x))), relu(z), on, on * x])


def curve(phi: Array, v: Array, x: Array) -> Array:
    on = units(phi, x)[1] > 0
    output, turn = units(v, x)
    parts = [np.zeros((1, len(x)))]
    parts += [np.where(on, part, 0.0) for part in (turn, output, output * x)]
    return np.concatenate(parts)


def point(phi: Array, x: float, slope: Array) -> float:
    hidden = (len(phi) - 1) // 3
    f: float = phi[0]
    slope[0] = 1.0
    for k in range(1, 1 + hidden):
        z = phi[hidden + k] + phi[2 * hidden + k] * x
        active = 0.0 if z < 0.0 else z
        on = phi[k] if z > 0.0 else 0.0
        f += phi[k] * active
        slope[k] = active
        slope[hidden + k] = on
        slope[2 * hidden + k] = on * x
    return f


def point_curve(phi: Array, v: Array, x: float, bend: Array) -> None:
    hidden = (len(phi) - 1) // 3
    bend[0] = 0.0
    for k in range(1, 1 + hidden):
        on = phi[hidden + k] + phi[2 * hidden + k] * x > 0.0
        bend[k] = v[hidden + k] + v[2 * hidden + k] * x if on else 0.0
        bend[hidden + k] = v[k] if on else 0.0
        bend[2 * hidden + k] = v[k] * x if on else 0.0


class ShallowReLU(Curve):
    r"""A network of one input, one hidden layer of rectified linear units, and one output.

    .. math:: \ell_i(\varphi) = (f(x_i) - y_i)^2, \quad
              f(x) = φ_0 + \sum_{k=1}^{D} φ_k \max(0, θ_{k0} + θ_{k1} x)

    A piecewise linear curve with a kink for each unit; 3D + 1 parameters, φ₀ (``phi0``), all φ_k
    (``phi``), all θ_k0 (``theta0``), all θ_k1 (``theta1``). The derivative of max(0, z) at z = 0 is
    0, here and in the Hessian.

    Parameters
    ----------
    x, y, sample_weight, reduction
        As for :class:`Gabor`.
    hidden : int
        Number of hidden units D.
    l2 : float
        Adds (l2/2)(‖phi‖² + ‖theta1‖²), without φ₀ and θ_k0, the constant terms.
    backend : {"native", "numba", "numpy"}, optional
        Where it is computed. "native" and "numba" give the same bits, native at any number of
        threads and on every CPU; "numpy" adds in another order.

    Raises
    ------
    ValueError, TypeError
        As :class:`Gabor`, and for `hidden` that is not an integer of at least 1.

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.ShallowReLU([-1.0, 0.0, 2.0], [0.0, 0.0, 4.0], hidden=1)
    >>> f.predict([0.0, 2.0, 0.0, 1.0]), f.loss([0.0, 2.0, 0.0, 1.0])
    (array([0., 0., 4.]), 0.0)
    >>> fl.objectives.ShallowReLU([0.0], [1.0]).n_params
    10

    References
    ----------
    Prince (2023), Understanding Deep Learning, eq. 3.1.
    """

    model = Model("shallow_relu", value, slope, curve, point, point_curve)
    unpenalized = ("phi0", "theta0")

    def __init__(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        hidden: int = 3,
        *,
        sample_weight: npt.ArrayLike | None = None,
        reduction: Reduction = "mean",
        l2: float = 0.0,
        backend: str | None = None,
    ) -> None:
        if isinstance(hidden, (bool, np.bool_)) or not isinstance(hidden, (int, np.integer)):
            raise TypeError(f"hidden must be an int, not {hidden!r}")
        if hidden < 1:
            raise ValueError(f"hidden must be at least 1, not {hidden}")
        self.hidden = int(hidden)
        shapes = {"phi0": (), **dict.fromkeys(("phi", "theta0", "theta1"), (self.hidden,))}
        super().__init__(
            x,
            y,
            shapes,
            sample_weight=sample_weight,
            reduction=reduction,
            l2=l2,
            backend=backend,
        )

    def initial(self, seed: int | np.random.Generator = 0) -> Array:
        """Random parameters to start from.

        Weights are normal numbers of variance 2/inputs (He et al. 2015, eq. 10), φ₀ is 0, and the
        biases put each unit's kink at random between the least and the largest x: all at x = 0, as
        biases of 0 would have them, could lie outside the data.
        """
        rng = np.random.default_rng(seed)
        phi = np.zeros(self.n_params, self.dtype)
        parts = self.unpack(phi)
        parts["phi"][:] = np.sqrt(2 / self.hidden) * rng.standard_normal(self.hidden)
        parts["theta1"][:] = np.sqrt(2) * rng.standard_normal(self.hidden)
        kinks = rng.uniform(self.points.x.min(), self.points.x.max(), self.hidden)
        parts["theta0"][:] = -parts["theta1"] * kinks
        return phi
