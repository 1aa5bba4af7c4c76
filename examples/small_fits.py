"""Steps of small fits, ours and a peer's by turns: the table on small fits of the speed page.

``python examples/small_fits.py [--quick]``; needs torch and scikit-learn.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
import torch
from sklearn.linear_model import SGDClassifier

import fallline as fl

QUICK = "--quick" in sys.argv
ROUNDS = 1 if QUICK else 9
Run = Callable[[], int]  # returns how many steps it has made


def gabor() -> tuple[Run, Run]:
    """28 points in batches of 5, Adam; against torch's loop in Python."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-15, 15, 28)
    clean = fl.objectives.Gabor(x, np.zeros(28)).predict(np.array([0.0, 16.6]))
    y = clean + 0.1 * rng.standard_normal(28)
    f, X, Y = fl.objectives.Gabor(x, y), torch.tensor(x), torch.tensor(y)
    start, steps = [0.5, 14.0], 60_000

    def ours() -> int:
        fl.minimize(f, start, fl.Adam, lr=0.01, batch_size=5, steps=steps, progress=False)
        return steps

    def peer() -> int:
        phi = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        opt = torch.optim.Adam([phi], lr=0.01)
        batches = [b for _ in range(100) for b in torch.randperm(28).split(5)]
        for b in batches:
            u = phi[0] + 0.06 * phi[1] * X[b]
            opt.zero_grad()
            ((torch.sin(u) * torch.exp(-u * u / 32) - Y[b]) ** 2).mean().backward()
            opt.step()
        return len(batches)

    return ours, peer


def one_sample() -> tuple[Run, Run]:
    """An epoch of logistic SGD, a sample a step; against scikit-learn's SGDClassifier."""
    n, lr = 2_000 if QUICK else 200_000, 1e-3
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 512), dtype=np.float32)
    y = (X @ rng.standard_normal(512, dtype=np.float32) > 0).astype(int)
    f = fl.objectives.LogisticRegression(X, y)

    def ours() -> int:
        fl.minimize(f, optimizer=fl.SGD, lr=lr, batch_size=1, epochs=1, final_loss=False)
        return n

    def peer() -> int:
        SGDClassifier(loss="log_loss", learning_rate="constant", eta0=lr, max_iter=1, tol=None).fit(
            X, y
        )
        return n

    return ours, peer


def seconds_a_step(run: Run) -> float:
    """One run's."""
    begin = perf_counter()
    steps = run()
    return (perf_counter() - begin) / steps


if __name__ == "__main__":
    torch.set_num_threads(fl.get_num_threads())
    for pair in (gabor, one_sample):
        ours, peer = pair()
        ours(), peer()
        times = [(seconds_a_step(ours), seconds_a_step(peer)) for _ in range(ROUNDS)]
        mine, theirs = (1e6 * median(column) for column in zip(*times, strict=True))
        print(pair.__doc__)
        ratio = median(b / a for a, b in times)
        print(f"  ours {mine:.2f} µs a step, theirs {theirs:.2f} µs, ratio {ratio:.1f}")
