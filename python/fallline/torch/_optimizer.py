"""The one adapter: a torch.optim.Optimizer whose step is a rule of this library."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable
from inspect import Signature
from operator import is_
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch._compile import _disable_dynamo

from .. import hyperparameters
from .._types import OnNonfinite
from ..backends import choose
from ..optimizer import ON_NONFINITE, State
from ..optimizer import Optimizer as Rule
from ..storage import STORAGE
from ..threads import get_num_threads
from . import _checkpoint, _mesh, _tensors
from ._binding import Bound, GroupRule
from ._calls import callers_level, heard
from ._signatures import FLAGS, OWN, TORCHS, check_flags
from ._signatures import hyperparameters as names_of

# Rules that update the rows of a sparse gradient alone, and the options that this excludes.
BY_ROWS: dict[str, tuple[str, ...]] = {
    "SGD": ("momentum", "weight_decay"),
    "Adagrad": ("weight_decay",),
    "Adam": ("weight_decay", "amsgrad"),
}
# torch.optim.SparseAdam adds ε to the uncorrected root.
ROW_OPTIONS = {"eps_hat": True}

_OURS = {theirs: ours for ours, theirs in TORCHS.items()}


class Optimizer(torch.optim.Optimizer):
    """What all optimizers of this module have; use one of them.

    Attributes
    ----------
    param_groups, state, defaults
        As in ``torch.optim``; may be edited between steps.
    skipped_steps : int
        Steps skipped by ``on_nonfinite="skip"``, or because a GradScaler found infinite gradients.
    grad_norm : float or None
        Global norm of the last step's (unscaled) gradients, where the step formed it.
    """

    rule: ClassVar[type[Rule]]
    decoupled: ClassVar[type[Rule] | None] = None
    """The rule of groups with ``decoupled_weight_decay``, where it is a class of its own."""
    signature: ClassVar[Signature]
    _names: ClassVar[tuple[str, ...]]  # of hyperparameters, in a group
    fixed: ClassVar[dict[str, Any]] = {}
    """Hyperparameters of the rule that this class does not have."""
    only_rows: ClassVar[bool] = False
    """Whether gradients must be sparse."""

    # torch.amp.GradScaler then leaves unscaling and skipping to step().
    _step_supports_amp_scaling = True
    grad_scale: Tensor | None
    found_inf: Tensor | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        defaults = bound.arguments
        params = defaults.pop("params")
        check_flags(type(self).__name__, defaults)
        own = {name: defaults.pop(name) for name in OWN}
        self._backend = choose(own["backend"])
        self._start()
        self._take_up(defaults)
        super().__init__(params, defaults)
        self._check_apart()
        self._built = True

    def _start(self) -> None:
        self._built = False
        self.skipped_steps = 0
        self.grad_norm: float | None = None
        self._lock = threading.Lock()
        self._bound: Bound | None = None
        self._rules: list[GroupRule] = []

    @property
    def backend(self) -> str:
        """Name of the backend in use."""
        return self._backend.NAME

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, as ``{"params": …, "lr": …}``; its steps count from 0."""
        before = len(self.param_groups)
        super().add_param_group(param_group)
        try:
            self._take_up(self.param_groups[-1])
            for i, param in enumerate(self.param_groups[-1]["params"]):
                if not torch.nn.parameter.is_lazy(param):
                    _tensors.check_parameter(f"param_groups[{before}]['params'][{i}]", param)
            if self._built:  # else once, when all groups are there
                self._check_apart()
        except Exception:
            del self.param_groups[before:]
            raise

    def _check_apart(self) -> None:
        _tensors.check_apart(
            (f"param_groups[{g}]['params'][{i}]", _tensors.local(param))
            for g, group in enumerate(self.param_groups)
            for i, param in enumerate(group["params"])
            if not torch.nn.parameter.is_lazy(param)
        )

    # ---- the step ------------------------------------------------------------------------------

    @heard
    def step(
        self,
        closure: Callable[[], Any] | None = None,
        *,
        max_norm: float | None = None,
        scale: float = 1.0,
        on_nonfinite: OnNonfinite = "warn",
    ) -> Any:
        """Update all parameters that have a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and its gradients first; its value is returned.
        max_norm, scale, on_nonfinite
            Clip, unscale and check inside the step, as :meth:`fallline.Optimizer.step` does;
            gradients are read and not written. Of DTensors, over all ranks: each has to take
            the step with the same arguments.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            A tensor or argument is not as described; nothing has been updated.
        FloatingPointError
            A gradient is not finite and `on_nonfinite` is "raise"; nothing has been updated.
        """
        if torch.compiler.is_dynamo_compiling():
            return self._step_uncompiled(
                closure, max_norm=max_norm, scale=scale, on_nonfinite=on_nonfinite
            )
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(f"this {type(self).__name__} is in use by another thread")
        try:
            self._update(max_norm, scale, on_nonfinite)
        finally:
            if self._bound is not None:
                self._bound.native.release()
            self._lock.release()
        return loss

    @_disable_dynamo
    def _step_uncompiled(self, *args: Any, **options: Any) -> Any:
        """For a compiled function that has a step in it: there is nothing here to trace."""
        return Optimizer.step(self, *args, **options)

    def _update(self, max_norm: float | None, scale: float, on_nonfinite: OnNonfinite) -> None:
        if (found_inf := getattr(self, "found_inf", None)) is not None and found_inf.item():
            self.skipped_steps += 1
            return
        if (grad_scale := getattr(self, "grad_scale", None)) is not None:
            scale /= grad_scale.item()
        bound = self._ready()
        if bound.packed:
            with torch.no_grad():
                for param, copy in bound.packed:
                    copy.copy_(param)
        if max_norm is not None or scale != 1.0 or on_nonfinite != "warn":
            factor = self._factor(bound, max_norm, scale, on_nonfinite)
            if factor is None:
                self.skipped_steps += 1
                return
            scale = factor
        work, pending, numbers = self._plan(bound, scale)
        threads, watch = get_num_threads(), on_nonfinite == "warn"
        bad = bound.native.update(
            work, watch, threads, bound.progress, pending, pending[1], numbers
        )
        self._finish(bound)
        if bad >= 0:
            warnings.warn(
                f"the gradient of {bound.names[bad]} is not finite",
                RuntimeWarning,
                stacklevel=callers_level(),
            )

    def _ready(self) -> Bound:
        """The binding of all there is now, with the gradients bound and checked."""
        bound = self._bound
        if len(self._rules) != len(self.param_groups):
            self._rules = [self._take_up(group) for group in self.param_groups]
            bound = None
        for i, group in enumerate(self.param_groups):
            rule = self._rules[i]
            values = [group[name] for name in self._names]
            if not (rule.fixed and all(map(is_, values, rule.values))):
                self._rules[i] = new = self._take_up(group)
                if not new.binds_like(rule):
                    bound = None
        lists = [group["params"] for group in self.param_groups]
        threads = get_num_threads()
        taking_part = bound is not None and bound.accept(lists, self.state, threads)
        if bound is None or taking_part is False:
            self._settle(self._bound)
            self._bound = bound = Bound(
                self._backend, self.param_groups, self.state, self._rules, self._check_rows
            )
            taking_part = bound.accept(lists, self.state, threads)
            assert taking_part is not False
        active = taking_part if isinstance(taking_part, list) else [True] * len(bound.cohorts)
        for cohort, own in zip(bound.cohorts, active, strict=True):
            cohort.active = own
        return bound

    def _take_up(self, group: dict[str, Any]) -> GroupRule:
        """A group's hyperparameters, checked, as plain numbers under the rule's names."""
        values = [group[name] for name in self._names]
        fixed = not any(isinstance(value, (Tensor, tuple, list)) for value in values)
        plain = {
            _OURS.get(name, name): _number(name, value)
            for name, value in zip(self._names, values, strict=True)
        } | self.fixed
        rule = self.rule
        if self.decoupled is not None and plain.pop("decoupled", False):
            rule = self.decoupled
        own = (*names_of(rule), *STORAGE)
        hyperparameters.check(plain, own, rule.checks)
        rule.check_group(plain)
        fixed = fixed or all(_unchanging(value) for value in values)
        return GroupRule(values, plain, rule, rule.kernel(plain), fixed)

    def _check_rows(self, of: GroupRule, name: str, by_rows: bool) -> None:
        """Refuse a sparse gradient where rows without one would have to change too."""
        if self.only_rows and not by_rows:
            raise RuntimeError(
                f"{type(self).__name__} does not support dense gradients, as {name} has; "
                "please consider Adam instead"
            )
        if not by_rows:
            return
        off = BY_ROWS.get(of.rule.__name__)
        if off is None:
            raise RuntimeError(
                f"{type(self).__name__} does not support sparse gradients, as {name} has; "
                f"{', '.join(BY_ROWS)} do"
            )
        for option in off:
            if of.group[option]:
                raise RuntimeError(
                    f"{option} option is not compatible with sparse gradients, as {name} has"
                )

    def _factor(
        self, bound: Bound, max_norm: float | None, scale: float, mode: OnNonfinite
    ) -> float | None:
        """The factor for the gradients; None where the step is skipped."""
        if max_norm is not None and not max_norm > 0:
            raise ValueError(f"max_norm must be positive, not {max_norm!r}")
        if not math.isfinite(scale):
            raise ValueError(f"scale must be finite, not {scale!r}")
        if mode not in ON_NONFINITE:
            raise ValueError(f"on_nonfinite must be one of {ON_NONFINITE}, not {mode!r}")
        if max_norm is None and mode in ("warn", "ignore"):
            return scale
        total, bad = bound.native.sum_squares(scale, get_num_threads())
        finite = bad < 0
        where = "a parameter on another rank" if finite else bound.names[bad]
        if bound.on_mesh:
            params = (param for group in self.param_groups for param in group["params"])
            total = _mesh.sum_squares(params, scale, total)
            finite = finite and math.isfinite(total)
        self.grad_norm = norm = math.sqrt(total)
        if not finite and mode == "raise":
            raise FloatingPointError(f"the gradient of {where} is not finite; nothing was updated")
        if not finite and mode == "skip":
            return None
        if max_norm is None:
            return scale
        return scale * min(1.0, max_norm / (norm + 1e-6))  # torch.nn.utils.clip_grad_norm_

    def _plan(self, bound: Bound, factor: float) -> tuple[Any, Any, Any]:
        """Each cohort's share of the coming step, the progress it makes, and what is counted."""
        states, _ = bound.progress[0]
        work: list[Any] = []
        after: list[tuple[int, State]] = []
        numbers: list[tuple[float, ...] | None] = []
        for i, cohort in enumerate(bound.cohorts):
            t, state = states[i]
            if not cohort.active:
                work.append(None)
                numbers.append(None)
            else:
                of = self._rules[cohort.group]
                group = {**of.group, **ROW_OPTIONS} if cohort.by_rows else of.group
                if state:
                    state = dict(state)
                t += 1
                values = of.rule.coefficients(group, group["lr"], t, state)
                if not math.isfinite(sum(values)):
                    raise ValueError(
                        f"the hyperparameters of param_groups[{cohort.group}] are not finite at "
                        f"step {t}: {group}"
                    )
                share = cohort.kernel, -factor if group["maximize"] else factor, values
                stochastic = group["rounding"] == "stochastic"
                work.append((*share, (group["seed"], t)) if stochastic else share)
                numbers.append(
                    (float(t), *(v for v in state.values() if isinstance(v, float)))
                    if state
                    else (float(t),)
                )
            after.append((t, state))
        sums = [0.0] * (2 * len(bound.cohorts)) if bound.summing else None
        return tuple(work), (tuple(after), sums), tuple(numbers)

    def _finish(self, bound: Bound) -> None:
        """Tell torch what was written, and put copies back."""
        for cohort in bound.cohorts:
            if cohort.active:
                torch.autograd.graph.increment_version(cohort.params)
        if bound.packed:
            with torch.no_grad():
                for param, copy in bound.packed:
                    param.copy_(copy)
        self._settle(bound)

    def _settle(self, bound: Bound | None) -> None:
        """Put what is no number, of a rule's scalars, into the state, and the last step's sums."""
        if bound is None:
            return
        states, sums = bound.progress[0]
        if sums is not None:
            states = tuple(
                (t, {**state, "sums": tuple(sums[2 * c : 2 * c + 2])} if cohort.active else state)
                for c, (cohort, (t, state)) in enumerate(zip(bound.cohorts, states, strict=True))
            )
            bound.progress[0] = states, None
        for cohort, (_, state) in zip(bound.cohorts, states, strict=True):
            others = {k: v for k, v in state.items() if not isinstance(v, float)}
            if others and cohort.active:
                for param in cohort.params:
                    self.state[param].update(others)

    @torch.no_grad()
    def sync_master(self) -> None:
        """Let the master copies (``master_weights=True``) be what the parameters are now.

        To be called after parameters have been written to (``model.load_state_dict`` in
        mid-training), which the next step would else undo. A parameter's copy is made by its first
        step.
        """
        for param, own in self.state.items():
            if isinstance(master := own.get("master"), Tensor):
                _tensors.local(master).copy_(_tensors.local(param))

    # ---- state ---------------------------------------------------------------------------------

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state dict, of this class or of the same optimizer in ``torch.optim``.

        Tensors are copied, and kept in the type of the arithmetic where torch would cast them to
        that of the parameter. Everything is checked first: after an error all is as it was.

        Raises
        ------
        ValueError, TypeError
            Other groups, shapes or hyperparameters.
        """
        _checkpoint.load(self, state_dict)

    def __getstate__(self) -> dict[str, Any]:
        own = {
            "_backend": self.backend,
            "skipped_steps": self.skipped_steps,
            "grad_norm": self.grad_norm,
        }
        return {**super().__getstate__(), **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        backend = state.pop("_backend", None)
        if "_backend" not in self.__dict__:  # unpickled or copied; torch also loads through this
            self._backend = choose(backend)
            self._start()
            self._built = True
        self._bound = None
        self._rules = []
        super().__setstate__(state)
        for group in self.param_groups:
            for name in (*self._names, *FLAGS):
                if name in self.defaults:
                    group.setdefault(name, self.defaults[name])


def _number(name: str, value: Any) -> Any:
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element, not {tuple(value.shape)}")
        return value.item()
    if isinstance(value, (tuple, list)):
        return tuple(_number(name, item) for item in value)
    return value


def _unchanging(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_unchanging, value))
    return not isinstance(value, (Tensor, list))
