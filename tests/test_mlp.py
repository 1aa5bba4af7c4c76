"""Fully connected networks: derivatives, agreement of backends, and the same bits everywhere."""

from __future__ import annotations

import ctypes
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline.objectives import MLP, _blas
from fallline.objectives._activations import ACTIVATIONS

BACKENDS = fl.backends()
LOSSES = ("squared", "softmax", "logistic")
CLASSES = 4


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


native = pytest.mark.skipif(
    "native" not in BACKENDS or _blas.find() is None, reason="needs the core and NumPy's BLAS"
)


def data(loss: str, n: int = 23, features: int = 5, dtype: Any = np.float64) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, features)).astype(dtype)
    y = {
        "squared": rng.standard_normal((n, 3)),
        "softmax": rng.integers(0, CLASSES, n),
        "logistic": rng.integers(0, 2, n),
    }[loss]
    return X, y


def network(loss: str, activation: str = "tanh", n: int = 23, **options: Any) -> MLP:
    rng = np.random.default_rng(4)
    X, y = data(loss, n, dtype=options.pop("dtype", np.float64))
    options.setdefault("n_classes", CLASSES if loss == "softmax" else None)
    options.setdefault("hidden", (7, 6))
    weight = rng.random(n)
    return MLP(X, y, activation=activation, loss=loss, sample_weight=weight, **options)


def point(f: MLP, seed: int = 5) -> Any:
    rng = np.random.default_rng(seed)
    return (f.initial(seed) + 0.1 * rng.standard_normal(f.n_params)).astype(f.dtype)


# ---- derivatives -------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_derivatives_are_those_of_the_loss(activation: str, loss: str, backend: str) -> None:
    f = network(loss, activation, l2=0.1, backend=backend)
    phi, v = point(f), point(f, 6)
    batch = [3, 0, 3, 22, 11]
    step = 1e-5

    gradient = f.gradient(phi, batch)
    along = (f.loss(phi + step * v, batch) - f.loss(phi - step * v, batch)) / (2 * step)
    np.testing.assert_allclose(gradient @ v, along, rtol=1e-7, atol=1e-8)
    for j in range(0, f.n_params, 7):
        unit = step * np.eye(1, f.n_params, j)[0]
        slope = (f.loss(phi + unit, batch) - f.loss(phi - unit, batch)) / (2 * step)
        np.testing.assert_allclose(gradient[j], slope, rtol=1e-6, atol=1e-8)

    difference = f.gradient(phi + step * v, batch) - f.gradient(phi - step * v, batch)
    np.testing.assert_allclose(f.hvp(phi, v, batch), difference / (2 * step), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_torch_agrees(activation: str, loss: str, backend: str) -> None:
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    f = network(loss, activation, backend=backend)
    phi, v = point(f), point(f, 6)
    X, y = data(loss)
    weight = torch.from_numpy(np.random.default_rng(4).random(len(X)))
    act = {"identity": lambda x: x, "tanh": torch.tanh, "sigmoid": torch.sigmoid}.get(activation)
    act = act or getattr(F, activation)

    def value(p: Any) -> Any:
        sizes = [math.prod(shape) for shape in f.shapes.values()]
        parts = dict(zip(f.shapes, torch.split(p, sizes), strict=True))
        a = torch.from_numpy(X)
        for k in (1, 2, 3):
            a = act(a) if k > 1 else a
            a = F.linear(a, parts[f"weight{k}"].view(f.shapes[f"weight{k}"]), parts[f"bias{k}"])
        if loss == "squared":
            losses = ((a - torch.from_numpy(y)) ** 2).sum(1)
        elif loss == "softmax":
            losses = F.cross_entropy(a, torch.from_numpy(y), reduction="none")
        else:
            losses = F.binary_cross_entropy_with_logits(
                a[:, 0], torch.from_numpy(y).double(), reduction="none"
            )
        return (weight * losses).mean()

    p = torch.from_numpy(phi).requires_grad_()
    expected = value(p)
    (gradient,) = torch.autograd.grad(expected, p)
    hv = torch.autograd.functional.hvp(value, torch.from_numpy(phi), torch.from_numpy(v))[1]
    ours, product = f.loss_and_gradient(phi)
    np.testing.assert_allclose(ours, expected.item(), rtol=1e-13)
    np.testing.assert_allclose(product, gradient.numpy(), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(f.hvp(phi, v), hv.numpy(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("loss", LOSSES)
def test_hessian_is_symmetric_and_made_of_products(loss: str, backend: str) -> None:
    f = network(loss, hidden=(4,), l2=0.3, backend=backend)
    phi = point(f)
    columns = np.stack([f.hvp(phi, e) for e in np.eye(f.n_params)], axis=1)
    np.testing.assert_allclose(columns, columns.T, atol=1e-14)
    np.testing.assert_allclose(f.hessian(phi), columns, atol=1e-14)


def test_two_layers_against_their_closed_form(backend: str) -> None:
    # z = w₂ tanh(w₁ x + b₁) + b₂ of one number, ℓ = (z − y)².
    f = MLP([[0.7]], [0.2], (1,), "tanh", "squared", backend=backend)
    w1, b1, w2, b2 = phi = np.array([0.9, -0.4, 1.3, 0.1])
    t = math.tanh(w1 * 0.7 + b1)
    r, d = w2 * t + b2 - 0.2, 1 - t * t
    z = np.array([w2 * d * 0.7, w2 * d, t, 1.0])  # ∂z/∂φ
    second = np.zeros((4, 4))  # ∂²z/∂φ²
    second[0, :3] = second[:3, 0] = 0.7 * np.array([-2 * t * d * w2 * 0.7, -2 * t * d * w2, d])
    second[1, 1:3] = second[1:3, 1] = -2 * t * d * w2, d
    np.testing.assert_allclose(f.loss(phi), r * r, rtol=1e-14)
    np.testing.assert_allclose(f.gradient(phi), 2 * r * z, rtol=1e-13)
    np.testing.assert_allclose(f.hessian(phi), 2 * np.outer(z, z) + 2 * r * second, rtol=1e-12)


def test_slope_of_relu_at_zero_is_zero(backend: str) -> None:
    f = MLP([[1.0], [1.0]], [1.0, 1.0], (1,), "relu", "squared", backend=backend)
    phi = np.array([1.0, -1.0, 2.0, 0.0])  # the hidden unit's input is 1·1 − 1 = 0
    np.testing.assert_array_equal(f.gradient(phi), [0.0, 0.0, 0.0, -2.0])


@pytest.mark.parametrize(
    ("loss", "linear"),
    [
        ("squared", fl.objectives.LinearRegression),
        ("softmax", fl.objectives.SoftmaxRegression),
        ("logistic", fl.objectives.LogisticRegression),
    ],
)
def test_without_hidden_layers_it_is_a_linear_model(loss: str, linear: Any, backend: str) -> None:
    X, y = data(loss)
    f, g = MLP(X, y, (), loss=loss, l2=0.2, backend=backend), linear(X, y, l2=0.2, backend="numpy")
    phi, v = point(f), point(f, 6)
    np.testing.assert_allclose(f.loss(phi), g.loss(phi), rtol=1e-14)
    np.testing.assert_allclose(f.gradient(phi), g.gradient(phi), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(f.hvp(phi, v), g.hvp(phi, v), rtol=1e-12, atol=1e-14)


# ---- the same everywhere -----------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 3e-5)])
@pytest.mark.parametrize("loss", LOSSES)
def test_backends_agree(loss: str, dtype: Any, rtol: float) -> None:
    results = []
    for backend in BACKENDS:
        # Rows for a chunk and a rest, with and without a gather.
        f = network(loss, "gelu", n=700, hidden=(40, 9), dtype=dtype, backend=backend)
        phi, v = point(f), point(f, 6)
        batch = np.random.default_rng(7).integers(0, 700, 530)
        values = [f.loss(phi), f.loss(phi, batch), f.gradient(phi), f.gradient(phi, batch)]
        results.append([*values, f.hvp(phi, v), f.hvp(phi, v, batch)])
        assert f.gradient(phi).dtype == dtype
    for result in results[:-1]:
        for got, expected in zip(result, results[-1], strict=True):
            scale = np.abs(expected).max()
            np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=rtol)


@native
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_native_gives_the_same_bits_anywhere(activation: str, dtype: Any) -> None:
    rng = np.random.default_rng(8)
    X, y = rng.standard_normal((900, 120)).astype(dtype), rng.integers(0, 11, 900)
    f = MLP(X, y, (210, 70), activation, backend="native", l2=0.01)
    phi, v = point(f), point(f, 6)
    batch = rng.integers(0, 900, 611)

    def bits() -> list[bytes]:
        loss, gradient = f.loss_and_gradient(phi)
        other = f.loss_and_gradient(phi, batch)
        numbers = (loss, gradient, *other, f.loss(phi), f.hvp(phi, v, batch))
        return [np.asarray(x).tobytes() for x in numbers]

    expected = bits()
    for isa in fl.isas():
        fl.set_isa(isa)
        for threads in (1, 2, 3, 7):
            fl.set_num_threads(threads)
            assert bits() == expected, (isa, threads)


@native
def test_threads_of_python_neither_mix_nor_change_blas() -> None:
    found = _blas.find()
    assert found is not None
    if not found.get_threads:
        pytest.skip("NumPy's BLAS has no setting of its threads")
    get = ctypes.CFUNCTYPE(ctypes.c_int)(found.get_threads)
    before = get()
    f = network("softmax", n=600, hidden=(300, 200), backend="native")
    points = [point(f, seed) for seed in range(4)]
    expected = [f.gradient(phi).tobytes() for phi in points]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert [g.tobytes() for g in pool.map(f.gradient, points)] == expected
    assert get() == before


@native
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blas_that_keeps_its_own_threads(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    f = network("softmax", n=600, hidden=(200, 40), dtype=dtype, backend="native")
    found = _blas.find()
    assert found is not None
    free = found._replace(get_threads=0, set_threads=0)
    monkeypatch.setattr(_blas, "find", lambda: free)
    g = network("softmax", n=600, hidden=(200, 40), dtype=dtype, backend="native")
    phi, v = point(f), point(f, 6)
    rtol = 1e-4 if dtype == np.float32 else 1e-12
    for a, b in ((f.gradient(phi), g.gradient(phi)), (f.hvp(phi, v), g.hvp(phi, v))):
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(a).max())


def test_without_a_blas_the_products_go_through_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = network("softmax")
    monkeypatch.delenv("FALLLINE_BACKEND", raising=False)
    monkeypatch.setattr(_blas, "find", lambda: None)
    f = network("softmax")
    assert f.backend == next(b for b in BACKENDS if b != "native")
    np.testing.assert_allclose(f.gradient(point(f)), expected.gradient(point(f)), rtol=1e-10)
    if "native" in BACKENDS:
        with pytest.raises(RuntimeError, match=r"native.*cblas_sgemm"):
            network("softmax", backend="native")


def test_numpy_carries_a_blas_here() -> None:
    """NumPy's wheels do; what is found multiplies."""
    found = _blas.find()
    if found is None:
        pytest.skip("NumPy was built without one")
    integer = ctypes.c_int64 if found.wide else ctypes.c_int32
    pointer, number = ctypes.c_void_p, ctypes.c_double
    a, b, c = np.random.default_rng(0).random((3, 4, 4))
    call = ctypes.CFUNCTYPE(
        None,
        *[ctypes.c_int] * 3,
        *[integer] * 3,
        number,
        *[pointer, integer] * 2,
        number,
        pointer,
        integer,
    )(found.dgemm)
    call(101, 111, 112, 4, 4, 4, 1.0, a.ctypes.data, 4, b.ctypes.data, 4, 0.0, c.ctypes.data, 4)
    np.testing.assert_allclose(c, a @ b.T, rtol=1e-14)


# ---- batches, weights, reductions --------------------------------------------------------------


@settings(max_examples=20)
@given(st.lists(st.integers(0, 22), min_size=1, max_size=40), st.sampled_from(BACKENDS))
def test_a_batch_is_the_mean_of_its_samples(batch: list[int], backend: str) -> None:
    f = network("softmax", backend=backend, l2=0.5)
    phi = point(f)
    loss, gradient = f.loss_and_gradient(phi, batch)
    each = [f.loss_and_gradient(phi, [i]) for i in batch]
    np.testing.assert_allclose(loss, np.mean([x for x, _ in each]), rtol=1e-12)
    np.testing.assert_allclose(gradient, np.mean([g for _, g in each], axis=0), atol=1e-13)


def test_sums_over_an_epoch_add_up(backend: str) -> None:
    f = network("logistic", "relu", reduction="sum", l2=0.5, backend=backend)
    phi = point(f)
    parts = np.array_split(np.random.default_rng(0).permutation(23), 4)
    loss = sum(f.loss(phi, part) for part in parts)
    np.testing.assert_allclose(loss, f.loss(phi), rtol=1e-13)
    gradient = np.sum([f.gradient(phi, part) for part in parts], axis=0)
    np.testing.assert_allclose(gradient, f.gradient(phi), atol=1e-12)


def test_weights_count_samples(backend: str) -> None:
    X, y = data("softmax")
    weight = np.random.default_rng(1).integers(0, 3, len(X))
    rows = np.repeat(np.arange(len(X)), weight)
    options: Any = {"hidden": (6,), "activation": "silu", "n_classes": CLASSES, "reduction": "sum"}
    f = MLP(X, y, sample_weight=weight, backend=backend, **options)
    g = MLP(X[rows], y[rows], backend=backend, **options)
    phi, v = point(f), point(f, 6)
    np.testing.assert_allclose(f.loss(phi), g.loss(phi), rtol=1e-13)
    np.testing.assert_allclose(f.gradient(phi), g.gradient(phi), atol=1e-12)
    np.testing.assert_allclose(f.hvp(phi, v), g.hvp(phi, v), atol=1e-12)


def test_penalty_leaves_biases_out(backend: str) -> None:
    f, g = (network("squared", l2=l2, backend=backend) for l2 in (0.0, 2.0))
    phi = point(f)
    parts = f.unpack(phi)
    weights = [parts[f"weight{k}"] for k in (1, 2, 3)]
    np.testing.assert_allclose(g.loss(phi) - f.loss(phi), sum((w * w).sum() for w in weights))
    extra = f.unpack(g.gradient(phi) - f.gradient(phi))
    for k in (1, 2, 3):
        np.testing.assert_allclose(extra[f"weight{k}"], 2 * parts[f"weight{k}"], atol=1e-12)
        np.testing.assert_array_equal(extra[f"bias{k}"], 0)


def test_losses_are_those_of_the_samples(backend: str) -> None:
    f = network("softmax", backend=backend)
    phi = point(f)
    weight = np.random.default_rng(4).random(23)
    np.testing.assert_allclose((weight * f.losses(phi)).mean(), f.loss(phi), rtol=1e-13)


# ---- use ---------------------------------------------------------------------------------------


def test_it_learns_and_predicts(backend: str) -> None:
    X, y = fl.datasets.digits()
    f = MLP(X.astype(np.float32), y, (32,), backend=backend)
    phi = f.initial(0)
    opt = fl.AdamW(phi, lr=5e-3)
    rng = np.random.default_rng(0)
    for _ in range(8):
        for batch in np.array_split(rng.permutation(len(X)), len(X) // 32):
            opt.step(f.gradient(phi, batch))
    assert (f.predict(phi) == y).mean() > 0.98
    probability = f.predict_proba(phi, X[:5])
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(probability.argmax(axis=1), f.predict(phi, X[:5]))


def test_predictions_have_the_shape_of_the_targets() -> None:
    X, y = data("squared")
    f = MLP(X, y, (3,), loss="squared")
    assert f.predict(f.initial()).shape == y.shape
    g = MLP(X, y[:, 0], (3,), loss="squared")
    assert g.predict(g.initial(), X[:2]).shape == (2,)
    with pytest.raises(TypeError, match="no probabilities"):
        f.predict_proba(f.initial())
    h = MLP(X, y[:, 0] > 0, (3,), loss="logistic")
    phi = point(h)
    np.testing.assert_array_equal(h.predict(phi), h.predict_proba(phi) > 0.5)


def test_parameters_have_names_and_shapes() -> None:
    f = MLP(*data("softmax"), (7, 6), n_classes=CLASSES)
    phi = f.initial(1)
    parts = f.unpack(phi)
    assert {name: part.shape for name, part in parts.items()} == {
        "weight1": (7, 5),
        "bias1": (7,),
        "weight2": (6, 7),
        "bias2": (6,),
        "weight3": (4, 6),
        "bias3": (4,),
    }
    parts["bias2"][:] = 3
    assert (phi == 3).sum() == 6
    np.testing.assert_array_equal(f.initial(1), f.initial(np.random.default_rng(1)))
    assert (f.initial(1) != f.initial(2)).any()


@pytest.mark.parametrize(("activation", "hidden"), [("relu", 2 / 400), ("tanh", 2 / 900)])
def test_initial_weights_keep_the_scale(activation: Any, hidden: float) -> None:
    f = MLP(np.ones((2, 400)), [0, 1], (500,), activation)
    parts = f.unpack(f.initial())
    np.testing.assert_allclose(parts["weight1"].var(), hidden, rtol=0.05)
    np.testing.assert_allclose(parts["weight2"].var(), 2 / 502, rtol=0.3)
    assert not parts["bias1"].any()


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_cross_entropies_of_large_outputs_are_exact(loss: str, backend: str) -> None:
    f = MLP([[1.0], [-1.0]], [0, 1], (1,), "identity", loss, reduction="sum", backend=backend)
    large = 1e6 if loss == "logistic" else 0.5e6  # z, or z₁ − z₀ = 2 · ½z
    phi = np.zeros(f.n_params)
    f.unpack(phi)["weight1"][:] = large
    f.unpack(phi)["weight2"][:] = 1 if loss == "logistic" else [[-1], [1]]
    assert f.loss(phi) == 2e6
    assert np.isfinite(f.gradient(phi)).all()


def test_overflow_is_reported(backend: str) -> None:
    f = MLP(np.float32([[1], [1e20]]), [0.0, 0.0], (1,), "identity", "squared", backend=backend)
    with pytest.warns(RuntimeWarning, match="sample 1 is inf"):
        f.loss(np.float32([1e20, 0, 1, 0]))
    with pytest.warns(RuntimeWarning, match="parameter 1 is nan"):
        assert math.isnan(f.loss(np.float32([1, np.nan, 1, 0])))


# ---- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"hidden": (4, 0)}, ValueError, "hidden holds 0; expected at least 1"),
        ({"hidden": (4, -1)}, ValueError, "hidden holds -1"),
        ({"hidden": (2.5,)}, TypeError, r"hidden holds 2\.5; expected whole"),
        ({"hidden": (True,)}, TypeError, "hidden holds True"),
        ({"hidden": 8}, TypeError, "hidden must be a sequence of layers' units, not 8"),
        ({"hidden": "88"}, TypeError, "not '88'"),
        ({"activation": "swish"}, ValueError, "activation is 'swish'; expected one of identity"),
        ({"activation": None}, ValueError, "activation is None"),
        ({"loss": "hinge"}, ValueError, "loss is 'hinge'; expected one of squared, softmax"),
        ({"y": [0, 1, -1]}, ValueError, r"y\[2\] is -1"),
        ({"y": [0, 1, 2], "n_classes": 2}, ValueError, r"y\[2\] is 2; expected a class in \[0, 2"),
        ({"y": [0.0, 1.0, 2.0]}, ValueError, "integer class"),
        ({"y": [0, 1]}, ValueError, "y has 2 entries; X has 3"),
        ({"y": [0, 1, 2], "loss": "logistic"}, ValueError, r"y\[2\] is 2; expected a label"),
        ({"y": [0, 1, np.nan], "loss": "squared"}, ValueError, r"y\[2\] is nan"),
        ({"loss": "logistic", "n_classes": 2}, ValueError, "n_classes is for loss='softmax'"),
        ({"X": [[1.0], [np.nan], [0.0]]}, ValueError, r"X\[1, 0\] is nan"),
        ({"X": np.zeros(3)}, ValueError, r"X has shape \(3,\)"),
        ({"X": np.zeros((3, 0))}, ValueError, r"X has shape \(3, 0\)"),
        ({"X": [["a"], ["b"], ["c"]]}, TypeError, "X must be real numbers"),
        ({"sample_weight": [1, -1, 1]}, ValueError, r"sample_weight\[1\] is -1"),
        ({"reduction": "none"}, ValueError, "reduction must be"),
        ({"l2": -1}, ValueError, "l2 must be"),
        ({"backend": "cuda"}, ValueError, "cuda"),
    ],
)
def test_bad_input_is_named(options: dict[str, Any], error: Any, message: str) -> None:
    arguments: dict[str, Any] = {"X": [[0.0], [1.0], [2.0]], "y": [0, 1, 1], "hidden": (2,)}
    with pytest.raises(error, match=message):
        MLP(**{**arguments, **options})


def test_sparse_samples_are_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="X is sparse"):
        MLP(sparse.csr_array(np.eye(3)), [0, 1, 1])


def test_bad_arguments_are_named(backend: str) -> None:
    f = network("softmax", backend=backend)
    phi = f.initial()
    with pytest.raises(IndexError, match=r"batch\[1\] is 23"):
        f.loss(phi, [0, 23])
    with pytest.raises(ValueError, match="phi has shape"):
        f.loss(phi[1:])
    with pytest.raises(ValueError, match="out must be"):
        f.gradient(phi, out=np.empty(f.n_params, np.float32))
    with pytest.raises(ValueError, match="X has 4 features; the model has 5"):
        f.predict(phi, np.zeros((2, 4)))
