"""Same bits: every case on every backend, ISA, dtype, thread count and position."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from cases import CASES, Case

DTYPES = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
}
TILE = 1024
# A tile is 1,024 elements, a block of the Python backends 65,536, the widest vector 16.
LENGTHS = (0, 1, 2, 3, 7, 15, 16, 17, 31, 33, TILE - 1, TILE, TILE + 1, 3 * TILE + 5, 66_001)
SPECIAL = np.array(
    [0.0, -0.0, 1e-45, -1e-40, 1e-38, 3e38, -3e38, 65520.0, 65504.0, 6e-8, 2.98e-8, 1.0, -1.5]
)
NONFINITE = np.array([np.inf, -np.inf, np.nan])


def bits(array: np.ndarray) -> np.ndarray:
    """The array's bits, any NaN as one NaN: IEEE 754 leaves its sign and payload open."""
    canonical = array.copy()
    with np.errstate(all="ignore"):
        nan = np.isnan(canonical.astype(np.float64))
    canonical[nan] = np.nan
    return canonical.view(f"u{array.itemsize}")


def values(rng: np.random.Generator, n: int, dtype: np.dtype[Any], nonfinite: bool) -> np.ndarray:
    x = rng.standard_normal(n) * 10.0 ** rng.integers(-3, 3, n)
    special = np.concatenate([SPECIAL, NONFINITE]) if nonfinite else SPECIAL
    where = rng.random(n) < 0.1
    x[where] = rng.choice(special, where.sum())
    with np.errstate(over="ignore"):
        x = x.astype(dtype)
    if not nonfinite:
        x[~np.isfinite(x.astype(np.float64))] = 1
    return x


def run(
    case: Case,
    backend: str,
    dtype: str,
    *,
    grad_dtype: str | None = None,
    lengths: tuple[int, ...] = LENGTHS,
    nonfinite: bool = False,
    steps: int = 3,
    offset: int = 0,
    **step: Any,
) -> list[np.ndarray]:
    """Bits of all parameters and states after a few steps from a fixed start."""
    rng = np.random.default_rng(11)
    kind, grad_kind = DTYPES[dtype], DTYPES[grad_dtype or dtype]
    params, buffers = [], []
    for n in lengths:
        buffer = np.full(n + offset + 9, 77, kind)  # 77: sentinels around the array
        buffer[offset : offset + n] = values(rng, n, kind, nonfinite)
        buffers.append(buffer)
        params.append(buffer[offset : offset + n])
    opt = case.make(params, backend=backend)
    for _ in range(steps):
        grads = [values(rng, n, grad_kind, nonfinite) for n in lengths]
        opt.step(grads, on_nonfinite="ignore", **step)
    for n, buffer in zip(lengths, buffers, strict=True):
        assert (buffer[:offset] == 77).all()
        assert (buffer[offset + n :] == 77).all()
    result = [bits(p) for p in params]
    for own in opt.state.values():
        result += [bits(v) for v in own.values() if isinstance(v, np.ndarray)]
    return result


def assert_same(got: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def variants() -> list[tuple[str, str | None]]:
    """Backends other than the reference, native once per ISA."""
    native = [("native", isa) for isa in fl.isas()]
    return native + [(b, None) for b in fl.backends() if b == "numba"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_backends_and_isas_agree(case: Case, dtype: str) -> None:
    for nonfinite in (False, True):
        expected = run(case, "numpy", dtype, nonfinite=nonfinite)
        for backend, isa in variants():
            if isa:
                fl.set_isa(isa)
                assert fl.get_isa() == isa
            assert_same(run(case, backend, dtype, nonfinite=nonfinite), expected)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_threads_and_positions_agree(case: Case) -> None:
    fl.set_num_threads(1)
    expected = run(case, "native", "float32")
    for threads in (2, 3, 7):
        fl.set_num_threads(threads)
        assert_same(run(case, "native", "float32"), expected)
        assert_same(run(case, "native", "float32", offset=threads), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rectified_steps_agree(dtype: str) -> None:
    case = Case("RAdam")  # rectifies from its sixth step on
    expected = run(case, "numpy", dtype, nonfinite=True, steps=7)
    for backend, isa in variants():
        if isa:
            fl.set_isa(isa)
        assert_same(run(case, backend, dtype, nonfinite=True, steps=7), expected)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_length_around_vectors_and_tiles(case: Case) -> None:
    lengths = (*range(70), *range(TILE - 35, TILE + 36))
    for dtype in ("float32", "float16"):
        expected = run(case, "numpy", dtype, lengths=lengths, steps=2)
        for isa in fl.isas():
            fl.set_isa(isa)
            assert_same(run(case, "native", dtype, lengths=lengths, steps=2, offset=1), expected)


@pytest.mark.parametrize("grad_dtype", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_mixed_dtypes_scaled_and_clipped(dtype: str, grad_dtype: str) -> None:
    case = Case("AdamW")
    options: dict[str, Any] = {"scale": 1 / 3, "max_norm": 0.7, "grad_dtype": grad_dtype}
    expected = run(case, "numpy", dtype, **options)
    for backend, isa in variants():
        if isa:
            fl.set_isa(isa)
        for threads in (1, 2, 3, 7):
            fl.set_num_threads(threads)
            assert_same(run(case, backend, dtype, **options), expected)


@settings(max_examples=60)
@given(
    case=st.sampled_from(CASES),
    dtype=st.sampled_from(list(DTYPES)),
    grad_dtype=st.sampled_from(list(DTYPES)),
    lengths=st.lists(st.integers(0, 3000), min_size=1, max_size=6),
    offset=st.integers(0, 20),
    nonfinite=st.booleans(),
    threads=st.sampled_from((1, 2, 3, 7)),
    max_norm=st.sampled_from((None, 0.5)),
)
def test_any_work_agrees(
    case: Case,
    dtype: str,
    grad_dtype: str,
    lengths: list[int],
    offset: int,
    nonfinite: bool,
    threads: int,
    max_norm: float | None,
) -> None:
    fl.set_num_threads(threads)
    options: dict[str, Any] = {
        "grad_dtype": grad_dtype,
        "lengths": tuple(lengths),
        "offset": offset,
        "nonfinite": nonfinite,
        "max_norm": max_norm,
    }
    expected = run(case, "numpy", dtype, **options)
    assert_same(run(case, "native", dtype, **options), expected)


@settings(max_examples=40)
@given(
    dtype=st.sampled_from(list(DTYPES)),
    lengths=st.lists(st.integers(0, 5000), min_size=1, max_size=6),
    offset=st.integers(0, 20),
    threads=st.sampled_from((1, 2, 3, 7)),
    nonfinite=st.booleans(),
)
def test_any_global_norm_agrees(
    dtype: str, lengths: list[int], offset: int, threads: int, nonfinite: bool
) -> None:
    fl.set_num_threads(threads)
    rng = np.random.default_rng(5)
    kind = DTYPES[dtype]
    grads = [values(rng, n + offset, kind, nonfinite)[offset:] for n in lengths]
    found = set()
    with pytest.MonkeyPatch.context() as patch:
        for backend in fl.backends():
            patch.setenv("FALLLINE_BACKEND", backend)
            found.add(bits(np.array([fl.global_norm(grads)])).item())
    assert len(found) == 1


def test_c_list_is_the_python_list() -> None:
    core = pytest.importorskip("fallline._core")
    from fallline.kernel import KERNELS

    built = {name: (tuple(c.split(", ")), slots, sums) for name, c, slots, sums in core.rules()}
    formulas = {name: (k.fields, len(k.slots), k.sums) for name, k in KERNELS.items()}
    assert built == formulas


def test_every_optimizer_has_a_case() -> None:
    assert {case.name for case in CASES} == set(fl.optimizers())
