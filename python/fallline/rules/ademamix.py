"""AdEMAMix."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log
from math import sqrt as root
from typing import ClassVar

from .. import hyperparameters
from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, kernel, sqrt
from ..optimizer import Optimizer, State

__all__ = ["AdEMAMix", "ademamix"]


@kernel(
    "exp_avg_fast",
    "exp_avg_slow",
    "exp_avg_sq",
    coefficients=(
        "keep beta1 one_minus_beta1 beta2 one_minus_beta2 beta3 one_minus_beta3 "
        "fast_size slow_size root_scale eps"
    ),
)
def ademamix(p: Array, g: Array, fast: Array, slow: Array, v: Array, c: Array) -> tuple[Array, ...]:
    fast = c.beta1 * fast + c.one_minus_beta1 * g
    slow = c.beta3 * slow + c.one_minus_beta3 * g
    v = c.beta2 * v + c.one_minus_beta2 * g * g
    step = (c.fast_size * fast + c.slow_size * slow) / (sqrt(v) * c.root_scale + c.eps)
    return c.keep * p - step, fast, slow, v


class AdEMAMix(Optimizer):
    r"""AdEMAMix: AdamW with a second, much slower mean of the gradients mixed in.

    .. math::
        m_1 &\leftarrow \beta_1 m_1 + (1 - \beta_1) g, \qquad
        m_2 \leftarrow \beta_3(t) m_2 + (1 - \beta_3(t)) g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        \phi &\leftarrow \phi - \alpha \left(
        \frac{m_1 / (1 - \beta_1^t) + \alpha_\text{mix}(t) m_2}
        {\sqrt{v / (1 - \beta_2^t)} + \varepsilon} + \lambda\phi\right)

    With warm-ups, the slow mean's weight grows linearly and its β₃ from β₁, linearly in half-life,
    over the first T steps:

    .. math::
        \alpha_\text{mix}(t) = \min(t / T_\alpha, 1)\,\alpha_\text{mix}, \qquad
        \beta_3(t) = \min\left(\exp\frac{\ln\beta_1 \ln\beta_3}
        {(1 - t/T_\beta) \ln\beta_3 + (t/T_\beta) \ln\beta_1},\; \beta_3\right)

    When to use: long runs, of tens of thousands of steps and more, in which old gradients still
    tell something.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it.
    betas : (float, float, float)
        β₁ of the fast mean, β₂ of the squares and β₃ of the slow mean, in [0, 1).
    alpha : float
        Weight of the slow mean, at least 0.
    eps : float
        ε, at least 0.
    weight_decay : float
        λ of the decoupled decay, at least 0.
    alpha_warmup, beta3_warmup : int, optional
        Steps over which `alpha` and β₃ grow; by default both are there from the start. The authors
        take the length of the training.
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
    >>> opt = fl.AdEMAMix(x, lr=0.1, alpha_warmup=1000, beta3_warmup=1000)
    >>> opt.step(2 * x)
    >>> x.round(3)
    array([ 0.9, -1.9])

    References
    ----------
    Pagliardini, Ablin & Grangier (2024), The AdEMAMix optimizer: better, faster, older,
    algorithm 1, and the schedulers of section 3.
    """

    checks: ClassVar[Mapping[str, hyperparameters.Check]] = {
        "betas": hyperparameters.three_decays,
        "alpha": hyperparameters.nonnegative,
    }

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 5.0,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        alpha_warmup: int | None = None,
        beta3_warmup: int | None = None,
        maximize: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            params,
            backend,
            lr=lr,
            betas=betas,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            alpha_warmup=alpha_warmup,
            beta3_warmup=beta3_warmup,
            maximize=maximize,
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return ademamix

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta1, beta2, beta3 = group["betas"]
        beta3 = _half_life_between(beta1, beta3, _share(t, group["beta3_warmup"]))
        means = beta1, 1 - beta1, beta2, 1 - beta2, beta3, 1 - beta3
        slow_size = lr * group["alpha"] * _share(t, group["alpha_warmup"])
        sizes = lr / (1 - beta1**t), slow_size, 1 / root(1 - beta2**t)
        return 1 - lr * group["weight_decay"], *means, *sizes, group["eps"]


def _share(t: int, warmup: int | None) -> float:
    """How much of a warm-up is done at step t."""
    return 1.0 if warmup is None or t >= warmup else t / warmup


def _half_life_between(start: float, end: float, share: float) -> float:
    """The β whose half-life lies between those of two others."""
    if share == 1.0 or end == 0.0:
        return end
    half_life = share / log(end) + ((1 - share) / log(start) if start else 0.0)  # over ln ½
    return min(exp(1 / half_life), end)
