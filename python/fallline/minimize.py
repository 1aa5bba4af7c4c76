"""Fitting: an objective, an optimizer, and the loop between them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

from ._types import Array, LearningRate
from .loop import arguments, saving
from .loop.averaging import Averaging
from .loop.history import Trajectory
from .loop.plan import Plan
from .loop.rates import as_schedule
from .loop.result import Result
from .loop.run import Run
from .minibatch import as_count
from .objectives import Objective
from .optimizer import Optimizer
from .rules import Adam
from .second_order import LBFGS, Method

__all__ = ["minimize"]

PathLike: TypeAlias = str | os.PathLike[str]
Every: TypeAlias = int | Literal["epoch"]

EPOCHS = 100  # where nothing says when to end
STEPS = 1000  # of a method that ends by itself where it finds nothing lower


def minimize(
    objective: Objective | Callable[[Array], Any],
    x0: npt.ArrayLike | None = None,
    optimizer: type[Optimizer | Method] | Optimizer | Method | None = None,
    lr: LearningRate | None = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    *,
    jac: Callable[[Array], npt.ArrayLike] | bool | None = None,
    hess: Callable[[Array], npt.ArrayLike] | None = None,
    hessp: Callable[[Array, Array], npt.ArrayLike] | None = None,
    steps: int | None = None,
    time_limit: float | None = None,
    gtol: float | None = None,
    ftol: float | None = None,
    drop_last: bool = False,
    lr_unit: Literal["step", "epoch"] = "step",
    max_norm: float | None = None,
    averaging: Averaging | None = None,
    svrg: bool | int = False,
    escape_saddles: bool = False,
    trajectory: bool | int = False,
    callback: Callable[[Result], bool | None] | None = None,
    callback_every: Every = "epoch",
    checkpoint: PathLike | None = None,
    checkpoint_every: Every = "epoch",
    resume: PathLike | Literal[True] | None = None,
    progress: bool | None = None,
    final_loss: bool = True,
    **hyperparameters: Any,
) -> Result:
    r"""Minimize an objective by steps on its gradients.

    .. math:: \varphi_{t+1} = \varphi_t - \alpha_t\, d(\nabla L_{B_t}(\varphi_t), \dots)

    with the direction d of the optimizer, and batches B that go through all samples once an epoch,
    in a new random order each: see :class:`Minibatches`. Without `batch_size`, every step is on
    all samples; with 1, on one.

    Parameters
    ----------
    objective : Objective or callable
        One of :mod:`fallline.objectives`; or any function of the parameters, ``f(x)``, as
        ``scipy.optimize.minimize`` takes it: see `jac`.
    x0 : array of shape (n_params,), optional
        Where to start; ``objective.initial(seed)`` by default. A function needs it.
    optimizer : class or instance, optional
        ``Adam`` by default, of a function :class:`LBFGS`. One of
        :func:`fallline.optimizers`, which takes `lr` and further hyperparameters by their
        names (``betas=(0.8, 0.99)``); or an optimizer over a single array of n_params, of the
        objective's dtype, which is then what is updated (and where it starts, without `x0`).
        Or a method that evaluates the objective itself, as :class:`GradientDescent`: its class, an
        instance without an objective, of which a copy is used, or one with this objective, which
        goes on. Those that compare losses take no `batch_size`.
    lr : float or callable, optional
        Learning rate, or a schedule; the optimizer's own default without.
    batch_size : int, optional
        Samples a step, at least 1.
    jac, hess, hessp : callable, optional
        Of a function: its gradient ``jac(x)``, or True where ``f(x)`` returns value and gradient;
        its Hessian ``hess(x)``, or products with it, ``hessp(x, v)``. What is asked for and not
        given is formed by central differences, 2 n_params values for a gradient (the message says
        so), as by :class:`~fallline.objectives.Function`.
    epochs, steps : int, optional
        When to end; 100 epochs where neither they nor `time_limit` say (1,000 steps of a method
        that takes no batches).
    seed : int
        Of the batches, and of the start without `x0`.
    time_limit : float, optional
        Seconds after which no more steps are taken (it may take 0.05 more, or a step).
    gtol : float, optional
        End where the norm of the gradient is at most this: the gradient over all samples, formed
        at each step without `batch_size`, and else after each epoch. It is that which the step
        uses: taken ahead by NesterovMomentum, and at y by the schedule-free optimizers. Methods
        that take no batches have ε^(1/2) of the dtype where neither it nor `ftol` is given, 1.5e-8
        in float64.
    ftol : float, optional
        End where the loss has changed by at most this share of the greater: from step to step
        without `batch_size`, else from epoch to epoch.
    drop_last : bool
        Leave out the last batch of an epoch where it is short.
    lr_unit : {"step", "epoch"}
        What a schedule counts. A :class:`~fallline.schedules.ReduceOnPlateau` is told the loss of
        each epoch in either case.
    max_norm : float, optional
        Gradients of a greater norm are scaled down to this one.
    averaging : EMA or SWA, optional
        The result is an average of the iterates.
    svrg : bool or int
        Variance-reduced gradients (Johnson & Zhang 2013) with a snapshot every so many steps;
        ``True``: every second epoch.
    escape_saddles : bool
        Where the gradient is at most `gtol` (by default ε^(1/3), 6e-6 in float64) and a curvature
        is negative, go on down along it (:func:`~fallline.curvature.escape_direction`), without
        counting that as a step. Not with `batch_size`.
    trajectory : bool or int
        Keep the parameters before the first step and after each, or after every so many.
    callback : callable, optional
        Called with what has been reached: ``x`` (a view, read-only), ``fun`` (the last batch's
        loss), ``nit``, ``nepoch``, ``lr``, ``grad_norm``, ``history`` (the loss of each step so
        far, a view). True, or raising StopIteration, ends the fit.
    callback_every, checkpoint_every : int or "epoch"
        Steps from one call, or one file, to the next.
    checkpoint : path, optional
        A safetensors file to write the whole fit to, now and then and at the end.
    resume : path or True, optional
        Go on from such a file, bit for bit as if nothing had come between; `x0` is not used.
        ``True``: from `checkpoint`, if it exists. The limits may be others; all else must be the
        same, the data too.
    progress : bool, optional
        Whether to draw a bar once a second has passed; by default on a terminal, if rich is
        installed.
    final_loss : bool
        Whether to form `fun` and `jac` at the end, which takes a pass over all samples. Without,
        `fun` is the mean loss of the last epoch's steps, and there is no `jac`.
    **hyperparameters
        Of the optimizer, if it is a class.

    Returns
    -------
    Result
        ``x``; ``fun`` and ``jac``, the loss and gradient over all samples there; ``nit`` steps and
        ``nepoch`` whole epochs; ``success``, ``status`` and ``message``; ``history``, the loss of
        each step on its batch before the step, ``history_epoch`` (the mean over an epoch's
        batches), ``history_lr``, ``history_grad_norm`` (on the batch, before clipping); the
        ``optimizer``; if asked for, ``trajectory``, and with averaging ``last``, the last iterate.
        Success means that a tolerance was met, the callback ended it, or, without tolerances, that
        the limits were reached.

        A loss, gradient or parameter that is not finite, or a loss above 10⁸ times that of a batch
        at the start (and 10⁸), ends the fit without success; ``x`` is then the point before the
        last step. Ctrl-C ends it after the step under way, a second one at once. A loss that falls
        below -10⁸ times the first and then out of range, or below -10¹⁰⁰, is reported as unbounded;
        so is one that is falling where limits end the fit, if, with `final_loss`, a look along the
        gradient or the last step finds no end to that (a few losses; none of an objective that has
        a bound).
        A method that finds nothing lower says why, and ends without success, but where `gtol` is
        its default and only rounding stands against another step.

        Of methods also ``nfev``, ``njev`` and ``nhev``: losses, gradients and products with the
        Hessian (or Jacobian); their ``history_lr`` is the length of each step. With
        `escape_saddles` also ``escapes``, the steps after which a saddle was left.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, the loss at the start is not finite, or the file to resume
        from is of another fit; nothing has been run.
    ImportError
        safetensors is missing for a checkpoint (extra ``checkpoint``), or rich for
        ``progress=True`` (extra ``cli``).

    Warns
    -----
    SaddleWarning
        `gtol` was met at a saddle; the message says so too.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> X = np.random.default_rng(0).standard_normal((100, 3))
    >>> f = fl.objectives.LinearRegression(X, X @ [1.0, 2.0, 3.0] + 4)
    >>> res = fl.minimize(f, optimizer=fl.Adam, lr=0.1, batch_size=20, steps=1000)
    >>> res.x.round(3), res.nepoch, res.message
    (array([1., 2., 3., 4.]), 200, '1,000 steps done')
    >>> res = fl.minimize(f, optimizer=fl.SGD, lr=0.1, momentum=0.5, gtol=1e-6)
    >>> res.success, res.nit
    (True, 47)
    >>> res = fl.minimize(f, optimizer=fl.GradientDescent(line_search="backtracking"))
    >>> res.x.round(3), res.success
    (array([1., 2., 3., 4.]), True)
    >>> res = fl.minimize(lambda x: (x[0] - 1) ** 2 + x[1] ** 4, [0.0, 1.0], gtol=1e-6)
    >>> res.x.round(2), res.message[-31:]
    (array([1., 0.]), 'gradient by central differences')

    References
    ----------
    Robbins & Monro (1951), A stochastic approximation method; Bottou, Curtis & Nocedal (2018),
    Optimization methods for large-scale machine learning.
    """
    plain = not isinstance(objective, Objective)
    objective = arguments.as_objective(objective, x0, optimizer, jac, hess, hessp)
    if optimizer is None:
        optimizer = LBFGS if plain else Adam
    if lr_unit not in ("step", "epoch"):
        raise ValueError(f"lr_unit must be 'step' or 'epoch', not {lr_unit!r}")
    seed = as_count("seed", seed, 0)
    batches = arguments.as_batches(objective, batch_size, seed, drop_last)
    per_epoch = 1 if batches is None else batches.steps_per_epoch
    if isinstance(optimizer, Method):
        optimizer = arguments.own_method(
            objective, optimizer, x0, seed, {"lr": lr, **hyperparameters}
        )
        phi = optimizer.x
    elif isinstance(optimizer, Optimizer):
        given = {"x0": x0, "lr": lr, **hyperparameters}
        phi = arguments.owned_array(objective, optimizer, given)
    else:
        phi = arguments.as_start(objective, x0, seed)
        if lr is not None:
            hyperparameters["lr"] = as_schedule(lr, lr_unit, per_epoch)
        optimizer = arguments.make_optimizer(optimizer, objective, phi, seed, hyperparameters)
    method = None
    if isinstance(optimizer, Method):
        method, phi = optimizer, optimizer.x
        arguments.refuse_for(method, batch_size, {"max_norm": max_norm, "svrg": svrg})
    elif any(group["maximize"] for group in optimizer.param_groups):
        raise ValueError("maximize=True in minimize; negate the objective instead")
    plan = Plan(
        objective,
        optimizer,
        phi,
        batches,
        epochs=arguments.optional_count("epochs", epochs),
        steps=arguments.optional_count("steps", steps),
        time_limit=arguments.optional_number("time_limit", time_limit),
        gtol=arguments.optional_number("gtol", gtol),
        ftol=arguments.optional_number("ftol", ftol),
        max_norm=arguments.optional_number("max_norm", max_norm, positive=True),
        average=arguments.as_average(averaging, optimizer, objective.n_params, per_epoch),
        svrg=arguments.as_reduction(svrg, objective, batches),
        escape_saddles=arguments.as_escape(escape_saddles, batches),
        callback=arguments.optional_callable("callback", callback),
        callback_every=arguments.as_every("callback_every", callback_every, per_epoch),
        checkpoint=checkpoint,
        checkpoint_every=arguments.as_every("checkpoint_every", checkpoint_every, per_epoch),
        progress=progress,
        final_loss=bool(final_loss),
    )
    if epochs is None and steps is None and time_limit is None:
        plan.epochs = EPOCHS if method is None or method.stochastic else STEPS
    arguments.fill_tolerances(plan)
    if every := arguments.switch_or_count("trajectory", trajectory, 1):
        plan.trajectory = Trajectory(phi, every, plan.last_step)
    plan.settings = saving.settings_of(plan, seed, averaging)
    if checkpoint is not None:
        saving.check_writable(checkpoint, optimizer)
    source = arguments.as_source(resume, checkpoint)
    if source is None:
        plan.ceiling = arguments.as_ceiling(objective, phi, batches, method)
        if hasattr(optimizer, "train"):
            optimizer.train()
    result = Run(plan, source).go()
    if plain and not jac:
        result["message"] += "; gradient by central differences"
    return result
