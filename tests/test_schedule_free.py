"""Schedule-free optimizers: the switch between training and evaluation."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fallline as fl

BOTH = ("ScheduleFreeAdamW", "ScheduleFreeSGD")
SHAPES = ((3, 4), (5,), (70_000,))


def make(name: str, params: Any, **options: Any) -> Any:
    return fl.optimizers()[name](params, **{"lr": 0.05, **options})


def start(dtype: Any = np.float32) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal(s).astype(dtype) for s in SHAPES]


def gradients(step: int, dtype: Any = np.float32) -> list[np.ndarray]:
    rng = np.random.default_rng(100 + step)
    return [rng.standard_normal(s).astype(dtype) for s in SHAPES]


def train(opt: fl.Optimizer, first: int, last: int, dtype: Any = np.float32) -> None:
    for step in range(first, last):
        opt.step(gradients(step, dtype))


def bits(params: list[np.ndarray]) -> list[bytes]:
    return [p.tobytes() for p in params]


@pytest.mark.parametrize("backend", fl.backends())
def test_evaluation_is_at_the_average(backend: str) -> None:
    """The parameters hold x of the paper's recursion, and y again afterwards."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal(2000)
    params = y.copy()
    opt = make("ScheduleFreeSGD", params, momentum=0.8, warmup_steps=5, backend=backend)
    x, z, weights = y.copy(), y.copy(), 0.0
    for t in range(1, 31):
        g = rng.standard_normal(2000)
        opt.step(g)
        lr = 0.05 * min(1.0, t / 5)
        z = z - lr * g
        weights += lr**2
        x = x + (z - x) * lr**2 / weights
        y = 0.2 * z + 0.8 * x
        opt.eval()
        np.testing.assert_allclose(params, x, rtol=1e-12, atol=1e-12)
        opt.train()
        np.testing.assert_allclose(params, y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("backend", fl.backends())
def test_modes_are_idempotent_and_guard_the_step(name: str, backend: str) -> None:
    params = start()
    opt = make(name, params, backend=backend)
    assert opt.training
    before = bits(params)
    opt.eval()
    opt.train()
    assert bits(params) == before  # no step yet: x, y and z are one
    train(opt, 0, 5)
    y = bits(params)
    opt.train()
    assert bits(params) == y
    opt.eval()
    assert not opt.training
    x = bits(params)
    assert all(a != b for a, b in zip(x, y, strict=True))
    opt.eval()
    assert bits(params) == x
    state = pickle.dumps(opt.state_dict())
    for options in ({}, {"on_nonfinite": "skip", "max_norm": 1.0}):
        with pytest.raises(RuntimeError, match=rf"{name} is in evaluation mode; call train\(\)"):
            opt.step(gradients(9), **options)
    assert bits(params) == x
    assert pickle.dumps(opt.state_dict()) == state
    opt.train()
    for p, before_eval in zip(params, y, strict=True):
        np.testing.assert_allclose(
            p.ravel(), np.frombuffer(before_eval, p.dtype), rtol=1e-5, atol=1e-6
        )
    train(opt, 5, 6)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_switching_has_the_same_bits_on_every_backend(name: str, dtype: Any) -> None:
    found = set()
    for backend in fl.backends():
        params = start(dtype)
        opt = make(name, params, backend=backend, weight_decay=0.1)
        seen = []
        for first in (0, 3):
            train(opt, first, first + 3, dtype)
            opt.eval()
            seen += bits(params)
            opt.train()
            seen += bits(params)
        found.add(tuple(seen))
    assert len(found) == 1


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("backend", fl.backends())
def test_resumption_is_exact_in_either_mode(
    name: str, mode: str, backend: str, tmp_path: Path
) -> None:
    pytest.importorskip("safetensors")
    params = start()
    opt = make(name, params, warmup_steps=6)
    train(opt, 0, 4)
    getattr(opt, mode)()
    saved, kept = opt.state_dict(), [p.copy() for p in params]
    fl.save(tmp_path / "opt", opt)
    opt.train()
    train(opt, 4, 8)
    opt.eval()

    for load in (lambda o: o.load_state_dict(saved), lambda o: fl.load(tmp_path / "opt", o)):
        again = [p.copy() for p in kept]
        resumed = make(name, again, lr=0.9, warmup_steps=1, backend=backend)
        load(resumed)
        assert resumed.training is (mode == "train")
        resumed.train()
        train(resumed, 4, 8)
        resumed.eval()
        assert bits(again) == bits(params)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("backend", fl.backends())
def test_parameters_join_one_by_one(name: str, backend: str) -> None:
    """A parameter without gradients so far stays put; a group added while evaluating trains too."""
    a, b, c = np.ones(4), np.ones(3), np.ones(2)
    opt = make(name, [{"params": [a, b]}], backend=backend)
    opt.step([[np.ones(4), None]])
    opt.step([[np.ones(4), None]])
    opt.eval()
    assert (b == 1).all()
    opt.add_param_group({"params": c})
    assert not opt.training
    opt.train()
    assert (b == 1).all()
    assert (c == 1).all()
    opt.step([[np.ones(4), np.ones(3)], np.ones(2)])
    alone = np.ones(3)
    other = make(name, alone, backend=backend)
    other.step(np.ones(3))
    np.testing.assert_array_equal(b, alone)
    other.eval()
    opt.eval()
    np.testing.assert_array_equal(b, alone)
    np.testing.assert_array_equal(c, alone[:2])


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("backend", fl.backends())
def test_parameters_may_be_set_before_the_first_step(name: str, backend: str) -> None:
    """As when a model is loaded after its optimizer was made."""
    late, early = np.zeros(5), np.ones(5)
    opt, other = make(name, late, backend=backend), make(name, early, backend=backend)
    late[...] = 1
    for o, p in ((opt, late), (other, early)):
        for _ in range(3):
            o.step(2 * p)
        o.eval()
    np.testing.assert_array_equal(late, early)


def test_what_cannot_be_interpolated_is_refused() -> None:
    with pytest.raises(ValueError, match=r"betas\[0\] must be above 0, not 0"):
        fl.ScheduleFreeAdamW(np.ones(2), betas=(0.0, 0.9))
    for momentum in (0.0, 1.0):
        with pytest.raises(ValueError, match=rf"momentum must lie in \(0, 1\), not {momentum}"):
            fl.ScheduleFreeSGD(np.ones(2), momentum=momentum)
    with pytest.raises(TypeError, match="warmup_steps must be an integer"):
        fl.ScheduleFreeSGD(np.ones(2), warmup_steps=2.5)


@pytest.mark.parametrize("backend", fl.backends())
def test_a_parameter_made_read_only_is_not_switched(backend: str) -> None:
    a, b = np.ones(2), np.ones(2)
    opt = make("ScheduleFreeSGD", [a, b], backend=backend)
    opt.step([np.ones(2), np.ones(2)])
    opt.step([np.ones(2), np.ones(2)])
    b.flags.writeable = False
    before = a.copy()
    with pytest.raises(ValueError, match=r"params\[1\] is read-only"):
        opt.eval()
    assert opt.training
    np.testing.assert_array_equal(a, before)


def test_a_rate_of_zero_moves_nothing() -> None:
    x = np.ones(3)
    opt = make("ScheduleFreeAdamW", x, lr=0.0)  # all weights of the average are 0
    opt.step(np.ones(3))
    opt.eval()
    np.testing.assert_array_equal(x, 1)


def test_convergence_at_the_average() -> None:
    rng = np.random.default_rng(0)
    for name, lr in (("ScheduleFreeAdamW", 0.1), ("ScheduleFreeSGD", 0.5)):
        x = np.full(20, 3.0)
        opt = make(name, x, lr=lr)
        for _ in range(2000):
            opt.step(x + rng.standard_normal(20))  # noise that keeps y from settling
        y = np.abs(x).max()
        opt.eval()
        assert np.abs(x).max() < 0.15 < y, name
