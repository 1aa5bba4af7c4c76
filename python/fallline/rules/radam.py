"""RAdam."""

from __future__ import annotations

from math import sqrt as root

from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, choose, kernel, l2, sqrt
from ..optimizer import Optimizer, State

__all__ = ["RAdam", "radam"]


@kernel(
    "exp_avg",
    "exp_avg_sq",
    coefficients=(
        "keep weight_decay beta1 one_minus_beta1 beta2 one_minus_beta2 rectified step_size eps"
    ),
)
def radam(p: Array, g: Array, m: Array, v: Array, c: Array) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    m = c.beta1 * m + c.one_minus_beta1 * g
    v = c.beta2 * v + c.one_minus_beta2 * g * g
    step = c.step_size * m
    return c.keep * p - choose(c.rectified, step / (sqrt(v) + c.eps), step), m, v


class RAdam(Optimizer):
    r"""Adam, rectified for what its second moment cannot know in the first steps.

    .. math::
        g &\leftarrow g + \lambda\phi \quad (\text{decoupled: }
        \phi \leftarrow \phi - \alpha\lambda\phi) \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        \rho_\infty &= \frac{2}{1 - \beta_2} - 1, \qquad
        \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t} \\
        \phi &\leftarrow \phi - \frac{\alpha}{1 - \beta_1^t} m
        \begin{cases}
        \sqrt{\frac{(\rho_t - 4)(\rho_t - 2)\rho_\infty}
        {(\rho_\infty - 4)(\rho_\infty - 2)\rho_t}}
        \frac{\sqrt{1 - \beta_2^t}}{\sqrt{v} + \varepsilon} & \rho_t > 5 \\
        1 & \text{else}
        \end{cases}

    The paper rectifies from :math:`\rho_t > 4`; 5 is the authors' code's, and torch's.

    When to use: as :class:`Adam`, in place of a warm-up of the learning rate.

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
        λ, at least 0.
    decoupled : bool
        Decoupled weight decay instead of the L2 penalty (torch's ``decoupled_weight_decay``).
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
    >>> opt = fl.RAdam(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x
    array([ 0.8, -1.6])

    References
    ----------
    Liu, Jiang, He, Chen, Liu, Gao & Han (2020), On the variance of the adaptive learning rate and
    beyond, algorithm 2.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
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
            decoupled=decoupled,
            maximize=maximize,
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return radam

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        decay = group["weight_decay"]
        keep, l2_decay = (1 - lr * decay, 0.0) if group["decoupled"] else (1.0, decay)
        rectification = _rectification(beta2, t)
        step_size = lr * (rectification or 1.0) / (1 - beta1**t)
        means = beta1, 1 - beta1, beta2, 1 - beta2
        return keep, l2_decay, *means, float(rectification > 0), step_size, group["eps"]


def _rectification(beta2: float, t: int) -> float:
    """What the step over √v is multiplied by, bias correction included; 0 while v says too little.

    At beta2 <= 2/3, where the long-run length is at most 5, that is for ever.
    """
    longest = 2 / (1 - beta2) - 1
    correction = 1 - beta2**t
    length = longest - 2 * t * beta2**t / correction
    if length <= 5:
        return 0.0
    variance = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return root(variance * correction)
