"""K-FAC: natural gradients by Kronecker factors of the Fisher matrix."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .._types import Array, LearningRate
from ..linesearch._line import check_count, check_number, dot
from ..numerics import sigmoid, softmax
from ..objectives._blas import unthreaded
from ..objectives._layers import Layers, layers_of
from ..objectives.base import Objective
from ._method import Step
from ._stochastic import StochasticMethod, check_lr

__all__ = ["KFAC"]

Fisher: TypeAlias = Literal["true", "empirical"]

EARLY = 3  # steps at first that renew the inverses each, as the paper has it


class Solver(NamedTuple):
    """Both factors of a layer in their eigenbases, with their damping."""

    Qa: Array
    a: Array
    Qg: Array
    g: Array

    def solve(self, V: Array) -> Array:
        """(G + …)⁻¹ V (A + …)⁻¹."""
        turned = self.Qg.T @ V @ self.Qa
        solved: Array = self.Qg @ (turned / np.outer(self.g, self.a)) @ self.Qa.T
        return solved


class KFAC(StochasticMethod):
    r"""Kronecker-factored approximate curvature.

    .. math::
        A_l &= E[\bar a_{l-1} \bar a_{l-1}^T], \qquad G_l = E[g_l g_l^T], \qquad
        F_l ≈ A_l \otimes G_l \\
        Δ_l &= \Bigl(G_l + \tfrac{\sqrtγ}{π_l} I\Bigr)^{-1} ∇_l
               \bigl(A_l + π_l \sqrtγ\, I\bigr)^{-1}, \qquad
        π_l = \sqrt{\frac{\operatorname{tr} A_l / \dim A_l}{\operatorname{tr} G_l / \dim G_l}},
               \quad γ = λ + l_2 \\
        ν &= \min\Bigl(1, \sqrt{\tfrac{κ}{α^2 Δ^T ∇}}\Bigr), \qquad
        v_t = μ v_{t-1} + ν Δ_t, \qquad \varphi_{t+1} = \varphi_t - α v_t

    with ā the inputs of a layer and a 1 for its bias, g = ∂ℓ/∂z at its outputs, ∇ the gradient of
    [weight, bias] as a matrix. In the true Fisher matrix the labels behind g are drawn from the
    model's own predictions, in the empirical one they are the data's. The factors are running
    means; the systems are solved in their eigenbases, which are found anew every so many steps.

    What the paper has beyond: the block-tridiagonal form, the rescaling of each step and its
    momentum by the exact Fisher matrix, and the adaptation of λ. KL clipping (Ba et al. 2017) takes
    their place: it bounds α²ν²ΔᵀFΔ, twice the change of the predictions by a step.

    Parameters
    ----------
    objective : Objective, optional
        ``MLP``, ``SoftmaxRegression``, ``LogisticRegression`` or ``LinearRegression``;
        :func:`fallline.minimize` brings its own.
    x0 : array_like, shape (n_params,), optional
        Where to start; ``objective.initial(seed)`` by default.
    lr : float or callable
        α, or a schedule.
    momentum : float
        μ in [0, 1).
    damping : float
        λ > 0.
    decay : float
        Of the factors' running means, in [0, 1): the old ones keep min(1 - 1/t, `decay`).
    fisher : {"true", "empirical"}
        Whose labels.
    kl_clip : float or None
        κ > 0; None clips nothing.
    factors_every, inverse_every : int
        Steps from one renewal of the factors, and of their eigenbases, to the next.
    seed : int
        Of the labels that are drawn, and of the start without `x0`.

    Attributes
    ----------
    factors : list of (ndarray, ndarray)
        A and G of each layer.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or the objective has no layers.

    Examples
    --------
    >>> import fallline as fl
    >>> X, y = fl.datasets.digits()
    >>> f = fl.objectives.MLP(X, y, hidden=(32,))
    >>> res = fl.minimize(f, optimizer=fl.KFAC, batch_size=256, epochs=5)
    >>> bool((f.predict(res.x) == y).mean() > 0.95)
    True

    References
    ----------
    Martens & Grosse (2015), Optimizing neural networks with Kronecker-factored approximate
    curvature. Ba, Grosse & Martens (2017), Distributed second-order optimization using
    Kronecker-factored approximations (KL clipping).
    """

    _state = ("factors", "_velocity", "_renewals", "_solvers")

    def __init__(
        self,
        objective: Objective | None = None,
        x0: npt.ArrayLike | None = None,
        *,
        lr: LearningRate = 0.03,
        momentum: float = 0.9,
        damping: float = 1e-2,
        decay: float = 0.95,
        fisher: Fisher = "true",
        kl_clip: float | None = 1e-2,
        factors_every: int = 1,
        inverse_every: int = 10,
        seed: int = 0,
    ) -> None:
        self.lr = check_lr(lr)
        for name, value in (("momentum", momentum), ("decay", decay)):
            if not 0 <= check_number(name, value) < 1:
                raise ValueError(f"{name} must lie in [0, 1), not {value!r}")
        self.momentum, self.decay = momentum, decay
        self.damping = check_number("damping", damping, 0, open=True)
        if fisher not in ("true", "empirical"):
            raise ValueError(f"fisher must be 'true' or 'empirical', not {fisher!r}")
        self.fisher = fisher
        self.kl_clip = None if kl_clip is None else check_number("kl_clip", kl_clip, 0, open=True)
        self.factors_every = check_count("factors_every", factors_every)
        self.inverse_every = check_count("inverse_every", inverse_every)
        super().__init__(objective, x0, seed)

    def _begin(self) -> None:
        if layers_of(self.objective) is None:
            raise TypeError(
                "KFAC needs layers: an MLP, SoftmaxRegression, LogisticRegression or "
                f"LinearRegression; not {self.objective!r}"
            )
        self.factors: list[tuple[Array, Array]] = []
        self._solvers: list[tuple[Array, ...]] = []
        self._velocity = np.zeros_like(self.x)
        self._renewals = 0

    def _leave(self) -> None:
        self._velocity = np.zeros_like(self.x)

    def _move(self, batch: Array | None) -> Step:
        layers = layers_of(self.objective)
        assert layers is not None
        with unthreaded():
            return self._step(layers, batch)

    def _step(self, layers: Layers, batch: Array | None) -> Step:
        assert self.gradient is not None
        if self.nit % self.factors_every == 0:
            self._renew(self._measure(layers, batch))
        if not all(np.isfinite(M).all() for pair in self.factors for M in pair):
            return self._failed("the Fisher factors are not finite")
        if self.nit < EARLY or self.nit % self.inverse_every == 0:
            gamma = self.damping + self.objective._penalty(batch)
            self._solvers = [tuple(_solver(A, G, gamma)) for A, G in self.factors]
        rate = self._rate()
        delta = self._natural(layers, self.gradient)
        along = dot(delta, self.gradient)
        nu = 1.0
        if self.kl_clip is not None and along > 0 and rate > 0:
            nu = min(1.0, math.sqrt(self.kl_clip / along) / rate)
        mu, scale = self.x.dtype.type(self.momentum), self.x.dtype.type(nu)
        self._velocity = mu * self._velocity + scale * delta
        return self._follow(-self._velocity, rate, "a step" if nu == 1 else f"clipped to {nu:.3g}")

    # ---- the factors ---------------------------------------------------------------------------

    def _measure(self, layers: Layers, batch: Array | None) -> list[tuple[Array, Array]]:
        """A and G of each layer on a batch."""
        X, y, weight = layers.rows(batch)
        passed = layers.forward(self.x, X)
        with np.errstate(all="ignore"):
            targets = y if self.fisher == "empirical" else self._drawn(layers, passed.z)
            _, slope = layers.head.value(passed.z, targets)
            deltas = layers.backward(self.x, passed, np.asarray(slope, self.x.dtype))
        # G carries the reduction: F of a sum over n samples is n times that of their mean.
        n = len(y)
        scale = n * self.objective._scale(batch)
        return [
            (_second_moment(a, weight, layers.biased), scale * _outer(g, weight) / n)
            for a, g in zip(passed.inputs, deltas, strict=True)
        ]

    def _drawn(self, layers: Layers, z: Array) -> Array:
        """Targets at random, as the model would have them."""
        rng = self._rng(1)
        if layers.head.name == "softmax":
            reached = np.cumsum(np.asarray(softmax(z.astype(np.float64))), axis=1)
            drawn: Array = (rng.random((len(z), 1)) * reached[:, -1:] > reached).sum(axis=1)
            return np.asarray(np.minimum(drawn, z.shape[1] - 1)[:, None])
        if layers.head.name == "logistic":
            return np.asarray(rng.random(z.shape) < sigmoid(z.astype(np.float64)), np.float64)
        # The squared error is the negative log-likelihood of a variance of 1/2.
        return np.asarray(z + math.sqrt(0.5) * rng.standard_normal(z.shape))

    def _renew(self, now: list[tuple[Array, Array]]) -> None:
        self._renewals += 1
        kept = min(1 - 1 / self._renewals, self.decay)
        if not self.factors:
            self.factors = now
            return
        self.factors = [
            (kept * A0 + (1 - kept) * A, kept * G0 + (1 - kept) * G)
            for (A0, G0), (A, G) in zip(self.factors, now, strict=True)
        ]

    def _natural(self, layers: Layers, gradient: Array) -> Array:
        """Δ: the gradient through the inverses of the factors."""
        out = np.empty_like(gradient)
        pairs = zip(layers.views(gradient), layers.views(out), self._solvers, strict=True)
        for (weight, bias), (to_weight, to_bias), solver in pairs:
            V = np.c_[weight, bias] if layers.biased else weight
            solved = Solver(*solver).solve(V.astype(np.float64))
            to_weight[:] = solved[:, : weight.shape[1]]
            if layers.biased:
                to_bias[:] = solved[:, -1]
        return out


def _second_moment(a: Any, weight: Array | None, biased: bool) -> Array:
    """Σ w ā āᵀ / Σ w, a 1 in ā for the bias."""
    n, d = a.shape
    w = np.ones(n) if weight is None else weight.astype(np.float64)
    scaled = (
        a.multiply(w[:, None]).tocsr() if hasattr(a, "tocsr") else a * w[:, None].astype(a.dtype)
    )
    square = scaled.T @ a
    A = np.empty((d + biased, d + biased))
    A[:d, :d] = square.toarray() if hasattr(square, "toarray") else square
    if biased:
        A[d, :d] = A[:d, d] = np.asarray(scaled.sum(axis=0)).reshape(-1)
        A[d, d] = w.sum()
    A /= max(float(w.sum()), float(np.finfo(np.float64).tiny))
    return A


def _outer(g: Array, weight: Array | None) -> Array:
    """Σ w g gᵀ."""
    scaled = g if weight is None else g * weight[:, None]
    return np.asarray(scaled.T @ g, np.float64)


def _solver(A: Array, G: Array, gamma: float) -> Solver:
    """With the damping √γ, parted between both factors by their sizes."""
    a_mean, g_mean = np.trace(A) / len(A), np.trace(G) / len(G)
    # Where a factor has vanished (all units of a layer off) there is no ratio to go by.
    pi = math.sqrt(a_mean / g_mean) if a_mean > 0 and g_mean > 0 else 1.0
    a, Qa = np.linalg.eigh(A)
    g, Qg = np.linalg.eigh(G)
    root = math.sqrt(gamma)
    return Solver(Qa, np.maximum(a, 0) + pi * root, Qg, np.maximum(g, 0) + root / pi)
