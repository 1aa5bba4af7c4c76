"""SWATS: from Adam to SGD."""

from __future__ import annotations

import math

from .._types import Group, LearningRate, Params
from ..kernel import Array, Kernel, choose, kernel, l2, sqrt
from ..optimizer import Optimizer, State

__all__ = ["SWATS", "swats"]


@kernel(
    "exp_avg",
    "exp_avg_sq",
    coefficients="adam weight_decay beta1 gain beta2 one_minus_beta2 step_size eps",
    sums=2,
)
def swats(p: Array, g: Array, m: Array, v: Array, c: Array) -> tuple[Array, ...]:
    g = l2(g, p, c.weight_decay)
    m = c.beta1 * m + c.gain * g
    v = choose(c.adam, c.beta2 * v + c.one_minus_beta2 * g * g, v)
    sgd = c.step_size * m
    step = choose(c.adam, sgd / (sqrt(v) + c.eps), sgd)
    return p - step, m, v, step * step, step * g


class SWATS(Optimizer):
    r"""Adam, then SGD at a learning rate that Adam's own steps suggest.

    In the first phase, Adam in its form with ε beside the uncorrected root:

    .. math::
        g &\leftarrow g + \lambda\phi \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        p &= -\alpha \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}
        \frac{m}{\sqrt{v} + \varepsilon}, \qquad \phi \leftarrow \phi + p

    while the rate :math:`\gamma` at which SGD's step, projected on p, would be p itself, and its
    running mean :math:`\ell`, are followed (where :math:`p^\top g \ne 0`):

    .. math::
        \gamma = -\frac{p^\top p}{p^\top g}, \qquad
        \ell \leftarrow \beta_2 \ell + (1 - \beta_2) \gamma, \qquad
        \Lambda = \ell / (1 - \beta_2^t)

    Once :math:`|\Lambda - \gamma| < \varepsilon` at some t > 1, all further steps are those of
    SGD at this Λ, with a velocity u that starts at 0:

    .. math::
        u \leftarrow \beta_1 u + g, \qquad \phi \leftarrow \phi - (1 - \beta_1) \Lambda u

    Each parameter group counts as one vector and switches by itself. Where only some gradients of
    a group are given at a step (the others None), the group falls apart into those that were and
    those that were not; from then on each part counts as a vector of its own.

    Beyond the paper: a group does not switch to a rate that is not positive (Adam's steps went
    uphill), and Λ follows a learning-rate schedule after the switch: it is multiplied by the
    learning rate and divided by that of the last step before the switch.

    The state dict holds ``exp_avg`` (m, then u), ``exp_avg_sq`` (v) and the scalars ``phase``
    ("adam" or "sgd"), ``projected_lr`` (ℓ), ``sgd_lr`` (Λ), ``adam_lr`` (α of the last Adam step)
    and ``sums`` (:math:`p^\top p` and :math:`-p^\top g` of the last step, which the next step
    takes up).

    When to use: to begin as fast as :class:`Adam` and end as :class:`SGD`, without a decision on
    when to switch.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α of Adam, or a schedule from the 0-based step to it.
    betas : (float, float)
        β₁, which is the momentum of SGD too, and β₂, in [0, 1).
    eps : float
        ε of Adam, at least 0.
    weight_decay : float
        λ of the L2 penalty, at least 0.
    tolerance : float, optional
        How close Λ and γ must come; by default ε, as in the paper.
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
    >>> opt = fl.SWATS(x, lr=0.1, tolerance=0.1)
    >>> for _ in range(3):
    ...     opt.step(2 * x)
    >>> opt.state[0]["phase"], round(opt.state[0]["sgd_lr"], 3)
    ('sgd', 0.034)

    References
    ----------
    Keskar & Socher (2017), Improving generalization performance by switching from Adam to SGD,
    algorithm 1.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-9,
        weight_decay: float = 0.0,
        *,
        tolerance: float | None = None,
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
            tolerance=tolerance,
            maximize=maximize,
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return swats

    @classmethod
    def initial_scalars(cls, group: Group) -> State:
        return {"phase": "adam", "projected_lr": 0.0, "sgd_lr": 0.0, "adam_lr": 0.0}

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        switches = state["phase"] == "adam" and _settles(group, t - 1, state)
        if switches:
            state["phase"] = "sgd"
        if state["phase"] == "sgd":
            rate = state["sgd_lr"] * (lr / state["adam_lr"])
            velocity = 0.0 if switches else beta1
            return 0.0, group["weight_decay"], velocity, 1.0, 0.0, 0.0, (1 - beta1) * rate, 0.0
        state["adam_lr"] = lr
        step_size = lr * math.sqrt(1 - beta2**t) / (1 - beta1**t)
        means = beta1, 1 - beta1, beta2, 1 - beta2
        return 1.0, group["weight_decay"], *means, step_size, group["eps"]


def _settles(group: Group, k: int, state: State) -> bool:
    """Take up the sums of step k; whether the projected rate has come to rest in it."""
    step_step, step_grad = state.get("sums", (0.0, 0.0))
    if step_grad == 0:
        return False
    rate = step_step / step_grad
    if not math.isfinite(rate):  # as for p·g = 0: this step says nothing
        return False
    beta2 = group["betas"][1]
    state["projected_lr"] = beta2 * state["projected_lr"] + (1 - beta2) * rate
    mean = state["projected_lr"] / (1 - beta2**k)
    tolerance = group["eps"] if group["tolerance"] is None else group["tolerance"]
    if k > 1 and mean > 0 and abs(mean - rate) < tolerance:
        state["sgd_lr"] = mean
        return True
    return False
