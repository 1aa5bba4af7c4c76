"""Many steps a call in C++: the bits of one step at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fallline as fl
from cases import CASES
from fallline.loop import coefficients, engine
from fallline.loop.coefficients import coefficient_table

pytestmark = pytest.mark.skipif("native" not in fl.backends(), reason="needs the C++ core")

RNG = np.random.default_rng(3)
N, D = 50, 5
X = RNG.standard_normal((N, D))
SCORES = X @ RNG.standard_normal(D) + 0.3 * RNG.standard_normal(N)


def objective(dtype: Any = np.float64, **options: Any) -> fl.objectives.Objective:
    options = {"l2": 0.01, "backend": "native", **options}
    return fl.objectives.LogisticRegression(X.astype(dtype), SCORES > 0, **options)


def fit(monkeypatch: pytest.MonkeyPatch, native: bool, **options: Any) -> fl.Result:
    with monkeypatch.context() as patch:
        if not native:
            patch.setattr(engine.NativeEngine, "can", staticmethod(lambda job: False))
        return fl.minimize(options.pop("f", None) or objective(), progress=False, **options)


def assert_same(one: fl.Result, two: fl.Result) -> None:
    for name in ("x", "fun", "jac", "nit", "message", "history", "history_grad_norm", "history_lr"):
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
    states = one.optimizer.state_dict(), two.optimizer.state_dict()
    np.testing.assert_equal(states[0], states[1])


def both(monkeypatch: pytest.MonkeyPatch, **options: Any) -> fl.Result:
    native = fit(monkeypatch, True, **options)
    assert_same(native, fit(monkeypatch, False, **options))
    return native


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_rule(monkeypatch: pytest.MonkeyPatch, case: Any) -> None:
    optimizer, options = getattr(fl, case.name), dict(case.options)
    options.pop("maximize", None)  # which minimize refuses
    lr = options.pop("lr", 0.01)
    for batch_size in (7, None):
        both(
            monkeypatch,
            optimizer=optimizer,
            lr=lr,
            batch_size=batch_size,
            steps=40,
            seed=1,
            **options,
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_schedules_clipping(monkeypatch: pytest.MonkeyPatch, dtype: Any) -> None:
    for lr in (0.05, fl.schedules.Cosine(0.1, steps=30), fl.schedules.StepDecay(0.1, 4, 0.5)):
        for max_norm in (None, 0.1):
            for f in (objective(dtype), objective(dtype, reduction="sum")):
                both(
                    monkeypatch, f=f, optimizer=fl.AdamW, lr=lr, batch_size=8, epochs=5,
                    max_norm=max_norm,
                )  # fmt: skip


def test_stops_where_it_would_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    settled = both(monkeypatch, optimizer=fl.SGD, lr=1.0, steps=3000, ftol=1e-9)
    flat = both(monkeypatch, optimizer=fl.SGD, lr=1.0, steps=3000, gtol=1e-3)
    assert settled.success
    assert flat.success
    assert flat.nit < 3000
    line = fl.objectives.LinearRegression(X, SCORES, backend="native")
    diverged = both(monkeypatch, f=line, optimizer=fl.SGD, lr=10.0, batch_size=9, steps=3000)
    assert "diverged" in diverged.message


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 31, 32, 77, 512, 1023, 1024])
def test_a_sample_a_step(monkeypatch: pytest.MonkeyPatch, d: int, dtype: Any) -> None:
    """Rules without states go along the sample's row, without a gradient in memory."""
    rng = np.random.default_rng(d)
    samples = rng.standard_normal((40, d)).astype(dtype)
    samples[::3, 0] = 0  # gradients of -0 and parameters of -0
    y, weight = rng.random(40), rng.random(40)
    start = np.full(d, -0.0, dtype)
    for model, options in (
        (fl.objectives.LogisticRegression, {}),
        (fl.objectives.LogisticRegression, {"sample_weight": weight, "reduction": "sum"}),
        (fl.objectives.LinearRegression, {"sample_weight": weight, "intercept": False}),
    ):
        f = model(samples, y, backend="native", **options)
        x0 = start if f.n_params == d else np.append(start, dtype(1))
        for rule, settings in (
            (fl.SGD, {"weight_decay": 0.1}),
            (fl.SGD, {"lr": fl.schedules.Cosine(1e-3, steps=90)}),
            (fl.Signum, {"beta": 0.0}),
            (fl.SGD, {"max_norm": 0.5}),  # these two do not
            (fl.SGD, {"momentum": 0.9}),
        ):
            settings = {"lr": 1e-3, "batch_size": 1, "steps": 101, **settings}
            fitted = both(monkeypatch, f=f, x0=x0, optimizer=rule, **settings)
            assert fitted.nit == 101
            assert not np.array_equal(fitted.x, x0)


def test_a_sample_a_step_halts_as_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    line = fl.objectives.LinearRegression(X, SCORES, backend="native")
    diverged = both(monkeypatch, f=line, optimizer=fl.SGD, lr=10.0, batch_size=1, steps=3000)
    assert "diverged" in diverged.message
    assert 1 < diverged.nit < 3000
    flat = fl.objectives.LinearRegression(X, X @ np.ones(D), backend="native")
    for batch_size in (1, None):
        both(monkeypatch, f=flat, optimizer=fl.SGD, lr=0.05, batch_size=batch_size, gtol=1e-6,
             epochs=900)  # fmt: skip


def test_a_span_of_the_loop_is_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the loop in C++ is the one that ran."""

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("a step was taken in Python")

    monkeypatch.setattr(fl.Adam, "step", forbidden)
    assert fl.minimize(objective(), optimizer=fl.Adam, lr=0.1, batch_size=8, steps=99).nit == 99


def test_what_stays_in_python() -> None:
    for options in (
        {"optimizer": fl.NesterovMomentum},
        {"optimizer": fl.ScheduleFreeSGD},
        {"optimizer": fl.SWATS},
        {"optimizer": fl.SGD, "averaging": fl.EMA(0.9)},
        {"optimizer": fl.SGD, "trajectory": True},
    ):
        assert fl.minimize(objective(), lr=0.01, batch_size=9, steps=20, **options).nit == 20


@pytest.mark.parametrize("isa", fl.isas())
def test_threads_and_isas(isa: str) -> None:
    f = fl.objectives.SoftmaxRegression(
        RNG.standard_normal((3000, 40)), np.arange(3000) % 7, backend="native"
    )
    line = fl.objectives.LinearRegression(X[:, :3], SCORES, backend="native")
    fits, alone = [], []
    before = fl.get_isa(), fl.get_num_threads()
    try:
        for name, threads in (("sse2", 1), (isa, 1), (isa, 2), (isa, 3)):
            fl.set_isa(name if name in fl.isas() else isa)
            fl.set_num_threads(threads)
            fits.append(fl.minimize(f, optimizer=fl.Adam, lr=0.01, batch_size=1000, epochs=4))
            alone.append(fl.minimize(line, optimizer=fl.SGD, lr=0.01, batch_size=1, epochs=4))
    finally:
        fl.set_isa(before[0])
        fl.set_num_threads(before[1])
    for first, *others in (fits, alone):
        for other in others:
            assert_same(first, other)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_coefficients_at_once_are_those_one_by_one(
    monkeypatch: pytest.MonkeyPatch, case: Any
) -> None:
    optimizer = getattr(fl, case.name)(np.zeros(3), **case.options)
    for lrs in (0.1, np.linspace(0.1, 0.01, 50)):
        for t in (0, 1, 7, 1000):
            state = optimizer.initial_scalars(optimizer.param_groups[0])
            at_once, states = coefficient_table(optimizer, lrs, t, state, 50)
            with monkeypatch.context() as patch:
                patch.setattr(coefficients, "_at_once", lambda *_: 1 / 0)
                one_by_one, others = coefficient_table(optimizer, lrs, t, state, 50)
            np.testing.assert_array_equal(at_once, one_by_one)
            np.testing.assert_equal(states, others)


@pytest.mark.parametrize("rule", [fl.Adam, fl.AdamW, fl.SGD, fl.RMSprop, fl.Adagrad, fl.Lion])
def test_common_rules_go_at_once(monkeypatch: pytest.MonkeyPatch, rule: Any) -> None:
    """That the attempt to form them at once does not fail silently."""
    count = 0
    one_by_one = coefficients._one_by_one

    def counted(cls: Any, group: Any, lrs: Any, *rest: Any) -> Any:
        nonlocal count
        count += len(lrs)
        return one_by_one(cls, group, lrs, *rest)

    monkeypatch.setattr(coefficients, "_one_by_one", counted)
    coefficient_table(rule(np.zeros(3), lr=0.1), 0.1, 0, {}, 1000)
    assert count == 1
