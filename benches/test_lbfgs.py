"""L-BFGS beside SciPy's L-BFGS-B: time of an iteration, and evaluations.

    python benches/test_lbfgs.py [variables]    # iterations of both in turn, and of minimize

Both minimize the same separable function of 10 million variables, whose cost is in each
iteration's time, with m = 10 pairs, from the iteration on at which the history is full.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fallline as fl

M = 10
WARM = M + 2  # iterations until the history is full
ROUNDS = 12


class Separable:
    """Σ ¼x⁴ + ½cx² - x, into arrays that are made once."""

    def __init__(self, n: int) -> None:
        self._c = np.linspace(1, 1000, n)
        self._square, self._gradient = np.empty(n), np.empty(n)
        self.x0 = 1 + np.sin(np.arange(n))
        self.calls = 0

    def __call__(self, x: Any) -> tuple[float, Any]:
        square, g = self._square, self._gradient
        self.calls += 1
        np.multiply(x, x, out=square)
        np.add(square, self._c, out=g)
        loss = 0.25 * float(square @ square) + 0.5 * float(self._c @ square) - float(x.sum())
        g *= x
        g -= 1
        return loss, g


def scipy_iterations(f: Separable) -> Iterator[float]:
    """Seconds of one iteration after another, each taken when it is asked for."""
    import threading

    from scipy.optimize import minimize

    go, done = threading.Semaphore(0), threading.Semaphore(0)

    def callback(x: Any) -> None:
        done.release()
        go.acquire()

    def run() -> None:
        go.acquire()
        options = {"maxcor": M, "maxiter": 10**6, "maxfun": 10**6, "ftol": 0, "gtol": 0}
        minimize(f, f.x0, jac=True, method="L-BFGS-B", callback=callback, options=options)

    threading.Thread(target=run, daemon=True).start()
    while True:
        yield timed(lambda: (go.release(), done.acquire()))


def own_iterations(f: Separable) -> Iterator[float]:
    """The same of a method that is stepped by hand."""
    method = fl.LBFGS(fl.objectives.Function(f, True, x0=f.x0), history_size=M)
    while True:
        yield timed(method.step)


def timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_minimize(f: Separable) -> float:
    """Seconds of an iteration in fl.minimize, all its own passes among them."""
    objective = fl.objectives.Function(f, True, x0=f.x0)
    times: list[float] = []

    def callback(now: fl.Result) -> None:
        times.append(time.perf_counter())

    fl.minimize(objective, None, fl.LBFGS(history_size=M), steps=WARM + 8, callback=callback)
    return statistics.median(np.diff(times[WARM:]))


def main(n: int) -> None:
    """Print both, the median of the pairs' ratios, and the evaluations."""
    ours, theirs = Separable(n), Separable(n)
    a, b = own_iterations(ours), scipy_iterations(theirs)
    for _ in range(WARM):
        next(a), next(b)
    before = ours.calls, theirs.calls
    pairs = [(next(a), next(b)) for _ in range(ROUNDS)]
    own, scipy = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(theirs / ours for ours, theirs in pairs)
    cost = statistics.median(timed(lambda: ours(ours.x0)) for _ in range(5))
    print(f"{n:,} variables, m = {M}, {fl.get_num_threads()} threads; evaluation {cost:.3f} s")
    print(f"LBFGS {own:.3f} s, SciPy {scipy:.3f} s an iteration: {ratio:.2f} times")
    print(f"evaluations {ours.calls - before[0]} and {theirs.calls - before[1]} in {ROUNDS}")
    print(f"fl.minimize {in_minimize(Separable(n)):.3f} s an iteration")


@pytest.mark.parametrize("who", ["fallline", "scipy"])
def test_iteration(benchmark: Any, who: str) -> None:
    pytest.importorskip("scipy")
    f = Separable(1_000_000)
    steps = (own_iterations if who == "fallline" else scipy_iterations)(f)
    for _ in range(WARM):
        next(steps)
    benchmark.pedantic(next, args=(steps,), rounds=5)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
