"""AdaHessian: Adam with the Hessian's diagonal in the place of the gradient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._types import Array, LearningRate
from ..linesearch._line import check_count, check_number
from ..objectives.base import Objective
from ._method import Step
from ._stochastic import StochasticMethod, check_lr

__all__ = ["AdaHessian"]


class AdaHessian(StochasticMethod):
    r"""AdaHessian.

    .. math::
        D_t &= \frac1S \sum_{s=1}^{S} z_s \odot (H_t z_s), \qquad z_s \in \{-1, 1\}^n
            \text{ at random} \\
        \bar D_t &= \text{mean of } D_t \text{ over each block of } b \text{ parameters} \\
        m_t &= β_1 m_{t-1} + (1 - β_1) g_t, \qquad
        v_t = β_2 v_{t-1} + (1 - β_2) \bar D_t^2 \\
        \varphi_{t+1} &= \varphi_t - α \left(
            \frac{m_t / (1 - β_1^t)}{(\sqrt{v_t / (1 - β_2^t)})^k + ε} + λ \varphi_t \right)

    The products H z are exact, on the step's own batch. E[z ⊙ Hz] is the diagonal of H; the error
    of one probe in an entry is the rest of its row, of any number S of them that over √S.

    Parameters
    ----------
    objective : Objective, optional
        What is to be minimized; :func:`fallline.minimize` brings its own.
    x0 : array_like, shape (n_params,), optional
        Where to start; ``objective.initial(seed)`` by default.
    lr : float or callable
        α, or a schedule.
    betas : (float, float)
        β₁, β₂ in [0, 1).
    eps : float
        ε > 0.
    weight_decay : float
        λ ≥ 0, apart from the curvature.
    hessian_power : float
        k in [0, 1].
    samples : int
        S.
    block_size : int
        b; blocks do not reach beyond a named part of the parameters, whose last may be short.
    hessian_every : int
        D is formed anew every so many steps, and v changes with it.
    seed : int
        Of the probes, and of the start without `x0`.

    Attributes
    ----------
    diagonal : ndarray
        The last D̄.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> X, y = fl.datasets.digits()
    >>> f = fl.objectives.MLP(X, y, hidden=(32,), activation="tanh")
    >>> res = fl.minimize(f, optimizer=fl.AdaHessian(lr=0.1), batch_size=128, epochs=5)
    >>> bool((f.predict(res.x) == y).mean() > 0.9)
    True

    References
    ----------
    Yao et al. (2021), AdaHessian: an adaptive second order optimizer for machine learning;
    the defaults are those of their code, which averages absolute values, and over the kernels of
    convolutions only.
    """

    _state = ("diagonal", "_m", "_v", "_formed")

    def __init__(
        self,
        objective: Objective | None = None,
        x0: npt.ArrayLike | None = None,
        *,
        lr: LearningRate = 0.15,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-4,
        weight_decay: float = 0.0,
        hessian_power: float = 1.0,
        samples: int = 1,
        block_size: int = 1,
        hessian_every: int = 1,
        seed: int = 0,
    ) -> None:
        self.lr = check_lr(lr)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"betas must be a pair of numbers, not {betas!r}")
        for beta in betas:
            if not 0 <= check_number("betas", beta) < 1:
                raise ValueError(f"betas must lie in [0, 1), not {betas!r}")
        self.betas = betas[0], betas[1]
        self.eps = check_number("eps", eps, 0, open=True)
        self.weight_decay = check_number("weight_decay", weight_decay, 0)
        self.hessian_power = check_number("hessian_power", hessian_power, 0, 1)
        self.samples = check_count("samples", samples)
        self.block_size = check_count("block_size", block_size)
        self.hessian_every = check_count("hessian_every", hessian_every)
        super().__init__(objective, x0, seed)

    def _begin(self) -> None:
        self._m, self._v = np.zeros_like(self.x), np.zeros_like(self.x)
        self.diagonal = np.zeros_like(self.x)
        self._formed = 0  # how often D has been

    def _move(self, batch: Array | None) -> Step:
        beta1, beta2 = self.betas
        if self.nit % self.hessian_every == 0:
            D = self._averaged(self._probed(batch))
            if not np.isfinite(D).all():
                j = int(np.argmin(np.isfinite(D)))
                return self._failed(f"the curvature is not finite: that of parameter {j} is {D[j]}")
            self.diagonal = D
            self._v = self._cast(beta2 * self._v + (1 - beta2) * D * D)
            self._formed += 1
        assert self.gradient is not None
        self._m = self._cast(beta1 * self._m + (1 - beta1) * self.gradient)
        root = np.sqrt(self._v / (1 - beta2**self._formed))
        mean = self._m / (1 - beta1 ** (self.nit + 1))
        direction = -mean / (root**self.hessian_power + self.eps) - self.weight_decay * self.x
        return self._follow(self._cast(direction), self._rate(), "a step")

    def _cast(self, a: Array) -> Array:
        return a.astype(self.x.dtype, copy=False)

    def _probed(self, batch: Array | None) -> Array:
        """The diagonal by Hutchinson's probes."""
        rng = self._rng(0)
        total = np.zeros_like(self.x)
        for _ in range(self.samples):
            z = (2 * rng.integers(0, 2, size=len(self.x)) - 1).astype(self.x.dtype)
            total += z * self._product(z, batch)
        total /= total.dtype.type(self.samples)
        return total

    def _averaged(self, D: Array) -> Array:
        """Over blocks within each named part."""
        b = self.block_size
        if b == 1:
            return D
        out = np.empty_like(D)
        for part in self.objective._parts.values():
            own = D[part]
            starts = np.arange(0, len(own), b)
            sizes = np.diff(np.append(starts, len(own)))
            if len(own):
                out[part] = np.repeat(np.add.reduceat(own, starts) / sizes, sizes)
        return out
