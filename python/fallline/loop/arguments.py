"""Checks of what :func:`fallline.minimize` is given, before anything runs."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .._placement import on_a_line
from .._types import Array
from ..minibatch import Minibatches, as_count
from ..objectives import Function, Objective
from ..objectives._data import as_vector
from ..optimizer import Optimizer
from ..second_order import Method
from .averaging import EMA, SWA, Average, Averaging
from .plan import Plan
from .svrg import VarianceReduction

__all__ = [
    "as_average",
    "as_batches",
    "as_ceiling",
    "as_escape",
    "as_every",
    "as_objective",
    "as_reduction",
    "as_source",
    "as_start",
    "fill_tolerances",
    "hyperparameters_of",
    "is_rule",
    "make_optimizer",
    "optional_callable",
    "optional_count",
    "optional_number",
    "own_method",
    "owned_array",
    "refuse_for",
    "switch_or_count",
]

EXPLODED = 1e8  # times the first loss, or 1 if that is less


def optional_count(name: str, value: Any) -> int | None:
    """None, or an integer of at least 1."""
    return None if value is None else as_count(name, value)


def optional_number(name: str, value: Any, *, positive: bool = False) -> float | None:
    """None, or a finite number of at least 0."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not 0 <= value < math.inf or (positive and value == 0):
        least = "positive" if positive else "at least 0"
        raise ValueError(f"{name} must be finite and {least}, not {value!r}")
    return float(value)


def optional_callable(name: str, value: Any) -> Any:
    """None, or a callable."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be callable, not {value!r}")
    return value


def switch_or_count(name: str, value: Any, when_true: int) -> int:
    """A count of at least 1; False is 0, and True what it stands for."""
    if isinstance(value, (bool, np.bool_)):
        return when_true if value else 0
    return as_count(name, value)


def as_every(name: str, value: Any, steps_per_epoch: int) -> int:
    """Steps between two events."""
    if isinstance(value, str):
        if value != "epoch":
            raise ValueError(f"{name} must be a number of steps or 'epoch', not {value!r}")
        return steps_per_epoch
    return as_count(name, value)


def as_batches(
    objective: Objective, batch_size: Any, seed: int, drop_last: Any
) -> Minibatches | None:
    """The batches; None where every step is on all samples."""
    if not isinstance(drop_last, (bool, np.bool_)):
        raise TypeError(f"drop_last must be True or False, not {drop_last!r}")
    if batch_size is None:
        if drop_last:
            raise ValueError("drop_last=True needs a batch_size")
        return None
    return Minibatches(objective.n_samples, batch_size, seed, drop_last=bool(drop_last))


def as_objective(
    objective: Any, x0: Any, optimizer: Any, jac: Any, hess: Any, hessp: Any
) -> Objective:
    """An objective; one of a plain function and its derivatives."""
    given = {"jac": jac or None, "hess": hess, "hessp": hessp}
    if isinstance(objective, Objective):
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{name}={value!r} with {objective!r}, which has its own")
        return objective
    if not callable(objective) or isinstance(objective, type):
        raise TypeError(
            "objective must be one of fallline.objectives, or a function of the parameters, not "
            f"{objective!r}"
        )
    for name, value in given.items():
        if not (value is None or callable(value) or (name == "jac" and value is True)):
            raise TypeError(f"{name} must be callable, not {value!r}")
    if x0 is None and isinstance(optimizer, Optimizer):
        x0 = optimizer._parameters.arrays[0]
    if x0 is None:
        raise TypeError("x0 is missing: a function does not tell where to start")
    return Function(objective, given["jac"], hess, hessp, x0=x0)


# ---- the optimizer and its parameter -----------------------------------------------------------


def as_start(objective: Objective, x0: Any, seed: int) -> Array:
    """A new array with the parameters to start from."""
    if x0 is None:
        return on_a_line(objective.initial(seed).astype(objective.dtype, copy=False))
    start = on_a_line(as_vector("x0", x0, objective.n_params, objective.dtype))
    if not np.isfinite(start).all():
        j = int(np.argmin(np.isfinite(start)))
        raise ValueError(f"x0[{j}] is {start[j]}; expected finite numbers")
    return start


def is_rule(cls: Any) -> bool:
    """Whether it is an optimizer's class, or a method's."""
    bases = (Optimizer, Method)
    return isinstance(cls, type) and issubclass(cls, bases) and cls not in bases


@cache
def hyperparameters_of(cls: Any) -> list[str]:
    """Names of what an optimizer takes beside parameters."""
    own = ("params", "objective", "x0", "seed", "storage")
    return [name for name in inspect.signature(cls).parameters if name not in own]


def check_names(cls: Any, hyperparameters: Iterable[str]) -> None:
    """Raise where an optimizer's class has no such hyperparameter."""
    known = hyperparameters_of(cls)
    for name in hyperparameters:
        if name not in known and "options" not in known:
            raise TypeError(
                f"{name!r} is neither an argument of minimize nor a hyperparameter of "
                f"{cls.__name__}, which has {', '.join(known)}"
            )


def make_optimizer(
    cls: Any, objective: Objective, phi: Array, seed: int, hyperparameters: Mapping[str, Any]
) -> Optimizer | Method:
    """An optimizer of this class over the parameters."""
    if not is_rule(cls):
        raise TypeError(
            f"optimizer must be one of fallline.optimizers() or a method as GradientDescent, "
            f"not {cls!r}"
        )
    check_names(cls, hyperparameters)
    if issubclass(cls, Method):
        method: Method = cls(objective, phi, seed=seed, **hyperparameters)
        return method
    optimizer: Optimizer = cls(phi, **hyperparameters)
    return optimizer


def own_method(
    objective: Objective, method: Method, x0: Any, seed: int, given: Mapping[str, Any]
) -> Method:
    """A copy of a method's description on the objective; one that has it already goes on."""
    name = type(method).__name__
    for argument, value in given.items():
        if value is not None:
            raise ValueError(f"{argument}={value!r} with an instance of {name}, which has its own")
    if not method.bound:
        bound: Method = method._bound_to(objective, as_start(objective, x0, seed))
        return bound
    if method.objective is not objective:
        raise ValueError(f"the {name} steps on another objective, {method.objective!r}")
    if x0 is not None:
        method._place(as_start(objective, x0, seed))
    return method


def refuse_for(method: Method, batch_size: Any, given: Mapping[str, Any]) -> None:
    """Raise what goes with steps on plain gradients alone, and batches where none are taken."""
    name = type(method).__name__
    if batch_size is not None and not method.stochastic:
        raise ValueError(
            f"{name} takes its steps on all samples: it compares losses from step to step. Leave "
            "out batch_size"
        )
    for argument, value in given.items():
        if value is not None and value is not False:
            raise ValueError(f"{argument}={value!r} with {name}, which has gradients of its own")


def owned_array(objective: Objective, optimizer: Optimizer, given: Mapping[str, Any]) -> Array:
    """The array that an optimizer's instance updates, if it fits the objective."""
    name = type(optimizer).__name__
    for argument, value in given.items():
        if value is not None:
            raise ValueError(f"{argument}={value!r} with an instance of {name}, which has its own")
    arrays = optimizer._parameters.arrays
    if len(arrays) != 1:
        raise ValueError(f"the {name} has {len(arrays)} arrays; expected one")
    phi = arrays[0]
    if phi.shape != (objective.n_params,) or phi.dtype != objective.dtype:
        raise ValueError(
            f"the {name}'s array has shape {phi.shape} and dtype {phi.dtype}; the objective's "
            f"parameters have ({objective.n_params},) and {objective.dtype}"
        )
    return phi


def as_ceiling(
    objective: Objective,
    phi: Array,
    batches: Minibatches | None,
    method: Method | None = None,
) -> float:
    """The loss above which a fit has diverged; at the start it must be finite.

    A fit on minibatches looks at one there: all samples may cost as much as the fit. A method that
    looks at all of them keeps what it has seen.
    """
    batch = None
    if batches is not None:
        batch = np.arange(min(batches.batch_size, batches.n_samples), dtype=np.int64)
    if method is not None and batches is None:
        loss = method._look(None)[0]
    else:
        loss = objective._evaluate(phi, batch, None)
    if not math.isfinite(loss):
        raise ValueError(f"cannot start at x0: {objective.why_not_finite(loss, phi, batch)}")
    return EXPLODED * max(1.0, abs(loss))


def fill_tolerances(plan: Plan) -> None:
    """Where a gradient counts as 0, for those that need to know."""
    method = plan.optimizer
    eps = float(np.finfo(plan.objective.dtype).eps)
    plan.gtol_asked = plan.gtol is not None
    if plan.gtol is None and plan.escape_saddles:
        plan.gtol = eps ** (1 / 3)  # as critical_point has it
    elif plan.gtol is None and isinstance(method, Method) and not method.stochastic:
        plan.gtol = 0.0 if plan.ftol is not None else eps ** (1 / 2)


def as_escape(escape_saddles: Any, batches: Minibatches | None) -> bool:
    """Whether saddles are left by their curvature."""
    if not isinstance(escape_saddles, (bool, np.bool_)):
        raise TypeError(f"escape_saddles must be True or False, not {escape_saddles!r}")
    if escape_saddles and batches is not None:
        raise ValueError(
            "escape_saddles=True with a batch_size: a batch's gradient does not tell a saddle, and "
            "its noise leaves one by itself"
        )
    return bool(escape_saddles)


# ---- what goes beyond plain steps --------------------------------------------------------------


def as_average(
    averaging: Averaging | None, optimizer: Optimizer | Method, n_params: int, steps_per_epoch: int
) -> Average | None:
    """What averages the iterates."""
    if averaging is None:
        return None
    if not isinstance(averaging, (EMA, SWA)):
        raise TypeError(f"averaging must be an EMA or SWA, not {averaging!r}")
    if hasattr(optimizer, "eval"):
        raise ValueError(f"averaging={averaging!r} with {type(optimizer).__name__}, which averages")
    return Average(averaging, n_params, steps_per_epoch)


def as_reduction(
    svrg: Any, objective: Objective, batches: Minibatches | None
) -> VarianceReduction | None:
    """What reduces the gradients' variance; by default anew every second epoch, as the paper's."""
    interval = switch_or_count("svrg", svrg, 2 * (batches.steps_per_epoch if batches else 1))
    if not interval:
        return None
    if batches is None:
        raise ValueError(f"svrg={svrg!r} needs a batch_size: full gradients have no variance")
    return VarianceReduction(objective, interval)


def as_source(resume: Any, checkpoint: Any) -> str | os.PathLike[str] | None:
    """The file to go on from."""
    if resume is not True:
        return None if resume is None else Path(resume)
    if checkpoint is None:
        raise ValueError("resume=True needs a checkpoint to go on from")
    return Path(checkpoint) if Path(checkpoint).exists() else None
