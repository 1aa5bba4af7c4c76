"""Linear models as objectives: closed forms, finite differences, backends, bits, bad input."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl

sp = pytest.importorskip("scipy.sparse")

MODELS = ("linear", "linear of 3 outputs", "logistic", "softmax")
FORMATS = ("dense", "csr int32", "csr int64")
DTYPES = ("float32", "float64")
BACKENDS = fl.backends()
CLASSES = 5
Objective = fl.objectives.Objective


def samples(n: int, d: int, format: str = "dense", dtype: str = "float64", seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)).astype(dtype)
    if format == "dense":
        return X
    X[rng.random((n, d)) < 0.6] = 0
    csr = sp.csr_array(X)
    index = format.split()[1]
    return sp.csr_array(
        (csr.data, csr.indices.astype(index), csr.indptr.astype(index)), shape=(n, d)
    )


def make(model: str, X: Any, seed: int = 1, **options: Any) -> Any:
    rng = np.random.default_rng(seed)
    n = X.shape[0]
    if model == "linear":
        return fl.objectives.LinearRegression(X, rng.standard_normal(n), **options)
    if model == "linear of 3 outputs":
        return fl.objectives.LinearRegression(X, rng.standard_normal((n, 3)), **options)
    if model == "logistic":
        return fl.objectives.LogisticRegression(X, rng.integers(0, 2, n), **options)
    labels = rng.integers(0, CLASSES, n)
    return fl.objectives.SoftmaxRegression(X, labels, CLASSES, **options)


def point(f: Objective, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and a direction."""
    rng = np.random.default_rng(seed)
    phi, v = rng.standard_normal((2, f.n_params)).astype(f.dtype)
    return phi, v


def weights(n: int, seed: int = 3) -> np.ndarray:
    w = np.random.default_rng(seed).uniform(0, 2, n)
    w[0] = 0
    return w


OPTIONS = [
    {"sample_weight": w, "intercept": b, "l2": l2, "reduction": r}
    for w, b, l2, r in itertools.product(
        (None, weights(11)), (True, False), (0.0, 0.3), ("mean", "sum")
    )
]

# ---- against outside truths --------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("model", MODELS)
def test_central_differences(model: str, format: str, backend: str) -> None:
    X = samples(11, 4, format)
    for options, batch in itertools.product(OPTIONS, (None, np.array([7, 2, 2, 10]))):
        f = make(model, X, backend=backend, **options)
        phi, v = point(f)
        h = 1e-5
        slope = (f.loss(phi + h * v, batch) - f.loss(phi - h * v, batch)) / (2 * h)
        assert slope == pytest.approx(f.gradient(phi, batch) @ v, rel=1e-7, abs=1e-7)
        change = (f.gradient(phi + h * v, batch) - f.gradient(phi - h * v, batch)) / (2 * h)
        np.testing.assert_allclose(f.hvp(phi, v, batch), change, rtol=1e-7, atol=1e-7)


def closed_form(model: str, f: Any, batch: Any) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss, gradient and Hessian in float64, by dense matrices."""
    X, y, w = f.samples.X, f.samples.y.astype(np.float64), f.samples.weight
    X = (X.toarray() if sp.issparse(X) else X).astype(np.float64)
    w = np.ones(len(X)) if w is None else w.astype(np.float64)
    rows = np.arange(len(X)) if batch is None else batch
    X, y, w = X[rows], y[rows], w[rows]
    phi = point(f)[0].astype(np.float64)
    k, d = f.samples.outputs, X.shape[1]
    W, b = phi[: k * d].reshape(k, d), phi[k * d :] if f.intercept else np.zeros(k)
    Z = X @ W.T + b
    if model.startswith("linear"):
        losses, S = ((Z - y) ** 2).sum(axis=1), 2 * (Z - y)
        H = np.broadcast_to(2 * np.eye(k), (len(X), k, k))
    elif model == "logistic":
        p = 1 / (1 + np.exp(-Z))
        losses = -(y * np.log(p) + (1 - y) * np.log(1 - p))[:, 0]
        S, H = p - y, (p * (1 - p))[:, :, None]
    else:
        p = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
        hot = np.eye(k)[y[:, 0].astype(int)]
        losses, S = -np.log((p * hot).sum(axis=1)), p - hot
        H = p[:, :, None] * np.eye(k) - p[:, :, None] * p[:, None, :]
    scale = 1 / len(rows) if f.reduction == "mean" else 1.0
    penalty = f.l2 * (1.0 if f.reduction == "mean" else len(rows) / f.n_samples)
    J = np.concatenate([X, np.ones((len(X), 1))], axis=1)  # of each output, by its own parameters
    G = scale * (w[:, None] * S).T @ J
    A = scale * np.einsum("i,icd,ij,ik->cjdk", w, H, J, J)
    order = np.concatenate(
        [np.arange(k * (d + 1)).reshape(k, -1)[:, :d].ravel(), np.arange(k) * (d + 1) + d]
    )[: f.n_params]
    ridge = np.where(np.arange(f.n_params) < k * d, penalty, 0.0)
    gradient = G.ravel()[order] + ridge * phi
    hessian = A.reshape(k * (d + 1), -1)[np.ix_(order, order)] + np.diag(ridge)
    return scale * float(w @ losses) + 0.5 * float(ridge @ phi**2), gradient, hessian


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("model", MODELS)
def test_closed_forms(model: str, format: str, dtype: str, backend: str) -> None:
    X = samples(11, 5, format, dtype)
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    for options, batch in itertools.product(OPTIONS, (None, np.array([7, 2, 2, 10]))):
        f = make(model, X, backend=backend, **options)
        phi, v = point(f)
        loss, gradient, hessian = closed_form(model, f, batch)
        found, g = f.loss_and_gradient(phi, batch)
        assert found == pytest.approx(loss, rel=tolerance)
        assert f.loss(phi, batch) == found
        assert g.dtype == f.dtype == dtype
        np.testing.assert_allclose(g, gradient, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(
            f.hvp(phi, v, batch), hessian @ v, rtol=tolerance, atol=10 * tolerance
        )
    np.testing.assert_allclose(f.hessian(phi, batch), hessian, rtol=tolerance, atol=10 * tolerance)


def test_torch_agrees() -> None:
    torch = pytest.importorskip("torch")
    f = make("softmax", samples(300, 17, dtype="float32"))
    phi, _ = point(f)
    batch = np.random.default_rng(0).integers(0, 300, 64)
    W = torch.from_numpy(phi[: 17 * CLASSES].reshape(CLASSES, 17).copy()).requires_grad_()
    b = torch.from_numpy(phi[17 * CLASSES :].copy()).requires_grad_()
    z = torch.from_numpy(f.samples.X[batch]) @ W.T + b
    y = torch.from_numpy(f.samples.y[batch, 0].astype(np.int64))
    loss = torch.nn.functional.cross_entropy(z, y)
    loss.backward()
    found, g = f.loss_and_gradient(phi, batch)
    assert found == pytest.approx(float(loss.detach()), rel=1e-6)
    expected = np.concatenate([W.grad.numpy().ravel(), b.grad.numpy()])
    np.testing.assert_allclose(g, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_minibatch_gradients_are_unbiased(backend: str) -> None:
    """The mean over all C(9, 3) batches is the full gradient: penalty and weights included."""
    for model, reduction in itertools.product(MODELS, ("mean", "sum")):
        f = make(
            model,
            samples(9, 3),
            l2=0.1,
            sample_weight=weights(9),
            reduction=reduction,
            backend=backend,
        )
        phi, _ = point(f)
        batches = [np.array(b) for b in itertools.combinations(range(9), 3)]
        mean = np.mean([f.gradient(phi, b) for b in batches], axis=0)
        full = f.gradient(phi) * (3 / 9 if reduction == "sum" else 1.0)
        np.testing.assert_allclose(mean, full, rtol=1e-12, atol=1e-13)


# ---- backends ----------------------------------------------------------------------------------

# Of the sum of the terms' magnitudes: what the order of additions can change.
ULPS = 8
# Blocks (8 rows), leaves (32 to 256) and what is left of them; lanes (8 or 16) and their rest.
SIZES = ((1, 1), (7, 3), (8, 16), (40, 33), (300, 50), (2100, 5))


def magnitudes(f: Any, phi: np.ndarray, batch: Any) -> np.ndarray:
    """Σ w |∂ℓ| of each parameter, and of what the outputs' own rounding adds to the slopes."""
    s = f.samples
    X = np.abs(s.X.toarray() if sp.issparse(s.X) else s.X).astype(np.float64)[batch]
    w = np.ones(len(batch)) if s.weight is None else s.weight[batch].astype(np.float64)
    k, d = s.outputs, X.shape[1]
    W = np.abs(phi[: k * d].reshape(k, d)).astype(np.float64)
    z = X @ W.T + (np.abs(phi[k * d :]) if f.intercept else 0.0)
    S = w[:, None] * (2 * z + 2 + 2 * np.abs(s.y[batch]))
    total = (S.T @ X).ravel()
    return np.concatenate([total, S.sum(axis=0)])[: f.n_params] / len(batch)


@pytest.mark.skipif(len(BACKENDS) < 2, reason="one backend")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("model", MODELS)
def test_backends_agree(model: str, format: str, dtype: str) -> None:
    for n, d in SIZES:
        X = samples(n, d, format, dtype)
        options = {"l2": 0.1, "sample_weight": weights(n) if n % 2 else None}
        reference = make(model, X, backend="numpy", **options)
        phi, v = point(reference)
        batch = np.random.default_rng(n).integers(0, n, max(1, n // 2))
        loss, g = reference.loss_and_gradient(phi, batch)
        size = magnitudes(reference, phi, batch) + np.abs(phi) + 1e-300
        curved = reference.hvp(phi, v, batch)
        bound = ULPS * np.finfo(dtype).eps
        for backend in BACKENDS[:-1]:
            f = make(model, X, backend=backend, **options)
            found, h = f.loss_and_gradient(phi, batch)
            assert abs(found - loss) <= bound * (abs(loss) + np.abs(size).max())
            assert (np.abs(h - g) <= bound * size).all(), (backend, n, d)
            scale = np.abs(curved).max() + np.abs(v).max() * size.max()
            assert np.abs(f.hvp(phi, v, batch) - curved).max() <= bound * scale


def results(f: Objective, batch: Any) -> bytes:
    phi, v = point(f)
    loss, gradient = f.loss_and_gradient(phi, batch)
    return np.float64(loss).tobytes() + gradient.tobytes() + f.hvp(phi, v, batch).tobytes()


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "numpy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("model", MODELS)
def test_same_bits_at_any_number_of_threads_and_on_every_isa(
    model: str, format: str, dtype: str, backend: str
) -> None:
    n, d = 5001, 67  # work enough for seven threads
    X = samples(n, d, format, dtype)
    f = make(model, X, backend=backend, sample_weight=weights(n), l2=0.1)
    isas = fl.isas() if backend == "native" else [fl.get_isa()]
    for batch in (None, np.random.default_rng(0).permutation(n)[:3000], np.arange(61)):
        found = set()
        for isa, threads in itertools.product(isas, (1, 2, 3, 7)):
            if isa:
                fl.set_isa(isa)
            fl.set_num_threads(threads)
            found.add(results(f, batch))
        assert len(found) == 1


@pytest.mark.skipif("native" not in BACKENDS, reason="needs the core")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("model", MODELS)
def test_same_bits_at_any_position(model: str, dtype: str) -> None:
    n, d = 203, 37
    X = samples(n, d, dtype=dtype)
    for isa in fl.isas():
        fl.set_isa(isa)
        found = set()
        for offset in range(0, 64, X.itemsize):
            memory = np.empty(X.nbytes + 128, np.uint8)
            start = -memory.ctypes.data % 64 + offset
            moved = memory[start : start + X.nbytes].view(dtype).reshape(n, d)
            moved[...] = X
            f = make(model, moved)
            assert f.samples.X.ctypes.data == moved.ctypes.data  # read in place
            found.add(results(f, np.arange(0, n, 2)))
        assert len(found) == 1


@pytest.mark.skipif("native" not in BACKENDS, reason="needs the core")
def test_rows_of_every_length_stay_within_their_array() -> None:
    """What lies behind a row, be it NaN, does not reach the sums."""
    for d, dtype in itertools.product((*range(1, 36), 63, 64, 65), DTYPES):
        room = np.full(9 * d + 40, np.nan, dtype)
        X = room[: 9 * d].reshape(9, d)
        X[...] = samples(9, d, dtype=dtype)
        f = make("softmax", X)
        out = np.full(f.n_params + 16, 7, dtype)
        g = f.gradient(point(f)[0], out=out[: f.n_params])
        assert np.isfinite(g).all()
        assert (out[f.n_params :] == 7).all()


MEMORY = """
import resource
import numpy as np, scipy.sparse as sp, fallline as fl
fl.set_num_threads(2)
n, d, k = 20_000, 1_000_000, 20
rng = np.random.default_rng(0)
columns = rng.integers(0, d // k, (n, k)) + np.arange(k) * (d // k)
X = sp.csr_array((rng.standard_normal(n * k), columns.ravel(), np.arange(0, n * k + 1, k)), (n, d))
f = fl.objectives.LogisticRegression(X, rng.integers(0, 2, n))
phi, out = f.initial(), np.zeros(f.n_params)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for batch in (None, np.arange(4096), np.arange(32)):
    f.loss_and_gradient(phi, batch, out)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / phi.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of resident memory")
def test_sparse_gradients_take_no_more_memory_than_a_vector_or_two() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 2


def test_a_hessian_beyond_memory_is_refused_with_its_size() -> None:
    X = sp.csr_array((1, 1_000_000))
    f = fl.objectives.LogisticRegression(X, [1], intercept=False)
    message = "the Hessian of 1,000,000 parameters would take 8 TB; .* Use hvp"
    with pytest.raises(MemoryError, match=message):
        f.hessian(f.initial())


# ---- extremes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_large_logits_are_finite(backend: str, dtype: str) -> None:
    X = np.array([[1e4], [-1e4], [0.0]], dtype)
    f = fl.objectives.LogisticRegression(X, [0, 0, 1], intercept=False, backend=backend)
    loss, g = f.loss_and_gradient([1.0])
    assert loss == pytest.approx((1e4 + math.log(2)) / 3)
    assert g == pytest.approx([1e4 / 3])
    assert np.isfinite(f.hvp([1.0], [1.0])).all()

    f = fl.objectives.SoftmaxRegression(X, [1, 1, 0], 2, intercept=False, backend=backend)
    loss, g = f.loss_and_gradient([1.0, -1.0])
    assert loss == pytest.approx((2e4 + math.log(2)) / 3)
    assert g == pytest.approx([1e4 / 3, -1e4 / 3])
    assert np.isfinite(f.hvp([1.0, -1.0], [1.0, 0.0])).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_overflow_names_the_sample(backend: str) -> None:
    X = np.array([[1.0], [2.0], [1e200]])
    f = fl.objectives.LinearRegression(X, [0.0, 0.0, 0.0], backend=backend)
    with pytest.warns(RuntimeWarning, match=r"the loss is inf: that of sample 2 is inf"):
        assert f.loss([1.0, 0.0]) == math.inf
    with pytest.warns(RuntimeWarning, match=r"parameter 1 is nan"):
        f.gradient([1.0, math.nan])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f.loss([1.0, 0.0], [0, 1])  # a batch without that sample


# ---- bad input ---------------------------------------------------------------------------------


def spoiled(**parts: Any) -> Any:
    """A CSR matrix of 3 x 4 whose parts have been replaced behind SciPy's back."""
    csr = sp.csr_array(
        (np.ones(4), np.array([0, 2, 1, 3], np.int32), np.array([0, 2, 2, 4], np.int32)),
        shape=(3, 4),
    )
    for name, part in parts.items():
        setattr(csr, name, np.array(part, getattr(csr, name).dtype))
    return csr


@pytest.mark.parametrize(
    ("csr", "message"),
    [
        (lambda: spoiled(indices=[0, 4, 1, 3]), r"X\.indices\[1\] is 4; expected a column in"),
        (lambda: spoiled(indices=[0, 2, -1, 3]), r"X\.indices\[2\] is -1"),
        (lambda: spoiled(indices=[2, 0, 1, 3]), r"row 0 has unsorted or duplicate columns \(2, 0"),
        (lambda: spoiled(indices=[0, 2, 1, 1]), r"row 2 has unsorted or duplicate columns \(1, 1"),
        (lambda: spoiled(indptr=[0, 3, 2, 4]), r"X\.indptr must rise"),
        (lambda: spoiled(indptr=[1, 2, 2, 4]), r"X\.indptr must rise"),
        (lambda: spoiled(indptr=[0, 2, 2, 9]), r"X\.indptr ends at 9"),
        (lambda: spoiled(data=[1, 2, np.nan, 4]), r"X\[2, 1\] is nan"),
        (lambda: spoiled().tocsc(), r"X is sparse of format 'csc'"),
        (lambda: sp.csr_array((0, 4)), r"X has shape \(0, 4\)"),
        (lambda: sp.csr_array(np.eye(3), dtype=complex), r"dtype complex128"),
    ],
)
def test_a_malformed_csr_is_refused(csr: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        fl.objectives.LinearRegression(csr(), np.zeros(3))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda o: o.LinearRegression([[1.0], [math.nan]], [0.0, 1.0]), r"X\[1, 0\] is nan"),
        (lambda o: o.LinearRegression([[1.0], [2.0]], [0.0, math.inf]), r"y\[1\] is inf"),
        (lambda o: o.LinearRegression([[1.0], [2.0]], [0.0]), r"y has 1 entries; X has 2 samples"),
        (lambda o: o.LinearRegression([1.0, 2.0], [0.0, 1.0]), r"X has shape \(2,\)"),
        (lambda o: o.LinearRegression(np.ones((2, 0)), [0.0, 1.0]), r"X has shape \(2, 0\)"),
        (lambda o: o.LinearRegression([["a"]], [0.0]), r"X must be real numbers"),
        (lambda o: o.LogisticRegression([[1.0], [2.0]], [0, 2]), r"y\[1\] is 2; expected a label"),
        (lambda o: o.LogisticRegression([[1.0]], [math.nan]), r"y\[0\] is nan"),
        (lambda o: o.SoftmaxRegression([[1.0], [2.0]], [0, 3], 3), r"y\[1\] is 3; expected a cl"),
        (lambda o: o.SoftmaxRegression([[1.0], [2.0]], [-1, 1]), r"y\[0\] is -1"),
        (lambda o: o.SoftmaxRegression([[1.0], [2.0]], [0.0, 1.0]), r"expected one integer class"),
        (lambda o: o.SoftmaxRegression([[1.0], [2.0]], [0, 0]), r"n_classes is 1"),
        (
            lambda o: o.LinearRegression([[1.0], [2.0]], [0, 1], sample_weight=[1.0, -1.0]),
            r"sample_weight\[1\] is -1.0",
        ),
        (
            lambda o: o.LinearRegression([[1.0], [2.0]], [0, 1], sample_weight=[1.0]),
            r"sample_weight has shape \(1,\); expected \(2,\)",
        ),
        (lambda o: o.LinearRegression([[1.0]], [0.0], reduction="max"), r"reduction must be"),
        (lambda o: o.LinearRegression([[1.0]], [0.0], l2=-1.0), r"l2 must be a finite number"),
        (lambda o: o.LinearRegression([[1.0]], [0.0], backend="cuda"), r"cuda"),
    ],
)
def test_bad_samples_are_refused(build: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        build(fl.objectives)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([], ValueError, "batch is empty"),
        ([0, 9], IndexError, r"batch\[1\] is 9; expected an index in \[0, 9\)"),
        ([0, -1], IndexError, r"batch\[1\] is -1"),
        ([0.0, 1.0], TypeError, "batch must hold integer indices"),
        ([True, False], TypeError, "batch must hold integer indices"),
        ([[0, 1]], ValueError, "one dimension"),
        (np.array([2**64 - 1], np.uint64), IndexError, r"batch\[0\]"),
    ],
)
def test_a_bad_batch_is_refused(backend: str, batch: Any, error: Any, message: str) -> None:
    f = make("linear", samples(9, 2), backend=backend)
    out = np.full(3, 7.0)
    for call in (
        lambda: f.loss(np.zeros(3), batch),
        lambda: f.gradient(np.zeros(3), batch, out=out),
        lambda: f.hvp(np.zeros(3), np.zeros(3), batch, out=out),
    ):
        with pytest.raises(error, match=message):
            call()
    assert (out == 7).all()


def test_bad_parameters_are_refused() -> None:
    f = make("linear", samples(9, 2))
    with pytest.raises(ValueError, match=r"phi has shape \(2,\); expected \(3,\)"):
        f.loss([0.0, 0.0])
    with pytest.raises(TypeError, match="phi must be real numbers"):
        f.loss(["a", "b", "c"])
    with pytest.raises(ValueError, match=r"v has shape"):
        f.hvp(np.zeros(3), np.zeros(4))
    readonly = np.zeros(3)
    readonly.flags.writeable = False
    for out in (np.zeros(3, np.float32), np.zeros(4), np.zeros(6)[::2], readonly, [0.0] * 3):
        with pytest.raises(ValueError, match="out must be a writeable C-contiguous float64 array"):
            f.gradient(np.zeros(3), out=out)


# ---- properties --------------------------------------------------------------------------------


@st.composite
def problems(draw: Any) -> tuple[Any, np.ndarray]:
    n, d = draw(st.integers(1, 70)), draw(st.integers(1, 20))
    f = make(
        draw(st.sampled_from(MODELS)),
        samples(n, d, draw(st.sampled_from(FORMATS)), seed=draw(st.integers(0, 9))),
        intercept=draw(st.booleans()),
        backend=draw(st.sampled_from(BACKENDS)),
    )
    return f, np.array(draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=80)))


@settings(max_examples=60)
@given(problems())
def test_a_batch_is_the_mean_of_its_samples(problem: tuple[Any, np.ndarray]) -> None:
    f, batch = problem
    phi, v = point(f)
    loss, gradient = f.loss_and_gradient(phi, batch)
    assert loss == pytest.approx(f.losses(phi, batch).mean(), rel=1e-11)
    singles = [f.gradient(phi, [i]) for i in batch]
    np.testing.assert_allclose(gradient, np.mean(singles, axis=0), rtol=1e-9, atol=1e-11)
    curved = [f.hvp(phi, v, [i]) for i in batch]
    np.testing.assert_allclose(f.hvp(phi, v, batch), np.mean(curved, axis=0), rtol=1e-9, atol=1e-11)


@settings(max_examples=30)
@given(
    st.sampled_from(MODELS),
    st.sampled_from(BACKENDS),
    st.lists(st.integers(0, 3), min_size=9, max_size=9),
)
def test_a_weight_is_a_repetition(model: str, backend: str, counts: list[int]) -> None:
    X, w = samples(9, 3), np.array(counts)
    weighted = make(model, X, sample_weight=w, reduction="sum", backend=backend)
    plain = make(model, X, reduction="sum", backend=backend)
    phi, _ = point(plain)
    batch = np.repeat(np.arange(9), w)
    expected = plain.gradient(phi, batch) if batch.size else np.zeros(plain.n_params)
    np.testing.assert_allclose(weighted.gradient(phi), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("format", FORMATS)
def test_the_curvature_is_symmetric_and_positive(format: str) -> None:
    for model in MODELS:
        f = make(model, samples(40, 6, format))
        H = f.hessian(point(f)[0])
        np.testing.assert_array_equal(H, H.T)
        assert np.linalg.eigvalsh(H).min() > -1e-12


def test_what_it_predicts() -> None:
    X = samples(50, 4)
    for model in MODELS:
        f = make(model, X)
        phi, _ = point(f)
        parts = f.unpack(phi)
        z = X @ parts["weight"].T + parts["intercept"]
        if model.startswith("linear"):
            np.testing.assert_allclose(f.predict(phi), z)
        elif model == "logistic":
            np.testing.assert_array_equal(f.predict(phi), z > 0)
            np.testing.assert_allclose(f.predict_proba(phi), 1 / (1 + np.exp(-z)))
        else:
            np.testing.assert_array_equal(f.predict(phi, X), z.argmax(axis=1))
            np.testing.assert_allclose(f.predict_proba(phi).sum(axis=1), 1)
    with pytest.raises(ValueError, match="X has 3 features; the model has 4"):
        f.predict(phi, X[:, :3])
