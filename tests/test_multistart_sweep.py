"""Many fits: the same bits as one by one, in the order asked for, whatever happens to one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.objectives import LinearRegression, LogisticRegression

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = X @ [1.0, -2.0, 3.0] + RNG.standard_normal(60)


def linear() -> LinearRegression:
    return LinearRegression(X, Y)


class Scattered(LinearRegression):
    """Starts at random."""

    def initial(self, seed: int | np.random.Generator = 0) -> Any:
        return np.random.default_rng(seed).standard_normal(self.n_params)


def same(a: fl.Result | None, b: fl.Result | None) -> None:
    assert a is not None
    assert b is not None
    for name in ("x", "jac", "history", "history_grad_norm", "nit", "message"):
        np.testing.assert_array_equal(a[name], b[name], strict=True)


# ---- multistart --------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3, None])
def test_starts_are_as_one_by_one(workers: int | None) -> None:
    f, starts = linear(), RNG.standard_normal((5, 4))
    options: dict[str, Any] = {
        "optimizer": fl.Adam, "lr": fl.schedules.ReduceOnPlateau(0.1, factor=0.5, patience=0),
        "batch_size": 7, "epochs": 4, "averaging": fl.EMA(0.9),
    }  # fmt: skip
    table = fl.multistart(f, starts, seed=3, workers=workers, **options)
    assert [row["start"] for row in table] == [0, 1, 2, 3, 4]
    assert [row["seed"] for row in table] == [3, 4, 5, 6, 7]
    for i, (row, result) in enumerate(zip(table, table.results, strict=True)):
        alone = fl.minimize(f, starts[i], seed=3 + i, **options)
        same(result, alone)
        assert row["fun"] == alone.fun
    assert table.best.fun == min(row["fun"] for row in table)


def test_where_starts_come_from() -> None:
    f = Scattered(X, Y)
    table = fl.multistart(f, 3, seed=5, epochs=2)
    for i, result in enumerate(table.results):
        same(result, fl.minimize(f, seed=5 + i, epochs=2))

    def draw(rng: np.random.Generator) -> Any:
        return rng.uniform(-1, 1, 4)

    table = fl.multistart(f, draw, n_starts=3, seed=5, epochs=2)
    for i, result in enumerate(table.results):
        same(result, fl.minimize(f, draw(np.random.default_rng(5 + i)), seed=5 + i, epochs=2))
    assert len(fl.multistart(linear(), 1, epochs=1)) == 1


def test_fits_run_at_once_on_one_thread_a_step() -> None:
    """Both must be inside a step for either to go on."""
    barrier, threads = threading.Barrier(2, timeout=20), []

    class Meeting(LinearRegression):
        def _evaluate(self, phi: Any, batch: Any, gradient: Any) -> float:
            if gradient is not None:
                barrier.wait()
                threads.append(fl.get_num_threads())
            return super()._evaluate(phi, batch, gradient)

    before = fl.get_num_threads()
    fl.set_num_threads(5)
    try:
        fl.multistart(Meeting(X, Y), np.eye(4)[:2], workers=2, steps=3)
        assert set(threads) == {1}
        assert fl.get_num_threads() == 5
    finally:
        fl.set_num_threads(before)


# ---- sweep -------------------------------------------------------------------------------------


def test_the_grid_and_its_order() -> None:
    schedule = fl.schedules.Cosine(0.1, steps=20)
    table = fl.sweep(
        linear(), optimizer=fl.SGD, lr=[0.05, schedule], momentum=[0, 0.5],
        batch_size=[None, 7], epochs=2,
    )  # fmt: skip
    expected = [(a, b, c) for a in (0.05, schedule) for b in (0, 0.5) for c in (None, 7)]
    assert [(row["lr"], row["momentum"], row["batch_size"]) for row in table] == expected
    assert table.columns[:3] == ["lr", "momentum", "batch_size"]
    for (lr, momentum, size), result in zip(expected, table.results, strict=True):
        options: dict[str, Any] = {"lr": lr, "momentum": momentum, "batch_size": size}
        same(result, fl.minimize(linear(), optimizer=fl.SGD, epochs=2, **options))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_sweep_is_as_one_by_one(workers: int) -> None:
    table = fl.sweep(
        linear(), np.ones(4), workers=workers, seed=[0, 1], batch_size=[5, 20], epochs=3
    )
    for row, result in zip(table, table.results, strict=True):
        options = {name: row[name] for name in ("seed", "batch_size")}
        same(result, fl.minimize(linear(), np.ones(4), epochs=3, **options))


def test_hyperparameters_of_some_optimizers_only() -> None:
    table = fl.sweep(
        linear(), optimizer=[fl.Adam, fl.SGD], momentum=[0.0, 0.9], betas=[(0.5, 0.9)],
        eps=1e-6, epochs=1,
    )  # fmt: skip
    assert [(row["optimizer"], row["momentum"], row["betas"]) for row in table] == [
        (fl.Adam, None, (0.5, 0.9)),
        (fl.SGD, 0.0, None),
        (fl.SGD, 0.9, None),
    ]
    first = table.results[0]
    assert first is not None
    assert first.optimizer.param_groups[0]["betas"] == (0.5, 0.9)


def test_random_search() -> None:
    options: dict[str, Any] = {
        "optimizer": [fl.SGD, fl.Adam], "lr": fl.LogUniform(1e-4, 1e-1),
        "momentum": fl.Uniform(0.5, 0.9), "batch_size": [10, 20, 30], "epochs": 1, "trials": 200,
    }  # fmt: skip
    table, again = (fl.sweep(linear(), **options) for _ in range(2))
    drawn = [[row[name] for name in table.columns[:4]] for row in table]
    assert drawn == [[row[name] for name in table.columns[:4]] for row in again]
    other = fl.sweep(linear(), search_seed=1, **options)
    assert drawn != [[row[name] for name in table.columns[:4]] for row in other]
    rates = np.log10([row["lr"] for row in table])
    assert ((rates >= -4) & (rates <= -1)).all()
    assert np.histogram(rates, bins=3, range=(-4, -1))[0].min() > 40  # 67 each expected
    assert {row["batch_size"] for row in table} == {10, 20, 30}
    for row in table:
        assert (row["momentum"] is None) == (row["optimizer"] is fl.Adam)
        assert row["momentum"] is None or 0.5 <= row["momentum"] <= 0.9


@pytest.mark.skipif(find_spec("scipy") is None, reason="needs scipy")
def test_distributions_of_scipy() -> None:
    from scipy.stats import loguniform

    table = fl.sweep(linear(), lr=loguniform(1e-3, 1e-2), trials=5, epochs=1)
    assert all(1e-3 <= row["lr"] <= 1e-2 for row in table)


# ---- what happens to one -----------------------------------------------------------------------


def test_a_failure_is_recorded() -> None:
    table = fl.sweep(linear(), optimizer=fl.SGD, lr=[0.1, -1.0, 5.0, 0.05], epochs=100)
    assert [row["success"] for row in table] == [True, False, False, True]
    assert table.results[1] is None
    assert np.isnan(table[1]["fun"])
    assert table[1]["message"].startswith("ValueError: lr must lie in [0, inf], not -1.0")
    assert table[2]["message"].startswith("diverged after ")
    assert table.best_index in (0, 3)
    starts = np.ones((3, 4))
    starts[1] = np.nan
    many = fl.multistart(linear(), starts, epochs=1)
    assert [row["success"] for row in many] == [True, False, True]
    assert "x0[0] is nan" in many[1]["message"]
    none = fl.sweep(linear(), lr=[-1.0, -2.0])
    with pytest.raises(ValueError, match="no fit has succeeded; the first: ValueError: lr must"):
        _ = none.best
    assert "lr must" in repr(none)


def test_a_diverged_fit_is_not_the_best() -> None:
    class Falling(LinearRegression):
        """A loss that is lowest where the fit has blown up."""

        def _evaluate(self, phi: Any, batch: Any, gradient: Any) -> float:
            loss = super()._evaluate(phi, batch, gradient)
            return loss if loss < 1e3 else (-loss if loss < 1e100 else float("inf"))

    table = fl.sweep(Falling(X, Y), optimizer=fl.SGD, lr=[5.0, 0.1], epochs=500)
    assert table[0]["fun"] < table[1]["fun"]
    assert table.best_index == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_all(workers: int) -> None:
    pressed: list[int] = []

    def press(now: fl.Result) -> None:
        if now.nit == 5 and not pressed:
            pressed.append(1)
            signal.raise_signal(signal.SIGINT)  # to the main thread

    before = signal.getsignal(signal.SIGINT)
    table = fl.sweep(
        linear(), lr=[0.1] * 1 + [0.2, 0.3, 0.4], callback=press, time_limit=30, workers=workers
    )
    assert signal.getsignal(signal.SIGINT) is before
    assert len(table) == 4
    assert not any(row["success"] for row in table)
    assert table[0]["message"].startswith("interrupted after ")
    assert table[3]["message"] == "KeyboardInterrupt: before it began"
    assert table.best.nit > 0


# ---- tables ------------------------------------------------------------------------------------


def test_the_table() -> None:
    table = fl.sweep(linear(), optimizer=[fl.SGD, fl.Adam], lr=[0.01, 0.1], epochs=5)
    assert len(table) == 4
    assert table[-1] is table[3]
    assert table[1:3] == [table[1], table[2]]
    assert table.best_row is table[table.best_index]
    lines = repr(table).splitlines()
    assert len(lines) == 5
    assert lines[0].split() == table.columns
    assert [line.split()[1] for line in lines[1:]] == ["SGD", "SGD", "Adam", "Adam"]
    assert [line.split()[0].endswith("*") for line in lines[1:]].index(True) == table.best_index
    long = repr(fl.sweep(linear(), seed=list(range(23)), epochs=1))
    assert long.splitlines()[-1] == "… 3 more"


@pytest.mark.skipif(find_spec("pandas") is None, reason="needs pandas")
def test_to_pandas() -> None:
    table = fl.sweep(linear(), lr=[0.01, -1.0, 0.1], epochs=5)
    frame = table.to_pandas()
    assert list(frame.columns) == table.columns
    assert list(frame["lr"]) == [0.01, -1.0, 0.1]
    assert frame["fun"].isna().tolist() == [False, True, False]


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'fallline\[table\]'"):
        fl.sweep(linear(), lr=[0.1], epochs=1).to_pandas()


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: fl.sweep(1, lr=[1]), TypeError, "objective must be"),  # type: ignore[arg-type]
    (lambda: fl.sweep(linear(), lr=[]), ValueError, "lr is an empty list"),
    (lambda: fl.sweep(linear(), bettas=[1]), TypeError, "'bettas' is neither .* of Adam"),
    (lambda: fl.sweep(linear(), momentum=[1]), TypeError, "'momentum' is neither .* of Adam"),
    (lambda: fl.sweep(linear(), lr=fl.Uniform(0, 1)), ValueError, "which needs trials"),
    (lambda: fl.sweep(linear(), trials=0, lr=[1]), ValueError, "trials must be at least 1, not 0"),
    (lambda: fl.sweep(linear(), workers=0, lr=[1]), ValueError, "workers must be at least 1"),
    (lambda: fl.sweep(linear(), checkpoint="a"), TypeError, "sweep has no 'checkpoint'"),
    (
        lambda: fl.sweep(linear(), optimizer=[fl.SGD, fl.Adam(np.zeros(4))]),
        TypeError,
        "optimizer must be a class",
    ),
    (lambda: fl.Uniform(1, 1), ValueError, "expected finite low < high"),
    (lambda: fl.LogUniform(0, 1), ValueError, "expected finite 0 < low < high"),
    (lambda: fl.multistart(1, 2), TypeError, "objective must be"),  # type: ignore[arg-type]
    (lambda: fl.multistart(linear(), 0), ValueError, "starts must be at least 1, not 0"),
    (lambda: fl.multistart(linear(), 3), ValueError, "starts at the same point for every seed"),
    (lambda: fl.multistart(linear(), np.ones(4)), ValueError, r"starts has shape \(4,\); expected"),
    (lambda: fl.multistart(linear(), np.ones((2, 3))), ValueError, r"expected \(k, 4\)"),
    (lambda: fl.multistart(linear(), np.eye(4), n_starts=3), ValueError, "n_starts=3 is for"),
    (lambda: fl.multistart(linear(), lambda rng: 0), TypeError, "n_starts must be an integer"),
    (lambda: fl.multistart(linear(), np.eye(4), resume=True), TypeError, "has no 'resume'"),
    (lambda: fl.multistart(linear(), np.eye(4), eta=1), TypeError, "'eta' is neither"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_arguments(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_logistic_regression_on_many_threads() -> None:
    """One objective, eight fits, four at once, many times: the same bits each time."""
    f = LogisticRegression(X, (Y > 0).astype(int))
    first = fl.multistart(f, np.eye(8)[:, :4], batch_size=10, epochs=5, workers=1)
    for _ in range(5):
        again = fl.multistart(f, np.eye(8)[:, :4], batch_size=10, epochs=5, workers=4)
        for a, b in zip(first.results, again.results, strict=True):
            same(a, b)
