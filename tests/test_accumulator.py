"""Sums and means of gradients: the same bits everywhere, and the right ones."""

from __future__ import annotations

import math
import threading
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from test_bits import DTYPES, LENGTHS, assert_same, bits, values, variants

BACKENDS = fl.backends()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def grads_of(lengths: tuple[int, ...], adds: int, nonfinite: bool = False) -> list[Any]:
    """Gradients of micro-batches in every mix of types, some missing."""
    rng = np.random.default_rng(5)
    kinds = list(DTYPES.values())
    return [
        [
            None
            if (i + k) % 5 == 4
            else values(rng, n, kinds[int(rng.integers(4))], nonfinite=nonfinite)
            for i, n in enumerate(lengths)
        ]
        for k in range(adds)
    ]


def run(
    backend: str,
    dtype: Any,
    lengths: tuple[int, ...] = LENGTHS,
    nonfinite: bool = False,
    adds: int = 4,
) -> list[np.ndarray]:
    """Bits of sums and means, of a second round after a reset."""
    acc = fl.GradientAccumulator([np.zeros(n) for n in lengths], dtype, backend)
    for k in range(2):
        acc.reset()
        for j, grads in enumerate(grads_of(lengths, adds, nonfinite)):
            weight = 1.0 if k == 0 else 1 + j / 3
            acc.add(grads, scale=1 / 3, weight=weight, on_nonfinite="ignore")
    return [bits(a) for a in (*acc.sum(), *acc.mean()) if a is not None]


# ---- bits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("nonfinite", [False, True])
def test_backends_isas_and_threads_agree(dtype: str, nonfinite: bool) -> None:
    expected = run("numpy", dtype, nonfinite=nonfinite)
    for name, isa in variants():
        if isa:
            fl.set_isa(isa)
        for threads in (1, 2, 3, 7):
            fl.set_num_threads(threads)
            assert_same(run(name, dtype, nonfinite=nonfinite), expected)


@settings(max_examples=30)
@given(
    lengths=st.lists(st.integers(0, 3000), min_size=1, max_size=6).map(tuple),
    threads=st.sampled_from((1, 2, 3, 7)),
    adds=st.integers(0, 5),
)
def test_any_sums_agree(lengths: tuple[int, ...], threads: int, adds: int) -> None:
    fl.set_num_threads(threads)
    expected = run("numpy", "float32", lengths, adds=adds)
    assert_same(run(BACKENDS[0], "float32", lengths, adds=adds), expected)


def test_many_are_as_many_adds(backend: str) -> None:
    lengths = (3, 1500, 0, 70_000)
    workers = grads_of(lengths, 5)
    weights = [1.0, 2.0, 0.0, 0.5, 3.0]
    one = fl.GradientAccumulator([np.zeros(n) for n in lengths], "float32", backend)
    many = fl.GradientAccumulator([np.zeros(n) for n in lengths], "float32", backend)
    for grads, weight in zip(workers, weights, strict=True):
        one.add(grads, 0.25, weight=weight)
    many.add_many(workers[:2], 0.25, weights=weights[:2])
    many.add_many(workers[2:], 0.25, weights=weights[2:])
    assert (many.count, many.weight) == (one.count, one.weight) == (5, 6.5)
    for a, b in zip(one.sum(), many.sum(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- outside truths ------------------------------------------------------------------------------


def test_float64_sums_are_near_exact(backend: str) -> None:
    rng = np.random.default_rng(0)
    grads = [(rng.standard_normal(500) * 1e3).astype(np.float32) for _ in range(50)]
    acc = fl.GradientAccumulator(np.zeros(500, np.float32), "float64", backend)
    for g in grads:
        acc.add(g)
    exact = [math.fsum(float(g[i]) for g in grads) for i in range(500)]
    np.testing.assert_allclose(acc.sum(), exact, rtol=0, atol=50 * 2**-52 * 1e5)
    assert acc.mean().dtype == np.float64
    np.testing.assert_allclose(acc.mean(), np.array(exact) / 50, rtol=1e-12, atol=1e-12)


def test_sums_are_torchs(backend: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    leaf = torch.zeros(2000, requires_grad=True)
    acc = fl.GradientAccumulator(leaf.detach().numpy(), backend=backend)
    for _ in range(7):
        g = rng.standard_normal(2000, dtype=np.float32)
        (leaf * torch.from_numpy(g)).sum().backward()  # autograd adds to .grad
        acc.add(g)
    np.testing.assert_array_equal(acc.sum(), leaf.grad.numpy())


def test_micro_batches_are_the_full_batch(backend: str) -> None:
    rng = np.random.default_rng(2)
    X, y, w = rng.standard_normal((12, 4)), rng.standard_normal(12), rng.standard_normal(4)

    def gradient(rows: slice) -> np.ndarray:
        residual = X[rows] @ w - y[rows]
        return 2 * X[rows].T @ residual / len(residual)

    acc = fl.GradientAccumulator(w, backend=backend)
    for start in range(0, 12, 3):
        acc.add(gradient(slice(start, start + 3)))
    np.testing.assert_allclose(acc.mean(), gradient(slice(0, 12)), rtol=1e-13)
    acc.reset()
    for rows in (slice(0, 7), slice(7, 12)):  # of unequal sizes
        acc.add(gradient(rows), weight=rows.stop - rows.start)
    assert (acc.count, acc.weight) == (2, 12.0)
    np.testing.assert_allclose(acc.mean(), gradient(slice(0, 12)), rtol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sum_and_mean_take_the_same_step(dtype: str, backend: str) -> None:
    rng = np.random.default_rng(3)
    start = [values(rng, n, DTYPES[dtype], False) for n in (5, 3000)]
    stepped = []
    for direct in (False, True):
        params = [p.copy() for p in start]
        opt = fl.AdamW(params, lr=0.1, backend=backend)
        acc = fl.GradientAccumulator(params, backend=backend)
        for grads in grads_of((5, 3000), 3):
            acc.add(grads)
        if direct:
            opt.step(acc.sum(), scale=1 / acc.weight)
        else:
            opt.step(acc.mean())
        stepped.append([bits(p) for p in params])
    assert_same(*stepped)


# ---- structure, state ----------------------------------------------------------------------------


def test_nestings(backend: str) -> None:
    a, b = np.ones((2, 3)), np.ones(4, np.float16)
    for params, grads in [
        ((a, b), [a, b]),
        ({"a": a, "b": b}, {"b": b, "a": a}),
        ([{"params": a}, {"params": {"b": b}}], [a, {"b": b}]),
        ([{"params": [a, b], "lr": 0.0}], [{"params": [a, b]}]),
    ]:
        acc = fl.GradientAccumulator(params, backend=backend)
        opt = fl.SGD(params, lr=0.0, backend=backend)
        acc.add(grads)
        acc.add(grads)
        opt.step(acc.mean())
        nested: Any = acc.sum()
        while isinstance(nested, (list, dict)):
            nested = (nested if isinstance(nested, list) else list(nested.values()))[0]
        assert nested.dtype == np.float64
        assert (nested == 2).all()
    assert isinstance(fl.GradientAccumulator({"a": a}).mean(), dict)
    assert fl.GradientAccumulator([a, b]).mean() == [None, None]
    assert [s.dtype.name for s in _added([a, b]).sum()] == ["float64", "float32"]
    assert [s.dtype.name for s in _added([a, b], "float32").sum()] == ["float32", "float32"]


def _added(params: list[np.ndarray], dtype: Any = None) -> fl.GradientAccumulator:
    acc = fl.GradientAccumulator(params, dtype)
    acc.add(params)
    return acc


def test_none_counts_as_zero(backend: str) -> None:
    acc = fl.GradientAccumulator([np.ones(2)] * 3, backend=backend)  # only shapes count
    acc.add([np.full(2, 3.0), None, None])
    acc.add([np.full(2, 1.0), np.full(2, 5.0), None])
    first, second, third = acc.mean()
    assert (first.tolist(), second.tolist(), third) == ([2, 2], [2.5, 2.5], None)
    assert acc.sum()[2] is None
    acc.add([None, None, None])
    assert (acc.count, acc.sum()[0].tolist()) == (3, [4, 4])


def test_reset_forgets_everything(backend: str) -> None:
    acc = fl.GradientAccumulator(np.ones(3), backend=backend)
    acc.add(np.array([np.inf, np.nan, 1.0]), on_nonfinite="ignore")
    acc.reset()
    assert (acc.count, acc.weight, acc.sum(), acc.mean()) == (0, 0.0, None, None)
    acc.add(np.ones(3))
    assert acc.sum().tolist() == [1, 1, 1]


def test_sums_are_read_only_and_live_and_means_are_new() -> None:
    acc = fl.GradientAccumulator(np.ones(2))
    acc.add(np.ones(2))
    total, mean = acc.sum(), acc.mean()
    with pytest.raises(ValueError, match="read-only"):
        total[0] = 5
    acc.add(np.ones(2))
    assert (total[0], mean[0]) == (2.0, 1.0)
    mean[0] = 7
    assert acc.sum()[0] == 2.0


def test_threads_wait_for_each_other(backend: str) -> None:
    acc = fl.GradientAccumulator(np.zeros(50_000), backend=backend)
    one = np.ones(50_000)
    workers = [threading.Thread(target=lambda: [acc.add(one) for _ in range(5)]) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert acc.count == 20
    assert (acc.sum() == 20).all()


# ---- what is refused and noticed -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("grads", "error", "message"),
    [
        ([np.ones(2), np.ones(4)], ValueError, r"params\[1\].*shape \(4,\)"),
        ([np.ones(2), np.ones(3, int)], TypeError, r"params\[1\].*int64"),
        ([np.ones(2), np.ones(6)[::2]], ValueError, "C-contiguous"),
        ([np.ones(2), [1.0] * 3], TypeError, "not list"),
        ([np.ones(2)], ValueError, "1 entries for 2"),
        (np.ones(2), TypeError, "must be a sequence"),
    ],
)
def test_bad_gradients_leave_the_sums(
    grads: Any, error: type[Exception], message: str, backend: str
) -> None:
    acc = fl.GradientAccumulator([np.ones(2), np.ones(3)], backend=backend)
    good = [np.ones(2), np.ones(3)]
    acc.add(good)
    with pytest.raises(error, match=message):
        acc.add(grads)
    with pytest.raises(error, match=r"grads\[1\]"):
        acc.add_many([good, grads])
    assert acc.count == 1
    assert [s.tolist() for s in acc.sum()] == [[1, 1], [1, 1, 1]]


def test_a_sum_cannot_be_added_to_itself(backend: str) -> None:
    acc = fl.GradientAccumulator(np.ones(2), backend=backend)
    acc.add(np.ones(2))
    with pytest.raises(ValueError, match=r"the gradient of params.*the sum of params.*overlap"):
        acc.add(acc.sum())
    assert acc.sum().tolist() == [1, 1]


def test_nonfinite_gradients(backend: str) -> None:
    acc = fl.GradientAccumulator([np.ones(2), np.ones(2)], backend=backend)
    good, bad = [np.ones(2)] * 2, [np.ones(2), np.array([1.0, np.inf])]
    with pytest.raises(FloatingPointError, match=r"params\[1\] in grads\[1\] is not finite"):
        acc.add_many([good, bad], on_nonfinite="raise")
    with pytest.raises(FloatingPointError, match=r"params\[1\] is not finite; nothing"):
        acc.add(bad, on_nonfinite="raise")
    assert acc.count == 0
    with pytest.warns(RuntimeWarning, match=r"params\[1\] is not finite") as caught:
        acc.add(bad)
    assert caught[0].filename == __file__
    with pytest.warns(RuntimeWarning, match=r"params\[1\] in grads\[1\] is not finite"):
        acc.add_many([good, bad])
    acc.add(bad, on_nonfinite="ignore")
    assert acc.count == 4
    assert acc.sum()[1].tolist() == [4, np.inf]


def test_what_float32_cannot_hold_is_noticed(backend: str) -> None:
    acc = fl.GradientAccumulator(np.ones(1), "float32", backend)
    with pytest.raises(FloatingPointError):
        acc.add(np.array([1e300]), on_nonfinite="raise")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"scale": np.nan}, ValueError, "scale must be finite"),
        ({"weight": -1.0}, ValueError, "weight must be finite and not negative, not -1.0"),
        ({"weight": np.inf}, ValueError, "weight"),
        ({"on_nonfinite": "skip"}, ValueError, "on_nonfinite must be one of"),
    ],
)
def test_bad_options(options: Any, error: type[Exception], message: str) -> None:
    acc = fl.GradientAccumulator(np.ones(1))
    with pytest.raises(error, match=message):
        acc.add(np.ones(1), **options)
    assert acc.count == 0


def test_bad_arguments() -> None:
    acc = fl.GradientAccumulator(np.ones(1))
    with pytest.raises(TypeError, match="entry per worker, not ndarray"):
        acc.add_many(np.ones(1))
    with pytest.raises(ValueError, match="weights has 1 entries for 2"):
        acc.add_many([np.ones(1)] * 2, weights=[1.0])
    acc.add(np.ones(1), weight=0.0)
    with pytest.raises(ValueError, match="all 0; they have no mean"):
        acc.mean()
    for params, dtype, error, message in [
        ([], None, ValueError, "empty"),
        (np.ones(2, int), None, TypeError, "params has dtype int64"),
        (None, None, TypeError, "NoneType"),
        (np.ones(2), "bfloat16", ValueError, "dtype must be one of"),
    ]:
        with pytest.raises(error, match=message):
            fl.GradientAccumulator(params, dtype)  # type: ignore[arg-type]


def test_repr_and_backend(backend: str) -> None:
    acc = fl.GradientAccumulator([np.ones(2, ml_dtypes.bfloat16)], backend=backend)
    assert acc.backend == backend
    assert repr(acc).endswith(f"(1 arrays, 2 elements, count=0, weight=0, backend: {backend})")
