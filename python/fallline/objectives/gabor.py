"""The Gabor model."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .._types import Array
from ._curve import Curve, Model
from .base import Reduction

__all__ = ["Gabor"]

FREQUENCY = 0.06
FAR = 256.0  # beyond |u| = 154.5 the envelope is 0 in float64, and ∞ · 0 must not arise


def wave(phi: Array, x: Array) -> tuple[Array, Array, Array]:
    """Its argument u with the sine and the cosine under the envelope."""
    u = phi[0] + FREQUENCY * phi[1] * x
    u = np.clip(u, -FAR, FAR) + (u - u)  # NaN where u overflows
    envelope = np.exp(-(u * u) / 32)
    return u, np.sin(u) * envelope, np.cos(u) * envelope


def value(phi: Array, x: Array) -> Array:
    return wave(phi, x)[1]


def slope(phi: Array, x: Array) -> tuple[Array, Array]:
    u, sine, cosine = wave(phi, x)
    by_u = cosine - u / 16 * sine
    return sine, np.stack([by_u, FREQUENCY * x * by_u])


def curve(phi: Array, v: Array, x: Array) -> Array:
    u, sine, cosine = wave(phi, x)
    turn = (u / 16 * (u / 16 * sine - 2 * cosine) - 17 / 16 * sine) * (v[0] + FREQUENCY * v[1] * x)
    return np.stack([turn, FREQUENCY * x * turn])


def point(phi: Array, x: float, slope: Array) -> float:
    u = phi[0] + 0.06 * phi[1] * x
    u = max(-256.0, min(256.0, u)) + (u - u)
    envelope = math.exp(u * u * -0.03125)
    sine = math.sin(u)
    by_u = (math.cos(u) - u * 0.0625 * sine) * envelope
    slope[0] = by_u
    slope[1] = 0.06 * x * by_u
    return sine * envelope


def point_curve(phi: Array, v: Array, x: float, bend: Array) -> None:
    u = phi[0] + 0.06 * phi[1] * x
    u = max(-256.0, min(256.0, u)) + (u - u)
    w = u * 0.0625
    by_u = w * (w * math.sin(u) - 2.0 * math.cos(u)) - 1.0625 * math.sin(u)
    turn = by_u * math.exp(u * u * -0.03125) * (v[0] + 0.06 * v[1] * x)
    bend[0] = turn
    bend[1] = 0.06 * x * turn


class Gabor(Curve):
    r"""The Gabor model: a sine under a Gaussian envelope, through points (x, y).

    .. math:: \ell_i(\varphi) = (f(x_i) - y_i)^2, \quad f(x) = \sin(u)\, e^{-u^2/32},
              \quad u = φ_0 + 0.06\, φ_1 x

    Two parameters, offset φ₀ and frequency φ₁, and a loss with many local minima and saddle points.

    Parameters
    ----------
    x : array of shape (n,)
        Inputs, float32 or float64; parameters and gradients are of their dtype. What is computed
        between is float64.
    y : array of shape (n,)
        Targets.
    sample_weight : array of shape (n,), optional
        Weights of at least 0.
    reduction : {"mean", "sum"}
        Over a batch's samples.
    l2 : float
        Adds (l2/2)‖φ‖².
    backend : {"native", "numba", "numpy"}, optional
        Where it is computed. Native results have the same bits at any number of threads and on
        every CPU; those of the other backends differ by the last bits of sin, cos and exp, at most
        16 ulp of the sum of the terms' absolute values.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not match, or values that are not finite (named by row).

    Notes
    -----
    Beyond \|u\| = 154.5 the envelope is 0 in float64, and so are f and its derivatives; a u that
    overflows gives NaN.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> x = np.linspace(-15, 15, 28)
    >>> truth = np.array([0.0, 16.6])
    >>> f = fl.objectives.Gabor(x, np.zeros(28))
    >>> f = fl.objectives.Gabor(x, f.predict(truth))
    >>> f.loss(truth) < 1e-30, round(f.loss([0.0, 12.0]), 4)
    (True, 0.0975)
    >>> f.unpack(truth)
    {'phi0': array(0.), 'phi1': array(16.6)}

    References
    ----------
    Prince (2023), Understanding Deep Learning, eq. 6.8.
    """

    model = Model("gabor", value, slope, curve, point, point_curve)

    def __init__(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        sample_weight: npt.ArrayLike | None = None,
        reduction: Reduction = "mean",
        l2: float = 0.0,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            x,
            y,
            {"phi0": (), "phi1": ()},
            sample_weight=sample_weight,
            reduction=reduction,
            l2=l2,
            backend=backend,
        )

    def initial(self, seed: int | np.random.Generator = 0) -> Array:
        """Random parameters to start from: φ₀ uniform in [-10, 10), φ₁ in [2.5, 22.5).

        These are the bounds in which the reference draws its loss surface.
        """
        rng = np.random.default_rng(seed)
        return rng.uniform([-10.0, 2.5], [10.0, 22.5]).astype(self.dtype)
