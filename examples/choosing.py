"""Learning rate and batch size on the digits, by ``fl.sweep``: the tables of the guide.

``python examples/choosing.py [--quick]``; needs scikit-learn.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import fallline as fl

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
SIZES = (8, 32, 128, 512)

X, y = fl.datasets.digits()
X_train, X_test, y_train, y_test = fl.datasets.train_test_split(X, y, 0.25, seed=0, stratify=True)
network = fl.objectives.MLP(X_train, y_train, hidden=(64,))
held_out = fl.objectives.MLP(X_test, y_test, hidden=(64,))


def table(head: str, columns: tuple[Any, ...], rows: dict[Any, list[str]]) -> None:
    """As Markdown."""
    print(f"\n| {head} | {' | '.join(map(str, columns))} |\n|---{'|---' * len(columns)}|")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")


def rates(optimizer: type[fl.Optimizer], epochs: int, **options: Any) -> None:
    """Loss on the test part, by batch size and learning rate."""
    shown = "".join(f", {key} {value}" for key, value in options.items())
    print(f"\n{optimizer.__name__}{shown}, {epochs} epochs: test loss")
    rows = {}
    for size in SIZES:
        sweep = fl.sweep(
            network, optimizer=optimizer, lr=list(RATES), batch_size=size, epochs=epochs, **options
        )
        losses = [held_out.loss(r.x) if r.success else np.inf for r in sweep.results]
        best = int(np.argmin(losses))
        rows[size] = [
            "diverges"
            if not np.isfinite(loss)
            else f"**{loss:.3f}**"
            if i == best
            else f"{loss:.3f}"
            for i, loss in enumerate(losses)
        ]
    table("batch size", RATES, rows)


def floor(epochs: int) -> None:
    """How far above the optimum SGD hovers, by learning rate over batch size."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((2000, 20))
    t = A @ rng.standard_normal(20) + rng.standard_normal(2000)
    f = fl.objectives.LinearRegression(A, t)
    best = fl.minimize(f, optimizer=fl.LBFGS).fun
    rows = {}
    for size in (5, 20, 80):
        cells = []
        for ratio in (0.0001, 0.0004, 0.0016):
            res = fl.minimize(f, optimizer=fl.SGD, lr=ratio * size, batch_size=size, epochs=epochs)
            tail = res.history_epoch[epochs // 2 :]
            cells.append(f"{np.mean(tail) - best:.4f}")
        rows[size] = cells
    print(
        "\nSGD on linear regression: mean loss of the last half of the epochs, less the optimum's"
    )
    table("batch size", ("lr = 0.0001 b", "0.0004 b", "0.0016 b"), rows)


if __name__ == "__main__":
    epochs = 2 if "--quick" in sys.argv else 30
    rates(fl.SGD, epochs, momentum=0.9)
    rates(fl.AdamW, epochs)
    floor(10 * epochs)
