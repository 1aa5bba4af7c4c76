"""The database of optimizers and options that feeds every shared test: a line adds a case."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import fallline as fl


@dataclass(frozen=True)
class Case:
    """One optimizer with options that select a variant or reach a branch of its arithmetic."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{k}={v}" for k, v in self.options.items())])

    def make(self, params: Any, **more: Any) -> fl.Optimizer:
        return fl.optimizers()[self.name](params, **{"lr": 0.01, **self.options, **more})


CASES = (
    Case("SGD"),
    Case("SGD", {"weight_decay": 0.1, "maximize": True}),
    Case("SGD", {"momentum": 0.9, "dampening": 0.5}),
    Case("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    Case("Adam"),
    Case("Adam", {"weight_decay": 0.1, "maximize": True}),
    Case("Adam", {"eps_hat": True}),
    Case("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    Case("Adam", {"amsgrad": "corrected"}),
    Case("AdamW"),
    Case("AdamW", {"amsgrad": True}),
)
