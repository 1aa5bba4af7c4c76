"""A step of AdamW on many parameters: memory, time and speed by dtype and threads.

``python examples/large_parameters.py [parameters]``; needs ml_dtypes and safetensors.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import ml_dtypes
import numpy as np

import fallline as fl

DTYPES = {"float64": np.float64, "float32": np.float32, "bfloat16": ml_dtypes.bfloat16}
STEPS = 9


def seconds(work: Callable[[], object], rounds: int = STEPS) -> float:
    """Median of some runs, after a first that brings the pages."""
    times = []
    for _ in range(rounds + 1):
        begin = perf_counter()
        work()
        times.append(perf_counter() - begin)
    return median(times[1:])


def measure(name: str, n: int) -> None:
    """Print a row for each number of threads, and for float32 what else takes time."""
    x, g = np.full(n, 1, DTYPES[name]), np.full(n, 0.5, DTYPES[name])
    opt = fl.AdamW(x)
    opt.step(g)
    states = sum(a.itemsize for a in opt.state[0].values() if isinstance(a, np.ndarray))
    held = 2 * x.itemsize + states
    moved = held + x.itemsize + states  # reads all, writes all but the gradient
    most = fl.get_num_threads()
    for threads in sorted({1, most}):
        fl.set_num_threads(threads)
        took = seconds(lambda: opt.step(g))
        print(f"{name:10}{held:>12}{threads:>9}{1e3 * took:>8.1f}{moved * n / took / 1e9:>7.0f}")
    if name == "float32":
        took = seconds(lambda: opt.step(g, max_norm=1.0))
        print(f"{'  clipped':10}{held:>12}{most:>9}{1e3 * took:>8.1f}")
        path = Path(tempfile.mkdtemp()) / "adamw.safetensors"
        took = seconds(lambda: fl.save(path, opt), rounds=3)
        print(f"{'  saved':10}{1e3 * took:>29.0f}{path.stat().st_size / 1e6:>10,.0f} MB")
        path.unlink()


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000_000
    print(f"AdamW on {n:,} parameters\n")
    print(f"{'':10}{'bytes each':>12}{'threads':>9}{'ms':>8}{'GB/s':>7}")
    for name in DTYPES:
        measure(name, n)
