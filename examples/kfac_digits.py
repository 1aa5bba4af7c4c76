"""Steps to a loss on the digits: K-FAC beside Adam, SGD with momentum and AdaHessian.

    python examples/kfac_digits.py [seeds]

A network of 64 and 32 tanh units, batches of 256 (8 steps an epoch). All methods have the same grid
of learning rates; each is shown at the one that takes it to the lower loss in the fewest steps, in
the median over the seeds. A seed draws the network's start and the batches.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import fallline as fl

METHODS: dict[str, tuple[Any, dict[str, Any]]] = {
    "K-FAC": (fl.KFAC, {}),
    "Adam": (fl.Adam, {}),
    "SGD, momentum 0.9": (fl.SGD, {"momentum": 0.9}),
    "AdaHessian": (fl.AdaHessian, {}),
}
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
LOSSES = (0.1, 0.01)  # means over an epoch


class Fit(NamedTuple):
    """Steps to each loss, inf where it was not reached, and milliseconds a step."""

    steps: tuple[float, ...]
    pace: float


def fit(objective: fl.objectives.MLP, method: str, lr: float, seed: int, epochs: int) -> Fit:
    """One fit."""
    cls, options = METHODS[method]
    begin = time.perf_counter()
    x0 = objective.initial(seed)
    res = fl.minimize(objective, x0, cls, lr, 256, epochs, seed, final_loss=False, **options)
    pace = 1e3 * (time.perf_counter() - begin) / max(res.nit, 1)
    reached = [np.flatnonzero(res.history_epoch < loss) for loss in LOSSES]
    per_epoch = math.ceil(objective.n_samples / 256)
    return Fit(tuple(per_epoch * (e[0] + 1) if e.size else math.inf for e in reached), pace)


def best(fits: dict[float, list[Fit]]) -> float:
    """The rate with the fewest steps to the last loss; to those before where that is level."""

    def cost(lr: float) -> list[float]:
        columns = zip(*(f.steps for f in fits[lr]), strict=True)
        return [statistics.median(steps) for steps in columns][::-1]

    return min(fits, key=cost)


def main(
    seeds: int = 5, epochs: int = 60, rates: Sequence[float] = RATES, methods: Any = METHODS
) -> dict[str, tuple[float, list[Fit]]]:
    """Print the table, and return the best rate of each method, with its fits."""
    X, y = fl.datasets.digits()
    objective = fl.objectives.MLP(X, y, (64, 32), activation="tanh")
    print("| | lr |", " | ".join(f"loss {loss}" for loss in LOSSES), "| ms a step |")
    print("|---" * (3 + len(LOSSES)) + "|")
    found = {}
    for name in methods:
        fits = {
            lr: [fit(objective, name, lr, seed, epochs) for seed in range(seeds)] for lr in rates
        }
        lr = best(fits)
        found[name] = lr, fits[lr]
        columns = [told([f.steps[i] for f in fits[lr]]) for i in range(len(LOSSES))]
        pace = statistics.median(f.pace for f in fits[lr])
        print(f"| {name} | {lr:g} |", " | ".join(columns), f"| {pace:.2f} |", flush=True)
    return found


def told(steps: list[float]) -> str:
    """Median and range."""
    ends = statistics.median(steps), min(steps), max(steps)
    return "{} ({} to {})".format(*(f"{n:g}" if n < math.inf else "never" for n in ends))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
