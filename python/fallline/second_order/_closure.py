"""Parameters whose loss a closure tells, as an objective."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from .._types import Array, Grads, Params
from ..arrays import check_apart, check_gradient, check_parameter
from ..objectives.base import Objective
from ..structure import nest

__all__ = ["Closure", "Evaluation"]

Evaluation: TypeAlias = Callable[[], tuple[Any, Grads]]


class Closure(Objective):
    """The caller's arrays as one vector; their loss is what a closure returns for them."""

    def __init__(self, params: Params) -> None:
        self._structure, self._arrays = nest("params", params)
        self._names = self._structure.names("params")
        if not self._arrays:
            raise ValueError("params is empty; expected at least one array")
        named = list(zip(self._names, self._arrays, strict=True))
        for name, array in named:
            check_parameter(name, array)
            if array.dtype not in (np.float64, np.float32) or array.dtype != self._arrays[0].dtype:
                raise TypeError(
                    f"{name} has dtype {array.dtype}; expected float64 or float32, the same of all"
                )
        check_apart(named)
        shapes = {name: array.shape for name, array in named}
        super().__init__(n_samples=1, shapes=shapes, dtype=self._arrays[0].dtype)
        if self.n_params == 0:
            raise ValueError("params has no elements; expected at least one")
        self._closure: Evaluation | None = None

    @contextmanager
    def evaluating(self, closure: Evaluation) -> Iterator[None]:
        """Let it be the loss."""
        self._closure = closure
        try:
            yield
        finally:
            self._closure = None

    def gather(self) -> Array:
        """What the arrays hold, as a new vector."""
        return np.concatenate([array.reshape(-1) for array in self._arrays])

    def scatter(self, phi: Array) -> None:
        """Write a vector to the arrays."""
        for array, part in zip(self._arrays, self._parts.values(), strict=True):
            array.reshape(-1)[:] = phi[part]

    def _evaluate(self, phi: Array, batch: Array | None, gradient: Array | None) -> float:
        if self._closure is None:
            raise TypeError("there is no closure to evaluate; step(closure) brings one")
        self.scatter(phi)
        returned = self._closure()
        if not (isinstance(returned, tuple) and len(returned) == 2):
            raise TypeError(f"closure must return (loss, gradients), not {type(returned).__name__}")
        loss, grads = returned
        if gradient is not None:
            self._take(grads, gradient)
        return float(loss)

    def _take(self, grads: Any, gradient: Array) -> None:
        flat = self._structure.flatten("the gradients that closure returned", grads)
        for name, part, array, grad in zip(
            self._names, self._parts.values(), self._arrays, flat, strict=True
        ):
            check_gradient(f"the gradient of {name}", grad, array)
            gradient[part] = grad.reshape(-1)
