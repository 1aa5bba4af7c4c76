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
