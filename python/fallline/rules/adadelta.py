"""Adadelta."""

from __future__ import annotations

from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, kernel, l2, sqrt
from ..optimizer import Optimizer, State

__all__ = ["Adadelta", "adadelta"]


@kernel("square_avg", "acc_delta", coefficients="lr weight_decay rho one_minus_rho eps")
def adadelta(p: Array, g: Array, v: Array, u: Array, c: Array) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    v = c.rho * v + c.one_minus_rho * g * g
    delta = sqrt(u + c.eps) / sqrt(v + c.eps) * g
    u = c.rho * u + c.one_minus_rho * delta * delta
    return p - c.lr * delta, v, u


class Adadelta(Optimizer):
    r"""Steps in the parameter's own units: the ratio of two running roots.

    .. math::
        g &\leftarrow g + \lambda\phi, \qquad
        v \leftarrow \rho v + (1 - \rho) g^2 \\
        \Delta &= \frac{\sqrt{u + \varepsilon}}{\sqrt{v + \varepsilon}} g, \qquad
        u \leftarrow \rho u + (1 - \rho) \Delta^2, \qquad
        \phi \leftarrow \phi - \alpha \Delta

    The numerator has the u of earlier steps.

    When to use: where no learning rate is to be tuned: the default of 1 is the paper's.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it; the paper has none (1).
    rho : float
        ρ, in [0, 1].
    eps : float
        ε under both roots, at least 0; at 0 nothing ever moves.
    weight_decay : float
        λ of the L2 penalty, at least 0.
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
    >>> opt = fl.Adadelta(x)
    >>> opt.step(2 * x)
    >>> x.round(4)
    array([ 0.9968, -1.9968])

    References
    ----------
    Zeiler (2012), ADADELTA: an adaptive learning rate method, algorithm 1.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            params, backend, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return adadelta

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        rho = group["rho"]
        return lr, group["weight_decay"], rho, 1 - rho, group["eps"]
