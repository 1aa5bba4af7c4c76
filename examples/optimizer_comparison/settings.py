"""What is compared: six optimizers, three models, their learning rates, and what was published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

# Title -> class in fallline and in fallline.torch, and its hyperparameters beside lr.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {}),
    "AdaGrad": ("Adagrad", {}),
    "RMSProp": ("RMSprop", {}),
    "Adam": ("Adam", {}),
    "Polyak 0.9": ("SGD", {"momentum": 0.9}),
    "Nesterov 0.9": ("SGD", {"momentum": 0.9, "nesterov": True}),
}


@dataclass(frozen=True)
class Size:
    """How much of the data is used, and how often."""

    epochs: int
    train: int | None = None  # images; all of them without
    test: int | None = None


@dataclass(frozen=True)
class Task:
    """A model on a data set."""

    title: str
    dataset: str
    batch_size: int
    rates: dict[str, float]  # by optimizer; chosen by `search` from the grid
    grid: dict[str, tuple[float, ...]]
    published: dict[str, float]  # accuracy in per cent; its rates and epochs are not known
    full: Size
    quick: Size
    search: Size  # test: held out of the training images
    bf16: bool = False  # products of 16 bits where the CPU has them, parameters and steps of 32
    torch: bool = True


def by_optimizer(*values: T) -> dict[str, T]:
    """A value for each optimizer, in their order."""
    return dict(zip(OPTIMIZERS, values, strict=True))


# Steps of RMSProp and Adam are about lr long in every parameter, whatever the gradient, those of
# AdaGrad lr/√t; momentum 0.9 makes SGD's ten times as long in the end.
GRID = by_optimizer(
    (0.01, 0.03, 0.1, 0.3),
    (0.001, 0.003, 0.01, 0.03),
    (1e-4, 3e-4, 1e-3, 3e-3),
    (1e-4, 3e-4, 1e-3, 3e-3),
    (0.003, 0.01, 0.03, 0.1),
    (0.003, 0.01, 0.03, 0.1),
)
# Lower for VGG-13, whose gradients at the start are larger.
GRID_VGG = by_optimizer(
    (0.003, 0.01, 0.03, 0.1),
    (1e-4, 3e-4, 0.001, 0.003),
    (1e-5, 3e-5, 1e-4, 3e-4),
    (1e-4, 3e-4, 0.001),
    (0.001, 0.003, 0.01, 0.03),
    (0.001, 0.003, 0.01, 0.03),
)

TASKS = {
    "mlp": Task(
        "MLP, MNIST",
        "mnist",
        batch_size=128,
        rates=by_optimizer(0.03, 0.01, 1e-4, 3e-4, 0.1, 0.1),
        grid=GRID,
        published=by_optimizer(91.82, 97.77, 98.29, 98.32, 97.64, 97.62),
        full=Size(epochs=10),
        quick=Size(epochs=2, train=6000, test=1000),
        search=Size(epochs=2, train=20_000, test=6000),
        torch=False,
    ),
    "cnn": Task(
        "CNN, CIFAR-10",
        "cifar10",
        batch_size=64,
        rates=by_optimizer(0.1, 0.003, 3e-4, 1e-3, 0.03, 0.01),
        grid=GRID,
        published=by_optimizer(50.64, 69.98, 68.65, 70.15, 73.00, 72.91),
        full=Size(epochs=10),
        quick=Size(epochs=2, train=1500, test=500),
        search=Size(epochs=2, train=6000, test=2000),
    ),
    "vgg13": Task(
        "VGG-13, CIFAR-10",
        "cifar10",
        batch_size=64,
        rates=by_optimizer(0.01, 3e-4, 3e-5, 1e-4, 0.003, 0.001),
        grid=GRID_VGG,
        published=by_optimizer(52.68, 68.11, 73.61, 74.61, 65.75, 66.02),
        full=Size(epochs=2),
        quick=Size(epochs=1, train=320, test=200),
        search=Size(epochs=1, train=3200, test=500),
        bf16=True,
    ),
}
