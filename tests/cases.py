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
    Case("Momentum"),
    Case("Momentum", {"weight_decay": 0.1, "maximize": True}),
    Case("HeavyBall"),
    Case("HeavyBall", {"momentum": 0.5, "weight_decay": 0.1, "maximize": True}),
    Case("NesterovMomentum"),
    Case("NesterovMomentum", {"weight_decay": 0.1, "maximize": True}),
    Case("NormalizedGradient"),
    Case("NormalizedGradient", {"eps": 0.1, "weight_decay": 0.1, "maximize": True}),
    Case("Adagrad"),
    Case("Adagrad", {"accumulate": "mean", "lr_decay": 0.1, "weight_decay": 0.1}),
    Case("Adagrad", {"initial_accumulator_value": 0.3, "maximize": True}),
    Case("RMSprop"),
    Case("RMSprop", {"initial": "gradient", "weight_decay": 0.1, "maximize": True}),
    Case("RMSprop", {"momentum": 0.9, "eps_inside": True, "weight_decay": 0.1}),
    Case("RMSprop", {"centered": True, "eps": 1e-4}),
    Case("RMSprop", {"centered": True, "momentum": 0.9, "initial": "gradient"}),
    Case("Adadelta"),
    Case("Adadelta", {"weight_decay": 0.1, "maximize": True}),
    Case("Adam"),
    Case("Adam", {"weight_decay": 0.1, "maximize": True}),
    Case("Adam", {"eps_hat": True}),
    Case("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    Case("Adam", {"amsgrad": "corrected"}),
    Case("AdamW"),
    Case("AdamW", {"amsgrad": True}),
    Case("Adamax"),
    Case("Adamax", {"weight_decay": 0.1, "maximize": True}),
    Case("NAdam"),
    Case("NAdam", {"weight_decay": 0.1, "maximize": True}),
    Case("NAdam", {"weight_decay": 0.1, "decoupled": True}),
    Case("RAdam"),
    Case("RAdam", {"betas": (0.5, 0.7), "weight_decay": 0.1, "maximize": True}),
    Case("RAdam", {"betas": (0.5, 0.9), "weight_decay": 0.1, "decoupled": True}),
    Case("Yogi"),
    Case("Yogi", {"initial_accumulator": 0.0, "weight_decay": 0.1, "maximize": True}),
    Case("Lion"),
    Case("Lion", {"weight_decay": 0.1, "maximize": True}),
    Case("Rprop"),
    Case("Rprop", {"step_sizes": (1e-3, 0.011), "maximize": True}),
    Case("ASGD"),
    Case("ASGD", {"t0": 0, "lambd": 0.5, "weight_decay": 0.1, "maximize": True}),
    Case("Signum", {"weight_decay": 0.1}),
    Case("Signum", {"beta": 0.0, "weight_decay": 0.1, "maximize": True}),
    Case("AdaBelief", {"weight_decay": 0.1}),
    Case("AdaBelief", {"weight_decay": 0.1, "decoupled": False, "maximize": True}),
    Case("AdaBelief", {"amsgrad": True}),
    Case("AdaBelief", {"amsgrad": "corrected", "weight_decay": 0.1, "decoupled": False}),
    Case("Adan"),
    Case("Adan", {"weight_decay": 0.1, "maximize": True}),
    Case("AdEMAMix", {"weight_decay": 0.1}),
    Case("AdEMAMix", {"alpha_warmup": 5, "beta3_warmup": 4, "maximize": True}),
    Case("ScheduleFreeAdamW"),
    Case("ScheduleFreeAdamW", {"weight_decay": 0.1, "warmup_steps": 2, "maximize": True}),
    Case("ScheduleFreeSGD"),
    Case("ScheduleFreeSGD", {"weight_decay": 0.1, "r": 1.0, "maximize": True}),
    Case("SWATS"),
    Case("SWATS", {"weight_decay": 0.1, "maximize": True}),
    Case("SWATS", {"tolerance": 1e9}),  # SGD from the third step on
)
