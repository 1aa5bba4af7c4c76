"""Adagrad."""

from __future__ import annotations

from math import sqrt as root

from .._types import Array as NDArray
from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, kernel, l2, sqrt
from ..optimizer import Optimizer, State

__all__ = ["Adagrad", "adagrad"]


@kernel("sum", coefficients="weight_decay step_size root_scale eps")
def adagrad(p: Array, g: Array, s: Array, c: Array) -> tuple[Array, Array]:
    g = l2(g, p, c.weight_decay)
    s = s + g * g
    return p - c.step_size * g / (sqrt(s) * c.root_scale + c.eps), s


class Adagrad(Optimizer):
    r"""Steps over the root of all squared gradients so far: their sum, or their mean.

    .. math::
        g &\leftarrow g + \lambda\phi, \qquad
        s \leftarrow s + g^2 \\
        \phi &\leftarrow \phi - \frac{\alpha}{1 + (t - 1) \delta}
        \frac{g}{\sqrt{s / n} + \varepsilon}, \qquad
        n = 1 \text{ (sum)} \quad \text{or} \quad n = t \text{ (mean)}

    When to use: sparse features, such as words or categories: a coordinate that is rarely seen
    keeps large steps. With the sum, steps shrink without end.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it.
    lr_decay : float
        δ, at least 0.
    weight_decay : float
        λ of the L2 penalty, at least 0.
    initial_accumulator_value : float
        What s starts at, at least 0.
    eps : float
        ε, at least 0.
    accumulate : {"sum", "mean"}
        Divide by the root of the sum of the squares, so that steps shrink as 1/√t (torch's), or of
        their mean over all steps.
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
    >>> opt = fl.Adagrad(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x.round(6)
    array([ 0.9, -1.9])

    References
    ----------
    Duchi, Hazan & Singer (2011), Adaptive subgradient methods for online learning and stochastic
    optimization, figure 1 (diagonal matrices).
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        accumulate: str = "sum",
        maximize: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            params,
            backend,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            accumulate=accumulate,
            maximize=maximize,
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return adagrad

    @classmethod
    def initial_slot(cls, slot: str, group: Group, param: NDArray) -> float:
        return float(group["initial_accumulator_value"])

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        step_size = lr / (1 + (t - 1) * group["lr_decay"])
        root_scale = 1 / root(t) if group["accumulate"] == "mean" else 1.0
        return group["weight_decay"], step_size, root_scale, group["eps"]
