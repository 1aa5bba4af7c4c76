"""NAdam."""

from __future__ import annotations

from math import sqrt as root

from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, kernel, l2, sqrt
from ..optimizer import Optimizer, State

__all__ = ["NAdam", "nadam"]


@kernel(
    "exp_avg",
    "exp_avg_sq",
    coefficients=(
        "keep weight_decay beta1 one_minus_beta1 beta2 one_minus_beta2 "
        "grad_size mean_size root_scale eps"
    ),
)
def nadam(p: Array, g: Array, m: Array, v: Array, c: Array) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    m = c.beta1 * m + c.one_minus_beta1 * g
    v = c.beta2 * v + c.one_minus_beta2 * g * g
    step = (c.grad_size * g + c.mean_size * m) / (sqrt(v) * c.root_scale + c.eps)
    return c.keep * p - step, m, v


class NAdam(Optimizer):
    r"""Adam with Nesterov's momentum, on a schedule of its own.

    .. math::
        g &\leftarrow g + \lambda\phi \quad (\text{decoupled: }
        \phi \leftarrow \phi - \alpha\lambda\phi) \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        \phi &\leftarrow \phi - \alpha
        \frac{\frac{1 - \mu_t}{1 - \prod_{i \le t} \mu_i} g
        + \frac{\mu_{t + 1}}{1 - \prod_{i \le t + 1} \mu_i} m}
        {\sqrt{v / (1 - \beta_2^t)} + \varepsilon}, \qquad
        \mu_t = \beta_1 \left(1 - \tfrac{1}{2} 0.96^{t \psi}\right)

    The product of the μ so far is the scalar ``mu_product`` of the state, kept in float64.

    When to use: as :class:`Adam`, where momentum helps and warms up by itself.

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
    momentum_decay : float
        ψ, at least 0.
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
    >>> opt = fl.NAdam(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x.round(4)
    array([ 0.8944, -1.8944])

    References
    ----------
    Dozat (2016), Incorporating Nesterov momentum into Adam, algorithm 2.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
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
            momentum_decay=momentum_decay,
            decoupled=decoupled,
            maximize=maximize,
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return nadam

    @classmethod
    def initial_scalars(cls, group: Group) -> State:
        return {"mu_product": 1.0}

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        decay, psi = group["weight_decay"], group["momentum_decay"]
        keep, l2_decay = (1 - lr * decay, 0.0) if group["decoupled"] else (1.0, decay)
        mu = beta1 * (1 - 0.5 * 0.96 ** (t * psi))
        mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * psi))
        state["mu_product"] *= mu
        grad_size = lr * (1 - mu) / (1 - state["mu_product"])
        mean_size = lr * mu_next / (1 - state["mu_product"] * mu_next)
        means = beta1, 1 - beta1, beta2, 1 - beta2
        root_scale = 1 / root(1 - beta2**t)
        return keep, l2_decay, *means, grad_size, mean_size, root_scale, group["eps"]
