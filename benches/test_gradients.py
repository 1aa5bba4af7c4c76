"""Epochs of minibatch gradients, ours and of the peers: ``pytest benches/test_gradients.py``.

``fallline bench gradients`` holds them against each other in interleaved runs. MNIST is read from
the folder that FALLLINE_MNIST names; without it, images as dark as its are drawn.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from fallline.bench.contestants import BOUND, OURS, UnavailableError
from fallline.bench.gradients import Problem, check, contestant, gradient_works

WORKS = gradient_works(Path(folder) if (folder := os.environ.get("FALLLINE_MNIST")) else None)


@lru_cache(maxsize=1)  # some are hundreds of megabytes
def problem(name: str) -> Problem:
    return WORKS[name].problem(WORKS[name])


@pytest.mark.parametrize(
    ("name", "who"),
    [(work.name, who) for work in WORKS.values() for who in (OURS, BOUND, *work.peers)],
)
def test_epoch(benchmark: Any, name: str, who: str) -> None:
    work = WORKS[name]
    benchmark.group = work.title
    try:
        one = contestant(who, problem(name))
    except UnavailableError as reason:
        pytest.skip(str(reason))
    benchmark.pedantic(one.run, args=(1,), rounds=5, warmup_rounds=1)
    if benchmark.stats is not None:
        benchmark.extra_info["GB/s"] = one.bytes / benchmark.stats.stats.median / 1e9
    check(work, problem(name), [one])
