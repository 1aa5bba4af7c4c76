"""Steps within a trust region: the minimum of a quadratic model in a ball."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._types import Array

__all__ = ["Bounded", "Spectral", "Steihaug", "next_radius"]

ACCEPT = 0.15  # of the predicted decrease, as in SciPy; Nocedal & Wright ask for η in [0, 1/4)
SECULAR = 100  # Newton steps on the multiplier; some five are enough but where cases are hard


class Bounded(NamedTuple):
    """A step, the decrease the model predicts for it, and whether it ends on the boundary."""

    step: Array
    predicted: float
    on_boundary: bool


class Spectral:
    r"""Exact solutions by the eigenvectors of the Hessian.

    .. math:: (H + λI) p = -g, \quad λ ≥ \max(0, -λ_{\min}), \quad λ(Δ - \|p\|) = 0

    (Moré & Sorensen 1983.) In the eigenbasis only λ is unknown.
    """

    def __init__(self, hessian: Array, gradient: Array) -> None:
        self._values, self._vectors = np.linalg.eigh(hessian)
        self._gamma = self._vectors.T @ gradient.astype(np.float64)

    @classmethod
    def of_jacobian(cls, jacobian: Array, residuals: Array) -> Spectral:
        """With JᵀJ and Jᵀr, which are not formed: that would square J's condition number."""
        self = cls.__new__(cls)
        U, s, Vt = np.linalg.svd(jacobian, full_matrices=False)
        # Where J does not say what a direction does, the step has no part in it.
        s, self._vectors = s[::-1], Vt[::-1].T
        self._gamma = s * (U.T @ residuals)[::-1]
        self._values = s * s
        return self

    def solve(self, radius: float) -> Bounded:
        """The minimum in a ball of this radius."""
        values, gamma = self._values, self._gamma
        p, inside = np.zeros_like(gamma), False
        if values[0] > 0:
            with np.errstate(over="ignore"):
                p = -gamma / values
            inside = float(np.linalg.norm(p)) <= radius
        if not inside:
            p = self._on_boundary(radius)
        predicted = -float(gamma @ p + 0.5 * (values * p) @ p)
        return Bounded(self._vectors @ p, predicted, not inside)

    def _on_boundary(self, radius: float) -> Array:
        p: Array
        values, gamma = self._values, self._gamma
        shift = values - values[0]
        size = float(np.linalg.norm(gamma))
        lowest = shift <= 1e-12 * max(float(np.abs(values).max()), 1e-300)
        if (values[0] <= 0 and np.linalg.norm(gamma[lowest]) <= 1e-14 * size) or size == 0:
            p = np.zeros_like(gamma)  # the hard case, if the rest ends inside
            p[~lowest] = -gamma[~lowest] / shift[~lowest]
            rest = radius**2 - float(p @ p)
            if rest >= 0:
                p[0] = math.copysign(math.sqrt(rest), -gamma[0])
                return p
        p = -gamma / (shift + self._multiplier(shift, gamma, radius))
        return p

    def _multiplier(self, shift: Array, gamma: Array, radius: float) -> float:
        """λ + λmin, at which the step is as long as the radius, by Newton's method on 1/‖p‖."""
        low, high = max(0.0, float(self._values[0])), float(np.linalg.norm(gamma)) / radius
        mu = high
        for _ in range(SECULAR):
            p = gamma / (shift + mu)
            length = float(np.linalg.norm(p))
            if abs(length - radius) <= 1e-10 * radius:
                break
            low, high = (mu, high) if length > radius else (low, mu)
            bend = float(p @ (p / (shift + mu)))
            mu += (length / radius - 1) * length * length / bend
            if not low < mu < high:
                mu = 0.5 * (low + high) if low == 0 else math.sqrt(low * high)
        return mu


class Steihaug:
    """Conjugate gradients, up to the boundary or to a direction of negative curvature.

    Nocedal & Wright (2006), algorithm 7.2; Steihaug (1983).
    """

    def __init__(self, product: Callable[[Array], Array], gradient: Array, most: int) -> None:
        self._product, self._most = product, most
        self._gradient = gradient.astype(np.float64)

    def solve(self, radius: float) -> Bounded:
        """A step that lowers the model at least as much as the best one along -g."""
        r = self._gradient.copy()
        z, d = np.zeros_like(r), -r
        rr = float(r @ r)
        size = math.sqrt(rr)
        enough = min(0.5, math.sqrt(size)) * size  # for superlinear convergence
        model = 0.0
        for _ in range(self._most):
            Hd = self._product(d)
            bend = float(d @ Hd)
            if not math.isfinite(bend):
                raise FloatingPointError("a product with the Hessian is not finite")
            alpha = rr / bend if bend > 0 else math.inf
            ahead = z + alpha * d if bend > 0 else z
            if bend <= 0 and radius == math.inf:
                break
            if bend <= 0 or float(np.linalg.norm(ahead)) >= radius:
                tau = _to_boundary(z, d, radius)
                model += tau * float(r @ d) + 0.5 * tau * tau * bend
                return Bounded(z + tau * d, -model, True)
            model -= 0.5 * alpha * rr
            z, r = ahead, r + alpha * Hd
            before, rr = rr, float(r @ r)
            if math.sqrt(rr) <= enough:
                break
            d = -r + rr / before * d
        return Bounded(z, -model, False)


def _to_boundary(z: Array, d: Array, radius: float) -> float:
    """τ > 0 with ‖z + τd‖ = radius."""
    a, b, c = float(d @ d), float(z @ d), float(z @ z) - radius * radius
    root = math.sqrt(max(b * b - a * c, 0.0))
    return (root - b) / a if b <= 0 else -c / (b + root)


def next_radius(radius: float, ratio: float, length: float, bounded: bool, most: float) -> float:
    """Nocedal & Wright, algorithm 4.1; a refused step's own length is what was too long."""
    if not ratio >= 0.25:
        return 0.25 * min(radius, length)
    return min(2 * radius, most) if ratio > 0.75 and bounded else radius
