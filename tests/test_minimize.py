"""minimize: the loop against loops written by hand, and everything that can end it."""

from __future__ import annotations

import math
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.objectives import LinearRegression, LogisticRegression, Objective, SoftmaxRegression

RNG = np.random.default_rng(0)
X = RNG.standard_normal((100, 4))
Y = X @ [1.0, -2.0, 3.0, 0.5] + 0.3 * RNG.standard_normal(100) + 2
LABELS = (Y + RNG.standard_normal(100) > 2).astype(int)

needs_safetensors = pytest.mark.skipif(find_spec("safetensors") is None, reason="needs safetensors")


def linear(**options: Any) -> LinearRegression:
    return LinearRegression(X, Y, **options)


def logistic(**options: Any) -> LogisticRegression:
    return LogisticRegression(X, LABELS, **options)


def same(a: Any, b: Any) -> None:
    """Equal bits of two results."""
    assert a.keys() == b.keys()
    for name in a:
        if name not in ("optimizer", "message"):
            np.testing.assert_array_equal(a[name], b[name], err_msg=name, strict=True)
    assert a.message == b.message


# ---- steps -------------------------------------------------------------------------------------


def test_full_batch_is_gradient_descent() -> None:
    f = linear(l2=0.1)
    x = np.linspace(-1, 1, 5)
    losses = []
    for _ in range(50):
        loss, g = f.loss_and_gradient(x)
        losses.append(loss)
        x = x - 0.05 * g
    res = fl.minimize(f, np.linspace(-1, 1, 5), optimizer=fl.SGD, lr=0.05, epochs=50)
    assert np.array_equal(res.x, x)
    assert res.history.tolist() == losses
    assert res.fun == f.loss(x)
    assert np.array_equal(res.jac, f.gradient(x))
    assert (res.nit, res.nepoch, res.success) == (50, 50, True)


@pytest.mark.parametrize("size", [1, 32, 100, 128])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_norm", [None, 0.5])
def test_minibatches_are_a_plain_loop(size: int, dtype: Any, max_norm: float | None) -> None:
    f = SoftmaxRegression(X.astype(dtype), LABELS, l2=0.01)
    x = f.initial()
    optimizer = fl.Adam(x, lr=0.01)
    losses, norms = [], []
    batches = fl.Minibatches(100, size, seed=7)
    for _ in range(3):
        for batch in batches:
            loss, g = f.loss_and_gradient(x, batch)
            losses.append(loss)
            norms.append(fl.global_norm(g))
            optimizer.step(g, max_norm=max_norm)
    res = fl.minimize(
        f, optimizer=fl.Adam, lr=0.01, batch_size=size, epochs=3, seed=7, max_norm=max_norm
    )
    assert res.x.dtype == dtype
    assert np.array_equal(res.x, x)
    assert res.history.tolist() == losses
    assert res.history_grad_norm.tolist() == norms
    assert (res.nit, res.nepoch) == (len(losses), 3)


def test_steps_and_epochs() -> None:
    res = fl.minimize(linear(), batch_size=20, steps=1000)
    assert (res.nit, res.nepoch, len(res.history_epoch)) == (1000, 200, 200)
    assert res.message == "1,000 steps done"
    res = fl.minimize(linear(), batch_size=20, epochs=200)
    assert (res.nit, res.nepoch, res.message) == (1000, 200, "200 epochs done, 1,000 steps")
    res = fl.minimize(linear(), batch_size=30, epochs=2, drop_last=True)
    assert res.nit == 6
    res = fl.minimize(linear(), batch_size=30, epochs=2)
    assert res.nit == 8
    res = fl.minimize(linear(), batch_size=30, epochs=2, steps=5)
    assert (res.nit, res.nepoch, res.status) == (5, 1, 3)
    assert fl.minimize(linear()).nepoch == 100
    assert fl.minimize(linear(), steps=1).message == "1 step done"


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_epoch_losses(reduction: Any) -> None:
    f = linear(reduction=reduction)
    res = fl.minimize(f, optimizer=fl.SGD, lr=0, batch_size=30, epochs=3)
    np.testing.assert_allclose(res.history_epoch, [res.fun] * 3, rtol=1e-12)


@pytest.mark.parametrize("name", fl.optimizers())
def test_every_rule(name: str) -> None:
    f = linear()
    best = np.linalg.lstsq(np.c_[X, np.ones(100)], Y)[0]
    options: dict[str, Any] = {"lr": 0.05, "batch_size": 25, "epochs": 20}
    if name == "Rprop":
        options["batch_size"] = None  # its signs mean nothing from batch to batch
    res = fl.minimize(f, optimizer=fl.optimizers()[name], **options)
    assert res.fun < f.loss(f.initial())
    assert np.linalg.norm(res.x - best) < np.linalg.norm(best)
    assert isinstance(res.optimizer, fl.optimizers()[name])


def test_nesterov_looks_ahead() -> None:
    f = linear()
    x = f.initial()
    optimizer = fl.NesterovMomentum(x, lr=0.05)
    for batch in (batches := fl.Minibatches(100, 20)):
        with optimizer.lookahead():
            g = f.gradient(x, batch)
        optimizer.step(g)
    assert batches.epoch == 1
    res = fl.minimize(f, optimizer=fl.NesterovMomentum, lr=0.05, batch_size=20, epochs=1)
    assert np.array_equal(res.x, x)


def test_schedule_free_gives_the_average() -> None:
    f = linear()
    x = f.initial()
    optimizer = fl.ScheduleFreeSGD(x, lr=0.05)
    for _ in range(30):
        optimizer.step(f.gradient(x))
    y = x.copy()
    optimizer.eval()
    res = fl.minimize(f, optimizer=fl.ScheduleFreeSGD, lr=0.05, epochs=30)
    assert np.array_equal(res.x, x)
    assert not np.array_equal(res.x, y)
    again = fl.minimize(f, optimizer=res.optimizer, epochs=5)  # from evaluation back to training
    assert again.fun < res.fun


def test_an_instance() -> None:
    f = linear()
    x = np.full(5, 0.5)
    optimizer = fl.Adam(x, lr=0.1)
    res = fl.minimize(f, optimizer=optimizer, epochs=7)
    assert res.optimizer is optimizer
    assert np.array_equal(res.x, x)
    assert not np.shares_memory(res.x, x)
    assert np.array_equal(res.x, fl.minimize(f, np.full(5, 0.5), lr=0.1, epochs=7).x)
    more = fl.minimize(f, optimizer=optimizer, epochs=5)
    assert np.array_equal(more.x, fl.minimize(f, np.full(5, 0.5), lr=0.1, epochs=12).x)


def test_the_start_is_left_alone() -> None:
    x0 = np.ones(5)
    fl.minimize(linear(), x0, lr=0.1, epochs=5)
    assert (x0 == 1).all()
    integers = fl.minimize(linear(), [1, 1, 1, 1, 1], lr=0.1, epochs=5)
    assert np.array_equal(integers.x, fl.minimize(linear(), x0, lr=0.1, epochs=5).x)


def test_start_without_one_comes_from_the_seed() -> None:
    class Scattered(LinearRegression):
        def initial(self, seed: int | np.random.Generator = 0) -> Any:
            return np.random.default_rng(seed).standard_normal(self.n_params)

    f = Scattered(X, Y)
    starts = [fl.minimize(f, lr=0.0, epochs=1, seed=seed).x for seed in (3, 4)]
    for seed, x in zip((3, 4), starts, strict=True):
        assert np.array_equal(x, f.initial(seed))


def test_spans_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where a span is a step, or as long as it can be."""
    from fallline.loop import run

    options: dict[str, Any] = {
        "batch_size": 7, "epochs": 40, "max_norm": 1.0, "averaging": fl.SWA(start=3),
        "lr": fl.schedules.Cosine(0.1, steps=600), "ftol": 1e-4, "trajectory": 11,
    }  # fmt: skip
    results = []
    for seconds in (0.0, 0.05, 1e9):
        monkeypatch.setattr(run, "SPAN", seconds)
        results.append(fl.minimize(logistic(), **options))
    assert results[0].nit > 100
    same(results[0], results[1])
    same(results[0], results[2])


# ---- learning rates ----------------------------------------------------------------------------


def test_schedules_in_steps_and_epochs() -> None:
    f, sgd = linear(), fl.SGD
    schedule = fl.schedules.Exponential(0.1, factor=0.5)
    res = fl.minimize(f, optimizer=sgd, lr=schedule, batch_size=50, epochs=3)
    assert res.history_lr.tolist() == [schedule(k) for k in range(6)]
    by_epoch = fl.minimize(f, optimizer=sgd, lr=schedule, lr_unit="epoch", batch_size=50, epochs=3)
    assert by_epoch.history_lr.tolist() == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]
    per_epoch = fl.schedules.PerEpoch(schedule, steps_per_epoch=2)
    same(by_epoch, fl.minimize(f, optimizer=sgd, lr=per_epoch, batch_size=50, epochs=3))
    plain = fl.minimize(
        f, optimizer=sgd, lr=lambda epoch: 0.1 / 2**epoch, lr_unit="epoch", batch_size=50, epochs=3
    )
    same(by_epoch, plain)
    full = fl.minimize(f, optimizer=sgd, lr=schedule, lr_unit="epoch", epochs=3)
    assert full.history_lr.tolist() == [0.1, 0.05, 0.025]


def test_a_schedule_is_told_the_loss_of_each_epoch() -> None:
    plateau = fl.schedules.ReduceOnPlateau(0.05, factor=0.5, patience=1, threshold=0.0)
    nested = fl.schedules.LinearWarmup(plateau, steps=3)
    for lr, warmup in ((plateau, 0), (nested, 3)):
        res = fl.minimize(linear(), optimizer=fl.SGD, lr=lr, batch_size=10, epochs=40)
        told = fl.schedules.ReduceOnPlateau(0.05, factor=0.5, patience=1, threshold=0.0)
        expected = np.repeat([0.05, *(told.update(loss) for loss in res.history_epoch)], 10)[:-10]
        assert len(set(expected)) > 2
        assert np.array_equal(res.history_lr[warmup:], expected[warmup:])
    assert plateau.state_dict()["best"] is None  # the caller's own is as it was


# ---- averages and variance reduction -----------------------------------------------------------


def iterates(**options: Any) -> np.ndarray:
    res = fl.minimize(linear(), optimizer=fl.SGD, lr=0.05, trajectory=True, **options)
    points: np.ndarray = res.trajectory
    return points


def test_trajectory() -> None:
    points = iterates(batch_size=20, epochs=4)
    res = fl.minimize(linear(), optimizer=fl.SGD, lr=0.05, batch_size=20, epochs=4, trajectory=3)
    assert points.shape == (21, 5)
    assert not points[0].any()
    assert np.array_equal(points[-1], res.x)
    assert np.array_equal(points[::3], res.trajectory)
    assert "trajectory" not in fl.minimize(linear(), steps=1)


def test_averages() -> None:
    options: dict[str, Any] = {"batch_size": 20, "epochs": 10}
    points = iterates(**options)[1:]

    def averaged(averaging: Any) -> Any:
        return fl.minimize(linear(), optimizer=fl.SGD, lr=0.05, averaging=averaging, **options)

    res = averaged(fl.SWA())
    np.testing.assert_allclose(res.x, points[4::5].mean(axis=0), rtol=1e-13)
    assert np.array_equal(res.last, points[-1])
    assert res.fun == linear().loss(res.x)
    res = averaged(fl.SWA(start=4, every=2))
    np.testing.assert_allclose(res.x, points[[29, 39, 49]].mean(axis=0), rtol=1e-13)
    res = averaged(fl.SWA(start=7, every=3, unit="step"))
    np.testing.assert_allclose(res.x, points[9::3].mean(axis=0), rtol=1e-13)
    res = averaged(fl.EMA(0.9))
    weights = 0.1 * 0.9 ** np.arange(49, -1, -1.0)
    weights[0] = 0.9**49  # it begins as the first
    np.testing.assert_allclose(res.x, weights @ points, rtol=1e-12)
    res = averaged(fl.SWA(start=10))  # never begins
    assert np.array_equal(res.x, points[-1])


@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_averages_are_torchs() -> None:
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    points = iterates(batch_size=20, epochs=6)[1:]
    for ours, function in (
        (fl.EMA(0.95), get_ema_multi_avg_fn(0.95)),
        (fl.SWA(unit="step"), None),
    ):
        model = torch.nn.Linear(5, 1, bias=False, dtype=torch.float64)
        average = AveragedModel(model, multi_avg_fn=function)
        for point in points:
            with torch.no_grad():
                model.weight.copy_(torch.from_numpy(point[None]))
            average.update_parameters(model)
        theirs = average.module.weight.detach().numpy()[0]
        options: dict[str, Any] = {"lr": 0.05, "batch_size": 20, "epochs": 6}
        res = fl.minimize(linear(), optimizer=fl.SGD, averaging=ours, **options)
        np.testing.assert_allclose(res.x, theirs, rtol=1e-14)


def svrg_of_the_paper(
    f: Objective, batches: fl.Minibatches, eta: float, m: int, steps: int
) -> np.ndarray:
    """Procedure SVRG of Johnson & Zhang (2013), with option I, on batches."""
    w_tilde = f.initial()
    t = 0
    while t < steps:
        mu = f.gradient(w_tilde)
        w = w_tilde.copy()
        for _ in range(min(m, steps - t)):
            order, offsets = batches.take(1)
            i = order[slice(*offsets)]
            share = 1.0 if f.reduction == "mean" else len(i) / f.n_samples
            w = w - eta * (f.gradient(w, i) - f.gradient(w_tilde, i) + share * mu)
            t += 1
        w_tilde = w
    return w_tilde


@pytest.mark.parametrize("size", [1, 30])
@pytest.mark.parametrize("interval", [True, 23])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_svrg(size: int, interval: int, reduction: Any) -> None:
    f = logistic(l2=0.01, reduction=reduction)
    lr = 0.1 if reduction == "mean" else 0.1 / size
    batches = fl.Minibatches(100, size, seed=1)
    m = 2 * batches.steps_per_epoch if interval is True else interval
    expected = svrg_of_the_paper(f, batches, lr, m, 300)
    res = fl.minimize(f, optimizer=fl.SGD, lr=lr, batch_size=size, steps=300, seed=1, svrg=interval)
    np.testing.assert_allclose(res.x, expected, rtol=1e-11)


def test_svrg_converges_where_sgd_hovers() -> None:
    f = logistic(l2=0.1)
    options: dict[str, Any] = {"optimizer": fl.SGD, "lr": 0.2, "batch_size": 1, "epochs": 40}
    reduced, plain = fl.minimize(f, svrg=True, **options), fl.minimize(f, **options)
    assert np.linalg.norm(reduced.jac) < 1e-8
    assert np.linalg.norm(plain.jac) > 1e-4


# ---- outside truths ----------------------------------------------------------------------------


@pytest.mark.skipif(find_spec("sklearn") is None, reason="needs scikit-learn")
def test_optima_are_scikit_learns() -> None:
    from sklearn.linear_model import LogisticRegression as TheirLogistic
    from sklearn.linear_model import Ridge

    ridge = Ridge(alpha=3.0, solver="cholesky").fit(X, Y)
    res = fl.minimize(
        linear(l2=2 * 3.0 / 100), optimizer=fl.SGD, lr=0.2, momentum=0.5, gtol=1e-10, steps=5000
    )
    assert res.success
    np.testing.assert_allclose(res.x, [*ridge.coef_, ridge.intercept_], rtol=1e-8)
    theirs = TheirLogistic(C=0.5, tol=1e-10, max_iter=1000).fit(X, LABELS)
    f = logistic(l2=1 / (0.5 * 100))
    expected = [*theirs.coef_[0], *theirs.intercept_]
    res = fl.minimize(f, optimizer=fl.SGD, lr=1.0, momentum=0.5, gtol=1e-9, steps=5000)
    assert res.success
    np.testing.assert_allclose(res.x, expected, rtol=1e-5)
    lr = fl.schedules.Cosine(0.05, steps=100)
    res = fl.minimize(f, lr=lr, lr_unit="epoch", batch_size=10, epochs=100)
    np.testing.assert_allclose(res.x, expected, atol=5e-3)


# ---- stopping ----------------------------------------------------------------------------------


def test_stops_at_a_small_gradient() -> None:
    f = linear()
    options: dict[str, Any] = {"optimizer": fl.SGD, "lr": 0.2, "epochs": 1000}
    res = fl.minimize(f, gtol=1e-6, **options)
    assert res.success
    assert res.status == 0
    assert np.linalg.norm(res.jac) <= 1e-6 < res.history_grad_norm[-1]
    assert res.message == (
        f"the gradient's norm is {np.linalg.norm(res.jac):.3g}, at most gtol=1e-06, "
        f"after {res.nit} steps"
    )
    batched = fl.minimize(logistic(), gtol=3e-2, batch_size=10, **options)
    assert batched.success
    assert batched.nit % 10 == 0
    assert np.linalg.norm(batched.jac) <= 3e-2
    short = fl.minimize(f, gtol=1e-6, optimizer=fl.SGD, lr=0.2, epochs=3)
    assert not short.success
    assert short.message == "3 epochs done, 3 steps; gtol=1e-06 not reached"
    assert fl.minimize(f, res.x, gtol=1e-6, **options).nit == 0


def test_stops_at_a_small_change_of_the_loss() -> None:
    f = linear()
    options: dict[str, Any] = {"optimizer": fl.SGD, "lr": 0.1, "epochs": 1000}
    res = fl.minimize(f, ftol=1e-6, **options)
    losses = [*res.history, res.fun]
    changes = -np.diff(losses) / losses[:-1]
    assert res.success
    assert res.status == 1
    assert changes[-1] <= 1e-6
    assert (changes[:-1] > 1e-6).all()
    assert "the last step changed the loss from" in res.message
    batched = fl.minimize(f, ftol=1e-3, batch_size=10, **options)
    losses = batched.history_epoch
    changes = abs(np.diff(losses)) / np.maximum(losses[:-1], losses[1:])
    assert batched.nit % 10 == 0
    assert changes[-1] <= 1e-3
    assert (changes[:-1] > 1e-3).all()
    assert "the last epoch changed the loss from" in batched.message
    both = fl.minimize(f, ftol=1e-12, gtol=1e-12, epochs=2)
    assert both.message.endswith("gtol=1e-12 or ftol=1e-12 not reached")


def test_stops_in_time() -> None:
    for size in (None, 10):
        res = fl.minimize(linear(), batch_size=size, time_limit=0.05)
        assert res.status == 4
        assert res.success
        assert res.message == f"0.05 s have passed, {res.nit:,} steps done"
    assert fl.minimize(linear(), time_limit=0).nit == 0


def test_stops_at_the_callbacks_word() -> None:
    seen: list[tuple[int, int]] = []

    def word(now: fl.Result) -> bool:
        seen.append((now.nit, now.nepoch))
        assert now.x.shape == (5,)
        assert now.fun > 0
        assert now.grad_norm > 0
        assert now.lr == 0.01
        with pytest.raises(ValueError, match="read-only"):
            now.x[0] = 1
        return len(seen) == 3

    res = fl.minimize(linear(), lr=0.01, batch_size=25, callback=word)
    assert seen == [(4, 1), (8, 2), (12, 3)]
    assert (res.nit, res.status, res.success) == (12, 5, True)
    assert res.message == "the callback ended it after 12 steps"
    seen.clear()
    res = fl.minimize(linear(), lr=0.01, batch_size=25, callback=word, callback_every=5)
    assert seen == [(5, 1), (10, 2), (15, 3)]

    def stop(now: fl.Result) -> None:
        raise StopIteration

    assert fl.minimize(linear(), callback=stop).nit == 1


def test_callbacks_change_nothing() -> None:
    seen: list[int] = []
    for optimizer in (fl.Adam, fl.ScheduleFreeAdamW, fl.NesterovMomentum):
        options: dict[str, Any] = {"optimizer": optimizer, "batch_size": 10, "epochs": 3}
        seen.clear()
        watched = fl.minimize(
            linear(), callback=lambda now: seen.append(now.nit), callback_every=1, **options
        )
        assert seen == list(range(1, 31))
        same(watched, fl.minimize(linear(), **options))


def test_an_error_in_the_callback_is_raised() -> None:
    def fail(now: fl.Result) -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        fl.minimize(linear(), callback=fail)


# ---- divergence --------------------------------------------------------------------------------


def test_divergence_is_told_with_its_step() -> None:
    f = linear()
    res = fl.minimize(f, optimizer=fl.SGD, lr=5.0, batch_size=10, epochs=100)
    assert not res.success
    assert res.status == 6
    assert res.message.startswith(f"diverged after {res.nit} steps: the loss is ")
    assert "Try a smaller lr, max_norm" in res.message
    assert np.isfinite(res.x).all()
    assert math.isfinite(res.fun)
    assert np.isfinite(res.history).all()
    # The point is the one before the last step.
    shorter = fl.minimize(f, optimizer=fl.SGD, lr=5.0, batch_size=10, steps=res.nit - 1)
    assert np.array_equal(res.x, shorter.x)
    assert np.array_equal(res.x, res.optimizer.param_groups[0]["params"][0])


class Cliff(Objective):
    """x² up to 3 steps; then a loss, a gradient or nothing that is not finite."""

    def __init__(self, loss: float, slope: float) -> None:
        super().__init__(n_samples=1, shapes={"x": (2,)}, dtype=np.float64)
        self.calls = 0
        self.bad = loss, slope

    def _accumulate(self, phi: Any, batch: Any, gradient: Any, scale: float) -> float:
        if gradient is not None:
            gradient[:] = 2 * phi
            self.calls += 1
            if self.calls > 3:
                gradient[1] *= self.bad[1]
        return float(phi @ phi) * (self.bad[0] if self.calls > 3 else 1)

    def _losses(self, phi: Any, batch: Any) -> Any:
        return np.array([phi @ phi * self.bad[0]])


@pytest.mark.parametrize(
    ("loss", "slope", "said"),
    [
        (math.nan, 1, r"the loss is nan: that of sample 0 is nan \(overflow\)"),
        (math.inf, 1, r"the loss is inf: that of sample 0 is inf \(overflow\)"),
        (1, math.nan, "the loss is .*, the norm of its gradient nan"),
        (1, math.inf, "the loss is .*, the norm of its gradient inf"),
        (1e10, 1, "the loss is .*, above 2e.08"),
    ],
)
def test_what_diverged(loss: float, slope: float, said: str) -> None:
    res = fl.minimize(Cliff(loss, slope), [1.0, 1.0], optimizer=fl.SGD, lr=0.1, epochs=10)
    assert res.nit == 3
    assert re.match(f"diverged after 3 steps: {said}", res.message), res.message
    np.testing.assert_allclose(res.x, 0.8**2)


def test_a_last_step_that_overflows() -> None:
    f = LinearRegression([[1e100]], [0.0], intercept=False)
    res = fl.minimize(f, [1e-60], optimizer=fl.SGD, lr=1e20, steps=1)
    assert not res.success
    assert res.x == [1e-60]
    assert res.message.startswith("diverged after 1 step: the loss is inf")
    for optimizer, averaging in ((fl.ScheduleFreeSGD, None), (fl.SGD, fl.EMA(0.5))):
        res = fl.minimize(f, [1e-60], optimizer=optimizer, lr=1e100, steps=3, averaging=averaging)
        assert not res.success
        assert np.isfinite(res.x).all()
        assert math.isfinite(res.fun)


def test_a_start_that_is_not_finite() -> None:
    f = LinearRegression([[1e200]], [0.0])
    with pytest.raises(ValueError, match=r"cannot start at x0: the loss is inf: that of sample 0"):
        fl.minimize(f, [1.0, 0.0])


# ---- interrupts --------------------------------------------------------------------------------


def test_ctrl_c_returns_what_has_been_reached() -> None:
    before = signal.getsignal(signal.SIGINT)

    def press(now: fl.Result) -> None:
        if now.nit == 12:
            signal.raise_signal(signal.SIGINT)

    options: dict[str, Any] = {"lr": 0.01, "batch_size": 25}
    res = fl.minimize(linear(), callback=press, **options)
    assert (res.nit, res.status, res.success) == (12, 7, False)
    assert res.message == "interrupted after 12 steps"
    assert np.array_equal(res.x, fl.minimize(linear(), steps=12, **options).x)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_interrupts_the_step() -> None:
    class Slow(LinearRegression):
        def _evaluate(self, phi: Any, batch: Any, gradient: Any) -> float:
            if gradient is not None and (calls := getattr(self, "calls", 0)) < 9:
                self.calls = calls + 1
            elif gradient is not None and self.calls == 9:
                self.calls += 1
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            return super()._evaluate(phi, batch, gradient)

    for optimizer in (fl.Adam, fl.NesterovMomentum):
        res = fl.minimize(Slow(X, Y), optimizer=optimizer, lr=0.01, steps=100)
        assert (res.nit, res.status, len(res.history)) == (9, 7, 9)
        plain = fl.minimize(linear(), optimizer=optimizer, lr=0.01, steps=9)
        assert np.array_equal(res.x, plain.x)
        assert np.array_equal(res.history, plain.history)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT to another process")
def test_ctrl_c_from_outside() -> None:
    code = """
import numpy as np, fallline as fl
X = np.random.default_rng(0).standard_normal((1000, 5))
f = fl.objectives.LinearRegression(X, X.sum(axis=1))
print("ready", flush=True)
res = fl.minimize(f, batch_size=10, epochs=10**9)
print(res.success, res.nit == len(res.history) > 0, res.message)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert out.startswith("False True interrupted after ")


# ---- checkpoints -------------------------------------------------------------------------------

RESUMED: list[dict[str, Any]] = [
    {"optimizer": fl.SGD, "lr": 0.05, "momentum": 0.9, "batch_size": 7},
    {"optimizer": fl.Adam, "lr": fl.schedules.Cosine(0.1, steps=60), "batch_size": 30},
    {"optimizer": fl.NesterovMomentum, "lr": 0.05, "batch_size": 7, "averaging": fl.EMA(0.9)},
    {"optimizer": fl.ScheduleFreeAdamW, "lr": 0.05, "batch_size": 7},
    {"optimizer": fl.SWATS, "lr": 0.01, "batch_size": 7, "averaging": fl.SWA(1)},
    {"optimizer": fl.SGD, "lr": 0.05, "batch_size": 7, "svrg": 11, "trajectory": 3},
    {"optimizer": fl.AdamW, "lr": 0.05, "max_norm": 0.1},
    {
        "optimizer": fl.SGD,
        "lr": fl.schedules.ReduceOnPlateau(0.1, factor=0.5, patience=0, threshold=0.1),
        "batch_size": 20,
        "ftol": 1e-3,
    },
    {"optimizer": fl.SGD, "lr": lambda step: 0.1 / (1 + step), "batch_size": 20},
    {"optimizer": fl.Adam, "lr": lambda k: 0.1 / (1 + k), "lr_unit": "epoch", "batch_size": 20},
    {"optimizer": fl.SGD, "lr": 5.0, "batch_size": 20},  # diverges
]


@needs_safetensors
@pytest.mark.parametrize("options", RESUMED, ids=lambda o: f"{o['optimizer'].__name__}-{len(o)}")
def test_resumed_is_uninterrupted(options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    whole = fl.minimize(logistic(), epochs=5, **options)
    for cut in (1, 4, 5, 14, 29):
        stopped = fl.minimize(logistic(), epochs=5, steps=cut, checkpoint=path, **options)
        resumed = fl.minimize(logistic(), epochs=5, resume=path, **options)
        assert stopped.nit <= resumed.nit
        same(resumed, whole)


@needs_safetensors
def test_checkpoints_come_when_due(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    options: dict[str, Any] = {"batch_size": 20, "epochs": 3, "checkpoint": path}
    sizes: list[bool] = []

    def crash(now: fl.Result) -> None:
        sizes.append(path.exists())
        if now.nit == 8:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fl.minimize(logistic(), callback=crash, callback_every=1, checkpoint_every=3, **options)
    assert sizes == [False] * 3 + [True] * 5  # a callback comes before the file of its step
    seen: list[int] = []
    res = fl.minimize(
        logistic(),
        callback=lambda now: seen.append(now.nit),
        callback_every=1,
        resume=True,
        **options,
    )
    assert seen == list(range(7, 16))
    same(res, fl.minimize(logistic(), batch_size=20, epochs=3))
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]
    # A fit that is done is done; with more epochs it goes on.
    same(fl.minimize(logistic(), resume=True, **options), res)
    options["epochs"] = 6
    more = fl.minimize(logistic(), resume=True, **options)
    same(more, fl.minimize(logistic(), batch_size=20, epochs=6))


@needs_safetensors
def test_ctrl_c_leaves_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"

    def press(now: fl.Result) -> None:
        signal.raise_signal(signal.SIGINT)

    options: dict[str, Any] = {"batch_size": 20, "epochs": 3, "seed": 5}
    res = fl.minimize(logistic(), callback=press, callback_every=7, checkpoint=path, **options)
    assert res.nit == 7
    same(fl.minimize(logistic(), resume=path, **options), fl.minimize(logistic(), **options))


@needs_safetensors
def test_a_diverged_fit_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    options: dict[str, Any] = {"optimizer": fl.SGD, "lr": 5.0, "batch_size": 10}
    res = fl.minimize(linear(), checkpoint=path, checkpoint_every=1, epochs=100, **options)
    assert res.status == 6
    again = fl.minimize(linear(), resume=path, steps=res.nit, **options)
    assert again.nit == res.nit


@needs_safetensors
@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"batch_size": 10}, "batch_size=20; this one has 10"),
        ({"batch_size": None}, "batch_size=20; this one has None"),
        ({"seed": 1}, "seed=0; this one has 1"),
        ({"optimizer": fl.AdamW}, "optimizer='Adam'; this one has 'AdamW'"),
        ({"lr": 0.2}, "lr=0.1; this one has 0.2"),
        ({"betas": (0.5, 0.9)}, r"betas=\[0.9, 0.999\]; this one has \[0.5, 0.9\]"),
        ({"lr": fl.schedules.Constant(0.1)}, "lr=0.1; this one has"),
        ({"max_norm": 1.0}, "max_norm=None; this one has 1.0"),
        ({"averaging": fl.EMA()}, "averaging=None; this one has .EMA"),
        ({"svrg": True}, "svrg=None; this one has 10"),
        ({"drop_last": True}, "drop_last=False; this one has True"),
        ({"trajectory": True}, "trajectory=None; this one has 1"),
        ({"objective": linear()}, "objective='LogisticRegression'; this one has 'Linear"),
        ({"objective": logistic(l2=0.5)}, "l2=0.0; this one has 0.5"),
        ({"objective": LogisticRegression(X[:50], LABELS[:50])}, "n_samples=100; this one has 50"),
        ({"objective": LogisticRegression(X[:, :2], LABELS)}, "n_params=5; this one has 3"),
    ],
)
def test_resuming_another_fit(other: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    options: dict[str, Any] = {"objective": logistic(), "lr": 0.1, "batch_size": 20, "epochs": 1}
    fl.minimize(**options, checkpoint=path)
    with pytest.raises(ValueError, match=rf"run.safetensors' is of a fit with {message}"):
        fl.minimize(**{**options, **other}, resume=path)


@needs_safetensors
def test_files_that_are_no_fits(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file"):
        fl.minimize(linear(), resume=tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        fl.minimize(linear(), checkpoint=tmp_path / "no" / "run")
    with pytest.raises(ValueError, match="resume=True needs a checkpoint"):
        fl.minimize(linear(), resume=True)
    path = tmp_path / "optimizer.safetensors"
    fl.save(path, fl.Adam(np.zeros(5)))
    with pytest.raises(ValueError, match=r"was not written by fallline.minimize"):
        fl.minimize(linear(), resume=path)
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="damaged or no safetensors file"):
        fl.minimize(linear(), resume=path)
    run = tmp_path / "run.safetensors"
    fl.minimize(linear(), epochs=1, checkpoint=run)
    with pytest.raises(ValueError, match=r"was not written by fallline.save"):
        fl.load(run, fl.Adam(np.zeros(5)))
    inside = fl.schedules.LinearWarmup(lambda step: 0.1, steps=3)
    with pytest.raises(TypeError, match="can be serialised"):
        fl.minimize(linear(), lr=inside, checkpoint=run)


# ---- results, progress, arguments --------------------------------------------------------------


def test_the_result() -> None:
    res = fl.minimize(linear(), epochs=3)
    assert res["x"] is res.x
    assert "nit: 3" in repr(res)
    assert "status: 2 (EPOCHS)" in repr(res)
    assert "message" in dir(res)
    res.note = "mine"
    assert res["note"] == "mine"
    with pytest.raises(AttributeError, match="the result has no 'trajectory'; it has x, fun"):
        _ = res.trajectory
    again = pickle.loads(pickle.dumps(res))
    assert again.message == res.message
    assert np.array_equal(again.x, res.x)
    assert fl.minimize(linear(), epochs=0 + 1, batch_size=3).history.shape == (34,)


@pytest.mark.skipif(find_spec("rich") is None, reason="needs rich")
def test_the_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from fallline.loop import progress

    fl.minimize(linear(), epochs=50, progress=True)
    assert capsys.readouterr() == ("", "")  # too short for a bar
    monkeypatch.setattr(progress, "AFTER", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    fl.minimize(linear(), epochs=50)
    fl.minimize(linear(), epochs=50, progress=False)
    assert capsys.readouterr() == ("", "")  # no terminal
    shown = fl.minimize(linear(), epochs=50, progress=True)
    out, err = capsys.readouterr()
    assert not out
    assert "epoch 50, loss" in err or "epoch 51, loss" in err
    assert "/50" in err
    same(shown, fl.minimize(linear(), epochs=50))
    fl.minimize(linear(), time_limit=0.05, progress=True)
    assert "loss" in capsys.readouterr().err


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"objective": lambda x: x}, TypeError, "x0 is missing: a function does not tell where"),
    ({"x0": [1.0, 2.0]}, ValueError, r"x0 has shape \(2,\); expected \(5,\)"),
    ({"x0": ["a"] * 5}, TypeError, "x0 must be real numbers"),
    ({"x0": [0, 0, math.nan, 0, 0]}, ValueError, r"x0\[2\] is nan; expected finite numbers"),
    ({"optimizer": "Adam"}, TypeError, "optimizer must be one of fallline.optimizers"),
    ({"optimizer": fl.Optimizer}, TypeError, "optimizer must be one of fallline.optimizers"),
    ({"lr": -1.0}, ValueError, "lr must lie in"),
    ({"bettas": 1}, TypeError, "'bettas' is neither an argument of minimize nor a hyperparameter"),
    ({"betas": (2, 0.9)}, ValueError, r"betas\[0\] must lie in"),
    ({"maximize": True}, ValueError, "maximize=True in minimize"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1, not 0"),
    ({"batch_size": 2.5}, TypeError, "batch_size must be an integer, not 2.5"),
    ({"drop_last": True}, ValueError, "drop_last=True needs a batch_size"),
    ({"drop_last": 1}, TypeError, "drop_last must be True or False, not 1"),
    ({"epochs": 0}, ValueError, "epochs must be at least 1, not 0"),
    ({"epochs": 1.5}, TypeError, "epochs must be an integer, not 1.5"),
    ({"steps": -1}, ValueError, "steps must be at least 1, not -1"),
    ({"seed": -1}, ValueError, "seed must be at least 0, not -1"),
    ({"seed": None}, TypeError, "seed must be an integer, not None"),
    ({"time_limit": -1}, ValueError, "time_limit must be finite and at least 0, not -1"),
    ({"time_limit": "1"}, TypeError, "time_limit must be a number, not '1'"),
    ({"gtol": math.nan}, ValueError, "gtol must be finite and at least 0, not nan"),
    ({"ftol": -1}, ValueError, "ftol must be finite and at least 0, not -1"),
    ({"max_norm": 0}, ValueError, "max_norm must be finite and positive, not 0"),
    ({"lr_unit": "day"}, ValueError, "lr_unit must be 'step' or 'epoch', not 'day'"),
    ({"averaging": 0.9}, TypeError, "averaging must be an EMA or SWA, not 0.9"),
    (
        {"averaging": fl.EMA(), "optimizer": fl.ScheduleFreeSGD},
        ValueError,
        "with ScheduleFreeSGD, which averages",
    ),
    ({"svrg": True}, ValueError, "svrg=True needs a batch_size"),
    ({"svrg": -1, "batch_size": 1}, ValueError, "svrg must be at least 1, not -1"),
    ({"trajectory": 0.5}, TypeError, "trajectory must be an integer, not 0.5"),
    ({"callback": 1}, TypeError, "callback must be callable, not 1"),
    ({"callback_every": "day"}, ValueError, "callback_every must be a number of steps or 'epoch'"),
    ({"checkpoint_every": 0}, ValueError, "checkpoint_every must be at least 1, not 0"),
    ({"optimizer": fl.Adam(np.zeros(4))}, ValueError, r"the Adam's array has shape \(4,\)"),
    ({"optimizer": fl.Adam(np.zeros(5, "f"))}, ValueError, "and dtype float32; the objective's"),
    ({"optimizer": fl.Adam([np.zeros(2), np.zeros(3)])}, ValueError, "the Adam has 2 arrays"),
    ({"optimizer": fl.Adam(np.zeros(5)), "lr": 1.0}, ValueError, "lr=1.0 with an instance of Adam"),
    ({"optimizer": fl.Adam(np.zeros(5)), "eps": 1.0}, ValueError, "eps=1.0 with an instance"),
    ({"optimizer": fl.Adam(np.zeros(5)), "x0": 1.0}, ValueError, "x0=1.0 with an instance of Adam"),
]


@pytest.mark.parametrize(
    ("arguments", "error", "message"), BAD, ids=lambda a: a if isinstance(a, str) else None
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    def never(now: fl.Result) -> None:
        raise AssertionError("it ran")

    with pytest.raises(error, match=message):
        fl.minimize(**{"objective": linear(), "callback": never, **arguments})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fl.EMA(1.0), ValueError, r"decay must lie in \[0, 1\), not 1.0"),
        (lambda: fl.EMA("a"), TypeError, "decay must be a number, not 'a'"),  # type: ignore[arg-type]
        (lambda: fl.SWA(-1), ValueError, "start must be at least 0, not -1"),
        (lambda: fl.SWA(every=0), ValueError, "every must be at least 1, not 0"),
        (lambda: fl.SWA(unit="day"), ValueError, "unit must be 'step' or 'epoch'"),  # type: ignore[arg-type]
    ],
)
def test_bad_averages(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_trajectory_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    from fallline.loop import history

    monkeypatch.setattr(history, "available_memory", lambda: 10**6)
    with pytest.raises(MemoryError, match="a trajectory of 100,001 points of 5 parameters"):
        fl.minimize(linear(), epochs=10**5, trajectory=True)
    assert len(fl.minimize(linear(), epochs=1000, trajectory=True).trajectory) == 1001


def test_without_a_final_loss() -> None:
    f, seen = LinearRegression(X, Y), []
    original = f._evaluate

    def counted(phi: Any, batch: Any, gradient: Any) -> float:
        seen.append(len(X) if batch is None else len(batch))
        return original(phi, batch, gradient)

    f._evaluate = counted  # type: ignore[method-assign]
    res = fl.minimize(f, optimizer=fl.SGD, lr=0.01, batch_size=5, epochs=2, final_loss=False)
    assert max(seen) == 5
    assert res.fun == res.history[-res.nit // 2 :].mean()
    assert "jac" not in res
    none = fl.minimize(LinearRegression(X, Y), optimizer=fl.SGD, time_limit=0, final_loss=False)
    assert (none.nit, none.fun) == (0, LinearRegression(X, Y).loss(none.x))
