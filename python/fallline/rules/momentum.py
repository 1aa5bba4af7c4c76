"""Running means and velocities of the gradient: Momentum, HeavyBall, NesterovMomentum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from .._interrupts import shielded
from .._types import Array as NDArray
from .._types import Group, LearningRate, Params
from ..arrays import check_parameter
from ..backends import Binding
from ..kernel import Array, Kernel, kernel, l2
from ..optimizer import Optimizer, State
from ..storage import Storage, Unpack
from ..threads import get_num_threads
from .sgd import sgd

__all__ = ["HeavyBall", "Momentum", "NesterovMomentum", "heavy_ball", "momentum"]


@kernel("exp_avg", coefficients="lr weight_decay beta one_minus_beta ahead")
def momentum(p: Array, g: Array, m: Array, c: Array) -> tuple[Array, Array]:
    g = l2(g, p - c.ahead * m, c.weight_decay)
    m = c.beta * m + c.one_minus_beta * g
    return p - c.lr * m, m


@kernel("momentum_buffer", coefficients="lr weight_decay momentum")
def heavy_ball(p: Array, g: Array, m: Array, c: Array) -> tuple[Array, Array]:
    m = c.momentum * m - c.lr * l2(g, p, c.weight_decay)
    return p + m, m


class Momentum(Optimizer):
    r"""Gradient descent along a running mean of the gradients.

    .. math::
        g &\leftarrow g + \lambda\phi \\
        m &\leftarrow \beta m + (1 - \beta) g, \qquad
        \phi \leftarrow \phi - \alpha m

    When to use: as :class:`SGD` with momentum, where the step should keep its size when β changes:
    the weights of the mean add up to 1.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it.
    beta : float
        β, in [0, 1).
    weight_decay : float
        λ of the L2 penalty, at least 0.
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
    >>> opt = fl.Momentum(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x
    array([ 0.98, -1.96])

    References
    ----------
    Rumelhart, Hinton & Williams (1986), Learning internal representations by error propagation,
    equation 16; as a mean: Prince (2023), Understanding deep learning, equation 6.11.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        beta: float = 0.9,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        backend: str | None = None,
        **storage: Unpack[Storage],
    ) -> None:
        super().__init__(
            params, backend, storage, lr=lr, beta=beta, weight_decay=weight_decay, maximize=maximize
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return momentum

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta = group["beta"]
        return lr, group["weight_decay"], beta, 1 - beta, 0.0


class HeavyBall(Optimizer):
    r"""Gradient descent with a velocity that the learning rate is part of.

    .. math::
        g &\leftarrow g + \lambda\phi \\
        m &\leftarrow \mu m - \alpha g, \qquad
        \phi \leftarrow \phi + m

    At a constant learning rate this is :class:`SGD` with momentum. Where the rate changes, the
    velocity gathered so far stays what it is.

    When to use: where the learning rate changes in steps and the velocity is to be carried over
    them as it is; otherwise :class:`SGD`.

    Parameters
    ----------
    params
        An array, a sequence of arrays, a mapping from names to arrays, or a list of groups.
    lr : float or callable
        Learning rate α, or a schedule from the 0-based step to it.
    momentum : float
        μ, at least 0.
    weight_decay : float
        λ of the L2 penalty, at least 0.
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
    >>> opt = fl.HeavyBall(x, lr=0.1)
    >>> opt.step(2 * x)
    >>> x
    array([ 0.8, -1.6])

    References
    ----------
    Polyak (1964), Some methods of speeding up the convergence of iteration methods; with a
    velocity: Sutskever, Martens, Dahl & Hinton (2013), On the importance of initialization and
    momentum in deep learning, equations 1-2.
    """

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
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
            maximize=maximize,
        )

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        return heavy_ball

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        return lr, group["weight_decay"], group["momentum"]


class NesterovMomentum(Momentum):
    r"""Momentum with the gradient taken ahead, where the momentum alone would lead.

    .. math::
        g &= \nabla f(\phi - \alpha\beta m) + \lambda (\phi - \alpha\beta m) \\
        m &\leftarrow \beta m + (1 - \beta) g, \qquad
        \phi \leftarrow \phi - \alpha m

    Gradients for :meth:`Optimizer.step` are to be computed inside :meth:`lookahead`. Parameters,
    errors and options are those of :class:`Momentum`.

    When to use: smooth losses, mostly over all samples, whose gradient can be taken where it is
    asked for; where it cannot, ``SGD(nesterov=True)``.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> x = np.array([1.0, -2.0])
    >>> opt = fl.NesterovMomentum(x, lr=0.1)
    >>> for _ in range(2):
    ...     with opt.lookahead():
    ...         g = 2 * x
    ...     opt.step(g)
    >>> x.round(6)
    array([ 0.94276, -1.88552])

    References
    ----------
    Nesterov (1983), A method for solving the convex programming problem with convergence rate
    O(1/k²); as momentum: Sutskever, Martens, Dahl & Hinton (2013), On the importance of
    initialization and momentum in deep learning, equations 3-4; as a mean: Prince (2023),
    Understanding deep learning, equation 6.12.
    """

    _ahead = False  # inside lookahead()
    _backups: tuple[NDArray, ...] = ()
    _mover: Binding | None = None  # parameters as parameters, m as their gradients

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        beta = group["beta"]
        return lr, group["weight_decay"], beta, 1 - beta, lr * beta

    @contextmanager
    def lookahead(self) -> Iterator[None]:
        """Have the parameters at φ - αβm inside the ``with`` block, and exactly back after it.

        α is the learning rate of the coming step. The parameters come back bit for bit, also where
        the block raises, so nothing else should write to them inside it. The first call allocates
        a copy of the parameters, which later calls reuse.

        Raises
        ------
        RuntimeError
            Inside another such block, or while another thread uses this optimizer. Inside the
            block, :meth:`Optimizer.step`, pickling and copying raise it too.
        ValueError
            A parameter has been made read-only, or the learning rate is not finite; nothing has
            been moved.
        """
        with ExitStack() as stack:
            with self._exclusive():
                self._refuse_ahead("a second lookahead()")
                work, means = self._plan_ahead()
                mover = self._bind_ahead(means)
                stack.callback(self._come_back, tuple(self._parameters.arrays), self._back_up())
                self._ahead = True
                now = self._progress[0]
                mover.update(work, False, get_num_threads(), self._progress, now, None)
            yield

    def _plan_ahead(self) -> tuple[Any, list[NDArray]]:
        """Each cohort's share of the move, and m by parameter."""
        steps = self._progress[0][0]
        slots = self._parameters.slots
        means = {}
        work = []
        for cohort in self._cohorts:
            lr, beta = cohort.group["lr"], cohort.group["beta"]
            reach = float(lr(steps) if callable(lr) else lr) * beta
            if not math.isfinite(reach):
                raise ValueError(f"lr * beta is not finite at step {steps + 1}: {reach}")
            work.append((sgd, 1.0, (reach, 0.0)))
            means.update({i: slots[i]["exp_avg"] for i in cohort.tensors})
        return tuple(work), [means[i] for i in range(len(means))]

    def _bind_ahead(self, means: list[NDArray]) -> Binding:
        if self._mover is None or not self._mover.accept(means):
            own = self._parameters
            for name, param in zip(own.names, own.arrays, strict=True):
                check_parameter(name, param)
            self._mover = self._bind([()] * len(own))
            self._mover.bind([*means])
        return self._mover

    def _back_up(self) -> tuple[NDArray, ...]:
        arrays = self._parameters.arrays
        missing = arrays[len(self._backups) :]
        self._backups += tuple(np.empty_like(p, subok=False) for p in missing)
        for backup, param in zip(self._backups, arrays, strict=True):
            np.copyto(backup, param)
        return self._backups

    def _come_back(self, params: tuple[NDArray, ...], backups: tuple[NDArray, ...]) -> None:
        with shielded():
            for backup, param in zip(backups, params, strict=True):
                np.copyto(param, backup)
            self._ahead = False

    def _rebind(self) -> None:
        self._mover = None
        super()._rebind()

    def _ready(self) -> None:
        self._refuse_ahead("a step")
        super()._ready()

    def _refuse_ahead(self, what: str) -> None:
        if self._ahead:
            raise RuntimeError(
                f"{what} inside lookahead() of this {type(self).__name__}; leave the block, which "
                "puts the parameters back, first"
            )

    def __getstate__(self) -> dict[str, Any]:
        self._refuse_ahead("pickling or copying")
        state = super().__getstate__()
        for name in ("_mover", "_backups"):
            state.pop(name, None)
        return state
