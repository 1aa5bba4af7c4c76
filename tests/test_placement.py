"""Where state arrays lie; that results do not depend on it is tests/test_bits.py's."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from itertools import pairwise

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline._placement import LARGE, LINE, PAGE, STRIDE, zeros_beside


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 0), (7, 11), (LARGE,), (3, LARGE)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_states_are_zeros_of_the_parameters_shape(shape: tuple[int, ...], dtype: type) -> None:
    param = np.ones(shape, dtype)
    kind = np.dtype(np.float64 if dtype is np.float64 else np.float32)
    state = zeros_beside(param, kind, 2)
    assert (state.shape, state.dtype) == (shape, kind)
    assert state.flags.c_contiguous
    assert state.flags.aligned
    assert state.flags.writeable
    assert not state.any()


@given(offset=st.integers(0, 2 * PAGE // 4), n=st.sampled_from([1, 100, LARGE // 4, LARGE]))
def test_states_begin_where_their_parameter_does_in_a_cache_line(offset: int, n: int) -> None:
    param = np.zeros(offset + n, np.float32)[offset:]
    states = [zeros_beside(param, np.float32, k) for k in range(6)]
    places = [address(a) % PAGE for a in (param, *states)]
    assert len({place % LINE for place in places}) == 1
    if param.nbytes >= LARGE:
        apart = [(b - a) % PAGE for a, b in pairwise(places)]
        assert apart == [STRIDE] * 6


def test_states_of_parameters_that_are_converted_begin_a_cache_line() -> None:
    param = np.zeros(105, np.float16)[5:]
    assert address(zeros_beside(param, np.float32, 0)) % LINE == 0


def test_loaded_states_are_placed_too() -> None:
    param = np.ones(LARGE, np.float32)
    opt = fl.Adam(param)
    opt.step(param.copy())
    before = [address(opt.state[0][slot]) % PAGE for slot in ("exp_avg", "exp_avg_sq")]
    opt.load_state_dict(opt.state_dict())
    after = [address(opt.state[0][slot]) % PAGE for slot in ("exp_avg", "exp_avg_sq")]
    assert after == before
    assert before[1] - before[0] in (STRIDE, STRIDE - PAGE)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))])
def test_copied_states_are_placed_too(again: Callable[[fl.Adam], fl.Adam]) -> None:
    opt = fl.Adam(np.ones(LARGE, np.float32))
    opt.step(np.ones(LARGE, np.float32))
    new = again(opt)
    slots = opt._parameters.slots[0]
    param, *states = (*new.param_groups[0]["params"], *(new.state[0][slot] for slot in slots))
    assert [(address(b) - address(a)) % PAGE for a, b in pairwise([param, *states])] == [STRIDE] * 2
    for slot in slots:
        np.testing.assert_array_equal(new.state[0][slot], opt.state[0][slot])
