"""Lion."""

from __future__ import annotations

from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, kernel, sign
from ..optimizer import Optimizer, State

__all__ = ["Lion", "lion"]


@kernel("exp_avg", coefficients="keep lr beta1 one_minus_beta1 beta2 one_minus_beta2")
def lion(p: Array, g: Array, m: Array, c: Array) -> tuple[Array, Array]:
    p = c.keep * p - c.lr * sign(c.beta1 * m + c.one_minus_beta1 * g)
    return p, c.beta2 * m + c.one_minus_beta2 * g


class Lion(Optimizer):
    r"""Lion: every coordinate moves by the learning rate, along the sign of a momentum.

    .. math::
        \phi &\leftarrow \phi - \alpha (\operatorname{sign}(\beta_1 m + (1 - \beta_1) g)
        + \lambda\phi) \\
        m &\leftarrow \beta_2 m + (1 - \beta_2) g

    When to use: large networks and large batches, where one state array instead of two matters.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it. The authors advise 3 to 10
        times less than for :class:`AdamW`, with as many times more weight decay.
    betas : (float, float)
        β₁ of the step and β₂ of the momentum, in [0, 1).
    weight_decay : float
        λ of the decoupled decay, at least 0.
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
    >>> opt = fl.Lion(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x
    array([ 0.9, -1.9])

    References
    ----------
    Chen, Liang, Huang, Real, Wang, Pham, Dong, Luong, Hsieh, Lu & Le (2023), Symbolic discovery of
    optimization algorithms, algorithm 2.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            params, backend, lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return lion

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        return 1 - lr * group["weight_decay"], lr, beta1, 1 - beta1, beta2, 1 - beta2
