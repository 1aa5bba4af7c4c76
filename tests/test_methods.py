"""Methods that evaluate the objective themselves, in minimize: engine, saddles, ends."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline.loop.result import Status
from fallline.objectives import Function, LinearRegression, surfaces
from fallline.second_order import Method

SEARCHES = ["bracketing", "golden_section", "brent", "backtracking", "strong_wolfe"]


def ridge() -> Function:
    return Function(lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4, n_params=2)


def same(a: fl.Result, b: fl.Result) -> None:
    for name in ("x", "jac", "history", "history_lr", "history_grad_norm"):
        assert np.array_equal(a[name], b[name], equal_nan=True), name
    for name in ("fun", "nit", "status", "message"):
        assert a[name] == b[name], name


# ---- the engine --------------------------------------------------------------------------------


@pytest.mark.parametrize("search", [*SEARCHES, "exact_quadratic", None])
def test_minimize_takes_the_steps_that_are_taken_by_hand(search: Any) -> None:
    if search in ("brent", "golden_section"):
        pytest.importorskip("scipy.optimize")
    f = surfaces.QuadraticValley(20)
    options = {"line_search": search, "momentum": 0.3, "lr": 0.05}
    res = fl.minimize(f, [20.0, 1.0], fl.GradientDescent(**options), steps=12, trajectory=True)
    again = fl.minimize(f, [20.0, 1.0], fl.GradientDescent, steps=12, **options)
    same(res, again)
    hand = fl.GradientDescent(f, [20.0, 1.0], **options)
    for i in range(12):
        assert np.array_equal(res.trajectory[i], hand.x)
        step = hand.step()
        assert res.history_lr[i] == step.alpha
    assert np.array_equal(res.x, hand.x)
    assert (res.nfev, res.njev) == (hand.nfev + 1, hand.ngev + 1)  # those at the end
    assert res.fun == f.loss(res.x)
    assert np.array_equal(res.jac, f.gradient(res.x))


def test_a_description_can_be_used_again() -> None:
    plan = fl.GradientDescent(line_search="strong_wolfe", c2=0.1)
    assert not plan.bound
    f = surfaces.Rosenbrock()
    first, second = (fl.minimize(f, [-1.2, 1.0], plan, steps=9) for _ in range(2))
    same(first, second)
    assert not plan.bound
    assert first.optimizer is not second.optimizer
    with pytest.raises(TypeError, match="no objective to step on"):
        plan.step()


def test_a_method_with_an_objective_goes_on() -> None:
    f = surfaces.Rosenbrock()
    method = fl.GradientDescent(f, [-1.2, 1.0], "backtracking")
    method.step()
    whole = fl.minimize(f, [-1.2, 1.0], fl.GradientDescent(line_search="backtracking"), steps=10)
    res = fl.minimize(f, optimizer=method, steps=9)
    assert np.array_equal(res.x, whole.x)
    assert (res.nit, method.nit) == (9, 10)
    with pytest.raises(ValueError, match="steps on another objective"):
        fl.minimize(surfaces.Rosenbrock(), optimizer=method)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"batch_size": 2}, ValueError, "takes its steps on all samples.*Leave out batch_size"),
        ({"max_norm": 1.0}, ValueError, "max_norm=1.0 with GradientDescent"),
        ({"svrg": True, "batch_size": 1}, ValueError, "Leave out batch_size"),
        ({"momentum": 2.0}, ValueError, "momentum must lie in"),
        ({"optimizer": Method}, TypeError, "must be one of fallline.optimizers.. or a method"),
        ({"optimizer": fl.GradientDescent(), "lr": 0.1}, ValueError, "lr=0.1 with an instance"),
        ({"escape_saddles": 1}, TypeError, "escape_saddles must be True or False, not 1"),
        (
            {"escape_saddles": True, "batch_size": 2, "optimizer": fl.SGD},
            ValueError,
            "escape_saddles=True with a batch_size",
        ),
    ],
)
def test_bad_arguments(given: dict[str, Any], error: type[Exception], message: str) -> None:
    f = LinearRegression(np.eye(3), np.ones(3))
    with pytest.raises(error, match=message):
        fl.minimize(f, **{"optimizer": fl.GradientDescent, **given})


def test_a_fit_goes_on_from_a_file(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    f = surfaces.Rosenbrock(3)
    options: dict[str, Any] = {
        "x0": [-1.0, 0.5, 2.0],
        "optimizer": fl.GradientDescent,
        "momentum": 0.5,
        "trajectory": True,
    }
    whole = fl.minimize(f, **options, steps=30)
    path = tmp_path / "fit.safetensors"
    fl.minimize(f, **options, steps=11, checkpoint=path)
    rest = fl.minimize(f, **options, steps=30, resume=path)
    same(whole, rest)
    assert np.array_equal(whole.trajectory, rest.trajectory)
    assert whole.nfev == rest.nfev
    with pytest.raises(ValueError, match=r"momentum=0\.5; this one has 0.2"):
        fl.minimize(f, **{**options, "momentum": 0.2}, steps=30, resume=path)
    with pytest.raises(ValueError, match="optimizer='GradientDescent'; this one has 'SGD'"):
        fl.minimize(f, options["x0"], fl.SGD, trajectory=True, resume=path)


def test_a_method_in_a_file(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    f = surfaces.Rosenbrock()
    method = fl.GradientDescent(f, [-1.2, 1.0], momentum=0.5)
    for _ in range(5):
        method.step()
    fl.save(tmp_path / "m", method)
    other = fl.GradientDescent(f, [0.0, 0.0], momentum=0.5)
    fl.load(tmp_path / "m", other)
    for _ in range(5):
        assert method.step().fun == other.step().fun
    assert np.array_equal(method.x, other.x)
    fl.save(tmp_path / "a", fl.Adam(np.ones(2)))
    with pytest.raises(ValueError, match="is of an optimizer; expected GradientDescent"):
        fl.load(tmp_path / "a", other)
    with pytest.raises(ValueError, match=r"has shape \(2,\).*expected \(3,\)"):
        fl.load(tmp_path / "m", fl.GradientDescent(surfaces.Rosenbrock(3)))
    with pytest.raises(TypeError, match="no objective, and no state yet"):
        fl.GradientDescent().state_dict()


def test_callback_trajectory_and_averages() -> None:
    seen = []

    def callback(now: fl.Result) -> bool:
        seen.append((now.nit, now.fun, now.x.copy()))
        return now.nit == 4

    f = surfaces.QuadraticValley(10)
    res = fl.minimize(
        f, [10.0, 1.0], fl.GradientDescent, callback=callback, averaging=fl.EMA(0.5), steps=9
    )
    assert (res.status, res.nit, len(seen)) == (Status.CALLBACK, 4, 4)
    assert np.array_equal(res["last"], seen[-1][2])
    assert not np.array_equal(res.x, res["last"])
    assert res.fun == f.loss(res.x)


def test_many_fits() -> None:
    table = fl.multistart(surfaces.Himmelblau(), 6, optimizer=fl.GradientDescent, seed=1)
    assert all(table.best.fun <= fit.fun for fit in table.results)
    assert table.best.fun == pytest.approx(0, abs=1e-12)


# ---- saddles -----------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [fl.GradientDescent(), fl.SGD, fl.Adam])
def test_saddles_are_left(optimizer: Any) -> None:
    lr = None if isinstance(optimizer, Method) else 0.1
    res = fl.minimize(surfaces.Saddle(), [0.0, 0.0], optimizer, lr, steps=20, escape_saddles=True)
    assert res.fun < -0.005
    assert res.escapes == [0]
    assert "a saddle was left along negative curvature, at step 0 (-2)" in res.message
    res = fl.minimize(ridge(), [0.7, 0.0], optimizer, lr, epochs=2000, escape_saddles=True)
    assert res.success
    assert np.abs(res.x) == pytest.approx([0, math.sqrt(0.5)], abs=1e-5)
    assert len(res.escapes) == 1


def test_saddles_are_warned_of() -> None:
    with pytest.warns(fl.SaddleWarning, match="no minimum: a curvature is -2"):
        res = fl.minimize(ridge(), [0.7, 0.0], fl.SGD, lr=0.1, gtol=1e-6)
    assert res.status == Status.GRADIENT
    assert "escape_saddles=True" in res.message


def test_minima_and_degenerate_points_are_not_warned_of() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    mlp = fl.objectives.MLP(X, X[:, 0] > 0, hidden=(4,), activation="tanh", loss="logistic")
    for f, x0, gtol in [
        (ridge(), [0.7, 0.1], 1e-6),
        (surfaces.Cubic(), [0.0], 1e-6),
        (surfaces.Rosenbrock(), [1.0, 1.0], 1e-6),
        (mlp, None, 1e-2),
    ]:
        res = fl.minimize(f, x0, fl.Adam, lr=0.01, epochs=5000, gtol=gtol, escape_saddles=False)
        assert res.status == Status.GRADIENT
        assert "no minimum" not in res.message


def test_escapes_are_remembered_by_files(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    options: dict[str, Any] = {"lr": 0.1, "escape_saddles": True}
    path = tmp_path / "fit"
    whole = fl.minimize(ridge(), [0.7, 0.0], fl.SGD, steps=80, **options)
    fl.minimize(ridge(), [0.7, 0.0], fl.SGD, steps=60, checkpoint=path, **options)
    rest = fl.minimize(ridge(), [0.7, 0.0], fl.SGD, steps=80, resume=path, **options)
    same(whole, rest)
    assert whole.escapes == rest.escapes == [56]


# ---- ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", [None, *SEARCHES])
def test_unbounded_objectives_are_reported(search: Any) -> None:
    if search in ("brent", "golden_section"):
        pytest.importorskip("scipy.optimize")
    res = fl.minimize(surfaces.UnboundedCubic(), [1.5], fl.GradientDescent(line_search=search))
    assert (res.status, res.success) == (Status.UNBOUNDED, False)
    assert "seems to be unbounded below" in res.message
    assert np.isfinite(res.x).all()


def test_rules_on_unbounded_objectives() -> None:
    res = fl.minimize(surfaces.UnboundedCubic(), [1.5], fl.SGD, lr=0.1)
    assert (res.status, res.success) == (Status.UNBOUNDED, False)
    assert "seems to be unbounded below" in res.message
    res = fl.minimize(surfaces.UnboundedCubic(), [0.0], fl.SGD, lr=0.1, gtol=1e-6)
    assert res.x == pytest.approx([-1])


EVERYTHING: dict[str, Any] = {
    **fl.optimizers(),
    "GradientDescent, exact_quadratic": fl.GradientDescent(line_search="exact_quadratic"),
    "AdaHessian": fl.AdaHessian,
    "LBFGS": fl.LBFGS,
    **{
        f"Newton, {c}": fl.Newton(curvature="absolute", line_search=c)
        for c in (None, "backtracking")
    },
    **{f"Newton, {r}": fl.Newton(trust_region=r) for r in ("exact", "steihaug")},
}


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize(
    ("f", "x0"),
    [
        (surfaces.UnboundedCubic(), [1.5]),
        (surfaces.Saddle(), [0.1, 0.2]),
        (surfaces.MixedCubic(), [1.0, -1.0]),
    ],
)
def test_every_way_down_without_end_is_reported(name: str, f: Any, x0: list[float]) -> None:
    """Within 100 steps, or where these end on the way down."""
    res = fl.minimize(f, x0, EVERYTHING[name], steps=100)
    assert (res.status, res.success) == (Status.UNBOUNDED, False), res
    assert "unbounded below" in res.message
    assert np.isfinite(res.x).all()


def test_batches_without_a_bound_are_reported() -> None:
    pytest.importorskip("numba")

    def below(phi: Any, x: Any, y: Any, gradient: Any) -> float:
        gradient[0] += x
        return x * phi[0]

    f = fl.objectives.from_sample(below, np.linspace(1, 2, 20), np.zeros(20), n_params=1)
    res = fl.minimize(f, [0.0], fl.Adam, batch_size=4, epochs=3)
    assert (res.status, res.success) == (Status.UNBOUNDED, False)
    assert res.message.startswith("3 epochs done, 15 steps; the loss seems to be unbounded below")
    short = fl.minimize(f, [0.0], fl.Adam, batch_size=4, epochs=3, final_loss=False)
    assert short.success  # it does not look


CURVES: dict[str, Any] = {  # each a function of a number, and its slope
    "reciprocal": (lambda x: 1 / (1 + x**2), lambda x: -2 * x / (1 + x**2) ** 2),
    "softplus": (lambda x: np.logaddexp(0, -x), lambda x: -1 / (1 + np.exp(x))),
    "exp": (lambda x: np.exp(-x), lambda x: -np.exp(-x)),
    "arctan": (np.arctan, lambda x: 1 / (1 + x**2)),
}
BOUNDED: dict[str, Any] = {
    name: (lambda x, f=f: f(x).sum(), slope) for name, (f, slope) in CURVES.items()
} | {
    f"{type(f).__name__}": (f.loss, f.gradient)
    for f in (surfaces.Beale(), surfaces.Himmelblau(), surfaces.Rosenbrock(), surfaces.Rastrigin())
}


@pytest.mark.parametrize("name", BOUNDED)
@given(seed=st.integers(0, 999), steps=st.integers(1, 60), lr=st.sampled_from([1e-3, 0.1]))
def test_what_has_a_bound_is_not_called_unbounded(
    name: str, seed: int, steps: int, lr: float
) -> None:
    """However flat, and wherever the steps end."""
    f = Function(*BOUNDED[name], n_params=2)
    x0 = np.random.default_rng(seed).uniform(-3, 3, 2)
    for optimizer in (fl.Adam, fl.SGD):
        res = fl.minimize(f, x0, optimizer, lr, steps=steps)
        assert "unbounded" not in res.message


def test_no_decrease_is_told_without_an_endless_loop() -> None:
    lying = Function(lambda x: x[0] ** 2, lambda x: -2 * x, n_params=1)
    for search in (*SEARCHES, "exact_quadratic"):
        res = fl.minimize(lying, [1.0], fl.GradientDescent(line_search=search))
        assert (res.status, res.success, res.nit) == (Status.NO_DECREASE, False, 0), search
        assert "no further step after 0 steps" in res.message
        assert res.x.tolist() == [1]


def test_what_is_not_finite_ends_it() -> None:
    wall = Function(lambda x: math.sqrt(x[0]) if x[0] >= 0 else math.nan, n_params=1)
    res = fl.minimize(wall, [1.0], fl.GradientDescent(line_search=None), steps=20)
    assert not res.success
    assert res.x[0] >= 0
    with pytest.raises(ValueError, match="cannot start at x0: the loss is nan"):
        fl.minimize(wall, [-1.0], fl.GradientDescent)
