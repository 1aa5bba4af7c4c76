"""Written by tests/test_torch_stub.py, from the registered rules."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from torch import Tensor

from ._modes import Lookahead, ScheduleFree
from ._optimizer import Optimizer as Optimizer

Params: TypeAlias = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]

class SGD(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        momentum: float = ...,
        dampening: float = ...,
        weight_decay: float = ...,
        nesterov: bool = ...,
        *,
        maximize: bool = ...,
        foreach: bool | None = ...,
        differentiable: bool = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class Momentum(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        beta: float = ...,
        weight_decay: float = ...,
        *,
        maximize: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class HeavyBall(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        momentum: float = ...,
        weight_decay: float = ...,
        *,
        maximize: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class NesterovMomentum(Lookahead):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        beta: float = ...,
        weight_decay: float = ...,
        *,
        maximize: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class NormalizedGradient(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        eps: float = ...,
        weight_decay: float = ...,
        *,
        maximize: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class Adagrad(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        lr_decay: float = ...,
        weight_decay: float = ...,
        initial_accumulator_value: float = ...,
        eps: float = ...,
        foreach: bool | None = ...,
        *,
        maximize: bool = ...,
        differentiable: bool = ...,
        fused: bool | None = ...,
        accumulate: str = ...,
        capturable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class RMSprop(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        alpha: float = ...,
        eps: float = ...,
        weight_decay: float = ...,
        momentum: float = ...,
        centered: bool = ...,
        capturable: bool = ...,
        foreach: bool | None = ...,
        maximize: bool = ...,
        differentiable: bool = ...,
        *,
        initial: str = ...,
        eps_inside: bool = ...,
        fused: bool | None = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class Adadelta(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        rho: float = ...,
        eps: float = ...,
        weight_decay: float = ...,
        foreach: bool | None = ...,
        *,
        capturable: bool = ...,
        maximize: bool = ...,
        differentiable: bool = ...,
        fused: bool | None = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class Adam(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        eps: float = ...,
        weight_decay: float = ...,
        amsgrad: bool | str = ...,
        *,
        foreach: bool | None = ...,
        maximize: bool = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        fused: bool | None = ...,
        decoupled_weight_decay: bool = ...,
        eps_hat: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class AdamW(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        eps: float = ...,
        weight_decay: float = ...,
        amsgrad: bool | str = ...,
        *,
        maximize: bool = ...,
        foreach: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        fused: bool | None = ...,
        eps_hat: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class Adamax(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        eps: float = ...,
        weight_decay: float = ...,
        foreach: bool | None = ...,
        *,
        maximize: bool = ...,
        differentiable: bool = ...,
        capturable: bool = ...,
        fused: bool | None = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class NAdam(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        eps: float = ...,
        weight_decay: float = ...,
        momentum_decay: float = ...,
        decoupled_weight_decay: bool = ...,
        *,
        foreach: bool | None = ...,
        maximize: bool = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        fused: bool | None = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class RAdam(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        eps: float = ...,
        weight_decay: float = ...,
        decoupled_weight_decay: bool = ...,
        *,
        foreach: bool | None = ...,
        maximize: bool = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        fused: bool | None = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class Yogi(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        eps: float = ...,
        weight_decay: float = ...,
        initial_accumulator: float = ...,
        *,
        maximize: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class Lion(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        weight_decay: float = ...,
        *,
        maximize: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class Rprop(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        etas: tuple[float, float] = ...,
        step_sizes: tuple[float, float] = ...,
        *,
        capturable: bool = ...,
        foreach: bool | None = ...,
        maximize: bool = ...,
        differentiable: bool = ...,
        fused: bool | None = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class ASGD(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        lambd: float = ...,
        alpha: float = ...,
        t0: float = ...,
        weight_decay: float = ...,
        foreach: bool | None = ...,
        maximize: bool = ...,
        differentiable: bool = ...,
        capturable: bool = ...,
        *,
        fused: bool | None = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class Signum(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        beta: float = ...,
        weight_decay: float = ...,
        *,
        maximize: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class AdaBelief(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        eps: float = ...,
        weight_decay: float = ...,
        *,
        decoupled: bool = ...,
        amsgrad: bool | str = ...,
        maximize: bool = ...,
        decoupled_weight_decay: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class Adan(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        eps: float = ...,
        weight_decay: float = ...,
        *,
        maximize: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class AdEMAMix(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        alpha: float = ...,
        eps: float = ...,
        weight_decay: float = ...,
        *,
        alpha_warmup: int | None = ...,
        beta3_warmup: int | None = ...,
        maximize: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class ScheduleFreeAdamW(ScheduleFree):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        eps: float = ...,
        weight_decay: float = ...,
        *,
        warmup_steps: float = ...,
        r: float = ...,
        weight_lr_power: float = ...,
        maximize: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class ScheduleFreeSGD(ScheduleFree):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        momentum: float = ...,
        weight_decay: float = ...,
        *,
        warmup_steps: float = ...,
        r: float = ...,
        weight_lr_power: float = ...,
        maximize: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class SWATS(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        eps: float = ...,
        weight_decay: float = ...,
        *,
        tolerance: float | None = ...,
        maximize: bool = ...,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...

class SparseAdam(Optimizer):
    def __init__(
        self,
        params: Params,
        lr: float | Tensor = ...,
        betas: tuple[float | Tensor, ...] = ...,
        eps: float = ...,
        maximize: bool = ...,
        *,
        foreach: bool | None = ...,
        fused: bool | None = ...,
        capturable: bool = ...,
        differentiable: bool = ...,
        master_weights: bool = ...,
        rounding: str = ...,
        seed: int = ...,
        backend: str | None = ...,
    ) -> None: ...
