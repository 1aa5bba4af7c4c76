"""AdaBelief."""

from __future__ import annotations

from math import sqrt as root

from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, kernel, l2, maximum, sqrt
from ..optimizer import Optimizer, State
from .adam import COEFFICIENTS

__all__ = ["AdaBelief", "adabelief", "adabelief_amsgrad"]


@kernel("exp_avg", "exp_avg_var", coefficients=COEFFICIENTS)
def adabelief(p: Array, g: Array, m: Array, s: Array, c: Array) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    m = c.beta1 * m + c.one_minus_beta1 * g
    surprise = g - m
    s = c.beta2 * s + c.one_minus_beta2 * surprise * surprise + c.eps
    return c.keep * p - c.step_size * m / (sqrt(s) * c.root_scale + c.eps), m, s


@kernel("exp_avg", "exp_avg_var", "max_exp_avg_var", coefficients=COEFFICIENTS + " correction")
def adabelief_amsgrad(
    p: Array, g: Array, m: Array, s: Array, s_max: Array, c: Array
) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    m = c.beta1 * m + c.one_minus_beta1 * g
    surprise = g - m
    s = c.beta2 * s + c.one_minus_beta2 * surprise * surprise + c.eps
    s_max = maximum(s_max, s * c.correction)
    return c.keep * p - c.step_size * m / (sqrt(s_max) * c.root_scale + c.eps), m, s, s_max


class AdaBelief(Optimizer):
    r"""AdaBelief: Adam, divided by how far gradients lie from their running mean.

    .. math::
        \phi &\leftarrow (1 - \alpha\lambda) \phi
        \quad\text{or, not decoupled,}\quad g \leftarrow g + \lambda\phi \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        s \leftarrow \beta_2 s + (1 - \beta_2) (g - m)^2 + \varepsilon \\
        \phi &\leftarrow \phi - \alpha
        \frac{m / (1 - \beta_1^t)}{\sqrt{s / (1 - \beta_2^t)} + \varepsilon}

    As published, without the rectification that later releases of the authors' package add.

    When to use: as :class:`Adam`, with longer steps where the gradient is steady and shorter ones
    where it turns.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it.
    betas : (float, float)
        β₁ and β₂, in [0, 1).
    eps : float
        ε, at least 0; it is added to s at every step, and once more outside the root.
    weight_decay : float
        λ, at least 0.
    decoupled : bool
        Decay the parameters themselves, as the authors' code does; otherwise an L2 penalty.
    amsgrad : {False, "uncorrected", "corrected"} or True
        Divide by the root of the greatest s so far: of s itself, bias-corrected afterwards, as the
        authors' code does (``True`` means this), or of the bias-corrected s.
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
    >>> opt = fl.AdaBelief(x, lr=0.09)
    >>> opt.step(2 * x)
    >>> x.round(6)
    array([ 0.9, -1.9])

    References
    ----------
    Zhuang, Tang, Ding, Tatikonda, Dvornek, Papademetris & Duncan (2020), AdaBelief optimizer:
    adapting stepsizes by the belief in observed gradients, algorithm 2.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = True,
        amsgrad: bool | str = False,
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
            amsgrad=amsgrad,
            maximize=maximize,
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return adabelief_amsgrad if group["amsgrad"] else adabelief

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        decay, eps = group["weight_decay"], group["eps"]
        correction2 = 1 - beta2**t
        keep, l2_decay = (1 - lr * decay, 0.0) if group["decoupled"] else (1.0, decay)
        moments = keep, l2_decay, beta1, 1 - beta1, beta2, 1 - beta2, lr / (1 - beta1**t)
        if not group["amsgrad"]:
            return *moments, 1 / root(correction2), eps
        if group["amsgrad"] == "corrected":
            return *moments, 1.0, eps, 1 / correction2
        return *moments, 1 / root(correction2), eps, 1.0
