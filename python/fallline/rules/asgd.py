"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .. import hyperparameters
from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, choose, kernel, l2
from ..optimizer import Optimizer, State

__all__ = ["ASGD", "asgd"]


@kernel("ax", coefficients="keep eta weight_decay follow mu")
def asgd(p: Array, g: Array, ax: Array, c: Array) -> tuple[Array, Array]:
    g = l2(g, p, c.weight_decay)
    p = c.keep * p - c.eta * g
    return p, choose(c.follow, p, ax + c.mu * (p - ax))


class ASGD(Optimizer):
    r"""Gradient descent at a falling rate, with an average of the iterates on the side.

    .. math::
        g &\leftarrow g + \lambda_2 \phi, \qquad
        \phi \leftarrow (1 - \lambda\eta) \phi - \eta g, \qquad
        a \leftarrow a + \mu (\phi - a) \\
        \eta &\leftarrow \frac{\alpha}{(1 + \lambda\alpha t)^\kappa}, \qquad
        \mu \leftarrow \frac{1}{\max(1, t - t_0)}

    with η = α and μ = 1 in the first step. The average a is the state array ``ax``; the scalars
    ``eta`` and ``mu`` of the state are those of the coming step, in float64.

    When to use: convex losses and long runs at a small rate, where the average of the iterates is
    the answer wanted. Set ``t0`` to where the averaging begins.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it. As in torch, the η of a step
        after the first comes from the α of the step before.
    lambd : float
        λ of the decay and of the rate's fall, at least 0.
    alpha : float
        Power κ of the rate's fall, at least 0.
    t0 : float
        From step t₀ + 2 on, a is the mean of the iterates since; until then it is φ.
    weight_decay : float
        λ₂ of the L2 penalty, at least 0.
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
    >>> opt = fl.ASGD(x, lr=0.1, t0=0, lambd=0.0)
    >>> for _ in range(3):
    ...     opt.step(2 * x)
    >>> x, opt.state[0]["ax"]
    (array([ 0.512, -1.024]), array([ 0.576, -1.152]))

    References
    ----------
    Polyak & Juditsky (1992), Acceleration of stochastic approximation by averaging; the rates are
    those of Bottou (2012), Stochastic gradient descent tricks, section 5.
    """

    checks: ClassVar[Mapping[str, hyperparameters.Check]] = {"alpha": hyperparameters.nonnegative}

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            params,
            backend,
            lr=lr,
            lambd=lambd,
            alpha=alpha,
            t0=t0,
            weight_decay=weight_decay,
            maximize=maximize,
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return asgd

    @classmethod
    def initial_scalars(cls, group: Group) -> State:
        return {"eta": 0.0, "mu": 1.0}  # the first step's eta is the learning rate it finds

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        lambd = group["lambd"]
        eta, mu = lr if t == 1 else state["eta"], state["mu"]
        state["eta"] = lr / (1 + lambd * lr * t) ** group["alpha"]
        state["mu"] = 1 / max(1, t - group["t0"])
        return 1 - lambd * eta, eta, group["weight_decay"], float(mu == 1), mu
