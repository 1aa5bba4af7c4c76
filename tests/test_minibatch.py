"""Batches: every sample once an epoch, from a seed, and exactly on from any state."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline.minibatch import BLOCK


def epochs_of(batches: fl.Minibatches, count: int) -> list[list[list[int]]]:
    return [[batch.tolist() for batch in batches] for _ in range(count)]


@given(
    n=st.integers(1, 60), size=st.integers(1, 70), drop=st.booleans(), seed=st.integers(0, 2**70)
)
def test_each_sample_once_an_epoch(n: int, size: int, drop: bool, seed: int) -> None:
    if drop and size > n:
        with pytest.raises(ValueError, match="drop_last leaves nothing"):
            fl.Minibatches(n, size, seed, drop_last=drop)
        return
    batches = fl.Minibatches(n, size, seed, drop_last=drop)
    assert batches.steps_per_epoch == (n // size if drop else -(-n // size))
    for k, epoch in enumerate(epochs_of(batches, 5)):
        seen = [i for batch in epoch for i in batch]
        assert len(set(seen)) == len(seen) == (n - n % size if drop else n)
        assert set(seen) <= set(range(n))
        assert {len(batch) for batch in epoch[:-1]} <= {min(size, n)}
        assert 1 <= len(epoch[-1]) <= size
        assert k < batches.epoch <= 5
    assert batches.epoch == 5


def test_orders_differ_by_epoch_and_seed_only() -> None:
    first = epochs_of(fl.Minibatches(50, 7, seed=3), 4)
    assert first == epochs_of(fl.Minibatches(50, 7, seed=3), 4)
    assert len({str(epoch) for epoch in first}) == 4
    assert first != epochs_of(fl.Minibatches(50, 7, seed=4), 4)
    # The batch size cuts the same orders elsewhere.
    flat = [[i for batch in epoch for i in batch] for epoch in first]
    other = epochs_of(fl.Minibatches(50, 20, seed=3), 4)
    assert flat == [[i for batch in epoch for i in batch] for epoch in other]


def test_every_order_is_as_likely() -> None:
    """Of 4 samples: 24 orders, 12,000 epochs; χ² of 23 degrees, beyond 58 once in 10,000."""
    batches = fl.Minibatches(4, 4, seed=11)
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(12_000):
        (batch,) = batches
        key = tuple(batch.tolist())
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 24
    assert sum((c - 500) ** 2 / 500 for c in counts.values()) < 58


@pytest.mark.parametrize("n", [1, 2, 28, 1000])
def test_drawing_many_epochs_at_once_is_drawing_each(n: int) -> None:
    together, apart = (np.random.default_rng(5) for _ in range(2))
    rows = together.permuted(np.tile(np.arange(n), (9, 1)), axis=1)
    each = [apart.permuted(np.arange(n)[None], axis=1)[0] for _ in range(9)]
    assert np.array_equal(rows, each)
    assert together.bit_generator.state == apart.bit_generator.state


@settings(max_examples=50)
@given(takes=st.lists(st.integers(1, 40), max_size=30), drop=st.booleans())
def test_spans_of_any_length_give_the_same_batches(takes: list[int], drop: bool) -> None:
    batches, plain = (fl.Minibatches(13, 4, seed=1, drop_last=drop) for _ in range(2))
    for most in takes:
        span = batches.take(most)
        assert 1 <= len(span) <= most
        for i in range(len(span)):
            begin, end = span.offsets[i : i + 2]
            (expected,) = [o[b:e] for o, (b, e) in [plain.take(1)]]
            assert np.array_equal(span.order[begin:end], expected)
    assert batches.step == plain.step


@settings(max_examples=50)
@given(steps=st.integers(0, 200), later=st.integers(1, 30))
def test_resumes_anywhere(steps: int, later: int) -> None:
    batches = fl.Minibatches(10, 3, seed=2)
    for _ in range(steps):
        batches.take(1)
    state = json.loads(json.dumps(batches.state_dict()))
    again = fl.Minibatches(10, 3, seed=2)
    again.load_state_dict(state)
    assert again.step == steps
    for _ in range(later):
        a, b = batches.take(1), again.take(1)
        assert np.array_equal(a.order[slice(*a.offsets)], b.order[slice(*b.offsets)])


def test_a_state_of_other_arguments() -> None:
    state = fl.Minibatches(10, 3, seed=2).state_dict()
    for name, other in (
        ("n_samples", fl.Minibatches(11, 3, seed=2)),
        ("batch_size", fl.Minibatches(10, 4, seed=2)),
        ("seed", fl.Minibatches(10, 3, seed=1)),
        ("drop_last", fl.Minibatches(10, 3, seed=2, drop_last=True)),
    ):
        with pytest.raises(ValueError, match=f"the state has {name}="):
            other.load_state_dict(state)


def test_draws_ahead_within_bounds() -> None:
    batches = fl.Minibatches(1000, 10)
    for _ in range(200):
        span = batches.take(10**9)
    assert len(span.order) <= BLOCK


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples must be at least 1, not 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, not 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an integer, not 2.0"),
        ({"batch_size": True}, TypeError, "batch_size must be an integer, not True"),
        ({"seed": -1}, ValueError, "seed must be at least 0, not -1"),
        ({"seed": None}, TypeError, "seed must be an integer, not None"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fl.Minibatches(**{"n_samples": 10, "batch_size": 3, **arguments})  # type: ignore[arg-type]


def objectives() -> list[fl.objectives.Objective]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 3))
    kinds = fl.objectives
    return [
        kinds.LinearRegression(X, rng.standard_normal(8), l2=0.1),
        kinds.LogisticRegression(X, rng.integers(0, 2, 8), l2=0.1),
        kinds.SoftmaxRegression(X, np.arange(8) % 3, l2=0.1),
    ]


@pytest.mark.parametrize("f", objectives(), ids=lambda f: type(f).__name__)
def test_minibatch_gradients_are_unbiased(f: fl.objectives.Objective) -> None:
    phi = np.random.default_rng(1).standard_normal(f.n_params)
    every = [f.gradient(phi, list(batch)) for batch in combinations(range(8), 3)]
    np.testing.assert_allclose(np.mean(every, axis=0), f.gradient(phi), rtol=1e-12, atol=1e-14)
