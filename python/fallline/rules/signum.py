"""Signum and signSGD."""

from __future__ import annotations

from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, kernel, sign
from ..optimizer import Optimizer, State

__all__ = ["Signum", "signsgd", "signum"]


@kernel(coefficients="keep lr")
def signsgd(p: Array, g: Array, c: Array) -> tuple[Array]:
    return (c.keep * p - c.lr * sign(g),)


@kernel("momentum_buffer", coefficients="keep lr beta one_minus_beta")
def signum(p: Array, g: Array, m: Array, c: Array) -> tuple[Array, Array]:
    m = c.beta * m + c.one_minus_beta * g
    return c.keep * p - c.lr * sign(m), m


class Signum(Optimizer):
    r"""Signum: every coordinate moves by the learning rate, along the sign of the mean gradient.

    .. math::
        m &\leftarrow \beta m + (1 - \beta) g \\
        \phi &\leftarrow \phi - \alpha (\operatorname{sign}(m) + \lambda\phi)

    With ``beta=0`` this is signSGD, which keeps no state.

    When to use: where signs are all that is sent between workers, or gradients have heavy tails;
    one state array, or none.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it.
    beta : float
        β, in [0, 1).
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
    >>> opt = fl.Signum(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x
    array([ 0.9, -1.9])

    References
    ----------
    Bernstein, Wang, Azizzadenesheli & Anandkumar (2018), signSGD: compressed optimisation for
    non-convex problems, algorithms 1 (signSGD) and 2 (Signum).
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-4,
        beta: float = 0.9,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            params, backend, lr=lr, beta=beta, weight_decay=weight_decay, maximize=maximize
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return signum if group["beta"] != 0 else signsgd

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        step = 1 - lr * group["weight_decay"], lr
        beta = group["beta"]
        return (*step, beta, 1 - beta) if beta != 0 else step
