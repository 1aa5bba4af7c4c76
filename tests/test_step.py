"""What a step accepts, refuses, skips and notices."""

from __future__ import annotations

import math
import warnings
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fallline as fl

BACKENDS = fl.backends()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def snapshot(opt: fl.Optimizer) -> list[bytes]:
    arrays = [p for group in opt.param_groups for p in group["params"]]
    arrays += [v for own in opt.state.values() for v in own.values() if isinstance(v, np.ndarray)]
    steps = [str({k: v for k, v in own.items() if np.isscalar(v)}) for own in opt.state.values()]
    return [a.tobytes() for a in arrays] + [s.encode() for s in steps]


# ---- structures ----------------------------------------------------------------------------------


def test_nestings_of_parameters_and_gradients(backend: str) -> None:
    def arrays() -> list[np.ndarray]:
        return [np.ones((2, 3)), np.ones(4)]

    expected = arrays()
    fl.Adam(expected, lr=0.1, backend=backend).step([np.ones((2, 3)), np.ones(4)])
    a, b = arrays()
    grads = [np.ones((2, 3)), np.ones(4)]
    for params, given in [
        ((a, b), tuple(grads)),
        ({"a": a, "b": b}, {"b": grads[1], "a": grads[0]}),
        ([{"params": a}, {"params": {"b": b}}], [grads[0], {"b": grads[1]}]),
        ([{"params": [a, b]}], [{"params": grads}]),
        (iter([a, b]), grads),
    ]:
        a[...], b[...] = 1, 1
        opt = fl.Adam(params, lr=0.1, backend=backend)
        opt.step(given)
        np.testing.assert_array_equal(a, expected[0])
        np.testing.assert_array_equal(b, expected[1])


def test_groups_have_their_own_hyperparameters(backend: str) -> None:
    a, b = np.ones(2), np.ones(2)
    opt = fl.SGD(
        [{"params": a}, {"params": b, "lr": 0.5, "momentum": 0.9}], lr=0.1, backend=backend
    )
    opt.step([np.ones(2), np.ones(2)])
    assert (a[0], b[0]) == (0.9, 0.5)
    opt.param_groups[0]["lr"] = 0.2
    opt.param_groups[0]["momentum"] = 0.9  # selects another variant, with a state array
    opt.step([np.ones(2), np.ones(2)])
    assert a[0] == pytest.approx(0.9 - 0.2)
    c = np.ones(1)
    opt.add_param_group({"params": [c], "lr": 1.0})
    opt.step([np.ones(2), np.ones(2), [np.ones(1)]])
    assert c[0] == 0.0


def test_none_leaves_a_parameter_and_its_state_alone(backend: str) -> None:
    a, b = np.ones(2), np.ones(2)
    opt = fl.Adam([a, b], lr=0.1, backend=backend)
    for i in range(6):
        opt.step([np.ones(2), None if i in (0, 3) else np.ones(2)])
    assert opt.state[0]["step"] == 6
    assert opt.state[1]["step"] == 4
    alone = np.ones(2)
    other = fl.Adam(alone, lr=0.1, backend=backend)
    for _ in range(4):
        other.step(np.ones(2))
    np.testing.assert_array_equal(b, alone)
    opt.step([None, None])
    assert opt.state[0]["step"] == 6


def test_schedules_follow_the_optimizers_steps(backend: str) -> None:
    seen: list[int] = []

    def lr(step: int) -> float:
        seen.append(step)
        return 0.1 * (step + 1)

    x = np.zeros(1)
    opt = fl.SGD(x, lr=lr, backend=backend)
    for _ in range(3):
        opt.step(np.ones(1))
    assert seen == [0, 1, 2]
    assert x[0] == pytest.approx(-0.6)


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (np.ones(3, int), TypeError, r"params has dtype int64; expected one of float64"),
        (np.ones((4, 4))[:, ::2], ValueError, r"params is not C-contiguous \(shape \(4, 2\)"),
        (np.asfortranarray(np.ones((4, 3))), ValueError, "C-contiguous"),
        (np.ones(3, ">f8"), TypeError, "foreign byte order"),
        (np.frombuffer(bytes(17), np.uint8)[1:].view(np.float64), ValueError, "aligned"),
        (np.broadcast_to(np.ones(1), (1,)), ValueError, "read-only"),
        ([np.ones(2), [1.0]], TypeError, r"params\[1\] must be a numpy.ndarray, not list"),
        ({"w": np.ones(2, complex)}, TypeError, r"params\['w'\] has dtype complex128"),
        ([], ValueError, "empty"),
        (None, TypeError, "NoneType"),
        ([{"lr": 0.1}], ValueError, "group 0 has no 'params'"),
        ([{"params": np.ones(2), "speed": 1}], ValueError, "no hyperparameter 'speed'"),
    ],
)
def test_bad_parameters(params: Any, error: type[Exception], message: str, backend: str) -> None:
    with pytest.raises(error, match=message):
        fl.Adam(params, backend=backend)


def test_overlapping_parameters_are_refused(backend: str) -> None:
    x = np.ones(10)
    with pytest.raises(ValueError, match=r"params\[1\] and params\[0\] overlap"):
        fl.SGD([x[:6], x[5:]], backend=backend)
    fl.SGD([x[:5], x[5:]], backend=backend)
    opt = fl.SGD(x[:6], backend=backend)
    with pytest.raises(ValueError, match="overlap"):
        opt.add_param_group({"params": x[5:]})


P = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("grad", "error", "message"),
    [
        (
            np.ones((3, 2), np.float32),
            ValueError,
            r"has shape \(3, 2\); its parameter has \(2, 3\)",
        ),
        (np.ones((2, 3), int), TypeError, "has dtype int64"),
        (np.ones((3, 2), np.float32).T, ValueError, "not C-contiguous"),
        (np.ones((2, 3), ">f4"), TypeError, "foreign byte order"),
        ([[1.0] * 3] * 2, TypeError, "not list"),
        (1.0, TypeError, "not float"),
    ],
)
@pytest.mark.parametrize("nested", ["array", "list", "mapping"])
def test_bad_gradients(
    grad: Any, error: type[Exception], message: str, nested: str, backend: str
) -> None:
    good, other = P.copy(), np.ones(2)
    good_grad = np.ones(2)
    if nested == "array":
        opt, grads = fl.Adam(good, backend=backend), grad
        message = message if not isinstance(grad, list) else "must be an array"
    elif nested == "list":
        opt, grads = fl.Adam([other, good], backend=backend), [good_grad, grad]
    else:
        opt = fl.Adam({"a": other, "w": good}, backend=backend)
        grads = {"a": good_grad, "w": grad}
    before = snapshot(opt)
    with pytest.raises(error, match=message):
        opt.step(grads)
    assert snapshot(opt) == before


@pytest.mark.parametrize(
    ("params", "grads", "error", "message"),
    [
        ([P, P.copy()], [P], ValueError, "1 entries for 2 parameters"),
        ([P], [P, P], ValueError, "2 entries for 1 parameters"),
        ({"w": P}, {"v": P}, ValueError, r"missing=\['w'\], extra=\['v'\]"),
        ({"w": P}, [P], TypeError, "must be a mapping"),
        ([P], {"w": P}, TypeError, "must be a sequence"),
        (P, [P], TypeError, "must be an array"),
        ([{"params": P}], P, ValueError, "entry for each of the 1 parameter groups"),
    ],
)
def test_gradients_nested_otherwise(
    params: Any, grads: Any, error: type[Exception], message: str
) -> None:
    opt = fl.SGD(params)
    with pytest.raises(error, match=message):
        opt.step(grads)


def test_gradients_that_overlap_what_is_written(backend: str) -> None:
    x = np.ones(10)
    opt = fl.Adam([x[:4], np.ones(4)], backend=backend)
    for grad in (x[:4], x[3:7]):
        with pytest.raises(ValueError, match=r"gradient of params\[0\].*overlap|overlap in memory"):
            opt.step([grad, np.ones(4)])
    with pytest.raises(ValueError, match="overlap"):
        opt.step([np.ones(4), opt.state[0]["exp_avg"]])
    opt.step([x[4:8], x[4:8]])  # gradients may share memory with one another
    assert opt.state[0]["step"] == 1


def test_a_parameter_made_read_only_later(backend: str) -> None:
    x = np.ones(3)
    opt = fl.SGD(x, backend=backend)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        opt.step(np.ones(3))
    assert (x == 1).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lr": -1.0}, ValueError, r"lr must lie in \[0, inf"),
        ({"lr": math.nan}, ValueError, "lr must be finite, not nan"),
        ({"lr": "fast"}, TypeError, "lr must be a number, not 'fast'"),
        ({"lr": True}, TypeError, "lr"),
        ({"betas": (0.9, 1.0)}, ValueError, r"betas\[1\] must lie in \[0, 1\)"),
        ({"betas": 0.9}, TypeError, "betas must be 2 numbers"),
        ({"eps": -1e-8}, ValueError, "eps"),
        ({"eps": math.inf}, ValueError, "eps"),
        ({"weight_decay": math.nan}, ValueError, "weight_decay"),
        ({"amsgrad": "maybe"}, ValueError, "amsgrad must be one of"),
        ({"maximize": "yes"}, ValueError, "maximize"),
        ({"backend": "cuda"}, ValueError, "backend='cuda' is not a backend"),
    ],
)
def test_bad_hyperparameters(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fl.Adam(np.ones(2), **options)
    if "backend" not in options:
        with pytest.raises(error, match=message):
            fl.Adam([{"params": np.ones(2), **options}])


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ValueError, match="nesterov=True needs momentum > 0"):
        fl.SGD(np.ones(2), nesterov=True)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_norm": 0.0}, ValueError),
        ({"max_norm": math.nan}, ValueError),
        ({"scale": math.inf}, ValueError),
        ({"on_nonfinite": "explode"}, ValueError),
    ],
)
def test_bad_step_arguments(options: Any, error: type[Exception]) -> None:
    x = np.ones(2)
    with pytest.raises(error, match=next(iter(options))):
        fl.SGD(x).step(np.ones(2), **options)
    assert (x == 1).all()


def test_a_hyperparameter_spoilt_later_is_noticed(backend: str) -> None:
    opt = fl.Adam(np.ones(2), backend=backend)
    opt.param_groups[0]["lr"] = math.nan
    before = snapshot(opt)
    with pytest.raises(ValueError, match="lr=nan"):
        opt.step(np.ones(2))
    assert snapshot(opt) == before
    opt = fl.Adam(np.ones(2), lr=lambda step: math.inf, backend=backend)
    with pytest.raises(ValueError, match="lr=inf"):
        opt.step(np.ones(2))


# ---- scale, clipping, non-finite gradients -------------------------------------------------------


def test_scale_and_clip_are_those_of_the_scaled_gradients(backend: str) -> None:
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(n) for n in (2000, 7)]
    grads = [rng.standard_normal(n) * 1024 for n in (2000, 7)]
    kept = [g.copy() for g in grads]

    params = [p.copy() for p in start]
    opt = fl.SGD(params, lr=0.1, backend=backend)
    opt.step(grads, scale=1 / 1024, max_norm=1.0)
    norm = math.sqrt(sum(float(np.sum((g / 1024) ** 2)) for g in grads))
    assert opt.grad_norm == pytest.approx(norm, rel=1e-14)
    for p, s, g, k in zip(params, start, grads, kept, strict=True):
        np.testing.assert_allclose(p, s - 0.1 * g / 1024 / (norm + 1e-6), rtol=1e-12)
        np.testing.assert_array_equal(g, k)  # gradients are not written


def test_clipping_agrees_with_torch(backend: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for size in (0.01, 10.0):
        p = rng.standard_normal(3000)
        g = rng.standard_normal(3000) * size
        theirs = torch.tensor(p, requires_grad=True)
        theirs.grad = torch.tensor(g)
        expected_norm = float(torch.nn.utils.clip_grad_norm_([theirs], 1.0))
        torch.optim.SGD([theirs], lr=0.1).step()
        opt = fl.SGD(p, lr=0.1, backend=backend)
        opt.step(g, max_norm=1.0)
        assert opt.grad_norm == pytest.approx(expected_norm, rel=1e-13)
        np.testing.assert_allclose(p, theirs.detach().numpy(), rtol=1e-13)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("max_norm", [None, 1.0])
def test_nonfinite_gradients(bad: float, dtype: Any, max_norm: float | None, backend: str) -> None:
    params = {"a": np.ones(70_000, dtype), "w": np.ones(2000, dtype)}
    opt = fl.Adam(params, backend=backend)
    good = {k: np.full_like(p, 0.5) for k, p in params.items()}
    opt.step(good)
    grads = {k: g.copy() for k, g in good.items()}
    grads["w"][1999] = bad
    before = snapshot(opt)
    with pytest.raises(
        FloatingPointError, match=r"gradient of params\['w'\] is not finite at step 2"
    ):
        opt.step(grads, on_nonfinite="raise", max_norm=max_norm)
    assert snapshot(opt) == before
    opt.step(grads, on_nonfinite="skip", max_norm=max_norm)
    assert snapshot(opt) == before
    assert opt.skipped_steps == 1
    assert opt.state[0]["step"] == 1
    with pytest.warns(RuntimeWarning, match=r"gradient of params\['w'\] is not finite at step 2"):
        opt.step(grads, max_norm=max_norm)
    assert opt.state[0]["step"] == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opt.step(grads, on_nonfinite="ignore", max_norm=max_norm)
    assert not np.isfinite(params["w"].astype(np.float64)).all()


def test_finite_gradients_whose_squares_overflow(backend: str) -> None:
    x = np.ones(2)
    opt = fl.SGD(x, lr=1.0, backend=backend)
    opt.step(np.array([1e200, 1.0]), on_nonfinite="raise", scale=1.0)
    assert np.isfinite(x).all()
    opt.step(np.full(2, 1e200), on_nonfinite="raise", max_norm=1.0)
    assert opt.grad_norm == math.inf


def test_a_gradient_that_overflows_the_compute_type_is_noticed(backend: str) -> None:
    opt = fl.SGD(np.ones(2, np.float32), backend=backend)
    with pytest.raises(FloatingPointError):
        opt.step(np.array([1.0, 1e300]), on_nonfinite="raise")
    with pytest.warns(RuntimeWarning, match="not finite"):
        opt.step(np.array([1.0, 1e300]))


# ---- norms and clipping outside a step -----------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_global_norm_has_the_same_bits_everywhere(
    dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    grads = [
        rng.standard_normal(n).astype(dtype) for n in (0, 1, 31, 33, 1023, 1025, 70_000, 200_001)
    ]
    exact = math.sqrt(math.fsum(float(x) ** 2 for g in grads for x in g.astype(np.float64)))
    found = set()
    threads, isa = fl.get_num_threads(), fl.get_isa()
    for backend in BACKENDS:
        monkeypatch.setenv("FALLLINE_BACKEND", backend)
        for name in fl.isas() if backend == "native" else (None,):
            if name:
                fl.set_isa(name)
            for n in (1, 2, 3, 7):
                fl.set_num_threads(n)
                found.add(fl.global_norm(grads))
    fl.set_num_threads(threads)
    if isa:
        fl.set_isa(isa)
    assert len(found) == 1
    assert found.pop() == pytest.approx(exact, rel=1e-14)


def test_clip_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    for backend in BACKENDS:
        monkeypatch.setenv("FALLLINE_BACKEND", backend)
        g = {"a": np.array([3.0, 0.0]), "b": np.array([4.0], np.float32), "c": None}
        assert fl.clip_grad_norm(g, 10.0) == 5.0
        assert g["a"][0] == 3.0
        assert fl.clip_grad_norm(g, 1.0) == 5.0
        assert fl.global_norm(g) == pytest.approx(1.0, rel=1e-5)
        h = [np.array([-5.0, math.nan, 0.5, math.inf])]
        fl.clip_grad_value(h, 1.0)
        np.testing.assert_array_equal(h[0], [-1.0, math.nan, 0.5, 1.0])
        bad = np.array([1.0, math.inf])
        with pytest.raises(FloatingPointError):
            fl.clip_grad_norm(bad, 1.0, error_if_nonfinite=True)
        assert bad[0] == 1.0
    for call in (
        lambda: fl.clip_grad_norm(np.ones(2), 0.0),
        lambda: fl.clip_grad_value(np.ones(2), -1),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
    x = np.ones(4)
    with pytest.raises(ValueError, match="overlap"):
        fl.clip_grad_norm([x, x], 1.0)
    with pytest.raises(TypeError, match=r"grads\[0\] has dtype int64"):
        fl.global_norm([np.ones(2, int)])
