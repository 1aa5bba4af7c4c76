"""Stochastic gradient descent."""

from __future__ import annotations

from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, kernel, l2
from ..optimizer import Optimizer, State

__all__ = ["SGD", "sgd", "sgd_momentum", "sgd_nesterov"]


@kernel(coefficients="lr weight_decay")
def sgd(p: Array, g: Array, c: Array) -> tuple[Array]:
    return (p - c.lr * l2(g, p, c.weight_decay),)


@kernel("momentum_buffer", coefficients="lr weight_decay momentum undamped")
def sgd_momentum(p: Array, g: Array, b: Array, c: Array) -> tuple[Array, Array]:
    b = c.momentum * b + c.undamped * l2(g, p, c.weight_decay)
    return p - c.lr * b, b


@kernel("momentum_buffer", coefficients="lr weight_decay momentum undamped lookahead")
def sgd_nesterov(p: Array, g: Array, b: Array, c: Array) -> tuple[Array, Array]:
    g = l2(g, p, c.weight_decay)
    b = c.momentum * b + c.undamped * g
    return p - c.lr * (g + c.lookahead * b), b


class SGD(Optimizer):
    r"""Stochastic gradient descent, as ``torch.optim.SGD``.

    .. math::
        g &\leftarrow g + \lambda\phi \\
        b &\leftarrow \mu b + (1 - \tau) g \quad (b \leftarrow g \text{ at } t = 1) \\
        \phi &\leftarrow \phi - \alpha b
        \quad\text{or, with Nesterov,}\quad \phi - \alpha (g + \mu b)

    Without momentum :math:`\phi \leftarrow \phi - \alpha g`: gradient descent.

    When to use: the baseline of every comparison. With momentum 0.9 and a schedule, the usual
    choice for convolutional networks; without momentum it keeps no state.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it.
    momentum : float
        μ, at least 0.
    dampening : float
        τ.
    weight_decay : float
        λ of the L2 penalty, at least 0.
    nesterov : bool
        Use Nesterov's form; needs a momentum and no dampening.
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
    >>> opt = fl.SGD(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x
    array([ 0.8, -1.6])

    References
    ----------
    Sutskever, Martens, Dahl & Hinton (2013), On the importance of initialization and momentum in
    deep learning, equations 1-4.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
        maximize: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            params,
            backend,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
        )

    @classmethod
    def check_group(cls, group: Group) -> None:
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError(
                f"nesterov=True needs momentum > 0 and dampening = 0, not momentum="
                f"{group['momentum']} and dampening={group['dampening']}"
            )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        if group["nesterov"]:
            return sgd_nesterov
        return sgd_momentum if group["momentum"] != 0 else sgd

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        decay, mu = group["weight_decay"], group["momentum"]
        if mu == 0:
            return lr, decay
        # The first gradient fills the buffer undamped, as in torch.
        buffer = (0.0, 1.0) if t == 1 else (mu, 1 - group["dampening"])
        return (lr, decay, *buffer, mu) if group["nesterov"] else (lr, decay, *buffer)
