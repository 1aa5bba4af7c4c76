"""Rprop."""

from __future__ import annotations

from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, choose, kernel, maximum, minimum, sign, where
from ..optimizer import Optimizer, State

__all__ = ["Rprop", "rprop"]


@kernel("prev", "step_size", coefficients="first lr shrink grow one zero smallest largest")
def rprop(p: Array, g: Array, previous: Array, size: Array, c: Array) -> tuple[Array, ...]:
    agreement = sign(g) * sign(previous)
    turned = agreement < c.zero
    factor = where(agreement > c.zero, c.grow, where(turned, c.shrink, c.one))
    size = minimum(maximum(choose(c.first, c.lr, size) * factor, c.smallest), c.largest)
    g = where(turned, c.zero, g)
    return p - sign(g) * size, g, size


class Rprop(Optimizer):
    r"""A step size for every coordinate, from the signs of its gradients alone.

    .. math::
        \Delta &\leftarrow \min(\max(\eta \Delta, \Delta_{\min}), \Delta_{\max}), \qquad
        \eta = \begin{cases}
        \eta^+ & g \, g_\text{previous} > 0 \\
        \eta^- & g \, g_\text{previous} < 0 \\
        1 & \text{else}
        \end{cases} \\
        g &\leftarrow 0 \text{ where } \eta = \eta^-, \qquad
        \phi \leftarrow \phi - \operatorname{sign}(g) \Delta

    It has no weight decay, as in torch.

    When to use: gradients over all samples, of unknown or very different scales. Not minibatches:
    their noise turns signs.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        The Δ to start with, or a schedule whose value at a parameter's first step is it; later
        values are not used.
    etas : (float, float)
        Factors η⁻, in (0, 1), and η⁺, above 1.
    step_sizes : (float, float)
        Bounds of Δ, not negative.
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
    >>> opt = fl.Rprop(x, lr=0.1)
    >>> for _ in range(2):
    ...     opt.step(2 * x)
    >>> x
    array([ 0.78, -1.78])

    References
    ----------
    Riedmiller & Braun (1993), A direct adaptive method for faster backpropagation learning: the
    RPROP algorithm; Igel & Hüsken (2000), Improving the Rprop learning algorithm, algorithm
    iRprop⁻, which this is.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            params, backend, lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize
        )

    @classmethod
    def check_group(cls, group: Group) -> None:
        smallest, largest = group["step_sizes"]
        if smallest > largest:
            raise ValueError(f"step_sizes must ascend, not be {group['step_sizes']!r}")

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return rprop

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        return float(t == 1), lr, *group["etas"], 1.0, 0.0, *group["step_sizes"]
