"""The C++ core: src/module.cpp."""

from collections.abc import Callable, Sequence
from typing import Any

from ._types import Array
from .backends import Work

openmp: int
"""Version of OpenMP (201511 is 4.5); 0 where the core was built without."""

compiler: str
tile_size: int

def isas() -> list[tuple[str, bool]]:
    """(name, usable here) of every ISA built, best last."""

def active_isa() -> str: ...
def activate(isa: str) -> bool:
    """Use the kernels of this ISA; False, and no change, where they are not usable here."""

def rules() -> list[tuple[str, str, int, int]]:
    """(name, coefficients, slots, sums) of every rule."""

class Tensors:
    """A :class:`fallline.backends.Binding`."""

    def __init__(
        self,
        params: list[Array],
        slots: list[tuple[Array, ...]],
        cohorts: Sequence[int],
        masters: list[Array | None],
        streams: list[tuple[int, int, int]],
    ) -> None: ...
    def accept(self, grads: list[Any]) -> bool | list[bool]: ...
    def bind(self, grads: list[Array | None]) -> None: ...
    def sum_squares(self, scale: float, threads: int) -> tuple[float, int]: ...
    def update(
        self,
        work: Work,
        watch: bool,
        threads: int,
        progress: list[Any],
        pending: Any,
        sums: list[float] | None,
    ) -> int: ...

class ExchangedTensors:
    """A :class:`fallline.torch._binding.Native`: tensors that tell C++ where they lie."""

    def __init__(
        self,
        types: tuple[type, ...],
        lists: list[list[Any]],
        entries: Sequence[Any],
        local: Callable[[Any], Any],
        conform: Callable[[int, Any], Any],
        shim: Any,
    ) -> None: ...
    def remember_state(self, state: dict[Any, Any]) -> None: ...
    def accept(
        self, lists: list[Any], state: dict[Any, Any], threads: int
    ) -> bool | list[bool]: ...
    def sum_squares(self, scale: float, threads: int) -> tuple[float, int]: ...
    def release(self) -> None: ...
    def update(
        self,
        work: tuple[Any, ...],
        watch: bool,
        threads: int,
        progress: list[Any],
        pending: Any,
        sums: list[float] | None,
        numbers: tuple[tuple[float, ...] | None, ...],
    ) -> int: ...

class Objective:
    def evaluate(
        self,
        phi: Array,
        direction: Array | None,
        batch: Array | None,
        product: Array | None,
        threads: int,
    ) -> float: ...
    def losses_at(
        self, points: Array, batch: Array | None, losses: Array, threads: int
    ) -> None: ...

class LinearModel(Objective):
    def __init__(
        self,
        head: str,
        x: tuple[Array, ...],
        y: Array,
        weight: Array | None,
        features: int,
        outputs: int,
        intercept: bool,
        mean: bool,
        l2: float,
        penalized: list[tuple[int, int]],
    ) -> None: ...

class Pairs:
    """A :class:`fallline.second_order._pairs.Passes`."""

    def __init__(self, s: Array, y: Array) -> None: ...
    def products(
        self,
        rows: Sequence[int],
        added: int,
        gradient: Array,
        before: Array,
        x: Array,
        alpha: float,
        threads: int,
    ) -> list[float]: ...
    def combine(
        self,
        rows: Sequence[int],
        s_weights: Sequence[float],
        y_weights: Sequence[float],
        g_weight: float,
        gradient: Array,
        x: Array,
        alpha: float,
        direction: int,
        trial: Array,
        threads: int,
    ) -> list[float]: ...
    def slope(self, direction: int, gradient: Array, threads: int) -> float: ...

class Trainer:
    def __init__(
        self,
        objective: Objective,
        rule: str,
        phi: Array,
        slots: tuple[Array, ...],
        gradient: Array,
        last: Array,
    ) -> None: ...
    def run(
        self,
        order: Array | None,
        offsets: Array | None,
        coefficients: Array,
        max_norm: float,
        watch: tuple[float, ...],
        losses: Array,
        norms: Array,
        threads: int,
        progress: list[Any],
        states: tuple[dict[str, Any], ...],
    ) -> tuple[int, int, float, float]: ...

class Network(Objective):
    def __init__(
        self,
        head: str,
        activation: str,
        x: Array,
        y: Array,
        weight: Array | None,
        widths: Sequence[int],
        blas: tuple[int, int, bool, int, int],
        mean: bool,
        l2: float,
        penalized: list[tuple[int, int]],
    ) -> None: ...

class Curve(Objective):
    def __init__(
        self,
        model: str,
        x: Array,
        y: Array,
        weight: Array | None,
        params: int,
        mean: bool,
        l2: float,
        penalized: list[tuple[int, int]],
    ) -> None: ...
