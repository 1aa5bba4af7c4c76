"""SWATS: what a group counts as, when it switches, and that nothing perturbs that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from test_references import REFERENCES

SHAPES = ((3, 40), (70_000,), (1,))
# With gradients as below, each group of these shapes switches some steps into the run.
OPTIONS: dict[str, Any] = {"lr": 0.01, "betas": (0.9, 0.99), "tolerance": 2e-5}
STEPS = 40


def start(dtype: Any = np.float64) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal(s).astype(dtype) for s in SHAPES]


def gradient(step: int, params: Sequence[np.ndarray]) -> list[np.ndarray]:
    rng = np.random.default_rng(100 + step)
    return [(p + 0.1 * rng.standard_normal(p.shape)).astype(p.dtype) for p in params]


def phases(opt: fl.Optimizer) -> list[str]:
    return [own["phase"] for own in opt.state.values()]


def reference(params: Sequence[np.ndarray], **options: Any) -> Any:
    """The published algorithm on the arrays' concatenation, fed with `gradient`."""
    ends = np.cumsum([p.size for p in params])

    def split(x: np.ndarray) -> list[np.ndarray]:
        parts = np.split(x, ends[:-1])
        return [part.reshape(p.shape) for part, p in zip(parts, params, strict=True)]

    def joined(t: int, x: np.ndarray) -> np.ndarray:
        return np.concatenate([g.ravel() for g in gradient(t, split(x))])

    whole = np.concatenate([p.ravel() for p in params])
    return map(split, REFERENCES["SWATS"](whole, joined, **{**OPTIONS, **options}))


def run(opt: fl.Optimizer, params: list[np.ndarray], first: int, last: int, **step: Any) -> None:
    for t in range(first, last):
        opt.step(gradient(t, params), **step)


def bits(params: Sequence[np.ndarray]) -> list[bytes]:
    return [p.tobytes() for p in params]


@pytest.mark.parametrize("backend", fl.backends())
def test_each_group_counts_as_one_vector(backend: str) -> None:
    groups = [start(), [p[:20] * 3 for p in start()[:2]]]
    expected = [reference([p.copy() for p in group]) for group in groups]
    opt = fl.SWATS([{"params": group} for group in groups], backend=backend, **OPTIONS)
    switched: dict[int, int] = {}
    for t in range(1, STEPS + 1):
        opt.step([gradient(t, group) for group in groups])
        for group, steps in zip(groups, expected, strict=True):
            for got, wanted in zip(group, next(steps), strict=True):
                np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)
        for i, phase in enumerate(phases(opt)):
            if phase == "sgd":
                switched.setdefault(i, t)
    # All arrays of a group switch at once, the groups at different steps well inside the run.
    assert switched[0] == switched[1] == switched[2]
    assert switched[3] == switched[4]
    assert len(set(switched.values())) == 2
    assert all(4 < t < STEPS - 4 for t in switched.values())


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_the_switch_has_the_same_bits_everywhere(dtype: Any) -> None:
    threads, isa = fl.get_num_threads(), fl.get_isa()
    found = set()
    for backend in fl.backends():
        for name in fl.isas() if backend == "native" else (None,):
            if name:
                fl.set_isa(name)
            for n in (1, 2, 7):
                fl.set_num_threads(n)
                params = start(dtype)
                opt = fl.SWATS(params, backend=backend, **OPTIONS)
                run(opt, params, 1, STEPS)
                assert phases(opt) == ["sgd"] * 3
                found.add((*bits(params), str(opt.state[0]["sgd_lr"])))
    fl.set_num_threads(threads)
    if isa:
        fl.set_isa(isa)
    assert len(found) == 1


@pytest.mark.parametrize("backend", fl.backends())
def test_skipped_and_refused_steps_leave_no_trace(backend: str) -> None:
    plain, other = start(), start()
    expected = fl.SWATS(plain, backend=backend, **OPTIONS)
    opt = fl.SWATS(other, backend=backend, **OPTIONS)
    for t in range(1, STEPS):
        expected.step(gradient(t, plain), max_norm=1000.0)
        bad = gradient(t, other)
        bad[1][17] = np.nan
        opt.step(bad, on_nonfinite="skip", max_norm=1000.0)
        with pytest.raises(FloatingPointError):
            opt.step(bad, on_nonfinite="raise")
        with pytest.raises(ValueError, match="entries"):
            opt.step(bad[:2])
        opt.step(gradient(t, other), max_norm=1000.0)
        assert bits(other) == bits(plain)
        assert opt.state[0]["projected_lr"] == expected.state[0]["projected_lr"]
    assert phases(opt) == ["sgd"] * 3


@pytest.mark.parametrize("backend", fl.backends())
def test_resumption_at_every_step_is_exact(backend: str, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    params = start()
    opt = fl.SWATS(params, **OPTIONS)
    lr = {**OPTIONS, "lr": 0.5}  # overwritten by what is loaded
    for t in range(1, STEPS):
        resumed_params = [p.copy() for p in params]
        resumed = fl.SWATS(resumed_params, backend=backend, **lr)
        if t % 2:
            resumed.load_state_dict(opt.state_dict())
        else:
            fl.save(tmp_path / "opt", opt)
            fl.load(tmp_path / "opt", resumed)
        for o, p in ((opt, params), (resumed, resumed_params)):
            run(o, p, t, t + 1)
        assert bits(resumed_params) == bits(params)
        assert resumed.state[1].keys() == opt.state[1].keys()
        for key, value in opt.state[1].items():
            np.testing.assert_array_equal(resumed.state[1][key], value)
    assert phases(opt) == ["sgd"] * 3


@pytest.mark.parametrize("backend", fl.backends())
def test_parts_of_a_group_that_step_apart_count_apart(backend: str) -> None:
    """Gradients left out do not spoil the sums of the step before."""
    together, apart = start(), start()
    opt = fl.SWATS(together, backend=backend, **OPTIONS)
    alone = [fl.SWATS(p, backend=backend, **OPTIONS) for p in apart]
    for t in range(1, STEPS):
        # Each array takes its first step alone; later they miss steps in turn, and share others.
        present = [t == i + 1 if t <= 3 else (t + i) % 5 > i for i in range(3)]
        grads = gradient(t, together)
        opt.step([g if given else None for g, given in zip(grads, present, strict=True)])
        for o, g, given in zip(alone, grads, present, strict=True):
            if given:
                o.step(g)
        assert bits(together) == bits(apart)
    assert [own["step"] for own in opt.state.values()] == [o.state[0]["step"] for o in alone]
    assert phases(opt) == [phases(o)[0] for o in alone]
    assert "sgd" in phases(opt)


def test_the_rate_follows_a_schedule_after_the_switch() -> None:
    def schedule(step: int) -> float:
        return 0.01 if step < 30 else 0.001

    params, constant = start(), start()
    opt = fl.SWATS(params, **{**OPTIONS, "lr": schedule})
    same = fl.SWATS(constant, **OPTIONS)
    run(opt, params, 0, 30)
    run(same, constant, 0, 30)
    assert phases(opt) == ["sgd"] * 3
    assert bits(params) == bits(constant)
    before = [p.copy() for p in params]
    run(opt, params, 30, 31)
    run(same, constant, 30, 31)
    for p, q, b in zip(params, constant, before, strict=True):
        np.testing.assert_allclose(p - b, (q - b) / 10, rtol=1e-9, atol=1e-14)


def first_steps(grads: Callable[[int], float], **options: Any) -> fl.Optimizer:
    x = np.zeros(1)
    opt = fl.SWATS(x, **{"lr": 0.1, "tolerance": 1e6, **options})
    for t in range(1, 5):
        opt.step(np.full(1, grads(t)))
    return opt


def test_no_switch_before_the_second_step_nor_to_a_rate_below_zero() -> None:
    opt = first_steps(lambda t: 1.0)
    assert phases(opt) == ["sgd"]
    assert opt.state[0]["sgd_lr"] == pytest.approx(0.1)  # Adam's constant step is lr · g
    x = np.zeros(1)
    opt = fl.SWATS(x, lr=0.1, tolerance=1e6)
    for expected in ("adam", "adam", "sgd"):  # two steps of Adam, their sums taken up at the third
        opt.step(np.ones(1))
        assert phases(opt) == [expected]
    opt = first_steps(lambda t: 1.0 if t == 1 else -1e-3)  # momentum goes on against the gradient
    assert phases(opt) == ["adam"]
    assert opt.state[0]["projected_lr"] < 0


def test_steps_without_a_direction_say_nothing() -> None:
    opt = first_steps(lambda t: 0.0)
    assert phases(opt) == ["adam"]
    assert opt.state[0]["projected_lr"] == 0.0
    opt = first_steps(lambda t: 1.0, lr=0.0)
    assert phases(opt) == ["adam"]
    x = np.zeros(2)
    opt = fl.SWATS(x, lr=0.1, tolerance=1e6)
    opt.step(np.array([1.0, np.inf]), on_nonfinite="ignore")
    for _ in range(3):
        opt.step(np.ones(2))
    assert np.isfinite(opt.state[0]["projected_lr"])


def test_tolerance_defaults_to_eps() -> None:
    for tolerance, eps in ((None, 1e6), (1e6, 0.0)):
        opt = first_steps(lambda t: 1.0 + t, tolerance=tolerance, eps=eps, lr=0.1)
        assert phases(opt) == ["sgd"]
    assert phases(first_steps(lambda t: 1.0 + t, tolerance=None, eps=0.0)) == ["adam"]
    with pytest.raises(ValueError, match="tolerance must lie in"):
        fl.SWATS(np.ones(2), tolerance=-1.0)
