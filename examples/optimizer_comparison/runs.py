"""One run: a model trained by an optimizer, epoch after epoch, and the record of it."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fallline as fl
from data import Data
from settings import OPTIMIZERS, TASKS

PARTS = 10  # an epoch's training losses are kept as the means of so many parts of it


def trainer(key: str, optimizer: str, lr: float, data: Data, checkpoint: Path, seed: int) -> Any:
    """What trains the task's model; torch is imported where it is needed."""
    if TASKS[key].torch:
        from networks import TorchTrainer as Trainer
    else:
        from mlp import MLPTrainer as Trainer
    return Trainer(TASKS[key], optimizer, lr, data, checkpoint, seed)


@dataclass
class Run:
    """A run and what is known of it: a JSON file beside the checkpoint."""

    task: str
    optimizer: str
    lr: float
    seed: int
    folder: Path
    epochs: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    diverged: str = ""

    @property
    def path(self) -> Path:
        """Where the record is."""
        return self.folder / f"{self.task}-{self.optimizer.split()[0].lower()}.json"

    def begin(self, data: Data) -> None:
        """Go on from the record, if there is one; it must be of the same settings."""
        task, (name, hyperparameters) = TASKS[self.task], OPTIMIZERS[self.optimizer]
        self.settings = {
            "class": name,
            "lr": self.lr,
            **hyperparameters,
            "batch_size": task.batch_size,
            "seed": self.seed,
            "train": len(data.y),
            "test": len(data.y_test),
        }
        if task.bf16:  # the one setting that the CPU has a say in
            from networks import products

            self.settings["products"] = products(task)
        if self.path.exists():
            record = json.loads(self.path.read_text())
            if record["settings"] != self.settings:
                raise SystemExit(
                    f"{self.path} is of a run with {record['settings']}, not {self.settings}; "
                    "remove it with its checkpoint, or choose another --out"
                )
            self.epochs, self.diverged = record["epochs"], record["diverged"]

    def train(self, data: Data, epochs: int, tick: Callable[[int], None]) -> None:
        """Train until so many epochs are done, and write the record after each.

        The checkpoint is written first: where the two differ after an interruption, the last epoch
        is asked for again, and the trainer answers from the checkpoint.
        """
        self.begin(data)
        tick(min(len(self.epochs), epochs) * -(-len(data.y) // TASKS[self.task].batch_size))
        if self.diverged or len(self.epochs) >= epochs:
            return
        checkpoint = self.path.with_suffix("")
        learner = trainer(self.task, self.optimizer, self.lr, data, checkpoint, self.seed)
        try:
            for k in range(len(self.epochs) + 1, epochs + 1):
                before = time.process_time()
                losses = learner.epoch(k, tick)
                seconds = time.process_time() - before
                loss, accuracy = learner.evaluate()
                self.epochs.append(
                    {
                        "epoch": k,
                        "train_loss": float(losses.mean()),
                        "test_loss": loss,
                        "test_accuracy": 100 * accuracy,
                        "cpu_seconds": round(seconds, 2),
                        "train_losses": [
                            float(part.mean())
                            for part in np.array_split(losses, min(PARTS, len(losses)))
                        ],
                    }
                )
                self.write()
        except FloatingPointError as error:
            self.diverged = str(error)
            self.write()

    def write(self) -> None:
        """The record, in one piece."""
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.record(), indent=1))
        os.replace(part, self.path)

    def record(self) -> dict[str, Any]:
        """What the record says."""
        return {
            "task": self.task,
            "optimizer": self.optimizer,
            "settings": self.settings,
            "diverged": self.diverged,
            "versions": {"fallline": fl.__version__, "numpy": np.__version__},
            "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
            "epochs": self.epochs,
        }
