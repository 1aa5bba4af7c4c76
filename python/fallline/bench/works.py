"""The table of works: what is timed, and what against."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .. import rules
from .._types import Array

LR = 1e-3
ITEM = 4  # bytes of a float32, which all works use

TORCH_FORMS = ("torch fused", "torch foreach", "torch loop")

# Options under which a rule does all of its work, where the defaults leave some out.
OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "ASGD": {"t0": 0.0},  # averages from the start, where the default waits for a million steps
}


@dataclass(frozen=True)
class Work:
    """Steps of one optimizer over float32 tensors of these sizes, against these peers."""

    name: str
    title: str
    sizes: tuple[int, ...]
    rule: str = "AdamW"
    options: Mapping[str, Any] = field(default_factory=dict)
    max_norm: float | None = None
    peers: tuple[str, ...] = ()
    tensors: bool = False  # torch's, and our step is that of fallline.torch

    @property
    def elements(self) -> int:
        """How many parameters there are."""
        return sum(self.sizes)

    def shrunk(self, size: int, count: int = 3) -> Work:
        """The same at a size that takes no time."""
        return replace(self, sizes=tuple(min(n, size) for n in self.sizes[:count]))


@dataclass(frozen=True)
class Training:
    """Iterations of a network: forward and backward by torch, clipping and the step by either."""

    name: str
    title: str
    width: int
    batch: int = 64
    network: str = "mlp"
    max_norm: float | None = None
    tensors: bool = False  # our step is that of fallline.torch, not one through plain arrays
    backward: bool = False  # the step is taken, and its time not counted
    peers: tuple[str, ...] = ("torch fused",)

    def shrunk(self, size: int) -> Training:
        """The same at a size that takes no time."""
        return replace(self, width=min(self.width, size), batch=min(self.batch, 4))


@dataclass(frozen=True)
class Data:
    """Starting parameters and gradients; every contestant copies them."""

    params: list[Array]
    grads: list[Array]

    @classmethod
    def of(cls, work: Work, seed: int = 0) -> Data:
        """Normal numbers, the same for a work every time."""
        rng = np.random.default_rng(seed)

        def draw() -> list[Array]:
            return [rng.standard_normal(n, dtype=np.float32) for n in work.sizes]

        return cls(draw(), draw())

    def norm(self) -> float:
        """Global norm of the gradients, in float64."""
        return math.sqrt(math.fsum(_squares(g) for g in self.grads))


def _squares(x: Array, block: int = 1 << 20) -> float:
    blocks = (x[i : i + block].astype(np.float64) for i in range(0, x.size, block))
    return math.fsum(float(b @ b) for b in blocks)


def _resnet50() -> Iterator[int]:
    """Sizes of ResNet-50's parameters (He et al. 2016, table 1), in torchvision's order."""

    def convolution(inputs: int, outputs: int, side: int) -> Iterator[int]:
        yield inputs * outputs * side**2
        yield from (outputs, outputs)  # of the normalization after it

    yield from convolution(3, 64, 7)
    inputs = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            yield from convolution(inputs, width, 1)
            yield from convolution(width, width, 3)
            yield from convolution(width, 4 * width, 1)
            if block == 0:
                yield from convolution(inputs, 4 * width, 1)
            inputs = 4 * width
    yield from (1000 * inputs, 1000)


def _through_torch() -> Iterator[Work | Training]:
    """What those do who take :mod:`fallline.torch` in place of ``torch.optim``."""
    large, others = (60_000_000,), ("deepspeed",)

    def step(name: str, title: str, sizes: tuple[int, ...], *peers: str, **more: Any) -> Work:
        title = f"flt: {title}"
        return Work(f"flt-{name}", title, sizes, peers=("torch fastest", *peers), **on, **more)

    def iterations(name: str, title: str, width: int, batch: int) -> Iterator[Training]:
        for part, suffix in (("iteration", ""), ("forward + backward", "-backward")):
            yield Training(
                f"flt-{name}{suffix}",
                f"flt: {title}, {part}",
                width,
                batch,
                network=name,
                max_norm=1.0,
                backward=bool(suffix),
                peers=("torch fused", "fallline, torch's clipping"),
                **on,
            )

    on: dict[str, Any] = {"tensors": True}
    yield step("60m", "AdamW, 60M", large, *others)
    yield step("resnet50", "AdamW, ResNet-50's 161 tensors", tuple(_resnet50()), *others)
    yield step("1000x1k", "AdamW, 1,000 tensors of 1,000", (1_000,) * 1000, *others)
    yield step("200x5k", "AdamW, 200 tensors of 5,000", (5_000,) * 200, *others)
    yield step("clip-60m", "clip by global norm + AdamW, 60M", large, max_norm=1.0)
    for rule in ("RMSprop", "NAdam", "RAdam", "Adadelta", "Adamax"):
        yield step(rule.lower(), f"{rule}, 10M", (10_000_000,), rule=rule)
    yield from iterations("mlp", "MLP 784-2048-2048-10", 2048, 64)
    yield from iterations("transformer", "transformer, 4 layers of 256", 256, 4)


def _rule_work(rule: str, peers: tuple[str, ...]) -> Work:
    options = OPTIONS.get(rule, {})
    shown = "".join(f", {k}={v}" for k, v in options.items())
    title = f"{rule}, 10M{shown}"
    return Work(f"rule-{rule.lower()}", title, (10_000_000,), rule, options, peers=peers)


def works() -> dict[str, Work | Training]:
    """All works by name; one for every rule in the registry among them."""
    all_forms = (*TORCH_FORMS, "optax", "deepspeed")
    own_backends = ("fallline numba", "fallline numpy")
    table: list[Work | Training] = [
        Work("adamw-60m", "AdamW, one tensor of 60M", (60_000_000,), peers=all_forms),
        Work("adamw-10m", "AdamW, 10M", (10_000_000,), peers=(*all_forms, *own_backends)),
        Work("adamw-1m", "AdamW, 1M", (1_000_000,), peers=all_forms),
        Work("adamw-10k", "AdamW, 10,000", (10_000,), peers=all_forms),
        Work("adamw-200x5k", "AdamW, 200 tensors of 5,000", (5_000,) * 200, peers=all_forms),
        Work("adamw-1000x1k", "AdamW, 1,000 tensors of 1,000", (1_000,) * 1000, peers=all_forms),
        Work(
            "clip-60m",
            "clip by global norm + AdamW, 60M",
            (60_000_000,),
            max_norm=1.0,
            peers=("torch fused", "optax"),
        ),
        *(_rule_work(rule, ("torch fastest",)) for rule in rules.optimizers()),
        Training("train-1024", "training, MLP 784-1024-1024-10", 1024),
        Training("train-2048", "training, MLP 784-2048-2048-10", 2048),
        *_through_torch(),
    ]
    return {work.name: work for work in table}
