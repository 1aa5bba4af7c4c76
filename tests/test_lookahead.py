"""NesterovMomentum.lookahead: the parameters ahead inside the block, and exactly back after it."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fallline as fl

DTYPES = (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)
SHAPES = ((3, 4), (), (0,), (70_001,))


@pytest.fixture(params=fl.backends())
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def isa() -> Iterator[None]:
    before = fl.get_isa()
    yield
    if before:
        fl.set_isa(before)


def arrays(seed: int, dtype: Any = np.float64) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(shape)).astype(dtype) for shape in SHAPES]


def bits(params: list[np.ndarray]) -> list[bytes]:
    return [p.tobytes() for p in params]


def stepped(params: Any, steps: int = 2, **options: Any) -> fl.NesterovMomentum:
    opt = fl.NesterovMomentum(params, **{"lr": 0.1, **options})
    for step in range(steps):
        opt.step(arrays(50 + step, params[0].dtype))
    return opt


def test_parameters_are_ahead_and_back(backend: str) -> None:
    params = arrays(0)
    opt = stepped(params, beta=0.8, backend=backend)
    before = [p.copy() for p in params]
    with opt.lookahead():
        for i, (param, start) in enumerate(zip(params, before, strict=True)):
            ahead = start - 0.1 * 0.8 * opt.state[i]["exp_avg"]
            np.testing.assert_allclose(param, ahead, rtol=1e-15, atol=1e-15)
        assert params[0].tobytes() != before[0].tobytes()
    assert bits(params) == bits(before)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("dtype", DTYPES)
def test_ahead_has_the_same_bits_everywhere(dtype: Any) -> None:
    def run(backend: str, threads: int = 2) -> tuple[bytes, ...]:
        fl.set_num_threads(threads)
        params = arrays(0, dtype)
        opt = stepped(params, backend=backend, weight_decay=0.1)
        seen = []
        for _ in range(3):
            with opt.lookahead():
                seen += bits(params)
                grads = [np.asarray(p * dtype(0.5), dtype) for p in params]
            opt.step(grads)
            seen += bits(params)
        return tuple(seen)

    threads = fl.get_num_threads()
    found = {run(backend) for backend in fl.backends()}
    for isa in fl.isas():
        fl.set_isa(isa)
        found |= {run("native", n) for n in (1, 3)}
    fl.set_num_threads(threads)
    assert len(found) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_bits_come_back(dtype: Any, backend: str) -> None:
    """NaNs with payloads, signed zeros, denormals, infinities: all patterns of 16 bits, or many."""
    size = np.dtype(dtype).itemsize
    patterns = np.arange(1 << 16, dtype=np.uint64)
    patterns = (patterns << np.uint64(8 * size - 16)) | (patterns & np.uint64(1))
    param = patterns.astype(f"u{size}").view(dtype)
    before = param.tobytes()
    opt = fl.NesterovMomentum(param, lr=0.1, backend=backend)
    opt.state[0]["exp_avg"][...] = 1.0
    with opt.lookahead():
        assert param.tobytes() != before
    assert param.tobytes() == before


def test_an_error_inside_puts_them_back(backend: str) -> None:
    params = arrays(0)
    opt = stepped(params, backend=backend)
    before = bits(params)
    for error in (ZeroDivisionError, KeyboardInterrupt, StopIteration):
        with pytest.raises(error), opt.lookahead():  # noqa: PT012
            params[0][...] = np.nan  # a write inside the block is undone, too
            raise error
        assert bits(params) == before
    opt.step(arrays(9))
    assert opt.state[0]["step"] == 3


def test_a_step_inside_is_refused(backend: str) -> None:
    params = arrays(0)
    opt = stepped(params, backend=backend)
    before, state = bits(params), pickle.dumps(opt.state_dict())
    with opt.lookahead():
        ahead = bits(params)
        for options in ({}, {"on_nonfinite": "skip", "max_norm": 1.0}):
            with pytest.raises(RuntimeError, match=r"a step inside lookahead\(\) of this Nesterov"):
                opt.step(arrays(9), **options)
        assert bits(params) == ahead
    assert bits(params) == before
    assert pickle.dumps(opt.state_dict()) == state


def test_a_second_one_inside_is_refused(backend: str) -> None:
    params = arrays(0)
    opt = stepped(params, backend=backend)
    before = bits(params)
    with opt.lookahead():
        ahead = bits(params)
        with pytest.raises(RuntimeError, match=r"a second lookahead\(\) inside lookahead\(\)"):
            opt.lookahead().__enter__()
        assert bits(params) == ahead
    assert bits(params) == before
    with opt.lookahead():
        assert bits(params) == ahead


@pytest.mark.parametrize("clone", [copy.deepcopy, pickle.dumps])
def test_copies_are_not_made_inside(clone: Any) -> None:
    params = arrays(0)
    opt = stepped(params)
    with opt.lookahead(), pytest.raises(RuntimeError, match="copying inside lookahead"):
        clone(opt)
    other = copy.deepcopy(opt)
    own = other.param_groups[0]["params"]
    with other.lookahead():
        assert bits(own) != bits(params)
    with opt.lookahead():
        ahead = bits(params)
        with other.lookahead():  # another optimizer's block is its own affair
            assert bits(own) == ahead


def test_each_group_goes_its_own_way(backend: str) -> None:
    a, b, c = np.ones(2), np.ones(2), np.ones(2)
    groups = [{"params": a}, {"params": b, "lr": lambda step: 0.5 * 10**step, "beta": 0.5}]
    opt = fl.NesterovMomentum(groups, lr=0.1, backend=backend)
    opt.step([np.ones(2), np.ones(2)])
    before = [p.copy() for p in (a, b)]
    with opt.lookahead():  # the second step's rate is 5
        np.testing.assert_allclose(a, before[0] - 0.1 * 0.9 * 0.1)
        np.testing.assert_allclose(b, before[1] - 5.0 * 0.5 * 0.5)
    opt.param_groups[0]["lr"] = 1.0
    opt.add_param_group({"params": c})
    with opt.lookahead():
        np.testing.assert_allclose(a, before[0] - 1.0 * 0.9 * 0.1)
        np.testing.assert_array_equal(c, 1)
    opt.step([np.ones(2), np.ones(2), np.ones(2)])
    after = c.copy()
    with opt.lookahead():
        np.testing.assert_allclose(c, after - 0.1 * 0.9 * 0.1)
    np.testing.assert_array_equal(c, after)


def test_parameters_left_out_of_steps(backend: str) -> None:
    """Each looks ahead along its own mean, whatever steps it has taken part in."""
    a, b, c = np.ones(2), np.ones(3), np.ones(4)
    opt = fl.NesterovMomentum([a, b, c], lr=0.1, beta=0.5, backend=backend)
    opt.step([np.ones(2), np.ones(3), None])
    opt.step([np.ones(2), None, None])
    before = bits([a, b, c])
    with opt.lookahead():
        np.testing.assert_allclose(a, 1 - 0.1 * (0.5 + 0.75) - 0.1 * 0.5 * 0.75)
        np.testing.assert_allclose(b, 1 - 0.1 * 0.5 - 0.1 * 0.5 * 0.5)
        np.testing.assert_array_equal(c, 1)
    assert bits([a, b, c]) == before
    opt.step([None, None, np.ones(4)])
    assert [opt.state[i]["step"] for i in range(3)] == [2, 1, 1]


def test_decay_is_that_of_a_penalty_in_the_objective(backend: str) -> None:
    decayed, penalised = arrays(0), arrays(0)
    opt = stepped(decayed, 0, weight_decay=0.3, backend=backend)
    other = stepped(penalised, 0, backend=backend)
    for _ in range(20):
        with opt.lookahead():
            grads = [np.asarray(np.cos(p)) for p in decayed]
        opt.step(grads)
        with other.lookahead():
            grads = [np.asarray(np.cos(p) + 0.3 * p) for p in penalised]
        other.step(grads)
    for p, q in zip(decayed, penalised, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-12, atol=1e-12)


def test_loaded_means_are_followed(backend: str) -> None:
    params = arrays(0)
    opt = stepped(params, backend=backend)
    with opt.lookahead():
        ahead = bits(params)
    other = stepped(params, 0, backend=backend)
    with other.lookahead():
        assert bits(params) != ahead
    other.load_state_dict(opt.state_dict())
    with other.lookahead():
        assert bits(params) == ahead


def test_what_cannot_be_moved_is_not(backend: str) -> None:
    params = arrays(0)
    opt = stepped(params, backend=backend)
    before = bits(params)
    params[3].flags.writeable = False
    with pytest.raises(ValueError, match=r"params\[3\] is read-only"), opt.lookahead():
        pytest.fail("inside")
    params[3].flags.writeable = True
    opt.param_groups[0]["lr"] = np.nan
    with (
        pytest.raises(ValueError, match=r"lr \* beta is not finite at step 3: nan"),
        opt.lookahead(),
    ):
        pytest.fail("inside")
    assert bits(params) == before
    opt.param_groups[0]["lr"] = 0.1
    with opt.lookahead():
        assert bits(params) != before


def test_use_by_another_thread_is_noticed() -> None:
    x = np.ones(3)

    def lr(step: int) -> float:  # called while the step holds the optimizer
        if step == 1:
            with pytest.raises(RuntimeError, match="in use by another thread"):
                opt.lookahead().__enter__()
        return 0.1

    opt = fl.NesterovMomentum(x, lr=lr)
    opt.step(np.ones(3))
    opt.step(np.ones(3))
    assert opt.state[0]["step"] == 2


@pytest.mark.skipif("native" not in fl.backends(), reason="the Python backends stage in copies")
def test_later_blocks_allocate_nothing_that_grows() -> None:
    param = np.ones(1_000_000)
    opt = fl.NesterovMomentum(param, backend="native")
    with opt.lookahead():
        pass
    tracemalloc.start()
    for _ in range(3):
        with opt.lookahead():
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_only_nesterovs_looks_ahead() -> None:
    assert [n for n, kind in fl.optimizers().items() if hasattr(kind, "lookahead")] == [
        "NesterovMomentum"
    ]
