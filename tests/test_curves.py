"""Gabor and ShallowReLU: derivatives, agreement of backends, and the same bits everywhere."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline.objectives import Gabor, ShallowReLU
from fallline.objectives._curve import Curve, chosen

BACKENDS = fl.backends()
CURVES = (Gabor, ShallowReLU)
EPS = np.finfo(np.float64).eps
native = pytest.mark.skipif("native" not in BACKENDS, reason="needs the core")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=CURVES, ids=lambda cls: cls.__name__)
def cls(request: pytest.FixtureRequest) -> Any:
    return request.param


def curve(cls: Any, n: int = 28, dtype: Any = np.float64, weighted: bool = True, **options: Any):
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(-15, 15, n)).astype(dtype)
    y = np.sin(0.8 * x) + 0.1 * rng.standard_normal(n)
    return cls(x, y, sample_weight=rng.uniform(0, 2, n) if weighted else None, **options)


def same_bits(a: Any, b: Any) -> bool:
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def everything(f: Curve, phi: Any, v: Any, batch: Any) -> list[Any]:
    loss, gradient = f.loss_and_gradient(phi, batch)
    assert same_bits(loss, f.loss(phi, batch))
    return [loss, gradient, f.hvp(phi, v, batch)]


# ---- derivatives -------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, [3, 0, 3, 22, 11]], ids=["all", "batch"])
def test_derivatives_are_those_of_the_loss(cls: Any, backend: str, batch: Any) -> None:
    f = curve(cls, l2=0.1, backend=backend)
    for seed in range(3):
        phi, v = f.initial(seed), np.random.default_rng(seed).standard_normal(f.n_params)
        gradient, product, step = f.gradient(phi, batch), f.hvp(phi, v, batch), 1e-5
        for j in range(f.n_params):
            unit = step * np.eye(1, f.n_params, j)[0]
            slope = (f.loss(phi + unit, batch) - f.loss(phi - unit, batch)) / (2 * step)
            np.testing.assert_allclose(gradient[j], slope, rtol=1e-6, atol=1e-7)
        bend = f.gradient(phi + step * v, batch) - f.gradient(phi - step * v, batch)
        np.testing.assert_allclose(product, bend / (2 * step), rtol=1e-6, atol=1e-6)


def test_gabor_is_the_formula(backend: str) -> None:
    f = curve(Gabor, weighted=False, reduction="sum", backend=backend)
    phi = np.array([0.7, 11.0])
    u = phi[0] + 0.06 * phi[1] * f.points.x
    model = np.sin(u) * np.exp(-(u**2) / 32)
    slope = (np.cos(u) - u / 16 * np.sin(u)) * np.exp(-(u**2) / 32)
    error = model - f.points.y
    np.testing.assert_allclose(f.predict(phi), model, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(f.losses(phi), error**2, rtol=1e-13, atol=1e-15)
    assert f.loss(phi) == pytest.approx((error**2).sum(), rel=1e-13)
    by_u = 2 * error * slope
    expected = [by_u.sum(), (0.06 * f.points.x * by_u).sum()]
    np.testing.assert_allclose(f.gradient(phi), expected, rtol=1e-12)


def test_shallow_relu_is_the_formula(backend: str) -> None:
    f = ShallowReLU([-1.0, 0.5, 2.0], [0.0, 1.0, 2.0], hidden=2, reduction="sum", backend=backend)
    phi = np.array([0.5, 2.0, -3.0, 1.0, -1.0, 2.0, 1.0])  # φ₀, φ_k, θ_k0, θ_k1
    # Units: 1 + 2x is on at 0.5 and 2; −1 + x at 2.
    assert f.predict(phi).tolist() == [0.5, 4.5, 7.5]
    assert f.loss(phi) == 0.25 + 12.25 + 30.25
    assert f.gradient(phi).tolist() == [19.0, 69.0, 11.0, 36.0, -33.0, 51.0, -66.0]
    parts = {name: part.tolist() for name, part in f.unpack(phi).items()}
    assert parts == {"phi0": 0.5, "phi": [2.0, -3.0], "theta0": [1.0, -1.0], "theta1": [2.0, 1.0]}


def test_relu_has_slope_zero_at_zero(backend: str) -> None:
    f = ShallowReLU([1.0], [1.0], hidden=1, backend=backend)
    phi = np.array([0.0, 5.0, -1.0, 1.0])  # z = −1 + 1·1 = 0
    assert f.gradient(phi).tolist() == [-2.0, 0.0, 0.0, 0.0]
    assert f.hvp(phi, np.ones(4)).tolist() == [2.0, 0.0, 0.0, 0.0]


def test_torch_agrees(cls: Any, backend: str) -> None:
    torch = pytest.importorskip("torch")
    f = curve(cls, backend=backend)
    x, y, w = (torch.from_numpy(a) for a in (f.points.x, f.points.y, f.points.weight))

    def value(p: Any) -> Any:
        if cls is Gabor:
            u = p[0] + 0.06 * p[1] * x
            model = torch.sin(u) * torch.exp(-(u**2) / 32)
        else:
            z = p[4:7, None] + p[7:, None] * x
            model = p[0] + (p[1:4, None] * torch.relu(z)).sum(0)
        return (w * (model - y) ** 2).mean()

    phi = f.initial(5)
    p = torch.from_numpy(phi).requires_grad_()
    (gradient,) = torch.autograd.grad(value(p), p)
    hessian = torch.autograd.functional.hessian(value, p)
    assert f.loss(phi) == pytest.approx(value(p).item(), rel=1e-13)
    np.testing.assert_allclose(f.gradient(phi), gradient.numpy(), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(f.hessian(phi), hessian.numpy(), rtol=1e-10, atol=1e-12)


def test_hessian_is_symmetric(cls: Any, backend: str) -> None:
    f = curve(cls, l2=0.3, backend=backend)
    phi = f.initial(1)
    columns = np.array([f.hvp(phi, unit) for unit in np.eye(f.n_params)])
    np.testing.assert_allclose(columns, columns.T, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(f.hessian(phi), 0.5 * (columns + columns.T))


# ---- agreement and bits ------------------------------------------------------------------------


def magnitudes(f: Curve, phi: Any, v: Any, batch: Any) -> list[Any]:
    """Sums of the terms' absolute values, of which rounding errors are a few ulp."""
    x, y, w = chosen(f.points, batch)
    phi, v = phi.astype(np.float64), v.astype(np.float64)
    m, slopes = f.model.slope(phi, x)
    slopes, bends, error = np.abs(slopes), np.abs(f.model.curve(phi, v, x)), np.abs(m) + np.abs(y)
    scale = 1 / len(x)
    return [
        scale * (w * error**2).sum(),
        scale * (slopes @ (2 * w * error)),
        scale * (slopes @ (2 * w * (np.abs(v) @ slopes)) + bends @ (2 * w * error)),
    ]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [1, 7, 28, 33, 1000, 5000])
def test_backends_agree(cls: Any, n: int, dtype: str) -> None:
    reference = curve(cls, n, dtype, backend="numpy")
    rng = np.random.default_rng(n)
    for batch in (None, rng.integers(0, n, 5)):
        phi, v = reference.initial(n), rng.standard_normal(reference.n_params).astype(dtype)
        expected = everything(reference, phi, v, batch)
        sizes = magnitudes(reference, phi, v, batch)
        results = {}
        for backend in BACKENDS[:-1]:
            results[backend] = everything(curve(cls, n, dtype, backend=backend), phi, v, batch)
            for a, b, size in zip(results[backend], expected, sizes, strict=True):
                # Numbers are rounded to float32 at the very end.
                last = 0 if dtype == "float64" else np.spacing(np.abs(b).astype(np.float32))
                if not np.ndim(b):
                    last = 0
                assert np.all(np.abs(np.subtract(a, b, dtype=np.float64)) <= 16 * EPS * size + last)
        if cls is ShallowReLU and len(results) == 2:
            pairs = zip(results["native"], results["numba"], strict=True)
            assert all(same_bits(a, b) for a, b in pairs)


@native
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [1, 5, 28, 32, 33, 500, 5000, 40_000])
def test_native_bits_do_not_depend_on_threads_or_isa(cls: Any, n: int, dtype: str) -> None:
    f = curve(cls, n, dtype, l2=0.1, backend="native")
    phi, v = f.initial(1), np.linspace(-1, 1, f.n_params)
    batch = np.random.default_rng(0).permutation(n)[: max(1, n // 2)]
    fl.set_num_threads(1)
    expected = [everything(f, phi, v, b) for b in (None, batch)]
    for isa in fl.isas():
        fl.set_isa(isa)
        for threads in (1, 2, 3, 7):
            fl.set_num_threads(threads)
            for b, numbers in zip((None, batch), expected, strict=True):
                pairs = zip(everything(f, phi, v, b), numbers, strict=True)
                assert all(same_bits(p, q) for p, q in pairs), (isa, threads)


@pytest.mark.skipif("numba" not in BACKENDS, reason="needs numba")
def test_numba_bits_do_not_depend_on_threads(cls: Any) -> None:
    f = curve(cls, 20_000, backend="numba")
    phi, v = f.initial(1), np.linspace(-1, 1, f.n_params)
    fl.set_num_threads(1)
    expected = everything(f, phi, v, None)
    for threads in (2, 3, 7):
        fl.set_num_threads(threads)
        pairs = zip(everything(f, phi, v, None), expected, strict=True)
        assert all(same_bits(a, b) for a, b in pairs), threads


@native
def test_many_hidden_units() -> None:
    f = curve(ShallowReLU, 300, hidden=500)
    g = curve(ShallowReLU, 300, hidden=500, backend="numpy")
    phi, v = f.initial(2), np.random.default_rng(0).standard_normal(f.n_params)
    assert f.n_params == 1501
    np.testing.assert_allclose(f.gradient(phi), g.gradient(phi), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(f.hvp(phi, v), g.hvp(phi, v), rtol=1e-9, atol=1e-9)


# ---- what all objectives have ------------------------------------------------------------------


def test_weights_count_samples(cls: Any, backend: str) -> None:
    x, y = np.array([-3.0, 1.0, 2.0]), np.array([1.0, 0.0, 2.0])
    weighted = cls(x, y, sample_weight=[1, 0, 2], reduction="sum", backend=backend)
    repeated = cls(x[[0, 2, 2]], y[[0, 2, 2]], reduction="sum", backend=backend)
    phi = weighted.initial(4)
    assert weighted.loss(phi) == pytest.approx(repeated.loss(phi), rel=1e-14)
    np.testing.assert_allclose(weighted.gradient(phi), repeated.gradient(phi), rtol=1e-12)


def test_batches_add_up_and_means_are_sums_by_size(cls: Any, backend: str) -> None:
    mean, total = (curve(cls, 30, reduction=r, l2=0.2, backend=backend) for r in ("mean", "sum"))
    phi = mean.initial(0)
    batches = np.random.default_rng(1).permutation(30).reshape(5, 6)
    gradients = [total.gradient(phi, batch) for batch in batches]
    np.testing.assert_allclose(sum(gradients), total.gradient(phi), rtol=1e-12, atol=1e-12)
    losses = mean.losses(phi)
    plain = curve(cls, 30, weighted=False, backend=backend)
    assert plain.loss(phi, batches[0]) == pytest.approx(losses[batches[0]].mean(), rel=1e-13)


def test_l2_leaves_out_the_constant_terms(backend: str) -> None:
    for cls, free in ((Gabor, []), (ShallowReLU, [0, 4, 5, 6])):
        plain, penalized = (curve(cls, l2=l2, backend=backend) for l2 in (0.0, 0.5))
        phi = plain.initial(2)
        kept = np.delete(np.arange(len(phi)), free)
        penalty = penalized.loss(phi) - plain.loss(phi)
        assert penalty == pytest.approx(0.25 * (phi[kept] ** 2).sum(), rel=1e-10)
        difference = penalized.gradient(phi) - plain.gradient(phi)
        np.testing.assert_allclose(difference[kept], 0.5 * phi[kept], rtol=1e-8)
        assert not difference[free].any()


def test_penalty_of_float32_is_summed_in_float64(cls: Any, backend: str) -> None:
    f = curve(cls, dtype=np.float32, l2=2.0, backend=backend)
    phi = np.float32(0.1) * np.arange(1, f.n_params + 1, dtype=np.float32)
    squares = sum(
        (f.unpack(phi)[name].astype(float) ** 2).sum()
        for name in f.shapes
        if name not in f.unpenalized
    )
    plain = curve(cls, dtype=np.float32, backend=backend)
    assert f.loss(phi) == pytest.approx(plain.loss(phi) + squares, rel=1e-14)


def test_initial_follows_the_seed(cls: Any) -> None:
    f = curve(cls)
    assert same_bits(f.initial(3), f.initial(3))
    assert not same_bits(f.initial(3), f.initial(4))
    assert curve(cls, dtype=np.float32).initial().dtype == np.float32
    starts = np.array([curve(Gabor).initial(seed) for seed in range(50)])
    assert ((starts >= [-10, 2.5]) & (starts < [10, 22.5])).all()
    parts = curve(ShallowReLU, hidden=50).unpack(curve(ShallowReLU, hidden=50).initial())
    kinks = -parts["theta0"] / parts["theta1"]
    assert (np.abs(kinks) <= 15).all()


def test_minimize_finds_the_curve(cls: Any, backend: str) -> None:
    x = np.linspace(-15, 15, 28)
    blank = cls(x, x)
    truth = np.array([0.0, 16.6]) if cls is Gabor else blank.initial(0)
    f = cls(x, blank.predict(truth), backend=backend)
    start = truth + 0.2
    result = fl.minimize(f, start, optimizer=fl.Adam, lr=0.03, batch_size=5, epochs=150, seed=0)
    assert f.loss(result.x) < 0.01 * f.loss(start)


def test_predict(cls: Any) -> None:
    f = curve(cls)
    phi = f.initial(0)
    assert same_bits(f.predict(phi), f.predict(phi, f.points.x))
    assert same_bits(f.predict(phi, f.points.x[:3, None]), f.predict(phi)[:3])
    np.testing.assert_allclose(f.losses(phi), (f.predict(phi) - f.points.y) ** 2, rtol=1e-12)
    assert same_bits(f.losses(phi, [4, 2]), f.losses(phi)[[4, 2]])


# ---- extremes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [160.0, 255.0, 257.0, 2.0**20, -(2.0**21), 1e30, -1e200, 1e307])
def test_far_out_the_gabor_envelope_is_zero(offset: float, backend: str) -> None:
    f = Gabor([-1.0, 0.0, 2.0], [0.5, -1.0, 2.0], backend=backend)
    for phi in ([offset, 1.0], [offset, offset]):
        phi0 = np.array(phi)
        x = f.points.x if phi[1] == 1.0 else f.points.x[1:]
        g = Gabor(x, np.full(len(x), 0.5), backend=backend)
        assert g.loss(phi0) == 0.25
        assert not g.gradient(phi0).any()
        assert not g.hvp(phi0, [1.0, -2.0]).any()


@given(
    phi=st.tuples(*[st.floats(-1e300, 1e300)] * 2),
    x=st.floats(-1e3, 1e3),
    scale=st.sampled_from([1.0, 1e-3, 1e-300]),
)
def test_gabor_is_bounded_and_backends_agree(
    phi: tuple[float, float], x: float, scale: float
) -> None:
    at = scale * np.array(phi)
    results = [Gabor([x], [0.0], backend=b).loss_and_gradient(at) for b in ("numpy", BACKENDS[0])]
    for loss, gradient in results:
        assert 0 <= loss <= 1
        assert np.all(np.abs(gradient) <= 4 * max(1, abs(x)))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-12, atol=1e-10)


def test_overflow_is_reported(cls: Any, backend: str) -> None:
    f = cls([0.0, 2.0], [1.0, 1.0], backend=backend)
    phi = np.zeros(f.n_params)
    phi[-1] = 1e308 if cls is Gabor else 1e200
    if cls is Gabor:  # 0.06 · 1e308 · 200 is beyond float64
        f = cls([0.0, 200.0], [1.0, 1.0], backend=backend)
    else:
        phi[1:4] = 1e100
    with pytest.warns(RuntimeWarning, match="sample 1 is (nan|inf)"):
        assert not np.isfinite(f.loss(phi))
    phi[0] = np.inf
    with pytest.warns(RuntimeWarning, match="parameter 0 is inf"):
        f.gradient(phi)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        phi[:] = np.nan
        assert np.isnan(f.loss(phi))
        assert np.isnan(f.gradient(phi)[0])


def test_bad_input_is_named(cls: Any) -> None:
    for x, y, what in (
        ([1.0, np.nan], [0.0, 0.0], r"x\[1\] is nan"),
        ([1.0, 2.0], [np.inf, 0.0], r"y\[0\] is inf"),
        (np.ones(2, np.float32), [0.0, 1e300], r"y\[1\] is inf"),
        ([1.0, 2.0], [0.0], "y has 1 entries; x has 2"),
        (np.ones((2, 2)), [0.0, 0.0], r"x has shape \(2, 2\)"),
        ([], [], r"x has shape \(0,\)"),
    ):
        with pytest.raises(ValueError, match=what):
            cls(x, y)
    with pytest.raises(TypeError, match="x must be real numbers"):
        cls(["a"], [0.0])
    with pytest.raises(ValueError, match=r"sample_weight\[0\] is -1"):
        cls([1.0], [0.0], sample_weight=[-1.0])
    with pytest.raises(ValueError, match="reduction"):
        cls([1.0], [0.0], reduction="median")
    f = curve(cls)
    with pytest.raises(ValueError, match="phi has shape"):
        f.loss(np.zeros(f.n_params + 1))
    with pytest.raises(IndexError, match=r"batch\[1\] is 28"):
        f.loss(f.initial(), [0, 28])
    with pytest.raises(ValueError, match="X has shape"):
        f.predict(f.initial(), np.ones((2, 2)))


@pytest.mark.parametrize(
    ("hidden", "error"), [(0, ValueError), (2.0, TypeError), (True, TypeError)]
)
def test_hidden_is_a_count(hidden: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="hidden must be"):
        ShallowReLU([1.0], [1.0], hidden)
