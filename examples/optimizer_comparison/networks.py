"""The CNN and VGG-13: torch modules, stepped by fallline.torch."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import fallline as fl
import fallline.torch as flt
from data import Data
from settings import OPTIMIZERS, TASKS, Task

POOL = 0  # in a list of widths
CNN = (32, POOL, 64, POOL, 128, POOL)
# Simonyan & Zisserman (2015), table 1, column B.
VGG13 = (64, 64, POOL, 128, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL)
EVALUATED = 250  # test images at a time


def convolutions(widths: tuple[int, ...]) -> Iterator[nn.Module]:
    """3 × 3 convolutions with ReLU, and max-pooling between them."""
    channels = 3
    for width in widths:
        if width == POOL:
            yield nn.MaxPool2d(2)
        else:
            yield nn.Conv2d(channels, width, 3, padding=1)
            yield nn.ReLU()
            channels = width


def cnn() -> nn.Module:
    """Three units of convolution, ReLU and max-pooling, and a linear layer: 0.11 M parameters."""
    return nn.Sequential(*convolutions(CNN), nn.Flatten(), nn.Linear(128 * 4 * 4, 10))


def vgg13() -> nn.Module:
    """Ten convolutions and three linear layers, for 32 × 32 pixels: 9.9 M parameters.

    Five poolings leave one pixel of 512 channels, so the linear layers are 512-512-512-10 instead
    of 25088-4096-4096-1000. No batch normalization, as in the paper; no dropout.

    Weights start with variance 2/inputs (He et al. 2015), in the last layer with deviation 0.01, as
    in the paper, so that the loss starts at ln 10; biases at 0. By torch's default, U(±1/√inputs),
    each layer shrinks what passes it about √6-fold: 50 steps of SGD at 0.03 left the loss at ln 10.
    """
    layers = (nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    model = nn.Sequential(*convolutions(VGG13), nn.Flatten(), *layers)
    for layer in model:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    nn.init.normal_(layers[-1].weight, std=0.01)
    return model


MODELS = {"cnn": cnn, "vgg13": vgg13}


def products(task: Task) -> str:
    """The type of the task's matrix products on this CPU.

    bfloat16 only where there are instructions for it: without them a step of VGG-13 takes 12 times
    as long as in float32 (AVX2, torch 2.13).
    """
    cpu = getattr(torch.cpu, "get_capabilities", dict)()  # none in older torch
    native = any(cpu.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return "bfloat16" if task.bf16 and native else "float32"


class TorchTrainer:
    """Trains a module an epoch at a time, and keeps a checkpoint of the last."""

    def __init__(
        self, task: Task, optimizer: str, lr: float, data: Data, checkpoint: Path, seed: int
    ) -> None:
        name, hyperparameters = OPTIMIZERS[optimizer]
        torch.manual_seed(seed)
        model = MODELS[next(key for key, other in TASKS.items() if other is task)]()
        self.model = model.to(memory_format=torch.channels_last)
        self.optimizer = getattr(flt, name)(model.parameters(), lr=lr, **hyperparameters)
        self.batches = fl.Minibatches(len(data.y), task.batch_size, seed)
        self.steps = self.batches.steps_per_epoch
        self.bf16 = products(task) == "bfloat16"
        self.X, self.X_test = (
            torch.from_numpy(X).contiguous(memory_format=torch.channels_last)
            for X in (data.X, data.X_test)
        )
        self.y, self.y_test = torch.from_numpy(data.y), torch.from_numpy(data.y_test)
        self.losses: list[float] = []
        self.checkpoint = checkpoint.with_suffix(".pt")
        if self.checkpoint.exists():
            self.load()

    def epoch(self, k: int, tick: Callable[[int], None]) -> np.ndarray:
        """Train until the end of the k-th epoch; the loss of each of its steps."""
        while self.batches.epoch < k:
            for batch in self.batches:
                self.losses.append(self.step(torch.from_numpy(batch)))
                tick(1)
            self.save()
        return np.array(self.losses[(k - 1) * self.steps : k * self.steps])

    def step(self, batch: torch.Tensor) -> float:
        """A step on a batch; the loss before it."""
        with self.autocast():
            loss = cross_entropy(self.model(self.X[batch]), self.y[batch])
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(
                f"diverged after {len(self.losses)} steps: the loss is {value}"
            )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return value

    def autocast(self) -> torch.autocast:
        """bfloat16 for products, or nothing."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)

    @torch.no_grad()
    def evaluate(self) -> tuple[float, float]:
        """Loss and accuracy on the test images."""
        loss = right = 0.0
        for X, y in zip(self.X_test.split(EVALUATED), self.y_test.split(EVALUATED), strict=True):
            with self.autocast():
                z = self.model(X).float()
            loss += cross_entropy(z, y, reduction="sum").item()
            right += (z.argmax(1) == y).sum().item()
        return loss / len(self.y_test), right / len(self.y_test)

    def save(self) -> None:
        """Write all that the next epoch needs, in one piece."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "batches": self.batches.state_dict(),
            "losses": self.losses,
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, self.checkpoint)

    def load(self) -> None:
        """Stand where the checkpoint was written."""
        state = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.batches.load_state_dict(state["batches"])
        self.losses = state["losses"]
