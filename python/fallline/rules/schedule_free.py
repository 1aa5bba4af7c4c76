"""Schedule-free AdamW and SGD."""

from __future__ import annotations

from math import sqrt as root

from .._types import Array as NDArray
from .._types import Group, LearningRate, Params
from ..arrays import check_parameter
from ..kernel import Array, Kernel, choose, kernel, l2, sqrt
from ..optimizer import Optimizer, State
from ..storage import Storage, Unpack
from ..threads import get_num_threads
from .elementwise import interpolate

__all__ = ["ScheduleFreeAdamW", "ScheduleFreeSGD", "schedule_free_adamw", "schedule_free_sgd"]


@kernel(
    "z",
    "exp_avg_sq",
    coefficients=("first average change lr weight_decay beta2 one_minus_beta2 root_scale eps"),
)
def schedule_free_adamw(p: Array, g: Array, z: Array, v: Array, c: Array) -> tuple[Array, ...]:
    z = choose(c.first, p, z)
    v = c.beta2 * v + c.one_minus_beta2 * g * g
    direction = l2(g / (sqrt(v) * c.root_scale + c.eps), p, c.weight_decay)
    p = p + c.average * (z - p) + c.change * direction
    return p, z - c.lr * direction, v


@kernel("z", coefficients="first average change lr weight_decay")
def schedule_free_sgd(p: Array, g: Array, z: Array, c: Array) -> tuple[Array, Array]:
    z = choose(c.first, p, z)
    g = l2(g, p, c.weight_decay)
    p = p + c.average * (z - p) + c.change * g
    return p, z - c.lr * g


class _ScheduleFree(Optimizer):
    """What the two share: the averaging, and the switch between training and evaluation."""

    @classmethod
    def interpolation(cls, group: Group) -> float:
        """β: how far y lies from z towards x."""
        return float(group["betas"][0])

    @classmethod
    def initial_scalars(cls, group: Group) -> State:
        return {"train_mode": True, "weight_sum": 0.0, "lr_max": 0.0}

    @property
    def training(self) -> bool:
        """Whether the parameters hold y, so that steps may be taken."""
        return all(state["train_mode"] for _, state in self._progress[0][1])

    def train(self) -> None:
        """Put the parameters at y, where gradients are taken; nothing happens if they are there.

        Raises
        ------
        RuntimeError
            Another thread is inside a step of this optimizer.
        ValueError
            A parameter has become read-only; nothing has been written.
        """
        self._switch(training=True)

    def eval(self) -> None:
        """Put the parameters at x, the averaged iterate; nothing happens if they are there.

        Raises
        ------
        RuntimeError
            Another thread is inside a step of this optimizer.
        ValueError
            A parameter has become read-only; nothing has been written.
        """
        self._switch(training=False)

    def _switch(self, *, training: bool) -> None:
        own = self._parameters
        with self._exclusive():
            for name, param in zip(own.names, own.arrays, strict=True):
                check_parameter(name, param)
            steps, states, _ = self._settled()
            work: list[tuple[Kernel, float, tuple[float, ...]] | None] = []
            towards: list[NDArray | None] = [None] * len(own)
            for cohort, (t, state) in zip(self._cohorts, states, strict=True):
                moves = t > 0 and state["train_mode"] is not training  # until a step y = x
                beta = self.interpolation(cohort.group)
                weight = 1 - beta if training else 1 - 1 / beta
                work.append((interpolate, 1.0, (weight,)) if moves else None)
                for i in cohort.tensors:
                    towards[i] = own.slots[i]["z"] if moves else None
            own.follow(own.following)
            binding = self._bind([()] * len(own), own.masters)
            binding.bind(towards)
            cohorts = tuple((t, {**state, "train_mode": training}) for t, state in states)
            binding.update(
                tuple(work),
                False,
                get_num_threads(),
                self._progress,
                (steps, cohorts, None),  # with the arrays, so that no interrupt tears them
                None,
            )

    def _ready(self) -> None:
        if not self.training:
            raise RuntimeError(
                f"this {type(self).__name__} is in evaluation mode; call train() before a step"
            )
        super()._ready()

    @classmethod
    def _averaging(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        """Coefficients first, average, change, lr and weight_decay."""
        if t < group["warmup_steps"]:
            lr *= t / group["warmup_steps"]
        state["lr_max"] = max(lr, state["lr_max"])
        weight = t ** group["r"] * state["lr_max"] ** group["weight_lr_power"]
        state["weight_sum"] += weight
        average = weight / state["weight_sum"] if state["weight_sum"] else 0.0
        change = lr * (cls.interpolation(group) * (1 - average) - 1)
        return float(t == 1), average, change, lr, group["weight_decay"]


class ScheduleFreeAdamW(_ScheduleFree):
    r"""AdamW without momentum and schedule, evaluated at an average of its iterates.

    .. math::
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2, \qquad
        d = \frac{g}{\sqrt{v / (1 - \beta_2^t)} + \varepsilon} + \lambda y \\
        z &\leftarrow z - \alpha_t d, \qquad
        x \leftarrow (1 - c) x + c z, \qquad
        y = (1 - \beta_1) z + \beta_1 x

    with the weight :math:`c = w_t / \sum_{s \le t} w_s` and
    :math:`w_t = t^r (\max_{s \le t} \alpha_s)^p`, and :math:`\alpha_t = \alpha \min(1, t / T)`
    during a warm-up of T steps. The gradient g is taken at y, which the parameters hold;
    :meth:`eval` puts them at x and :meth:`train` back at y, both in place and to within rounding.
    It starts in training mode; a step in evaluation mode is an error. A state dict remembers the
    mode in which it was taken, and belongs to the parameters as they were then. The state z starts
    as the parameter is at its first step.

    When to use: where it is not known beforehand how long the training will be; any step can be its
    last.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it.
    betas : (float, float)
        β₁ of the interpolation, in (0, 1), and β₂ of the squares, in [0, 1).
    eps : float
        ε, at least 0.
    weight_decay : float
        λ of the decoupled decay, taken at y, at least 0.
    warmup_steps : int
        Steps T over which the learning rate grows linearly.
    r : float
        Power of t in the weights of the average.
    weight_lr_power : float
        Power p of the greatest learning rate so far in the weights of the average.
    maximize : bool
        Ascend instead of descend.
    backend : {"native", "numba", "numpy"}, optional
        The best usable one by default.
    **storage
        How 16-bit parameters are kept: see :class:`fallline.Storage`.

    Raises
    ------
    ValueError, TypeError
        A hyperparameter or an array is not as described; the message names it.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> x = np.array([1.0, -2.0])
    >>> opt = fl.ScheduleFreeAdamW(x, lr=0.3)
    >>> for _ in range(200):
    ...     opt.step(2 * x)
    >>> opt.eval()
    >>> bool(abs(x).max() < 0.01)
    True
    >>> opt.step(2 * x)
    Traceback (most recent call last):
    RuntimeError: this ScheduleFreeAdamW is in evaluation mode; call train() before a step

    References
    ----------
    Defazio, Yang, Mehta, Mishchenko, Khaled & Cutkosky (2024), The road less scheduled,
    algorithm 1, in the form and with the conventions of the authors' package.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        maximize: bool = False,
        backend: str | None = None,
        **storage: Unpack[Storage],
    ) -> None:
        super().__init__(
            params,
            backend,
            storage,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            warmup_steps=warmup_steps,
            r=r,
            weight_lr_power=weight_lr_power,
            maximize=maximize,
        )

    @classmethod
    def check_group(cls, group: Group) -> None:
        if group["betas"][0] == 0:
            raise ValueError(f"betas[0] must be above 0, not {group['betas'][0]!r}")

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return schedule_free_adamw

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta2 = group["betas"][1]
        averaging = cls._averaging(group, lr, t, state)
        return *averaging, beta2, 1 - beta2, 1 / root(1 - beta2**t), group["eps"]


class ScheduleFreeSGD(_ScheduleFree):
    r"""Gradient descent without schedule, evaluated at an average of its iterates.

    .. math::
        z \leftarrow z - \alpha_t (g + \lambda y), \qquad
        x \leftarrow (1 - c) x + c z, \qquad
        y = (1 - \beta) z + \beta x

    The weights c, the warm-up, the two modes and the other options are those of
    :class:`ScheduleFreeAdamW`; ``momentum`` is β, in (0, 1), and ``weight_decay`` the λ of an L2
    penalty. As the average takes the schedule's place, good learning rates are 10 to 50 times
    those of :class:`SGD` with momentum.

    When to use: as :class:`ScheduleFreeAdamW`, where :class:`SGD` would be used.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> x = np.array([1.0, -2.0])
    >>> opt = fl.ScheduleFreeSGD(x, lr=0.5)
    >>> for _ in range(100):
    ...     opt.step(2 * x)
    >>> opt.eval()
    >>> bool(abs(x).max() < 0.01)
    True

    References
    ----------
    Defazio, Yang, Mehta, Mishchenko, Khaled & Cutkosky (2024), The road less scheduled,
    equations 3-5, in the form and with the conventions of the authors' package.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        maximize: bool = False,
        backend: str | None = None,
        **storage: Unpack[Storage],
    ) -> None:
        super().__init__(
            params,
            backend,
            storage,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            warmup_steps=warmup_steps,
            r=r,
            weight_lr_power=weight_lr_power,
            maximize=maximize,
        )

    @classmethod
    def check_group(cls, group: Group) -> None:
        if not 0 < group["momentum"] < 1:
            raise ValueError(f"momentum must lie in (0, 1), not {group['momentum']!r}")

    @classmethod
    def interpolation(cls, group: Group) -> float:
        return float(group["momentum"])

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return schedule_free_sgd

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        return cls._averaging(group, lr, t, state)
