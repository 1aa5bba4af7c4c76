"""The base of every optimizer: parameters, groups, state and the step."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from . import checkpoint, hyperparameters
from ._parameters import Parameters
from ._types import Array, Grads, Group, OnNonfinite, Params
from .arrays import check_apart, check_gradient, check_parameter
from .backends import Binding, Share, Work, choose
from .kernel import Kernel
from .storage import Storage, complete, is_narrow
from .structure import Structure, flatten_groups, nest, split_groups
from .threads import get_num_threads

__all__ = ["Optimizer", "State"]

State: TypeAlias = dict[str, Any]  # a cohort's scalars: what a rule remembers beside its arrays

ON_NONFINITE = ("raise", "skip", "warn", "ignore")


@dataclass
class Cohort:
    """Tensors of one group that have taken part in the same steps, and so share coefficients."""

    group: Group
    tensors: list[int]
    kernel: Kernel
    active: bool = True  # in the step under way
    narrow: bool = False  # has parameters of 16 bits
    masters: bool = False  # these have master copies


# What a step advances beside arrays: steps taken, (t, scalars) of each cohort, and the last step's
# sums where they are not yet among the scalars. Replaced as a whole, so that it is never torn. A
# plain tuple: making and dropping a named one costs 0.25 µs, and a small step 3.
Progress: TypeAlias = tuple[int, tuple[tuple[int, State], ...], "list[float] | None"]


class Optimizer:
    """What all optimizers have; use one of :func:`fallline.optimizers`.

    Attributes
    ----------
    param_groups : list of dict
        Hyperparameters by group, and its arrays under ``"params"``. May be edited between steps.
    skipped_steps : int
        Steps skipped by ``on_nonfinite="skip"``.
    grad_norm : float or None
        Global norm of the last step's (scaled) gradients, where the step formed it.
    """

    # ---- what a rule defines -------------------------------------------------------------------

    checks: ClassVar[Mapping[str, hyperparameters.Check]] = {}
    """Checks of hyperparameters whose names mean something else in other rules."""

    @classmethod
    def kernel(cls, group: Group) -> Kernel:
        """Variant of the rule that a group's options select."""
        raise TypeError(f"{cls.__name__} is a base class; use one of fallline.optimizers()")

    @classmethod
    def coefficients(cls, group: Group, lr: float, t: int, state: State) -> tuple[float, ...]:
        """Numbers of step t = 1, 2, …, in the kernel's order; may update the scalars `state`."""
        raise TypeError(f"{cls.__name__} is a base class; use one of fallline.optimizers()")

    @classmethod
    def initial_scalars(cls, group: Group) -> State:
        """Scalars before the first step."""
        return {}

    @classmethod
    def initial_slot(cls, slot: str, group: Group, param: Array) -> float | Array:
        """What a state array is filled with before the first step."""
        return 0.0

    @classmethod
    def check_group(cls, group: Group) -> None:
        """Raise where hyperparameters, each good by itself, do not go together."""

    # ---- construction --------------------------------------------------------------------------

    def __init__(
        self,
        params: Params,
        backend: str | None,
        storage: Storage | None = None,
        **defaults: Any,
    ) -> None:
        self._backend = choose(backend)
        self._lock = threading.Lock()
        defaults |= complete(type(self).__name__, storage or {})
        self.defaults: Group = defaults
        self.param_groups: list[Group] = []
        self.skipped_steps = 0
        self.grad_norm: float | None = None
        self._structures: list[Structure] = []
        self._parameters = Parameters()
        self._cohorts: list[Cohort] = []
        self._progress: list[Progress] = [(0, (), None)]
        self._taking_part: bool | list[bool] = True
        hyperparameters.check(defaults, defaults, self.checks)
        groups, self._grouped = split_groups(params)
        for group in groups:
            self._add(group)
        if not self._parameters:
            raise ValueError("params is empty: there is nothing to optimize")
        self._rebind()

    def add_param_group(self, group: Group) -> None:
        """Add a group of parameters, as ``{"params": …, "lr": …}``; its steps count from 0.

        From then on gradients are given as a list with an entry per group.
        """
        with self._exclusive():
            self._add(dict(group))
            self._grouped = True
            self._rebind()

    def _add(self, given: Group) -> None:
        index = len(self.param_groups)
        prefix = f"param_groups[{index}]['params']" if self._grouped else "params"
        structure, arrays = nest(prefix, given.pop("params"))
        names = structure.names(prefix)
        for name, array in zip(names, arrays, strict=True):
            check_parameter(name, array)
        check_apart([*self._parameters.written(), *zip(names, arrays, strict=True)])
        unknown = [key for key in given if key not in self.defaults]
        if unknown:
            raise ValueError(f"{type(self).__name__} has no hyperparameter {unknown[0]!r}")
        group = {**self.defaults, **given, "params": arrays}
        hyperparameters.check(group, self.defaults, self.checks)
        self.check_group(group)

        self.param_groups.append(group)
        self._structures.append(structure)
        tensors = list(self._parameters.add(names, arrays))
        self._cohorts.append(Cohort(group, tensors, self.kernel(group)))
        steps, states, _ = self._settled()
        self._progress[0] = steps, (*states, (0, self.initial_scalars(group))), None

    def _rebind(self) -> None:
        """Give each tensor the state arrays its kernel needs, and all to the backend."""
        own = self._parameters
        slots: list[tuple[Array, ...]] = [()] * len(own)
        for cohort in self._cohorts:
            group = cohort.group
            cohort.kernel = self.kernel(group)
            cohort.masters = group["master_weights"]
            for i in cohort.tensors:
                slots[i] = own.furnish(i, cohort.kernel, group, self.initial_slot)
                cohort.narrow |= is_narrow(own.arrays[i])
        self._binding = self._bind(slots, own.masters)
        # Looked up once: a class method costs 20 to 80 ns more when found by its name.
        self._kernel_of, self._coefficients_of = self.kernel, self.coefficients
        self._single = not self._grouped and self._structures[0].single
        self._sums = (
            [0.0] * (2 * len(self._cohorts)) if any(c.kernel.sums for c in self._cohorts) else None
        )

    def _bind(
        self, slots: list[tuple[Array, ...]], masters: Sequence[Array | None] = ()
    ) -> Binding:
        """All parameters by cohort, with these arrays beside them."""
        cohort_of = [0] * len(self._parameters)
        for c, cohort in enumerate(self._cohorts):
            for i in cohort.tensors:
                cohort_of[i] = c
        return self._backend.bind(self._parameters.arrays, slots, cohort_of, masters)

    def sync_master(self) -> None:
        """Let the master copies (``master_weights=True``) be what the parameters are now.

        To be called after parameters have been written to, which the next step would else undo.
        Before its first step a parameter may be written to freely.

        Raises
        ------
        RuntimeError
            Another thread is inside a step of this optimizer.

        Examples
        --------
        >>> import numpy as np, fallline as fl
        >>> x = np.ones(2, np.float16)
        >>> opt = fl.SGD(x, lr=0.5, master_weights=True)
        >>> opt.step(np.ones_like(x))
        >>> x[...] = [8, 16]
        >>> opt.sync_master()
        >>> opt.step(np.ones_like(x))
        >>> x
        array([ 7.5, 15.5], dtype=float16)
        """
        with self._exclusive():
            self._parameters.follow(range(len(self._parameters)))

    # ---- the step ------------------------------------------------------------------------------

    @property
    def backend(self) -> str:
        """Name of the backend in use."""
        return self._backend.NAME

    def step(
        self,
        grads: Grads,
        *,
        max_norm: float | None = None,
        scale: float = 1.0,
        on_nonfinite: OnNonfinite = "warn",
    ) -> None:
        """Update all parameters in place.

        Parameters
        ----------
        grads
            Gradients nested like the parameters: C-contiguous arrays of any supported dtype, which
            are read and not written. ``None`` leaves out a parameter and its state.
        max_norm : float, optional
            Clip: scale all gradients by min(1, max_norm / (norm + 1e-6)), norm being the global
            norm over all of them.
        scale : float
            Multiplies every gradient first (1/1024 undoes a loss scale of 1024).
        on_nonfinite : {"warn", "raise", "skip", "ignore"}
            What to do about infinite or NaN gradients. "raise" and "skip" look first and leave
            every bit of parameters and state untouched; "warn" notices during the update.

        Raises
        ------
        TypeError, ValueError
            An array or argument is not as described; nothing has been updated.
        FloatingPointError
            A gradient is not finite and `on_nonfinite` is "raise"; nothing has been updated.
        RuntimeError
            Another thread is inside a step of this optimizer.

        Warns
        -----
        RuntimeWarning
            A gradient is not finite and `on_nonfinite` is "warn".
        """
        if not self._lock.acquire(False):
            raise self._busy()
        try:
            self._ready()
            flat = [grads] if self._single else self._flatten(grads)
            binding = self._binding
            if not (taking_part := binding.accept(flat)):
                binding = self._admit(self._flatten(grads))
            elif taking_part is not self._taking_part:
                self._set_active(taking_part)
            factor = 1.0
            if max_norm is not None or scale != 1.0 or on_nonfinite != "warn":
                looked = self._factor(scale, max_norm, on_nonfinite)
                if looked is None:
                    self.skipped_steps += 1
                    return
                factor = looked
            work, pending = self._plan(factor)
            if self._parameters.following:
                self._start_masters()
            bad = binding.update(
                work,
                on_nonfinite == "warn",
                get_num_threads(),
                self._progress,
                pending,
                pending[2],
            )
        finally:
            self._lock.release()
        if bad >= 0:
            warnings.warn(
                f"the gradient of {self._parameters.names[bad]} is not finite at step {pending[0]}",
                RuntimeWarning,
                stacklevel=2,
            )

    def _ready(self) -> None:
        """Take up edited hyperparameters that select another variant, and the last step's sums."""
        for cohort in self._cohorts:
            group = cohort.group
            if self._kernel_of(group) is not cohort.kernel or (
                cohort.narrow and group["master_weights"] is not cohort.masters
            ):
                self._rebind()
                break
        if self._sums is not None:
            self._progress[0] = self._settled()

    def _settled(self) -> Progress:
        """Progress with the last step's sums among the scalars of those that took part in it."""
        steps, states, sums = now = self._progress[0]
        if sums is None:
            return now
        cohorts = tuple(
            (t, {**state, "sums": tuple(sums[2 * c : 2 * c + 2])} if cohort.active else state)
            for c, (cohort, (t, state)) in enumerate(zip(self._cohorts, states, strict=False))
        )
        return steps, cohorts, None

    def _start_masters(self) -> None:
        for cohort in self._cohorts:
            if cohort.active:
                self._parameters.start(cohort.tensors)

    def _flatten(self, grads: Any) -> list[Any]:
        """Gradients as a new flat list, which keeps them alive during the step."""
        return flatten_groups(self._structures, self._grouped, "grads", grads)

    def _admit(self, flat: list[Any]) -> Binding:
        """Bind gradients that are not plainly fine: raise what is wrong, or leave out the None."""
        own = self._parameters
        for name, param in zip(own.names, own.arrays, strict=True):
            check_parameter(name, param)
        present = []
        for name, grad, param in zip(own.names, flat, own.arrays, strict=True):
            if grad is not None:
                what = f"the gradient of {name}"
                present.append((what, check_gradient(what, grad, param)))
        check_apart(own.written(), present)
        self._split_cohorts([grad is not None for grad in flat])
        self._binding.bind(flat)
        return self._binding

    def _split_cohorts(self, present: list[bool]) -> None:
        """Make every cohort take part as a whole or not at all."""
        now = self._settled()
        cohorts: list[Cohort] = []
        progress: list[tuple[int, State]] = []
        for cohort, own in zip(self._cohorts, now[1], strict=True):
            for active in (True, False):
                tensors = [i for i in cohort.tensors if present[i] is active]
                if tensors:
                    cohorts.append(Cohort(cohort.group, tensors, cohort.kernel, active))
                    progress.append(own)
        if len(cohorts) != len(self._cohorts):
            self._cohorts = cohorts
            self._progress[0] = now[0], tuple(progress), None
            self._rebind()
        self._set_active([cohort.active for cohort in cohorts])

    def _set_active(self, taking_part: bool | list[bool]) -> None:
        """Note which cohorts take part in the coming step: all (True), or those of the list."""
        self._taking_part = taking_part
        active = taking_part if isinstance(taking_part, list) else [True] * len(self._cohorts)
        for cohort, own in zip(self._cohorts, active, strict=True):
            cohort.active = own

    def _factor(self, scale: float, max_norm: float | None, mode: str) -> float | None:
        """The factor for the gradients; None where the step is skipped."""
        _check_arguments(max_norm, scale, mode)
        if max_norm is not None or mode in ("raise", "skip"):
            return self._look_first(float(scale), max_norm, mode)
        return float(scale)

    def _look_first(self, scale: float, max_norm: float | None, mode: str) -> float | None:
        """The factor for the gradients, after one read of them; None where the step is skipped."""
        total, bad = self._binding.sum_squares(scale, get_num_threads())
        self.grad_norm = norm = math.sqrt(total)
        if bad >= 0 and mode == "raise":
            raise FloatingPointError(
                f"the gradient of {self._parameters.names[bad]} is not finite at step "
                f"{self._progress[0][0] + 1}; nothing was updated"
            )
        if bad >= 0 and mode == "skip":
            return None
        if max_norm is None:
            return scale
        return scale * min(1.0, max_norm / (norm + 1e-6))  # torch.nn.utils.clip_grad_norm_

    def _plan(self, factor: float) -> tuple[Work, Progress]:
        """Each cohort's share of the coming step, and the progress it makes."""
        steps, states, _ = self._progress[0]
        sums = self._sums and [0.0] * len(self._sums)
        if len(states) == 1:  # the usual case, without lists
            share, own = self._share(self._cohorts[0], states[0], steps, factor)
            return (share,), (steps + 1, (own,), sums)
        work: list[Share | None] = []
        cohorts: list[tuple[int, State]] = []
        for cohort, own in zip(self._cohorts, states, strict=True):
            share, own = self._share(cohort, own, steps, factor)
            work.append(share)
            cohorts.append(own)
        return tuple(work), (steps + 1, tuple(cohorts), sums)

    def _share(
        self, cohort: Cohort, own: tuple[int, State], steps: int, factor: float
    ) -> tuple[Share | None, tuple[int, State]]:
        """A cohort's share of the coming step, and its own progress in it."""
        if not cohort.active:
            return None, own
        group = cohort.group
        lr = group["lr"]
        if type(lr) is not float:
            lr = float(lr(steps) if callable(lr) else lr)
        t, state = own
        t += 1
        if state:
            state = dict(state)
        numbers = self._coefficients_of(group, lr, t, state)
        total = sum(numbers)
        if total - total != 0.0:  # not finite; math.isfinite takes 30 ns more
            raise self._not_finite(group, steps + 1, lr)
        factor = -factor if group["maximize"] else factor
        if cohort.narrow and group["rounding"] == "stochastic":
            return (cohort.kernel, factor, numbers, (group["seed"], t)), (t, state)
        return (cohort.kernel, factor, numbers), (t, state)

    def _not_finite(self, group: Group, step: int, lr: float) -> ValueError:
        others = ", ".join(f"{k}={group[k]!r}" for k in self.defaults if k != "lr")
        return ValueError(f"the hyperparameters of step {step} are not finite: lr={lr}, {others}")

    # ---- state ---------------------------------------------------------------------------------

    @property
    def state(self) -> dict[int, dict[str, Any]]:
        """Live state by parameter: ``step``, the rule's scalars, and the arrays themselves."""
        own = self._parameters
        state: dict[int, dict[str, Any]] = {}
        for cohort, (t, scalars) in zip(self._cohorts, self._settled()[1], strict=True):
            for i in cohort.tensors:
                arrays = {slot: own.slots[i][slot] for slot in cohort.kernel.slots}
                state[i] = {"step": t, **scalars, **arrays}
                if (master := own.masters[i]) is not None:
                    state[i]["master"] = master
        return dict(sorted(state.items()))

    def state_dict(self) -> dict[str, Any]:
        """Everything a later run needs to go on bit for bit, as ``torch.optim`` lays it out.

        Returns
        -------
        dict
            ``"state"``: by parameter index, ``step``, scalars and copies of the state arrays;
            ``"param_groups"``: hyperparameters, with indices under ``"params"``;
            ``"fallline"``: optimizer, steps taken and skipped.
        """
        with self._exclusive():
            return checkpoint.state_dict(self, copy=True)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state dict, of this library or of the same optimizer in ``torch.optim``.

        Everything is checked first: after an error the optimizer is as it was.

        Raises
        ------
        ValueError, TypeError
            Another optimizer, other groups, shapes or dtypes.
        """
        with self._exclusive():
            checkpoint.load_state_dict(self, state_dict)

    def _exclusive(self) -> _Exclusive:
        return _Exclusive(self)

    def _busy(self) -> RuntimeError:
        return RuntimeError(
            f"this {type(self).__name__} is in use by another thread; "
            "give each thread an optimizer of its own"
        )

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_lock", "_binding", "_backend", "_kernel_of", "_coefficients_of"):
            del state[name]
        return {**state, "_backend_name": self.backend}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._backend = choose(state.pop("_backend_name"))
        self.__dict__.update(state)
        self._lock = threading.Lock()
        self._rebind()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} (backend: {self.backend}"]
        for group in self.param_groups:
            sizes = sum(p.size for p in group["params"])
            options = ", ".join(f"{key}={group[key]!r}" for key in self.defaults)
            lines.append(f"  {len(group['params'])} arrays, {sizes:,} parameters: {options}")
        return "\n".join(lines) + "\n)"


class _Exclusive:
    """Holds an optimizer for one thread; a second one gets an error, not a torn state."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer

    def __enter__(self) -> None:
        if not self._optimizer._lock.acquire(blocking=False):
            raise self._optimizer._busy()

    def __exit__(self, *_: object) -> None:
        self._optimizer._lock.release()


def _check_arguments(max_norm: float | None, scale: float, on_nonfinite: str) -> None:
    if max_norm is not None and not max_norm > 0:
        raise ValueError(f"max_norm must be positive, not {max_norm!r}")
    if not math.isfinite(scale):
        raise ValueError(f"scale must be finite, not {scale!r}")
    if on_nonfinite not in ON_NONFINITE:
        raise ValueError(f"on_nonfinite must be one of {ON_NONFINITE}, not {on_nonfinite!r}")
