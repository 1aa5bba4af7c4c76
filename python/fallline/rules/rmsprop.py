"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .. import hyperparameters
from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, absolute, kernel, l2, sqrt
from ..optimizer import Optimizer, State

__all__ = [
    "RMSprop",
    "rmsprop",
    "rmsprop_centered",
    "rmsprop_centered_momentum",
    "rmsprop_momentum",
]

COEFFICIENTS = "lr weight_decay alpha gain inner_eps eps"
CENTERED = COEFFICIENTS + " mean_alpha mean_gain"


@kernel("square_avg", coefficients=COEFFICIENTS)
def rmsprop(p: Array, g: Array, v: Array, c: Array) -> tuple[Array, Array]:
    g = l2(g, p, c.weight_decay)
    v = c.alpha * v + c.gain * g * g
    return p - c.lr * g / (sqrt(v + c.inner_eps) + c.eps), v


@kernel("square_avg", "momentum_buffer", coefficients=COEFFICIENTS + " momentum")
def rmsprop_momentum(p: Array, g: Array, v: Array, b: Array, c: Array) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    v = c.alpha * v + c.gain * g * g
    b = c.momentum * b + g / (sqrt(v + c.inner_eps) + c.eps)
    return p - c.lr * b, v, b


@kernel("square_avg", "grad_avg", coefficients=CENTERED)
def rmsprop_centered(p: Array, g: Array, v: Array, m: Array, c: Array) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    v = c.alpha * v + c.gain * g * g
    m = c.mean_alpha * m + c.mean_gain * g
    return p - c.lr * g / (sqrt(absolute(v - m * m) + c.inner_eps) + c.eps), v, m


@kernel("square_avg", "momentum_buffer", "grad_avg", coefficients=CENTERED + " momentum")
def rmsprop_centered_momentum(
    p: Array, g: Array, v: Array, b: Array, m: Array, c: Array
) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    v = c.alpha * v + c.gain * g * g
    m = c.mean_alpha * m + c.mean_gain * g
    b = c.momentum * b + g / (sqrt(absolute(v - m * m) + c.inner_eps) + c.eps)
    return p - c.lr * b, v, b, m


class RMSprop(Optimizer):
    r"""Steps over the root of a running mean of squared gradients.

    .. math::
        g &\leftarrow g + \lambda\phi, \qquad
        v \leftarrow \rho v + (1 - \rho) g^2, \qquad
        m \leftarrow \rho m + (1 - \rho) g \\
        d &= \frac{g}{\sqrt{v} + \varepsilon}, \qquad
        \text{centered: } d = \frac{g}{\sqrt{v - m^2} + \varepsilon}, \qquad
        \text{with eps\_inside: } d = \frac{g}{\sqrt{v + \varepsilon}} \\
        b &\leftarrow \mu b + d, \qquad
        \phi \leftarrow \phi - \alpha b

    Rounding can make :math:`v - m^2` negative where a gradient hardly changes; its magnitude is
    taken, where torch's root is NaN.

    When to use: gradients whose scale drifts, as in recurrent networks and reinforcement learning.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it.
    alpha : float
        ρ of the running means, in [0, 1].
    eps : float
        ε, at least 0.
    weight_decay : float
        λ of the L2 penalty, at least 0.
    momentum : float
        μ, at least 0.
    centered : bool
        Divide by the root of the variance around the running mean m.
    initial : {"zero", "gradient"}
        Where v starts: at 0, which makes the first steps up to 1/√(1 - ρ) times as long as later
        ones (torch's), or at the first gradient's square, so that the first step is ±α (centered:
        ±α/√(1 - (1 - ρ)²)).
    eps_inside : bool
        Add ε under the root instead of to it.
    maximize : bool
        Ascend instead of descend.
    backend : {"native", "numba", "numpy"}, optional
        The best usable one by default.

    Raises
    ------
    ValueError, TypeError
        A hyperparameter or an array is not as described; the message names it.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> x = np.array([1.0, -2.0])
    >>> opt = fl.RMSprop(x, lr=0.1, initial="gradient")
    >>> opt.step(2 * x)
    >>> x.round(6)
    array([ 0.9, -1.9])

    References
    ----------
    Tieleman & Hinton (2012), Neural networks for machine learning, lecture 6.5, slide 29; centered
    and with momentum: Graves (2013), Generating sequences with recurrent neural networks,
    equations 38-45.
    """

    checks: ClassVar[Mapping[str, hyperparameters.Check]] = {"alpha": hyperparameters.share}

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        initial: str = "zero",
        eps_inside: bool = False,
        maximize: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            params,
            backend,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
            initial=initial,
            eps_inside=eps_inside,
            maximize=maximize,
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        if group["centered"]:
            return rmsprop_centered_momentum if group["momentum"] else rmsprop_centered
        return rmsprop_momentum if group["momentum"] else rmsprop

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        alpha, mu = group["alpha"], group["momentum"]
        means = alpha, 1 - alpha
        squares = (0.0, 1.0) if t == 1 and group["initial"] == "gradient" else means
        epsilons = (group["eps"], 0.0) if group["eps_inside"] else (0.0, group["eps"])
        numbers = lr, group["weight_decay"], *squares, *epsilons
        return *numbers, *(means if group["centered"] else ()), *((mu,) if mu else ())
