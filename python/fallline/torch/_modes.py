"""Rules whose parameters stand elsewhere while gradients are taken, or while a model is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ._optimizer import Optimizer


class ScheduleFree(Optimizer):
    """The switch between the points y, where gradients are taken, and x, the averaged iterate."""

    def train(self) -> None:
        """Put the parameters at y; nothing happens if they are there."""
        self._switch(training=True)

    def eval(self) -> None:
        """Put the parameters at x; nothing happens if they are there. No step may be taken then."""
        self._switch(training=False)

    @torch.no_grad()
    def _switch(self, *, training: bool) -> None:
        self._rules = [self._take_up(group) for group in self.param_groups]
        for group, of in zip(self.param_groups, self._rules, strict=True):
            beta = of.rule.interpolation(of.group)  # type: ignore[attr-defined]
            weight = 1 - beta if training else 1 - 1 / beta
            for param in group["params"]:
                own = self.state.get(param)
                if own and own["train_mode"] is not training:
                    wide = own.get("master", param).to(own["z"].dtype)
                    wide = wide + weight * (own["z"] - wide)
                    param.copy_(wide)
                    if "master" in own:
                        own["master"].copy_(wide)
                    own["train_mode"] = training
        self._bound = None

    def _ready(self):  # type: ignore[no-untyped-def]
        if not all(own.get("train_mode", True) for own in self.state.values()):
            raise RuntimeError(
                f"this {type(self).__name__} is in evaluation mode; call train() before a step"
            )
        return super()._ready()


class Lookahead(Optimizer):
    """Gradients taken where the momentum alone would lead."""

    @contextmanager
    def lookahead(self) -> Iterator[None]:
        """Have the parameters at φ - αβm inside the ``with`` block, and exactly back after it."""
        places = []
        with torch.no_grad():
            for group in self.param_groups:
                reach = self._take_up(group).group["lr"] * group["beta"]
                for param in group["params"]:
                    if own := self.state.get(param):
                        places.append((param, param.detach().clone()))
                        param.copy_(param - reach * own["exp_avg"])
        try:
            yield
        finally:
            with torch.no_grad():
                for param, place in places:
                    param.copy_(place)
