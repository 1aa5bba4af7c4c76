"""Hyperparameters and states that only some rules have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fallline as fl


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("Adan", {"betas": (0.9, 0.9)}, TypeError, "betas must be 3 numbers"),
        ("AdEMAMix", {"betas": (0.9, 0.9)}, TypeError, "betas must be 3 numbers"),
        ("Lion", {"betas": (0.9, 0.9, 0.9)}, TypeError, "betas must be 2 numbers"),
        ("Adan", {"betas": (0.9, 0.9, 1.0)}, ValueError, r"betas\[2\] must lie in \[0, 1\)"),
        ("AdEMAMix", {"alpha": -1.0}, ValueError, "alpha must lie in"),
        ("AdEMAMix", {"alpha_warmup": 0}, ValueError, "alpha_warmup must be at least 1, not 0"),
        ("AdEMAMix", {"beta3_warmup": 1.5}, TypeError, "beta3_warmup must be an integer"),
        ("AdEMAMix", {"beta3_warmup": True}, TypeError, "beta3_warmup must be an integer"),
        ("Yogi", {"initial_accumulator": -1e-6}, ValueError, "initial_accumulator must lie in"),
        ("Signum", {"beta": 1.0}, ValueError, r"beta must lie in \[0, 1\)"),
        ("AdaBelief", {"decoupled": 2}, ValueError, "decoupled must be one of"),
        ("Momentum", {"beta": 1.0}, ValueError, r"beta must lie in \[0, 1\)"),
        ("HeavyBall", {"momentum": -0.1}, ValueError, "momentum must lie in"),
        ("Adagrad", {"accumulate": "max"}, ValueError, "accumulate must be one of .*, not 'max'"),
        ("Adagrad", {"lr_decay": -1.0}, ValueError, "lr_decay must lie in"),
        ("Adagrad", {"initial_accumulator_value": -1}, ValueError, "initial_accumulator_value"),
        ("RMSprop", {"alpha": 1.1}, ValueError, r"alpha must lie in \[0, 1\], not 1.1"),
        ("RMSprop", {"initial": "one"}, ValueError, "initial must be one of .*, not 'one'"),
        ("RMSprop", {"centered": "yes"}, ValueError, "centered must be one of"),
        ("RMSprop", {"eps_inside": 2}, ValueError, "eps_inside must be one of"),
        ("Adadelta", {"rho": -0.1}, ValueError, r"rho must lie in \[0, 1\]"),
        ("NAdam", {"momentum_decay": -1e-3}, ValueError, "momentum_decay must lie in"),
        ("RAdam", {"decoupled": "yes"}, ValueError, "decoupled must be one of"),
        ("Rprop", {"etas": (1.0, 1.2)}, ValueError, r"etas\[0\] must lie in \(0, 1\)"),
        ("Rprop", {"etas": (0.5, 1.0)}, ValueError, r"etas\[1\] must lie in \(1, inf\]"),
        ("Rprop", {"step_sizes": (1.0, 0.5)}, ValueError, r"ascend, not be \(1.0, 0.5\)"),
        ("ASGD", {"lambd": -1.0}, ValueError, "lambd must lie in"),
        ("ASGD", {"alpha": -1.0}, ValueError, "alpha must lie in"),
        ("ASGD", {"t0": np.inf}, ValueError, "t0 must be finite"),
        ("ScheduleFreeSGD", {"weight_lr_power": -1}, ValueError, "weight_lr_power must lie in"),
        ("ScheduleFreeSGD", {"warmup_steps": -1}, ValueError, "warmup_steps must be at least 0"),
    ],
)
def test_bad_values_are_refused_everywhere(
    name: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    kind = fl.optimizers()[name]
    with pytest.raises(error, match=message):
        kind(np.ones(2), **options)
    with pytest.raises(error, match=message):
        kind([{"params": np.ones(2), **options}])
    opt = kind(np.ones(2))
    bad = opt.state_dict()
    bad["param_groups"][0].update(options)
    with pytest.raises(error, match=message):
        opt.load_state_dict(bad)


def test_yogis_moments_start_at_the_accumulator() -> None:
    state = fl.Yogi(np.ones(2), initial_accumulator=0.5).state[0]
    np.testing.assert_array_equal(state["exp_avg"], 0.5)
    np.testing.assert_array_equal(state["exp_avg_sq"], 0.5)


def test_signsgd_keeps_no_array() -> None:
    assert fl.Signum(np.ones(2), beta=0.0).state[0] == {"step": 0}


@pytest.mark.parametrize(("start", "end"), [(0.9, 0.9999), (0.0, 0.99), (0.9, 0.5), (0.9, 0.0)])
def test_the_slow_means_half_life_grows_evenly(start: float, end: float) -> None:
    def half_life(t: int) -> float:
        group = {**opt.param_groups[0]}
        beta3 = opt.coefficients(group, 0.1, t, {})[5]
        assert min(start, end) <= beta3 <= end
        return float(np.log(0.5) / np.log(beta3)) if beta3 else 0.0

    opt = fl.AdEMAMix(np.ones(2), betas=(start, 0.999, end), beta3_warmup=10)
    found = [half_life(t) for t in range(1, 15)]
    first = np.log(0.5) / np.log(start) if start else 0.0
    last = np.log(0.5) / np.log(end) if end else 0.0
    even = [first + (last - first) * min(t / 10, 1.0) for t in range(1, 15)]
    np.testing.assert_allclose(found, np.minimum(even, last), rtol=1e-9)


@pytest.mark.parametrize("backend", fl.backends())
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_first_step_is_the_learning_rate(dtype: Any, backend: str) -> None:
    """RMSprop from the first gradient's square, and Adagrad's mean of one square, move by ±lr."""
    grad = np.array([3.0, -1e-6, 1e6, -0.1], dtype)
    for make in (
        lambda x: fl.RMSprop(x, lr=0.25, eps=0.0, initial="gradient", backend=backend),
        lambda x: fl.RMSprop(
            x, lr=0.25, eps=0.0, initial="gradient", momentum=0.9, eps_inside=True, backend=backend
        ),
        lambda x: fl.Adagrad(x, lr=0.25, eps=0.0, accumulate="mean", backend=backend),
        lambda x: fl.NormalizedGradient(x, lr=0.25, eps=0.0, backend=backend),
    ):
        x = np.zeros(4, dtype)
        make(x).step(grad)
        np.testing.assert_array_equal(x, [-0.25, 0.25, -0.25, 0.25])


def test_rmsprops_square_starts_anew_for_each_parameter() -> None:
    """The first gradient is each parameter's own first, not the optimizer's."""
    a, b = np.zeros(1), np.zeros(1)
    opt = fl.RMSprop([a, b], lr=0.1, alpha=0.5, eps=0.0, initial="gradient")
    opt.step([np.array([2.0]), None])
    opt.step([np.array([4.0]), np.array([3.0])])
    assert opt.state[0]["square_avg"][0] == 0.5 * 4 + 0.5 * 16
    assert opt.state[1]["square_avg"][0] == 9.0
    assert b[0] == pytest.approx(-0.1, rel=1e-15)


@pytest.mark.parametrize("backend", fl.backends())
def test_a_steady_gradients_variance_is_no_nan(backend: str) -> None:
    """The mean's square may round above the mean square: torch's root is NaN there."""
    rng = np.random.default_rng(0)
    grad = rng.standard_normal(1000).astype(np.float32)
    x = np.zeros(1000, np.float32)
    opt = fl.RMSprop(x, centered=True, alpha=0.9, backend=backend)
    negative = False
    for _ in range(300):
        opt.step(grad)
        state = opt.state[0]
        negative |= bool((state["square_avg"] < state["grad_avg"] ** 2).any())
    assert negative
    assert np.isfinite(x).all()


@pytest.mark.parametrize("backend", fl.backends())
def test_normalized_gradients_of_any_size(backend: str) -> None:
    """Squares of these over- or underflow float32."""
    grad = np.array([3e38, -1e-30, 1e-44, -1e25, 0.0], np.float32)
    x = np.zeros(5, np.float32)
    fl.NormalizedGradient(x, lr=4.0, eps=1e-46, backend=backend).step(grad)
    fl.NormalizedGradient(x[:4], lr=4.0, eps=0.0, backend=backend).step(grad[:4])
    np.testing.assert_array_equal(x[:4], [-8.0, 8.0, -8.0, 8.0])


@pytest.mark.parametrize("backend", fl.backends())
def test_rprop_starts_with_the_rate_it_finds(backend: str) -> None:
    a, b = np.zeros(2), np.zeros(2)
    opt = fl.Rprop([a, b], lr=lambda step: 0.1 * (step + 1), backend=backend)
    opt.step([np.ones(2), None])
    opt.step([np.ones(2), np.ones(2)])
    np.testing.assert_array_equal(opt.state[0]["step_size"], 0.1 * 1.2)
    np.testing.assert_array_equal(opt.state[1]["step_size"], 0.2)
    np.testing.assert_array_equal(a, -0.1 - 0.1 * 1.2)


@pytest.mark.parametrize("backend", fl.backends())
def test_rprop_sees_the_signs_of_the_smallest_gradients(backend: str) -> None:
    """The product of two of them underflows, which would be no agreement."""
    x = np.zeros(2, np.float32)
    opt = fl.Rprop(x, lr=0.5, backend=backend)
    opt.step(np.array([1e-30, 1e-30], np.float32))
    opt.step(np.array([1e-30, -1e-30], np.float32))
    np.testing.assert_allclose(opt.state[0]["step_size"], [0.6, 0.25], rtol=1e-6)
    np.testing.assert_array_equal(opt.state[0]["prev"], np.array([1e-30, 0.0], np.float32))


def test_asgds_average_is_of_the_last_iterates() -> None:
    x = np.zeros(2)
    opt = fl.ASGD(x, lr=0.1, t0=3, lambd=0.0)
    seen = []
    for step in range(8):
        opt.step(np.full(2, step + 1.0))
        seen.append(x.copy())
        if step < 5:
            np.testing.assert_array_equal(opt.state[0]["ax"], x)
    np.testing.assert_allclose(opt.state[0]["ax"], np.mean(seen[4:], axis=0), rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "key"), [("NAdam", "mu_product"), ("ASGD", "eta"), ("ASGD", "mu")]
)
def test_scalars_are_each_parameters_own(name: str, key: str) -> None:
    options = {"t0": 0, "lambd": 0.1} if name == "ASGD" else {}
    a, b, alone = np.ones(2), np.ones(2), np.ones(2)
    opt, other = (fl.optimizers()[name](p, **options) for p in ([a, b], alone))
    opt.step([np.ones(2), None])
    for _ in range(3):
        opt.step([np.ones(2), np.ones(2)])
        other.step(np.ones(2))
    assert opt.state[1][key] == other.state[0][key] != opt.state[0][key]
    np.testing.assert_array_equal(b, alone)


def test_a_skipped_step_leaves_scalars_alone() -> None:
    opt = fl.NAdam(np.ones(2))
    opt.step(np.ones(2))
    before = opt.state[0]["mu_product"]
    opt.step(np.array([1.0, np.nan]), on_nonfinite="skip")
    assert opt.state[0]["mu_product"] == before < 1.0
