"""Who takes part by name: ours, the memory bound, and other libraries where they are installed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from typing import Any

import numpy as np

from .. import threads
from .._placement import on_a_line
from .._types import Array
from .contestants import BOUND, OURS, Contestant, UnavailableError, memory_bound, moved, ours
from .measure import seconds_a_step
from .works import LR, Data, Work

Builder = Callable[[Work, Data], Contestant]


def need(module: str) -> None:
    """Raise :class:`UnavailableError` where a module is not installed."""
    if find_spec(module) is None:
        raise UnavailableError(f"{module} is not installed")


def _leaves(work: Work, data: Data) -> list[Any]:
    """Parameters with gradients, in memory that torch allocates where the work is on tensors.

    Elsewhere in NumPy's, so that those of all contestants have the same (huge) pages; aligned as
    torch's memory is, as torch's fused AdamW takes 2 to 5 % longer at 1M where it is not.
    """
    import torch

    def tensor(array: Array) -> Any:
        if work.tensors:
            return torch.from_numpy(array).clone()
        return torch.from_numpy(on_a_line(array))

    leaves = []
    for p, g in zip(data.params, data.grads, strict=True):
        leaf = torch.nn.Parameter(tensor(p))
        leaf.grad = tensor(g)
        leaves.append(leaf)
    return leaves


def _torch_params(leaves: list[Any]) -> list[Array]:
    return [leaf.detach().numpy() for leaf in leaves]


def subject(work: Work, data: Data) -> Contestant:
    """Our step; where the work is on tensors, that of :mod:`fallline.torch`."""
    if not work.tensors:
        return ours(work, data)
    need("torch")
    leaves = _leaves(work, data)
    cls: Any = getattr(import_module("fallline.torch"), work.rule)
    optimizer = cls(leaves, lr=LR, **work.options)
    step = optimizer.step
    if work.max_norm is not None:
        step = partial(step, max_norm=work.max_norm)
    detail = f"torch, {optimizer.backend}"
    return Contestant(OURS, step, partial(_torch_params, leaves), detail, moved(work))


def torch_forms(rule: str) -> dict[str, dict[str, bool]]:
    """The forms torch has of a rule, with the arguments that select them."""
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
        raise UnavailableError("torch.optim does not have it")
    leaves = _leaves(work, data)
    optimizer = getattr(torch.optim, work.rule)(leaves, lr=LR, **work.options, **forms[form])
    step: Callable[[], Any] = optimizer.step
    if (limit := work.max_norm) is not None:

        def step() -> None:
            torch.nn.utils.clip_grad_norm_(leaves, limit)
            optimizer.step()

    return Contestant(f"torch {form}", step, partial(_torch_params, leaves))


def torch_fastest(work: Work, data: Data) -> Contestant:
    """The fastest of the forms torch has, by a trial of each."""
    need("torch")
    best: tuple[float, Contestant | None] = (float("inf"), None)
    for form in torch_forms(work.rule):
        candidate = torch_form(work, data, form)
        best = min(best, (seconds_a_step(candidate), candidate), key=lambda pair: pair[0])
    if best[1] is None:
        raise UnavailableError("torch.optim does not have it")
    best[1].name, best[1].detail = "torch fastest", best[1].name.removeprefix("torch ")
    return best[1]


def deepspeed(work: Work, data: Data) -> Contestant:
    """DeepSpeed's CPU Adam, which compiles its extension when first used."""
    need("torch")
    need("deepspeed")
    if work.rule != "AdamW" or work.max_norm is not None:
        raise UnavailableError("DeepSpeedCPUAdam is AdamW alone")
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    leaves = _leaves(work, data)
    try:
        module: Any = import_module("deepspeed.ops.adam")
        optimizer = module.DeepSpeedCPUAdam(leaves, lr=LR, weight_decay=1e-2)
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
    jax: Any = import_module("jax")
    ox: Any = import_module("optax")
    rule = ox.adamw(LR, weight_decay=1e-2)
    if work.max_norm is not None:
        rule = ox.chain(ox.clip_by_global_norm(work.max_norm), rule)

    def formula(params: Any, state: Any, grads: Any) -> Any:
        changes, state = rule.update(grads, state, params)
        return ox.apply_updates(params, changes), state

    update = jax.jit(formula, donate_argnums=(0, 1))
    with jax.default_device(jax.devices("cpu")[0]):
        grads = [jax.numpy.array(g) for g in data.grads]
        params = [jax.numpy.array(p) for p in data.params]
    now = [params, rule.init(params)]

    def step() -> None:
        now[:] = update(*now, grads)
        jax.block_until_ready(now)

    return Contestant("optax", step, lambda: [np.asarray(p) for p in now[0]])


CONTESTANTS: dict[str, Builder] = {
    OURS: subject,
    BOUND: memory_bound,
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
    # What jax reads when it starts its pool; where it has started already, nothing changes that.
    os.environ.setdefault("NPROC", str(n))
    places: list[tuple[Callable[[], int], Callable[[int], None]]] = [
        (threads.get_num_threads, threads.set_num_threads)
    ]
    if find_spec("torch") is not None:
        import torch

        places.append((torch.get_num_threads, torch.set_num_threads))  # OpenMP's too: deepspeed
    before = [get() for get, _ in places]
    try:
        for _, put in places:
            put(n)
        yield
    finally:
        for (_, put), old in zip(places, before, strict=True):
            put(old)
