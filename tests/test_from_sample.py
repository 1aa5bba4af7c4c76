"""Objectives from one sample's loss and gradient: agreement, bits, bad functions."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.objectives import LogisticRegression, _leaves, from_sample
from fallline.objectives._leaves import cut, tree_sum

numba = pytest.importorskip("numba")

RNG = np.random.default_rng(0)
N, D = 1500, 3
X = RNG.normal(size=(N, D))
Y = (X @ [1.0, -2.0, 0.5] + RNG.normal(size=N) > 0).astype(np.int64)
PHI = np.array([0.3, -0.2, 0.5, 0.1])


def logistic(phi, x, y, gradient):  # type: ignore[no-untyped-def]
    z = phi[-1]
    for j in range(x.size):
        z += phi[j] * x[j]
    p = 1 / (1 + np.exp(-z))
    for j in range(x.size):
        gradient[j] += (p - y) * x[j]
    gradient[-1] += p - y
    return np.log1p(np.exp(-abs(z))) + max(z, 0.0) - y * z


def logistic_product(phi, v, x, y, out):  # type: ignore[no-untyped-def]
    z, u = phi[-1], v[-1]
    for j in range(x.size):
        z += phi[j] * x[j]
        u += v[j] * x[j]
    p = 1 / (1 + np.exp(-z))
    for j in range(x.size):
        out[j] += p * (1 - p) * u * x[j]
    out[-1] += p * (1 - p) * u


BATCHES = [None, [5], np.arange(40) * 7, RNG.integers(0, N, 700)]
OURS = from_sample(logistic, X, Y, n_params=D + 1, hvp=logistic_product)
TRUTH = LogisticRegression(X, Y)


@pytest.mark.parametrize("batch", BATCHES, ids=["all", "one", "some", "many"])
def test_agrees_with_logistic_regression(batch: Any) -> None:
    v = np.array([1.0, -1.0, 0.5, 2.0])
    loss, gradient = OURS.loss_and_gradient(PHI, batch)
    assert loss == pytest.approx(TRUTH.loss(PHI, batch), rel=1e-12)
    assert OURS.loss(PHI, batch) == loss
    np.testing.assert_allclose(gradient, TRUTH.gradient(PHI, batch), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(OURS.losses(PHI, batch), TRUTH.losses(PHI, batch), rtol=1e-12)
    np.testing.assert_allclose(OURS.hvp(PHI, v, batch), TRUTH.hvp(PHI, v, batch), rtol=1e-10)
    assert (OURS.n_samples, OURS.n_params, OURS.dtype) == (N, D + 1, np.float64)


@pytest.mark.parametrize("options", [{"reduction": "sum"}, {"l2": 0.3}])
def test_reduction_and_penalty(options: dict[str, Any]) -> None:
    ours = from_sample(logistic, X, Y, n_params=D + 1, hvp=logistic_product, **options)
    batch = np.arange(100)
    scale = 100 if options.get("reduction") == "sum" else 1
    l2 = options.get("l2", 0.0)
    loss = scale * OURS.loss(PHI, batch) + l2 / 2 * PHI @ PHI
    assert ours.loss(PHI, batch) == pytest.approx(loss, rel=1e-12)
    expected = scale * OURS.gradient(PHI, batch) + l2 * PHI
    np.testing.assert_allclose(ours.gradient(PHI, batch), expected, rtol=1e-12)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_sample_weights(backend: Any) -> None:
    w = RNG.uniform(0, 2, N)
    w[3] = 0
    options = {"sample_weight": w, "l2": 0.1}
    ours = from_sample(
        logistic, X, Y, n_params=D + 1, hvp=logistic_product, backend=backend, **options
    )
    truth = LogisticRegression(X, Y, sample_weight=w)
    for batch in (None, np.arange(0, 300, 3)):
        penalty = 0.05 * PHI @ PHI
        assert ours.loss(PHI, batch) == pytest.approx(truth.loss(PHI, batch) + penalty, rel=1e-12)
        expected = truth.gradient(PHI, batch) + 0.1 * PHI
        np.testing.assert_allclose(ours.gradient(PHI, batch), expected, rtol=1e-11)
        expected = truth.hvp(PHI, PHI, batch) + 0.1 * PHI
        np.testing.assert_allclose(ours.hvp(PHI, PHI, batch), expected, rtol=1e-10)
    np.testing.assert_allclose(ours.losses(PHI), truth.losses(PHI), rtol=1e-12)
    with pytest.raises(ValueError, match=r"sample_weight\[3\] is -1.0"):
        from_sample(logistic, X, Y, n_params=D + 1, sample_weight=np.where(w == 0, -1, w))


def test_products_by_differences(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fallline"):
        f = from_sample(logistic, X, Y, n_params=D + 1)
    assert caplog.messages == [repr(f)]
    assert repr(f) == (
        "from_sample(logistic)(1,500 samples, 4 parameters, float64, reduction='mean', l2=0.0, "
        "hvp by central differences of the gradient)"
    )
    assert f.derivatives["hvp"] == "central differences of the gradient"
    assert "differences" not in repr(OURS)
    np.testing.assert_allclose(f.hessian(PHI), TRUTH.hessian(PHI), rtol=1e-8)
    assert fl.curvature.critical_point(f, PHI).verdict == "not critical"
    small = from_sample(logistic, X.astype(np.float32), Y, n_params=D + 1)
    assert small.dtype == np.float32
    np.testing.assert_allclose(small.hessian(PHI), TRUTH.hessian(PHI), rtol=1e-5)


@pytest.mark.parametrize("batch", [None, *BATCHES[2:]], ids=["all", "some", "many"])
def test_same_bits_at_any_number_of_threads(batch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_leaves, "GRAIN", 1)
    found = set()
    before = fl.get_num_threads()
    try:
        for threads in (1, 2, 3, 7):
            fl.set_num_threads(threads)
            loss, gradient = OURS.loss_and_gradient(PHI, batch)
            product = OURS.hvp(PHI, PHI, batch)
            found.add((loss, gradient.tobytes(), product.tobytes()))
    finally:
        fl.set_num_threads(before)
    assert len(found) == 1


def test_backends_agree() -> None:
    plain = from_sample(logistic, X, Y, n_params=D + 1, hvp=logistic_product, backend="numpy")
    batch = np.arange(100)
    assert plain.loss(PHI, batch) == pytest.approx(OURS.loss(PHI, batch), rel=1e-14)
    np.testing.assert_allclose(plain.gradient(PHI, batch), OURS.gradient(PHI, batch), rtol=1e-13)
    np.testing.assert_allclose(plain.losses(PHI, batch), OURS.losses(PHI, batch), rtol=1e-13)
    np.testing.assert_allclose(plain.hvp(PHI, PHI, batch), OURS.hvp(PHI, PHI, batch), rtol=1e-13)
    compiled = from_sample(numba.njit(logistic), X, Y, n_params=D + 1)
    assert compiled.loss(PHI) == pytest.approx(OURS.loss(PHI), rel=1e-14)


def test_samples_of_any_shape() -> None:
    def f(phi, image, k, gradient):  # type: ignore[no-untyped-def]
        r = phi[k] - image.sum()
        gradient[k] += 2 * r
        return r * r

    images = RNG.normal(size=(50, 2, 3))
    k = np.arange(50) % 4
    ours = from_sample(f, images, k.astype(np.int32), x0=[1.0, 2.0, 3.0, 4.0])
    phi = ours.initial()
    assert phi.tolist() == [1, 2, 3, 4]
    r = phi[k] - images.sum(axis=(1, 2))
    assert ours.loss(phi) == pytest.approx((r**2).mean())
    np.testing.assert_allclose(ours.gradient(phi), np.bincount(k, 2 * r) / 50)
    assert ours.arrays[0] is images  # read in place


def test_it_is_minimized() -> None:
    x = OURS.initial()
    optimizer = fl.Adam(x, lr=0.1)
    for _ in range(300):
        optimizer.step(OURS.gradient(x))
    assert fl.curvature.check_gradient(OURS, x).error < 1e-8
    assert np.abs(TRUTH.gradient(x)).max() < 1e-4


def test_overflow_is_told() -> None:
    def f(phi, x, gradient):  # type: ignore[no-untyped-def]
        gradient[0] += x
        return np.exp(phi[0] * x)

    ours = from_sample(f, np.array([1.0, 2000.0]), n_params=1)
    with pytest.warns(RuntimeWarning, match="that of sample 1 is inf"):
        ours.loss([1.0])


def test_leaves_depend_on_sizes_alone() -> None:
    for size in (1, 31, 32, 33, 1000, 12345):
        for params in (1, 10**5, 10**7):
            rows, count = cut(size, params)
            assert rows * (count - 1) < size <= rows * count
            assert count <= (64 if params < 10**5 else 41 if params < 10**7 else 8)
            assert rows % 8 == 0
    for n in (1, 2, 3, 64):
        values = RNG.normal(size=(n, 2))
        np.testing.assert_allclose(tree_sum(values.copy()), values.sum(axis=0), rtol=1e-12)


def beyond(phi, x, gradient):  # type: ignore[no-untyped-def]
    gradient[7] += x
    return x


def silent(phi, x, gradient):  # type: ignore[no-untyped-def]
    gradient[0] += x


def several(phi, x, gradient):  # type: ignore[no-untyped-def]
    return phi * x


def too_clever(phi, x, gradient):  # type: ignore[no-untyped-def]
    return {1: x, "a": 2}[1]


def domain(phi, x, gradient):  # type: ignore[no-untyped-def]
    gradient[0] += 1 / phi[0]
    return math.log(phi[0]) + x


SAMPLES = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: from_sample(3, SAMPLES, n_params=1), TypeError, "f must be callable, not 3"),
        (lambda: from_sample(domain, n_params=1), TypeError, "needs at least one array"),
        (lambda: from_sample(domain, SAMPLES), TypeError, "x0 or n_params must say how many"),
        (lambda: from_sample(domain, SAMPLES, n_params=1, hvp=3), TypeError, "hvp must be call"),
        (lambda: from_sample(domain, 3.0, n_params=1), ValueError, r"arrays\[0\] has shape \(\)"),
        (lambda: from_sample(domain, ["a"], n_params=1), TypeError, r"arrays\[0\] must be real"),
        (lambda: from_sample(domain, [np.nan], n_params=1), ValueError, r"arrays\[0\]\[0\] is nan"),
        (
            lambda: from_sample(domain, SAMPLES, [1.0], n_params=1),
            ValueError,
            r"arrays\[1\] has 1 samples; arrays\[0\] has 3",
        ),
        (
            lambda: from_sample(domain, SAMPLES, n_params=1, dtype=np.int64),
            ValueError,
            "dtype must be float32 or float64, not int64",
        ),
        (
            lambda: from_sample(domain, SAMPLES, n_params=1, backend="native"),
            ValueError,
            "backend must be 'numba' or 'numpy', not 'native'",
        ),
        (
            lambda: from_sample(beyond, SAMPLES, n_params=2),
            IndexError,
            "f reaches beyond its arguments at the first sample .*; there are 2 parameters",
        ),
        (lambda: from_sample(silent, SAMPLES, n_params=1), TypeError, "f must return the loss, a"),
        (lambda: from_sample(several, SAMPLES, n_params=2), ValueError, "one number, not an array"),
        (lambda: from_sample(too_clever, SAMPLES, n_params=1), TypeError, "Numba cannot compile"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def reaching(phi, k, gradient):  # type: ignore[no-untyped-def]
    gradient[k] += 1.0
    return phi[k]


@pytest.mark.parametrize("f", [reaching, numba.njit(reaching)], ids=["plain", "compiled"])
def test_compiled_code_checks_its_indices(f: Any) -> None:
    ours = from_sample(f, np.array([0, 1, 2, 10**9]), n_params=3)
    assert ours.loss(np.ones(3), [0, 1, 2]) == 1
    for call in (ours.loss, ours.gradient, ours.losses):
        with pytest.raises(IndexError, match="out of bounds"):
            call(np.ones(3))


def test_a_start_outside_of_the_domain_is_no_error() -> None:
    f = from_sample(domain, SAMPLES, n_params=1)
    assert f.loss([1.0]) == pytest.approx(2.0)
