"""The MLP: the library's own objective and loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import fallline as fl
from data import Data
from fallline.loop.result import Status
from settings import OPTIMIZERS, Task

HIDDEN = (1024, 1024)


class MLPTrainer:
    """Trains 784-1024-1024-10 an epoch at a time; the state is in the checkpoint's file."""

    def __init__(
        self, task: Task, optimizer: str, lr: float, data: Data, checkpoint: Path, seed: int
    ) -> None:
        name, hyperparameters = OPTIMIZERS[optimizer]
        self.objective = fl.objectives.MLP(data.X, data.y, HIDDEN, n_classes=10)
        self.test = fl.objectives.MLP(data.X_test, data.y_test, HIDDEN, n_classes=10)
        self.y_test = data.y_test
        self.options = {
            "optimizer": getattr(fl, name),
            "lr": lr,
            "batch_size": task.batch_size,
            "seed": seed,
            "checkpoint": checkpoint.with_suffix(".safetensors"),
            "resume": True,
            "progress": False,
            "final_loss": False,
            **hyperparameters,
        }
        self.steps = -(-len(data.y) // task.batch_size)

    def epoch(self, k: int, tick: Callable[[int], None]) -> np.ndarray:
        """Train until the end of the k-th epoch; the loss of each of its steps."""
        told = (k - 1) * self.steps

        def callback(reached: fl.Result) -> None:
            nonlocal told
            tick(reached.nit - told)
            told = reached.nit

        every = max(1, self.steps // 20)
        result = fl.minimize(
            self.objective, epochs=k, callback=callback, callback_every=every, **self.options
        )
        if result.status == Status.INTERRUPTED:
            raise KeyboardInterrupt
        if result.status == Status.DIVERGED:
            raise FloatingPointError(result.message)
        self.phi = result.x
        return result.history[(k - 1) * self.steps : k * self.steps]

    def evaluate(self) -> tuple[float, float]:
        """Loss and accuracy on the test images."""
        right = self.test.predict(self.phi) == self.y_test
        return float(self.test.loss(self.phi)), float(right.mean())
