"""Parameters of 16 bits: master copies, and stochastic rounding."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from cases import CASES, Case
from fallline.backends import choose
from fallline.backends._rounding import round_randomly, threefry

DTYPES = {"bfloat16": np.dtype(ml_dtypes.bfloat16), "float16": np.dtype(np.float16)}
LARGEST = {name: float(ml_dtypes.finfo(dtype).max) for name, dtype in DTYPES.items()}
MASTER: dict[str, Any] = {"master_weights": True}
STOCHASTIC: dict[str, Any] = {"rounding": "stochastic", "seed": 2**63 + 7}
OPTIONS = {"master": MASTER, "stochastic": STOCHASTIC, "both": MASTER | STOCHASTIC}
WORDS = np.arange(2**16, dtype=np.uint16)  # all that may be drawn for an element
ADAMW = Case("AdamW", {"weight_decay": 0.1})


def variants(*, numba: bool) -> Iterator[str]:
    """Backends other than the reference, native once per ISA."""
    for isa in fl.isas():
        fl.set_isa(isa)
        yield "native"
    if numba and "numba" in fl.backends():
        yield "numba"


def bits(array: np.ndarray) -> np.ndarray:
    """The array's bits, any NaN as one NaN."""
    canonical = array.copy()
    with np.errstate(all="ignore"):
        canonical[np.isnan(canonical.astype(np.float64))] = np.nan
    return canonical.view(f"u{array.itemsize}")


def draw(rng: np.random.Generator, n: int, dtype: np.dtype[Any]) -> np.ndarray:
    return (rng.standard_normal(n) * 10.0 ** rng.integers(-4, 3, n)).astype(dtype)


def train(
    case: Case,
    dtype: np.dtype[Any],
    backend: str,
    options: dict[str, Any],
    lengths: tuple[int, ...] = (0, 3, 130, 1023, 1029),
    steps: int = 3,
    offset: int = 0,
) -> list[np.ndarray]:
    """Bits of all parameters and states after a few steps from a fixed start."""
    rng = np.random.default_rng(3)
    params = []
    for n in lengths:
        params.append(np.empty(n + offset, dtype)[offset:])
        params[-1][...] = draw(rng, n, dtype)
    opt = case.make(params, backend=backend, **options)
    for _ in range(steps):
        opt.step([draw(rng, n, np.dtype(np.float32)) for n in lengths])
    arrays = [v for own in opt.state.values() for v in own.values() if isinstance(v, np.ndarray)]
    return [bits(a) for a in params + arrays]


def assert_same(got: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- the random bits -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # the known answers that come with Random123
        ((0,) * 4, (0,) * 4, (0x9C6CA96A, 0xE17EAE66, 0xFC10ECD4, 0x5256A7D8)),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 4, (0x2A881696, 0x57012287, 0xF6C7446E, 0xA16A6732)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0, 0x082EFA98, 0xEC4E6C89),
            (0x59CD1DBB, 0xB8879579, 0x86B5D00C, 0xAC8B6D84),
        ),
    ],
)
def test_threefry_is_the_published_one(counter: Any, key: Any, expected: Any) -> None:
    words = [np.array([word], np.uint64) for word in (*counter, *key)]
    assert tuple(int(word[0]) for word in threefry(*words)) == expected


def rounded(x: np.ndarray, dtype: np.dtype[Any], **options: Any) -> np.ndarray:
    """`x` rounded stochastically by a step: 0 - 1·(-x)."""
    params = np.zeros(x.shape, dtype)
    opt = fl.SGD(params, lr=1.0, **{**STOCHASTIC, **options})
    opt.step(-x, on_nonfinite="ignore")
    return params


@pytest.mark.parametrize("dtype", DTYPES)
def test_elements_parameters_steps_and_seeds_are_independent(dtype: str) -> None:
    n, x = 1 << 17, np.float32(1 + 2**-12)
    x32 = np.full(n, x)
    other = [np.zeros(n, DTYPES[dtype]), np.zeros(n, DTYPES[dtype])]
    opt = fl.SGD(other, lr=1.0, **STOCHASTIC)
    opt.step([-x32, -x32])
    drawn = [o.copy() for o in other]
    for o in other:
        o[...] = 0
    opt.step([-x32, -x32])
    drawn += [
        *other,
        rounded(x32, DTYPES[dtype], seed=8),
        rounded(x32, DTYPES[dtype], seed=8 << 32),
    ]
    up = np.array([d.astype(np.float64) > x for d in drawn], np.float64)
    unit = float(ml_dtypes.finfo(DTYPES[dtype]).eps)
    p = 2**-12 / unit
    spread = np.sqrt(p * (1 - p))
    np.testing.assert_allclose(up.mean(axis=1), p, atol=5 * spread / np.sqrt(n), rtol=0)
    z = (up - p) / spread
    pairs = z @ z.T / n - np.diag(np.diag(z @ z.T / n))
    assert abs(pairs).max() < 5 / np.sqrt(n)
    for lag in (1, 2, 127, 128, 129, 1024):  # 128: elements of one block
        assert abs((z[:, lag:] * z[:, :-lag]).mean(axis=1)).max() < 5 / np.sqrt(n)


def test_bits_are_those_of_seed_step_and_element() -> None:
    x = np.linspace(-3, 3, 5000, dtype=np.float32)
    bf16 = DTYPES["bfloat16"]
    alone = rounded(x, bf16)
    np.testing.assert_array_equal(rounded(x[:1500], bf16), alone[:1500])
    assert (rounded(x, bf16, seed=1) != alone).any()
    # A parameter's own, whoever else takes part.
    params = [np.zeros(5000, bf16) for _ in range(2)]
    opt = fl.SGD(params, lr=1.0, **STOCHASTIC)
    opt.step([-x, None])
    np.testing.assert_array_equal(params[0], alone)
    opt.step([None, -x])
    assert (params[1] != alone).any()


# ---- the rounding ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@given(pattern=st.integers(0, 2**32 - 1))
def test_the_mean_is_the_number(dtype: str, pattern: int) -> None:
    x = np.array(pattern, np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        got = round_randomly(np.full(2**16, x), WORDS, DTYPES[dtype]).astype(np.float64)
        nearest = float(x.astype(DTYPES[dtype]))
    if not abs(float(x)) <= LARGEST[dtype]:  # as to nearest: infinite where that is, or NaN
        np.testing.assert_array_equal(got, nearest)
        return
    below, above = got.min(), got.max()
    assert set(np.unique(got)) == {below, above}
    # Sums of 2^16 numbers of 11 bits that differ in the last are exact.
    error = abs(got.sum() / 2**16 - float(x))
    if dtype == "float16" and abs(x) < 2**-14:
        assert error < 2**-40
    else:
        assert error == 0
        assert (nearest == x) == (below == above)
    step = np.spacing(np.array(min(abs(below), abs(above))).astype(DTYPES[dtype])).astype(float)
    assert above - below in (0, step)


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_float_is_rounded_alike_everywhere(dtype: str) -> None:
    patterns = np.random.default_rng(0).integers(0, 2**32, 200_000, np.uint32)
    edges = np.array([0x7F7F0000, 0x7F7F7FFF, 0x7F7F8000, 0x477FE000, 0x477FEFFF, 0x477FF000,
                      0x387FFFFF, 0x38800000, 0x33000000, 0x7F800000, 0x7FC00000, 1, 0],
                     np.uint32)  # fmt: skip
    # Half of them where float16 lives; and around what the comments call an edge.
    patterns[::2] = patterns[::2] % 0x1000_0000 + 0x3300_0000
    around = (edges[:, None] + np.arange(-2, 3).astype(np.uint32)).reshape(-1)
    x = np.concatenate([patterns, around, around | np.uint32(1 << 31)]).view(np.float32)
    with np.errstate(all="ignore"):
        expected = bits(rounded(x, DTYPES[dtype], backend="numpy"))
        for backend in variants(numba=True):
            got = bits(rounded(x, DTYPES[dtype], backend=backend))
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_representable_stays(dtype: str) -> None:
    every = WORDS.view(DTYPES[dtype])
    finite = every[np.isfinite(every.astype(np.float32))].copy()
    before = finite.copy()
    opt = fl.SGD(finite, lr=0.0, **STOCHASTIC)
    for _ in range(3):
        opt.step(np.zeros_like(finite))
    np.testing.assert_array_equal(bits(finite), bits(before))


# ---- same bits -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_isas_agree(case: Case, dtype: str) -> None:
    for options in ("stochastic", "both"):
        expected = train(case, DTYPES[dtype], "numpy", OPTIONS[options], steps=2)
        for backend in variants(numba=False):
            got = train(case, DTYPES[dtype], backend, OPTIONS[options], steps=2)
            assert_same(got, expected)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_backends_threads_and_positions_agree(dtype: str, options: str) -> None:
    lengths = (66_001, 7, 40_000, 1024, 130)
    expected = train(ADAMW, DTYPES[dtype], "numpy", OPTIONS[options], lengths)
    for threads in (1, 2, 3, 7):
        fl.set_num_threads(threads)
        for backend in variants(numba=threads == 3):
            got = train(ADAMW, DTYPES[dtype], backend, OPTIONS[options], lengths, offset=threads)
            assert_same(got, expected)


def step_of_parts(backend: str, cuts: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Bits after a step whose parts, cut there, are bound as shards of one parameter."""
    rng = np.random.default_rng(5)
    whole, grad = draw(rng, 5000, dtype), draw(rng, 5000, np.dtype(np.float32))
    pairs = list(itertools.pairwise((0, *cuts, 5000)))
    opt = ADAMW.make([whole.copy()])
    group = opt.param_groups[0]
    kernel, c = opt.kernel(group), opt.coefficients(group, group["lr"], 1, {})
    states = [np.zeros(5000, np.float32) for _ in kernel.slots]
    bound = choose(backend).bind(
        [whole[a:b] for a, b in pairs],
        [tuple(s[a:b] for s in states) for a, b in pairs],
        [0] * len(pairs),
        [None] * len(pairs),
        [(0, 0, a) for a, _ in pairs],
    )
    bound.bind([grad[a:b] for a, b in pairs])
    bound.update(((kernel, 1.0, c, (2**63 + 7, 1)),), False, 2, [None], None, None)
    return bits(whole)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_shard_has_the_bits_of_the_whole(dtype: str) -> None:
    expected = step_of_parts("numpy", (), DTYPES[dtype])
    for backend in ("numpy", *variants(numba=True)):
        for cuts in ((), (1024, 3072), (1, 7, 130, 1500), (1023, 2050, 4999)):
            np.testing.assert_array_equal(step_of_parts(backend, cuts, DTYPES[dtype]), expected)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_master_is_what_float32_would_be(case: Case) -> None:
    rng = np.random.default_rng(1)
    for dtype in DTYPES.values():
        low = [draw(rng, n, dtype) for n in (5, 1029)]
        high = [p.astype(np.float32) for p in low]
        ours, plain = case.make(low, **MASTER), case.make(high)
        for _ in range(5):
            grads = [draw(rng, p.size, dtype) for p in low]
            ours.step(grads, max_norm=1.0)
            plain.step(grads, max_norm=1.0)
            if isinstance(ours, (fl.ScheduleFreeAdamW, fl.ScheduleFreeSGD)):
                assert isinstance(plain, type(ours))
                for opt in (ours, plain):
                    opt.eval()
                assert_same([p.astype(dtype) for p in high], low)
                for opt in (ours, plain):
                    opt.train()
            assert_same([own["master"] for own in ours.state.values()], high)
            assert_same(low, [p.astype(dtype) for p in high])
            for own, other in zip(ours.state.values(), plain.state.values(), strict=True):
                assert own.keys() == other.keys() | {"master"}


# ---- what it is good for ---------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_small_updates_are_not_lost(dtype: str, options: str) -> None:
    def fit(**given: Any) -> float:
        x = np.full(2000, 1.0, DTYPES[dtype])
        opt = fl.SGD(x, lr=1e-4, **given)
        for _ in range(1000):
            opt.step(np.ones(2000, DTYPES[dtype]))
        return float(x.astype(np.float64).mean())

    assert fit() == 1.0
    assert fit(**OPTIONS[options]) == pytest.approx(0.9, abs=2e-3)


# ---- state -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("how", ["dict", "file", "pickle", "copy"])
def test_resumes_to_the_bit(how: str, options: str, tmp_path: Path) -> None:
    bf16 = DTYPES["bfloat16"]
    rng = np.random.default_rng(5)
    grads = [draw(rng, 3000, bf16) for _ in range(6)]
    x = draw(rng, 3000, bf16)
    opt = ADAMW.make(x, **OPTIONS[options])
    for g in grads[:3]:
        opt.step(g)
    y = x.copy()
    if how in ("pickle", "copy"):
        again = pickle.loads(pickle.dumps(opt)) if how == "pickle" else copy.deepcopy(opt)
        y = again.param_groups[0]["params"][0]
    else:
        # What is loaded says how parameters are kept, as it says all hyperparameters.
        again = ADAMW.make(y)
        if how == "dict":
            again.load_state_dict(opt.state_dict())
        else:
            fl.save(tmp_path / "opt.safetensors", opt)
            fl.load(tmp_path / "opt.safetensors", again)
    for g in grads[3:]:
        opt.step(g)
        again.step(g)
    np.testing.assert_array_equal(bits(x), bits(y))
    for slot, array in opt.state[0].items():
        np.testing.assert_array_equal(array, again.state[0][slot])


def test_a_state_without_master_starts_from_the_parameter() -> None:
    x = np.full(4, 2.0, np.float16)
    without = fl.SGD(np.ones(4, np.float16), lr=0.5, momentum=0.5)
    without.step(np.ones(4, np.float16))
    saved = without.state_dict()
    del saved["param_groups"][0]["master_weights"]  # as of torch, or of an older version
    opt = fl.SGD(x, lr=0.5, momentum=0.5, **MASTER)
    opt.step(np.ones(4, np.float16))
    opt.load_state_dict(saved)
    x[...] = 4  # the parameters loaded after the state
    opt.step(np.zeros(4, np.float16))
    np.testing.assert_array_equal(opt.state[0]["master"], 4 - 0.25)


@pytest.mark.parametrize(
    ("master", "error", "message"),
    [
        (np.zeros(3, np.float32), ValueError, r"master of params has shape \(3,\)"),
        (np.zeros(4, np.float16), TypeError, "master of params has dtype float16"),
    ],
)
def test_a_wrong_master_is_refused(master: Any, error: type[Exception], message: str) -> None:
    opt = fl.SGD(np.zeros(4, np.float16), **MASTER)
    opt.step(np.ones(4, np.float16))
    saved = opt.state_dict()
    saved["state"][0]["master"] = master
    with pytest.raises(error, match=message):
        opt.load_state_dict(saved)
    assert opt.state[0]["master"].dtype == np.float32


def test_the_master_wins_unless_told_otherwise() -> None:
    x = np.zeros(2, np.float16)
    opt = fl.SGD(x, lr=1.0, **MASTER)
    x[...] = 8  # before its first step
    opt.step(np.ones_like(x))
    np.testing.assert_array_equal(x, 7)
    x[...] = 100
    opt.step(np.ones_like(x))
    np.testing.assert_array_equal(x, 6)
    x[...] = 100
    opt.sync_master()
    opt.step(np.ones_like(x))
    np.testing.assert_array_equal(x, 99)


def test_a_parameter_that_sits_out_is_followed_still() -> None:
    x, y = np.zeros(2, np.float16), np.zeros(2, np.float16)
    opt = fl.SGD([x, y], lr=1.0, **MASTER)
    opt.step([np.ones_like(x), None])
    y[...] = 8
    opt.step([np.ones_like(x), np.ones_like(y)])
    np.testing.assert_array_equal((x, y), [[-2, -2], [7, 7]])


def test_groups_choose_between_steps() -> None:
    x, y, z = np.ones(2, np.float16), np.ones(2, np.float16), np.ones(2, np.float32)
    opt = fl.SGD([{"params": [x], **MASTER}, {"params": [y]}, {"params": [z], **MASTER}], lr=1e-4)
    ones = np.ones(2, np.float16)
    opt.step([[ones]] * 3)
    assert [set(own) for own in opt.state.values()] == [{"step", "master"}, {"step"}, {"step"}]
    np.testing.assert_array_equal(opt.state[0]["master"], z)
    opt.param_groups[0]["master_weights"] = False
    opt.param_groups[1]["master_weights"] = True
    for _ in range(3):
        opt.step([[ones]] * 3)
    assert [set(own) for own in opt.state.values()] == [{"step"}, {"step", "master"}, {"step"}]
    np.testing.assert_array_equal(x, 1)
    np.testing.assert_allclose(opt.state[1]["master"], 1 - 3e-4, rtol=1e-7)
    opt.param_groups[1] |= STOCHASTIC | {"master_weights": False, "lr": 1e-3}
    for _ in range(10):
        opt.step([[ones]] * 3)
    assert (y < 1).all()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_wide_parameters_are_as_without(options: dict[str, Any]) -> None:
    for dtype in (np.float32, np.float64):
        got = train(ADAMW, np.dtype(dtype), "native", options)
        assert_same(got, train(ADAMW, np.dtype(dtype), "native", {}))


# ---- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", fl.optimizers())
def test_unknown_keywords_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match=rf"{name}\(\) got an unexpected keyword argument 'round'"):
        fl.optimizers()[name](np.zeros(2), round="stochastic")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rounding": "up"}, ValueError, "rounding must be one of .*, not 'up'"),
        ({"master_weights": "yes"}, ValueError, "master_weights must be one of"),
        ({"seed": -1}, ValueError, "seed must be at least 0, not -1"),
        ({"seed": 2**64}, ValueError, f"seed must be less than {2**64}"),
        ({"seed": 1.5}, TypeError, "seed must be an integer, not 1.5"),
        ({"seed": True}, TypeError, "seed must be an integer, not True"),
    ],
)
def test_bad_options_are_named(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fl.AdamW(np.zeros(2, np.float16), **options)


@pytest.mark.parametrize("backend", fl.backends())
def test_an_edited_seed_is_refused_before_anything_is_written(backend: str) -> None:
    x = np.ones(2, np.float16)
    opt = fl.SGD(x, backend=backend, rounding="stochastic")
    opt.param_groups[0]["seed"] = -1
    with pytest.raises((OverflowError, TypeError, ValueError)):
        opt.step(np.ones_like(x))
    np.testing.assert_array_equal(x, 1)


def test_gradients_must_not_lie_in_a_master() -> None:
    x = np.ones(4, np.float16)
    opt = fl.SGD(x, **MASTER)
    opt.step(np.ones_like(x))
    with pytest.raises(ValueError, match="overlap in memory"):
        opt.step(opt.state[0]["master"])
