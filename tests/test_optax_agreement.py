"""optax as the outside truth where its definition is ours: 100 steps in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fallline as fl

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
jax.config.update("jax_enable_x64", True)  # before the first array: the comparison is in float64

LR = 0.01


def yogi(**options: Any) -> Any:  # optax.yogi itself takes no initial accumulator
    return optax.chain(optax.scale_by_yogi(**options), optax.scale_by_learning_rate(LR))


# Optimizer, our options, and optax's of the same meaning. Left out: Adan, whose second moment and
# step optax 0.2.8 forms with 1 - b2 where the authors' code has b2 (0.08 for 0.92); and warm-ups of
# the schedule-free methods, which start at 0 there.
PAIRS: tuple[tuple[str, dict[str, Any], Any], ...] = (
    ("Yogi", {}, optax.yogi(LR)),
    (
        "Yogi",
        {"betas": (0.8, 0.9), "eps": 1e-5, "initial_accumulator": 0.1},
        yogi(b1=0.8, b2=0.9, eps=1e-5, initial_accumulator_value=0.1),
    ),
    ("Lion", {}, optax.lion(LR, weight_decay=0.0)),
    (
        "Lion",
        {"betas": (0.95, 0.98), "weight_decay": 0.1},
        optax.lion(LR, b1=0.95, b2=0.98, weight_decay=0.1),
    ),
    ("Signum", {}, optax.signum(LR)),
    ("Signum", {"beta": 0.0}, optax.sign_sgd(LR)),
    ("AdaBelief", {}, optax.adabelief(LR)),
    (
        "AdaBelief",
        {"betas": (0.8, 0.9), "eps": 1e-6},
        optax.adabelief(LR, b1=0.8, b2=0.9, eps=1e-6, eps_root=1e-6),
    ),
    ("AdEMAMix", {}, optax.contrib.ademamix(LR)),
    (
        "AdEMAMix",
        {"betas": (0.8, 0.9, 0.95), "alpha": 2.0, "weight_decay": 0.1},
        optax.contrib.ademamix(LR, b1=0.8, b2=0.9, b3=0.95, alpha=2.0, weight_decay=0.1),
    ),
    ("ScheduleFreeAdamW", {}, optax.contrib.schedule_free_adamw(LR)),
    (
        "ScheduleFreeAdamW",
        {"betas": (0.95, 0.9), "weight_decay": 0.1, "weight_lr_power": 0.0},
        optax.contrib.schedule_free_adamw(
            LR, b1=0.95, b2=0.9, weight_decay=0.1, weight_lr_power=0.0
        ),
    ),
    ("ScheduleFreeSGD", {}, optax.contrib.schedule_free_sgd(LR)),
    (
        "ScheduleFreeSGD",
        {"momentum": 0.5, "weight_decay": 0.1},
        optax.contrib.schedule_free_sgd(LR, b1=0.5, weight_decay=0.1),
    ),
)


@pytest.mark.parametrize(
    ("name", "options", "theirs"), PAIRS, ids=[f"{name}-{options}" for name, options, _ in PAIRS]
)
def test_trajectory_is_optaxs(name: str, options: dict[str, Any], theirs: Any) -> None:
    rng = np.random.default_rng(7)
    ours = rng.standard_normal(53)
    x = jax.numpy.asarray(ours.copy())
    assert x.dtype == np.float64
    opt = fl.optimizers()[name](ours, lr=LR, **options)
    state = theirs.init(x)
    update = jax.jit(theirs.update)
    for _ in range(100):
        grad = rng.standard_normal(53) + 0.3 * ours
        updates, state = update(jax.numpy.asarray(grad), state, x)
        x = optax.apply_updates(x, updates)
        opt.step(grad)
        np.testing.assert_allclose(ours, x, rtol=1e-12, atol=1e-12)
