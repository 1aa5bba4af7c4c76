"""Adan."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt as root
from typing import ClassVar

from .. import hyperparameters
from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, choose, kernel, sqrt
from ..optimizer import Optimizer, State

__all__ = ["Adan", "adan"]


@kernel(
    "exp_avg",
    "exp_avg_diff",
    "exp_avg_sq",
    "pre_grad",
    coefficients=(
        "first beta1 one_minus_beta1 beta2 one_minus_beta2 beta3 one_minus_beta3 "
        "step_size change_size root_scale eps shrink"
    ),
)
def adan(
    p: Array, g: Array, m: Array, d: Array, n: Array, previous: Array, c: Array
) -> tuple[Array, ...]:
    change = g - choose(c.first, g, previous)
    m = c.beta1 * m + c.one_minus_beta1 * g
    d = c.beta2 * d + c.one_minus_beta2 * change
    ahead = g + c.beta2 * change
    n = c.beta3 * n + c.one_minus_beta3 * ahead * ahead
    step = (c.step_size * m + c.change_size * d) / (sqrt(n) * c.root_scale + c.eps)
    return (p - step) * c.shrink, m, d, n, g


class Adan(Optimizer):
    r"""Adan: adaptive steps with Nesterov momentum, estimated from changes of the gradient.

    .. math::
        \delta &= g - g_\text{previous} \quad (0 \text{ at } t = 1), \qquad
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        d \leftarrow \beta_2 d + (1 - \beta_2) \delta \\
        n &\leftarrow \beta_3 n + (1 - \beta_3) (g + \beta_2 \delta)^2 \\
        \phi &\leftarrow \frac{1}{1 + \alpha\lambda} \left(\phi - \alpha
        \frac{m / (1 - \beta_1^t) + \beta_2 d / (1 - \beta_2^t)}
        {\sqrt{n / (1 - \beta_3^t)} + \varepsilon}\right)

    The β are those of the authors' code, 1 less those of the paper; the bias corrections are the
    authors' code's, too.

    When to use: large batches and few steps, if memory allows: it keeps four state arrays.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it.
    betas : (float, float, float)
        β₁, β₂ and β₃, in [0, 1).
    eps : float
        ε, at least 0.
    weight_decay : float
        λ of the proximal decay, at least 0.
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
    >>> opt = fl.Adan(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x.round(6)
    array([ 0.9, -1.9])

    References
    ----------
    Xie, Zhou, Li, Lin & Yan (2022), Adan: adaptive Nesterov momentum algorithm for faster
    optimizing deep models, algorithm 1.
    """

    checks: ClassVar[Mapping[str, hyperparameters.Check]] = {"betas": hyperparameters.three_decays}

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
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
        return adan

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta1, beta2, beta3 = group["betas"]
        means = beta1, 1 - beta1, beta2, 1 - beta2, beta3, 1 - beta3
        sizes = lr / (1 - beta1**t), lr * beta2 / (1 - beta2**t), 1 / root(1 - beta3**t)
        return float(t == 1), *means, *sizes, group["eps"], 1 / (1 + lr * group["weight_decay"])
