"""Yogi."""

from __future__ import annotations

from math import sqrt as root

from .._types import Array as NDArray
from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, kernel, l2, sign, sqrt
from ..optimizer import Optimizer, State

__all__ = ["Yogi", "yogi"]


@kernel(
    "exp_avg",
    "exp_avg_sq",
    coefficients=("weight_decay beta1 one_minus_beta1 one_minus_beta2 step_size root_scale eps"),
)
def yogi(p: Array, g: Array, m: Array, v: Array, c: Array) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    m = c.beta1 * m + c.one_minus_beta1 * g
    square = g * g
    v = v - c.one_minus_beta2 * sign(v - square) * square
    return p - c.step_size * m / (sqrt(v) * c.root_scale + c.eps), m, v


class Yogi(Optimizer):
    r"""Yogi: Adam whose second moment moves by at most the square of the gradient.

    .. math::
        g &\leftarrow g + \lambda\phi \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        v \leftarrow v - (1 - \beta_2) \operatorname{sign}(v - g^2) g^2 \\
        \phi &\leftarrow \phi - \alpha
        \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \varepsilon}

    Both m and v start at `initial_accumulator` and are bias-corrected, as in the implementations
    that the authors and optax published; the paper leaves the correction out.

    When to use: where :class:`Adam` forgets rare large gradients too soon and its steps grow.

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
    initial_accumulator : float
        What m and v start at, at least 0.
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
    >>> opt = fl.Yogi(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x.round(3)
    array([ 0.9, -1.9])

    References
    ----------
    Zaheer, Reddi, Sachan, Kale & Kumar (2018), Adaptive methods for nonconvex optimization,
    algorithm 2.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-3,
        weight_decay: float = 0.0,
        initial_accumulator: float = 1e-6,
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
            initial_accumulator=initial_accumulator,
            maximize=maximize,
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return yogi

    @classmethod
    def initial_slot(cls, slot: str, group: Group, param: NDArray) -> float:
        return float(group["initial_accumulator"])

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        moments = beta1, 1 - beta1, 1 - beta2, lr / (1 - beta1**t)
        return group["weight_decay"], *moments, 1 / root(1 - beta2**t), group["eps"]
