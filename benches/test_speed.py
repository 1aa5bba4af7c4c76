"""Speed by rule, backend and size, and of the peers: ``pytest benches``.

``fallline bench`` holds the same works against each other in interleaved runs; these give single
times that pytest-benchmark can save and compare.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

import fallline as fl
from fallline.bench import check, training
from fallline.bench.contestants import UnavailableError, ours
from fallline.bench.peers import CONTESTANTS, Builder
from fallline.bench.works import OPTIONS, Data, Training, Work, works

SIZES = {"10k": 10_000, "1m": 1_000_000, "10m": 10_000_000}
TABLE = works()


def measure(benchmark: Any, contestant: Any, elements: int) -> None:
    """Few steps where they are long, so that the whole matrix takes minutes."""
    iterations = max(1, 100_000 // elements)
    benchmark.pedantic(contestant.run, args=(1,), rounds=5, iterations=iterations, warmup_rounds=2)
    if contestant.bytes and benchmark.stats is not None:
        benchmark.extra_info["GB/s"] = contestant.bytes / benchmark.stats.stats.median / 1e9


def measure_work(benchmark: Any, work: Work, build: Builder) -> None:
    data = Data.of(work)
    try:
        contestant = build(work, data)
    except UnavailableError as reason:
        pytest.skip(str(reason))
    measure(benchmark, contestant, work.elements)
    check.check(work, data, [contestant])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("backend", fl.backends())
@pytest.mark.parametrize("rule", fl.optimizers())
def test_rule(benchmark: Any, rule: str, backend: str, size: str) -> None:
    benchmark.group = f"{rule} {size}"
    work = Work(rule, f"{rule} {size}", (SIZES[size],), rule, OPTIONS.get(rule, {}))
    measure_work(benchmark, work, partial(ours, backend=backend))


@pytest.mark.parametrize(
    ("name", "who"),
    [
        (work.name, who)
        for work in TABLE.values()
        if isinstance(work, Work)
        for who in ("fallline", "memory bound", *work.peers)
    ],
)
def test_work(benchmark: Any, name: str, who: str) -> None:
    work = TABLE[name]
    assert isinstance(work, Work)
    benchmark.group = work.title
    measure_work(benchmark, work, CONTESTANTS[who])


@pytest.mark.parametrize(
    ("name", "who"),
    [
        (work.name, who)
        for work in TABLE.values()
        if isinstance(work, Training) and not work.backward  # which pytest-benchmark cannot time
        for who in ("fallline", *work.peers)
    ],
)
def test_training(benchmark: Any, name: str, who: str) -> None:
    pytest.importorskip("torch")
    work = TABLE[name]
    assert isinstance(work, Training)
    benchmark.group = work.title
    problem = training.problem(work)
    trainee = training.contestant(who, work, problem)
    measure(benchmark, trainee, sum(p.size for p in trainee.params()))
    training.check(work, problem, [trainee])
