"""Who steps: this library's backends, the memory bound's kernel, and the peers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from .. import backends, rules, threads
from .._types import Array
from ..optimizer import Optimizer
from ..rules.elementwise import streams
from .works import ITEM, LR, Data, Work

OURS = "fallline"
BOUND = "memory bound"


class UnavailableError(Exception):
    """A peer cannot take part; the message is the reason."""


@dataclass
class Contestant:
    """Something that steps, and whose parameters can be looked at."""

    name: str
    step: Callable[[], Any]
    params: Callable[[], list[Array]]
    detail: str = ""
    bytes: float = 0.0  # that one step moves; 0 where that is not known
    steps: int = 0

    def run(self, calls: int) -> None:
        """Take this many steps."""
        step = self.step
        for _ in range(calls):
            step()
        self.steps += calls


Builder = Callable[[Work, Data], Contestant]


def need(module: str) -> None:
    """Raise :class:`UnavailableError` where a module is not installed."""
    if find_spec(module) is None:
        raise UnavailableError(f"{module} is not installed")


# ---- this library ------------------------------------------------------------------------------


def make(work: Work, params: list[Array], backend: str | None = None) -> Optimizer:
    """The work's optimizer for these arrays."""
    cls: Any = rules.optimizers()[work.rule]
    given = params[0] if len(params) == 1 else params
    optimizer: Optimizer = cls(given, lr=LR, backend=backend, **work.options)
    return optimizer


def moved(optimizer: Optimizer, work: Work) -> float:
    """Bytes a step has to move: parameter and state in and out, gradient in."""
    slots = len(optimizer.kernel(optimizer.param_groups[0]).slots)
    streams_ = 2 * slots + 3 + (work.max_norm is not None)  # the norm reads the gradient first
    return float(ITEM * work.elements * streams_)


def ours(work: Work, data: Data, backend: str | None = None) -> Contestant:
    """A backend of this library; the best one by default."""
    try:
        name = backends.choose(backend).NAME
    except RuntimeError as error:
        raise UnavailableError(str(error)) from None
    params = [p.copy() for p in data.params]
    grads = [g.copy() for g in data.grads]
    optimizer = make(work, params, backend)
    step = partial(optimizer.step, grads[0] if len(grads) == 1 else grads)
    if work.max_norm is not None:
        step = partial(step, max_norm=work.max_norm)
    label = OURS if backend is None else f"{OURS} {backend}"
    return Contestant(label, step, lambda: params, name, moved(optimizer, work))


def memory_bound(work: Work, data: Data, backend: str = "native") -> Contestant:
    """Trivial arithmetic on as many streams as the work's rule has (at most stream4's)."""
    try:
        chosen = backends.choose(backend)
    except RuntimeError as error:
        raise UnavailableError(str(error)) from None
    params = [p.copy() for p in data.params]
    grads = [g.copy() for g in data.grads]
    rule = make(work, [np.zeros(1, np.float32)], backend="numpy")
    slots = min(len(rule.kernel(rule.param_groups[0]).slots), len(streams) - 1)
    states = [tuple(np.zeros_like(p) for _ in range(slots)) for p in params]
    binding = chosen.bind(params, states, [0] * len(params))
    share = ((streams[slots], 1.0, (0.0,)),)
    count = threads.get_num_threads()

    def step() -> None:
        binding.accept(grads)
        binding.update(share, False, count, [None], None, None)

    size = ITEM * work.elements * (2 * slots + 3)
    return Contestant(BOUND, step, lambda: params, streams[slots].name, size)


# ---- torch and what builds on it ---------------------------------------------------------------


def _leaves(data: Data) -> list[Any]:
    """Parameters with gradients; on NumPy's memory, so that all have the same (huge) pages."""
    import torch

    leaves = []
    for p, g in zip(data.params, data.grads, strict=True):
        leaf = torch.nn.Parameter(torch.from_numpy(p.copy()))
        leaf.grad = torch.from_numpy(g.copy())
        leaves.append(leaf)
    return leaves


def _torch_params(leaves: list[Any]) -> list[Array]:
    return [leaf.detach().numpy() for leaf in leaves]


def torch_forms(rule: str) -> dict[str, dict[str, bool]]:
    """The forms torch has of a rule, with the arguments that select them."""
    from inspect import signature

    import torch

    cls = getattr(torch.optim, rule, None)
    if cls is None:
        return {}
    names = signature(cls).parameters
    forms = {"fused": {"fused": True}, "foreach": {"foreach": True}, "loop": {"foreach": False}}
    return {form: flags for form, flags in forms.items() if set(flags) <= set(names)}


def torch_form(work: Work, data: Data, form: str) -> Contestant:
    """One form of torch's own optimizer; clipping as torch.nn.utils.clip_grad_norm_ does it.

    The first step clips the gradients in place; the later ones find a norm of 1 and multiply all
    the same, so each moves as much memory, and Adam's steps do not depend on the scale.
    """
    need("torch")
    import torch

    forms = torch_forms(work.rule)
    if form not in forms:
        raise UnavailableError(f"torch.optim has no {form} {work.rule}")
    leaves = _leaves(data)
    optimizer = getattr(torch.optim, work.rule)(leaves, lr=LR, **work.options, **forms[form])
    step: Callable[[], Any] = optimizer.step
    if (limit := work.max_norm) is not None:

        def step() -> None:
            torch.nn.utils.clip_grad_norm_(leaves, limit)
            optimizer.step()

    return Contestant(f"torch {form}", step, partial(_torch_params, leaves))


def torch_fastest(work: Work, data: Data) -> Contestant:
    """The fastest of the forms torch has, by a trial of each."""
    from .measure import seconds_a_step

    need("torch")
    best: tuple[float, Contestant | None] = (float("inf"), None)
    for form in torch_forms(work.rule):
        candidate = torch_form(work, data, form)
        best = min(best, (seconds_a_step(candidate), candidate), key=lambda pair: pair[0])
    if best[1] is None:
        raise UnavailableError(f"torch.optim has no {work.rule}")
    best[1].name, best[1].detail = "torch fastest", best[1].name
    return best[1]


def deepspeed(work: Work, data: Data) -> Contestant:
    """DeepSpeed's CPU Adam, which compiles its extension when first used."""
    need("torch")
    need("deepspeed")
    if work.rule != "AdamW" or work.max_norm is not None:
        raise UnavailableError("DeepSpeedCPUAdam is AdamW alone")
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    try:
        from deepspeed.ops.adam import DeepSpeedCPUAdam

        leaves = _leaves(data)
        optimizer = DeepSpeedCPUAdam(leaves, lr=LR, weight_decay=1e-2)
    except Exception as error:  # a failed build raises whatever its tools raise
        raise UnavailableError(f"DeepSpeedCPUAdam could not be built: {error}") from error
    return Contestant("deepspeed", optimizer.step, partial(_torch_params, leaves))


# ---- jax ---------------------------------------------------------------------------------------


def optax(work: Work, data: Data) -> Contestant:
    """optax, one jitted update with donated parameters and state."""
    need("jax")
    need("optax")
    if work.rule != "AdamW":
        raise UnavailableError("only optax.adamw takes part")
    import jax
    import optax as ox

    rule = ox.adamw(LR, weight_decay=1e-2)
    if work.max_norm is not None:
        rule = ox.chain(ox.clip_by_global_norm(work.max_norm), rule)

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(params: Any, state: Any, grads: Any) -> Any:
        changes, state = rule.update(grads, state, params)
        return ox.apply_updates(params, changes), state

    cpu = jax.devices("cpu")[0]
    grads = jax.device_put(data.grads, cpu)
    params = jax.device_put([p.copy() for p in data.params], cpu)
    now = [params, rule.init(params)]

    def step() -> None:
        now[:] = update(*now, grads)
        jax.block_until_ready(now)

    return Contestant("optax", step, lambda: [np.asarray(p) for p in now[0]])


PEERS: dict[str, Builder] = {
    "torch fused": partial(torch_form, form="fused"),
    "torch foreach": partial(torch_form, form="foreach"),
    "torch loop": partial(torch_form, form="loop"),
    "torch fastest": torch_fastest,
    "optax": optax,
    "deepspeed": deepspeed,
    "fallline numba": partial(ours, backend="numba"),
    "fallline numpy": partial(ours, backend="numpy"),
}


@contextmanager
def thread_count(n: int) -> Iterator[None]:
    """Give every contestant this many threads."""
    before = threads.get_num_threads()
    threads.set_num_threads(n)
    # What jax reads when it starts its pool; where it has started already, nothing changes that.
    os.environ.setdefault("NPROC", str(n))
    if find_spec("torch") is None:
        try:
            yield
        finally:
            threads.set_num_threads(before)
        return
    import torch

    torch_before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(torch_before)
        threads.set_num_threads(before)
