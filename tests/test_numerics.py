"""Stable exponentials, cross entropies and loss scaling, against SciPy, torch and closed forms."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import fallline as fl
from fallline.numerics import (
    LossScaler,
    binary_cross_entropy,
    cross_entropy,
    log_softmax,
    log_sum_exp,
    sigmoid,
    softmax,
)

INF, NAN = math.inf, math.nan

moderate = st.floats(-700, 700)
logit_arrays = arrays(np.float64, array_shapes(max_dims=3, max_side=5), elements=moderate)


@pytest.fixture(autouse=True)
def _errors_are_raised() -> Any:
    with np.errstate(all="raise", under="ignore"):  # so that what the functions let out is seen
        yield


# ---- against outside truths ----------------------------------------------------------------------


@given(x=logit_arrays, axis=st.sampled_from([-1, 0, None]))
def test_scipy_agrees(x: np.ndarray, axis: int | None) -> None:
    special = pytest.importorskip("scipy.special")
    close: dict[str, Any] = {"rtol": 1e-13, "atol": 1e-300}
    with np.errstate(all="ignore"):
        expected = [special.logsumexp(x, axis), special.softmax(x, axis), special.expit(x)]
        log_expected = special.log_softmax(x, axis)
    np.testing.assert_allclose(log_sum_exp(x, axis), expected[0], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(softmax(x, axis), expected[1], **close)
    np.testing.assert_allclose(sigmoid(x), expected[2], **close)
    np.testing.assert_allclose(log_softmax(x, axis), log_expected, rtol=1e-13, atol=1e-15)


@given(x=logit_arrays, shift=st.integers(-(2**40), 2**40))
def test_shift_invariance(x: np.ndarray, shift: int) -> None:
    x = np.round(x)  # so that the shift is exact
    np.testing.assert_array_equal(softmax(x + shift), softmax(x))
    np.testing.assert_array_equal(log_softmax(x + shift), log_softmax(x))
    np.testing.assert_allclose(log_sum_exp(x + shift), log_sum_exp(x) + shift, rtol=1e-14)


@given(x=logit_arrays)
def test_probabilities(x: np.ndarray) -> None:
    p = softmax(x)
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-14)
    np.testing.assert_allclose(sigmoid(x) + sigmoid(-x), 1, rtol=1e-15)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(np.exp(log_softmax(x)), p, rtol=1e-13, atol=1e-300)
    pairs = np.stack([x, np.zeros_like(x)], -1)
    np.testing.assert_allclose(softmax(pairs)[..., 0], sigmoid(x), rtol=1e-14, atol=1e-307)


def test_closed_forms() -> None:
    e = np.exp([0.0, -10.0, -20.0])
    np.testing.assert_allclose(softmax([1000, 990, 980]), e / e.sum(), rtol=1e-15)
    assert log_sum_exp([1e4] * 8) == pytest.approx(1e4 + math.log(8), rel=1e-15)
    assert log_sum_exp([0.0, -40.0]) == pytest.approx(math.log1p(math.exp(-40)), rel=1e-14)
    assert log_softmax([0.0, -40.0])[0] == pytest.approx(-math.log1p(math.exp(-40)), rel=1e-14)
    assert sigmoid(-600.0) == pytest.approx(math.exp(-600), rel=1e-14)
    assert binary_cross_entropy(30.0, 1.0) == pytest.approx(math.log1p(math.exp(-30)), rel=1e-14)
    assert log_sum_exp(np.zeros((2, 3, 4)), axis=(0, 2)).tolist() == pytest.approx(
        [math.log(8)] * 3
    )
    assert log_sum_exp(np.zeros((2, 3)), keepdims=True).shape == (2, 1)
    assert log_sum_exp(np.zeros((2, 0))).tolist() == [-INF, -INF]


@given(x=logit_arrays, seed=st.integers(0, 99))
def test_torch_agrees_on_cross_entropies(x: np.ndarray, seed: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    functional = torch.nn.functional
    logits = torch.from_numpy(x)
    y = rng.random(x.shape)
    for reduction in ("none", "sum", "mean"):
        expected = functional.binary_cross_entropy_with_logits(
            logits, torch.from_numpy(y), reduction=reduction
        )
        got = binary_cross_entropy(x, y, reduction)  # type: ignore[arg-type]
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)
    rows = x.reshape(-1, x.shape[-1])
    logits = torch.from_numpy(rows)
    classes = rng.integers(0, rows.shape[1], rows.shape[0])
    soft = rng.dirichlet(np.ones(rows.shape[1]), rows.shape[0])
    for labels in (classes, soft):
        for reduction in ("none", "sum", "mean"):
            expected = functional.cross_entropy(
                logits, torch.from_numpy(labels), reduction=reduction
            )
            got = cross_entropy(rows, labels, reduction)  # type: ignore[arg-type]
            np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


# ---- infinities, types, shapes -------------------------------------------------------------------


def test_infinities_are_limits() -> None:
    assert log_sum_exp([-INF, -INF]) == -INF
    assert log_sum_exp([INF, -INF, 1e4]) == INF
    assert math.isnan(log_sum_exp([NAN, 0.0]))
    assert softmax([-INF, 0.0, 0.0]).tolist() == [0, 0.5, 0.5]
    assert softmax([INF, 0.0, -INF]).tolist() == [1, 0, 0]
    assert softmax([INF, INF, 1e308]).tolist() == [0.5, 0.5, 0]
    assert softmax([-INF, -INF]).tolist() == [0.5, 0.5]
    assert log_softmax([-INF, 0.0, INF]).tolist() == [-INF, -INF, 0]
    assert np.isnan(softmax([NAN, 0.0])).all()
    assert sigmoid([-INF, INF, -1e4, 1e4]).tolist() == [0, 1, 0, 1]
    assert math.isnan(sigmoid(NAN))
    z = [INF, -INF, INF, -INF, 1e4, -1e4, 1e4, -1e4]
    y = [1, 0, 0, 1, 1, 0, 0, 1]
    assert binary_cross_entropy(z, y).tolist() == [0, 0, INF, INF, 0, 0, 1e4, 1e4]
    assert binary_cross_entropy([1e308, -INF], [0.5, 0.5]).tolist() == [5e307, INF]
    assert cross_entropy([[INF, 0.0], [-INF, 0.0], [-INF, 0.0]], [0, 0, 1]).tolist() == [0, INF, 0]
    assert cross_entropy([[-INF, 0.0]], [[0.0, 1.0]]).tolist() == [0]


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "log_sum_exp": log_sum_exp,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "sigmoid": sigmoid,
    "binary_cross_entropy": lambda x: binary_cross_entropy(x, np.ones(np.shape(x))),
    "cross_entropy": lambda x: cross_entropy(x, np.zeros(np.shape(x)[:-1], int)),
    "mean": lambda x: cross_entropy(x, np.zeros(np.shape(x)[:-1], int), "mean"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "int32", "bool"])
def test_types(name: str, dtype: str) -> None:
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    x = np.array([[1, 0, 1], [0, 1, 1]]).astype(kind)
    before = x.copy()
    got = FUNCTIONS[name](x)
    assert got.dtype == (kind if kind.itemsize > 1 and dtype != "int32" else np.float64)
    np.testing.assert_array_equal(x, before)
    expected = FUNCTIONS[name](x.astype(np.float64))
    tolerance = {"bfloat16": 2**-8, "float16": 2**-11, "float32": 1e-6}.get(dtype, 0)
    np.testing.assert_allclose(got.astype(np.float64), expected, rtol=tolerance)


def test_lists_and_scalars() -> None:
    assert isinstance(sigmoid(0.0), np.float64)
    assert isinstance(log_sum_exp([0.0, 0.0]), np.float64)
    assert cross_entropy(np.zeros((2, 3, 4)), np.zeros((2, 3), np.uint8)).shape == (2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(binary_cross_entropy([], [], "mean"))
    assert binary_cross_entropy([], [], "sum") == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: softmax([1j]), TypeError, "x must hold real numbers.*complex128"),
        (lambda: sigmoid(["a"]), TypeError, "x must hold real numbers"),
        (lambda: binary_cross_entropy([0.0], [1j]), TypeError, "labels must hold real numbers"),
        (lambda: binary_cross_entropy([0.0], [[1]]), ValueError, r"\(1, 1\); the logits have \(1,"),
        (lambda: binary_cross_entropy([0.0], [1.5]), ValueError, r"\[0, 1\]; one is 1.5"),
        (lambda: binary_cross_entropy([0.0], [NAN]), ValueError, r"\[0, 1\]; one is nan"),
        (lambda: binary_cross_entropy([0.0], [1], "max"), ValueError, "reduction.*not 'max'"),  # type: ignore[arg-type]
        (lambda: cross_entropy(1.0, 0), ValueError, "axis of classes"),
        (lambda: cross_entropy([[0.0, 0.0]], [2]), ValueError, r"0, ..., 1; one is 2"),
        (lambda: cross_entropy([[0.0, 0.0]], [-1]), ValueError, "one is -1"),
        (lambda: cross_entropy([[0.0, 0.0]], [1.0]), TypeError, "integers, not float64"),
        (lambda: cross_entropy([[0.0, 0.0]], [0, 1]), ValueError, r"shape \(2,\); logits of"),
        (
            lambda: cross_entropy([[0.0, 0.0]], [[0.7, 0.7]]),
            ValueError,
            "sum to 1; one sums to 1.4",
        ),
        (lambda: cross_entropy([[0.0, 0.0]], [[-1.0, 2.0]]), ValueError, r"\[0, 1\]; one is -1"),
    ],
)
def test_bad_arguments(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# ---- loss scaling --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"init_scale": 1000.1, "growth_factor": 1.7, "backoff_factor": 0.3, "growth_interval": 2},
        {"init_scale": 2.0**126, "growth_interval": 1},  # grows beyond float32
        {"init_scale": 1e-30, "backoff_factor": 0.7, "growth_interval": 3},
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_scale_is_torchs(options: dict[str, Any], share: float) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    theirs, ours = torch.amp.GradScaler("cpu", **options), LossScaler(**options)
    leaf, x = torch.zeros(1, requires_grad=True), np.zeros(1, np.float32)
    torch_opt, opt = torch.optim.SGD([leaf], lr=1e-3), fl.SGD(x, lr=1e-3)
    theirs.scale(leaf.sum())
    for _ in range(40):
        assert ours.scale_factor == theirs.get_scale()
        bad = rng.random() < share
        leaf.grad = torch.full((1,), INF if bad else 0.0)
        theirs.step(torch_opt)
        theirs.update()
        ours.step(opt, np.full(1, INF if bad else 0.0, np.float32))
        ours.update()
    assert ours.state_dict() == theirs.state_dict()


def test_scaled_steps() -> None:
    x, expected = np.ones(3, np.float32), np.ones(3, np.float32)
    g = np.array([0.3, -2.0, 5.0], np.float32)
    opt, plain, scaler = fl.Adam(x), fl.Adam(expected), LossScaler()
    loss = scaler.scale(np.float32(0.5))
    assert loss == 2**15
    assert loss.dtype == np.float32
    scaler.step(opt, g * np.float32(2**17), scale=0.5, max_norm=1.0)
    plain.step(g, max_norm=1.0)
    np.testing.assert_array_equal(x, expected)


def test_one_bad_optimizer_of_two_backs_off() -> None:
    a, b = fl.SGD(np.ones(1), lr=1.0), fl.SGD(np.ones(1), lr=1.0)
    scaler = LossScaler(init_scale=4.0)
    scaler.step(a, np.full(1, NAN))
    scaler.step(b, np.full(1, 4.0))
    scaler.update()
    assert scaler.scale_factor == 2.0
    assert (a.skipped_steps, b.skipped_steps) == (1, 0)
    assert b.param_groups[0]["params"][0] == 0.0


def test_scaler_state_and_misuse() -> None:
    opt = fl.SGD(np.ones(1), lr=1e-3)
    scaler = LossScaler(init_scale=8.0, growth_interval=3)
    with pytest.raises(RuntimeError, match="no step"):
        scaler.update()
    with pytest.raises(ValueError, match="shape"):
        scaler.step(opt, np.ones(2))
    scaler.step(opt, np.ones(1))
    with pytest.raises(RuntimeError, match="since the last update"):
        scaler.step(opt, np.ones(1))
    scaler.update()
    other = LossScaler()
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict()
    assert other.state_dict()["_growth_tracker"] == 1
    before = other.state_dict()
    for bad in ({}, {**before, "scale": -1.0}, {**before, "_growth_tracker": -1}):
        with pytest.raises(ValueError, match=r"state_dict|init_scale|growth_tracker"):
            other.load_state_dict(bad)
    assert other.state_dict() == before
    tiny = LossScaler(init_scale=1e-45)
    tiny.step(opt, np.full(1, INF))
    tiny.update()
    with pytest.raises(FloatingPointError, match="fallen to 0"):
        tiny.step(opt, np.ones(1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"init_scale": 0.0}, ValueError, "init_scale"),
        ({"init_scale": 1e39}, ValueError, "init_scale must be finite"),
        ({"init_scale": "big"}, TypeError, "init_scale must be a number, not 'big'"),
        ({"growth_factor": 1.0}, ValueError, "growth_factor"),
        ({"backoff_factor": 1.0}, ValueError, "backoff_factor"),
        ({"growth_interval": 0}, ValueError, "growth_interval"),
        ({"growth_interval": 2.5}, TypeError, "growth_interval"),
    ],
)
def test_bad_scalers(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LossScaler(**options)
