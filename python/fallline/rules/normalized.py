"""The gradient over its own magnitude."""

from __future__ import annotations

from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, absolute, kernel, l2
from ..optimizer import Optimizer, State

__all__ = ["NormalizedGradient", "normalized_gradient"]


@kernel(coefficients="lr weight_decay eps")
def normalized_gradient(p: Array, g: Array, c: Array) -> tuple[Array]:
    g = l2(g, p, c.weight_decay)
    return (p - c.lr * (g / (absolute(g) + c.eps)),)


class NormalizedGradient(Optimizer):
    r"""Every coordinate moves by the learning rate, along its gradient's sign.

    .. math::
        g &\leftarrow g + \lambda\phi \\
        \phi &\leftarrow \phi - \alpha \frac{g}{\sqrt{g^2} + \varepsilon}

    The root is formed as ``|g|``, which is the same and can neither over- nor underflow. Gradients
    much smaller than ε move their coordinate less; with ε = 0, a gradient of 0 gives NaN.

    When to use: losses whose gradients differ by orders of magnitude from place to place. Steps do
    not shrink towards a minimum, so the learning rate has to.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it.
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
    >>> opt = fl.NormalizedGradient(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x.round(6)
    array([ 0.9, -1.9])

    References
    ----------
    Prince (2023), Understanding deep learning, equations 6.13-6.14.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            params, backend, lr=lr, eps=eps, weight_decay=weight_decay, maximize=maximize
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return normalized_gradient

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        return lr, group["weight_decay"], group["eps"]
