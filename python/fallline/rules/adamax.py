"""Adamax."""

from __future__ import annotations

from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, absolute, kernel, l2, maximum
from ..optimizer import Optimizer, State

__all__ = ["Adamax", "adamax"]


@kernel("exp_avg", "exp_inf", coefficients="weight_decay beta1 one_minus_beta1 beta2 step_size eps")
def adamax(p: Array, g: Array, m: Array, u: Array, c: Array) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    m = c.beta1 * m + c.one_minus_beta1 * g
    u = maximum(c.beta2 * u, absolute(g) + c.eps)
    return p - c.step_size * m / u, m, u


class Adamax(Optimizer):
    r"""Adam with an exponentially weighted maximum instead of the second moment.

    .. math::
        g &\leftarrow g + \lambda\phi \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        u \leftarrow \max(\beta_2 u, |g| + \varepsilon) \\
        \phi &\leftarrow \phi - \frac{\alpha}{1 - \beta_1^t} \frac{m}{u}

    When to use: gradients with rare large values, as of embeddings, where a bound on each
    coordinate's step helps.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it.
    betas : (float, float)
        β₁ and β₂, in [0, 1).
    eps : float
        ε, at least 0.
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
    >>> opt = fl.Adamax(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x.round(6)
    array([ 0.9, -1.9])

    References
    ----------
    Kingma & Ba (2015), Adam: a method for stochastic optimization, algorithm 2; ε is torch's.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            params,
            backend,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            maximize=maximize,
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return adamax

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        step_size = lr / (1 - beta1**t)
        return group["weight_decay"], beta1, 1 - beta1, beta2, step_size, group["eps"]
