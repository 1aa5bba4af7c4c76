"""Adam, AdamW and AMSGrad."""

from __future__ import annotations

from math import sqrt as root

from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, kernel, l2, maximum, sqrt
from ..optimizer import Optimizer, State

__all__ = ["Adam", "AdamW", "adam", "adam_amsgrad"]


COEFFICIENTS = (
    "keep weight_decay beta1 one_minus_beta1 beta2 one_minus_beta2 step_size root_scale eps"
)


@kernel("exp_avg", "exp_avg_sq", coefficients=COEFFICIENTS)
def adam(p: Array, g: Array, m: Array, v: Array, c: Array) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    m = c.beta1 * m + c.one_minus_beta1 * g
    v = c.beta2 * v + c.one_minus_beta2 * g * g
    return c.keep * p - c.step_size * m / (sqrt(v) * c.root_scale + c.eps), m, v


@kernel("exp_avg", "exp_avg_sq", "max_exp_avg_sq", coefficients=COEFFICIENTS + " correction")
def adam_amsgrad(
    p: Array, g: Array, m: Array, v: Array, v_max: Array, c: Array
) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    m = c.beta1 * m + c.one_minus_beta1 * g
    v = c.beta2 * v + c.one_minus_beta2 * g * g
    v_max = maximum(v_max, v * c.correction)
    return c.keep * p - c.step_size * m / (sqrt(v_max) * c.root_scale + c.eps), m, v, v_max


class Adam(Optimizer):
    r"""Adam: steps scaled by running means of the gradient and its square.

    .. math::
        g &\leftarrow g + \lambda\phi \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        \phi &\leftarrow \phi - \alpha
        \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \varepsilon}

    When to use: the first try where gradients are noisy or differ in scale from coordinate to
    coordinate, and no weight decay is wanted.

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
        λ of the L2 penalty (:class:`AdamW`: of the decoupled decay), at least 0.
    amsgrad : {False, "uncorrected", "corrected"} or True
        Divide by the root of the greatest second moment so far: of v, bias-corrected afterwards,
        as torch does (``True`` means this), or of the bias-corrected v̂.
    eps_hat : bool
        Add ε to the uncorrected root √v, the form at the end of the paper's section 2.
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
    >>> opt = fl.Adam(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x.round(6)
    array([ 0.9, -1.9])

    References
    ----------
    Kingma & Ba (2015), Adam: a method for stochastic optimization, algorithm 1. Reddi, Kale &
    Kumar (2018), On the convergence of Adam and beyond, algorithm 2 (amsgrad).
    """

    decoupled = False

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        amsgrad: bool | str = False,
        eps_hat: bool = False,
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
            amsgrad=amsgrad,
            eps_hat=eps_hat,
            maximize=maximize,
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return adam_amsgrad if group["amsgrad"] else adam

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        decay, eps = group["weight_decay"], group["eps"]
        correction2 = 1.0 - beta2**t  # 1.0: with 1 the interpreter converts, a tenth of all this
        if group["eps_hat"]:
            eps /= root(correction2)  # α√c₂·m/(√v + ε) = α·m/(√(v/c₂) + ε/√c₂)
        keep = 1.0
        if cls.decoupled:
            keep, decay = 1.0 - lr * decay, 0.0
        step_size = lr / (1.0 - beta1**t)
        scale = 1.0 / root(correction2)
        correction = 1.0
        amsgrad = group["amsgrad"]
        if amsgrad == "corrected":
            scale, correction = 1.0, 1.0 / correction2
        numbers = keep, decay, beta1, 1.0 - beta1, beta2, 1.0 - beta2, step_size, scale, eps
        return (*numbers, correction) if amsgrad else numbers


class AdamW(Adam):
    r"""Adam with decoupled weight decay.

    .. math::
        \phi &\leftarrow (1 - \alpha\lambda) \phi \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        \phi &\leftarrow \phi - \alpha
        \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \varepsilon}

    Parameters, errors and options are those of :class:`Adam`; ``weight_decay`` is λ, 0.01 by
    default.

    When to use: the first try for most networks, transformers above all; weight decay acts on all
    coordinates alike, whatever their gradients.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> x = {"w": np.ones((2, 3), np.float32), "b": np.zeros(2, np.float32)}
    >>> opt = fl.AdamW(x, lr=0.1)
    >>> opt.step({"w": np.ones((2, 3), np.float32), "b": np.ones(2, np.float32)})
    >>> x["b"]
    array([-0.1, -0.1], dtype=float32)

    References
    ----------
    Loshchilov & Hutter (2019), Decoupled weight decay regularization, algorithm 2.
    """

    decoupled = True

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        amsgrad: bool | str = False,
        eps_hat: bool = False,
        maximize: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad=amsgrad,
            eps_hat=eps_hat,
            maximize=maximize,
            backend=backend,
        )
