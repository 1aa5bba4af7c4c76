"""L-BFGS: against the dense matrix, torch, SciPy and closed forms; the same bits everywhere."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline.loop.result import Status
from fallline.objectives import Function, LogisticRegression, surfaces
from fallline.second_order import _pairs
from fallline.second_order._pairs import Pairs

Array = np.ndarray[Any, Any]


class Separable(fl.objectives.base.Objective):
    """Σ c(¼x⁴ + ½x² - x), the same bits wherever NumPy runs; it allocates nothing."""

    def __init__(self, n: int, dtype: Any = np.float64) -> None:
        super().__init__(n_samples=1, shapes={"phi": (n,)}, dtype=dtype)
        self._c = np.linspace(1, 50, n).astype(dtype)
        self._square = np.empty(n, dtype)

    def _accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        square, c = self._square, self._c
        np.multiply(phi, phi, out=square)
        if gradient is not None:
            np.add(square, 1, out=gradient)
            gradient *= phi
            gradient -= 1
            gradient *= c
        np.multiply(square, 0.25, out=square)
        square += 0.5
        square *= phi
        square -= 1
        square *= phi
        square *= c
        return float(np.sum(square, dtype=np.float64))


# ---- the direction -----------------------------------------------------------------------------


def dense_inverse(pairs: list[tuple[Array, Array]]) -> Array:
    """H of Nocedal & Wright's equations 7.16 and 7.20, formed."""
    s, y = pairs[-1]
    n = len(s)
    H = s @ y / (y @ y) * np.eye(n)
    for s, y in pairs:
        rho = 1 / (s @ y)
        V = np.eye(n) - rho * np.outer(y, s)
        H = V.T @ H @ V + rho * np.outer(s, s)
    return H


@given(
    n=st.integers(1, 12),
    m=st.integers(1, 6),
    steps=st.integers(1, 15),
    seed=st.integers(0, 1000),
    condition=st.sampled_from([1.0, 1e3]),
)
def test_the_direction_is_that_of_the_dense_inverse(
    n: int, m: int, steps: int, seed: int, condition: float
) -> None:
    rng = np.random.default_rng(seed)
    A = np.diag(np.geomspace(1, condition, n))
    pairs, kept = Pairs(n, m, np.dtype(np.float64)), []
    x, g = rng.normal(size=n), rng.normal(size=n)
    trial = np.empty(n)
    for _ in range(steps):
        slope = pairs.look_ahead(g, x, 0.5, trial)
        d = pairs.direction.copy()
        expected = -dense_inverse(kept[-m:]) @ g if kept else -g
        size = np.abs(expected).max()
        assert np.abs(d - expected).max() <= 1e-9 * condition * size
        assert slope == pytest.approx(d @ g)
        assert slope < 0
        assert np.array_equal(trial, x + 0.5 * d)
        alpha = rng.uniform(0.1, 2)
        y = A @ (alpha * d)
        after = g + y
        added, norm = pairs.add(after, g, x, alpha)
        assert added
        assert norm == pytest.approx(float(np.linalg.norm(after)))
        kept.append((alpha * d, after - g))
        g = after


def test_pairs_without_curvature_are_left_out() -> None:
    rng = np.random.default_rng(0)
    g, x, trial = rng.normal(size=5), np.zeros(5), np.empty(5)
    pairs = Pairs(5, 2, np.dtype(np.float64))

    def extend(curvature: float) -> bool:
        nonlocal g
        pairs.look_ahead(g, x, 1.0, trial)
        before, g = g, g + curvature * pairs.direction
        return pairs.add(g, before, x, 1.0)[0]

    assert [extend(0.3), extend(0.2), extend(0.1)] == [True] * 3
    rows, free = list(pairs.rows), pairs.free
    for curvature in (-1.0, 0.0, math.inf):
        with np.errstate(all="ignore"):
            assert not extend(curvature)
        assert (pairs.rows, pairs.free) == (rows, free)
    assert len(rows) == 2


def test_sums_that_overflow_start_again() -> None:
    f = Function(lambda x: 1e200 * x @ x, lambda x: 2e200 * x, n_params=2)
    res = fl.minimize(f, [1.0, 2.0], fl.LBFGS, steps=20, gtol=0)
    assert np.isfinite(res.x).all()


# ---- bits --------------------------------------------------------------------------------------


def iterates(n: int, dtype: Any, steps: int = 9) -> list[Array]:
    method = fl.LBFGS(Separable(n, dtype), 1 + np.sin(np.arange(n)), history_size=4)
    found = []
    for _ in range(steps):
        step = method.step()
        found += [method.x.copy(), np.array([step.fun, step.alpha, method.grad_norm])]
    return found


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 33, 1024, 5000, 80_003])
def test_same_bits(n: int, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        for a, b in zip(iterates(n, dtype), expected, strict=True):
            np.testing.assert_array_equal(a, b)

    monkeypatch.setenv("FALLLINE_BACKEND", "numpy")
    expected = iterates(n, dtype)
    assert expected[0].dtype == dtype
    for backend in fl.backends():
        monkeypatch.setenv("FALLLINE_BACKEND", backend)
        for isa in fl.isas() if backend == "native" else [None]:
            if isa:
                fl.set_isa(isa)
                assert fl.get_isa() == isa
            for threads in (1, 2, 3, 7):
                fl.set_num_threads(threads)
                check()


@settings(max_examples=40)
@given(
    n=st.integers(1, 3000),
    dtype=st.sampled_from([np.float64, np.float32]),
    rows=st.permutations(range(5)).flatmap(lambda p: st.integers(0, 4).map(lambda k: p[:k])),
    alpha=st.sampled_from([1.0, 0.3, -2.0]),
    isa=st.sampled_from(fl.isas() or [None]),
    threads=st.sampled_from([1, 2, 3, 7]),
    seed=st.integers(0, 99),
)
def test_any_passes_agree(
    n: int, dtype: Any, rows: list[int], alpha: float, isa: str, threads: int, seed: int
) -> None:
    from fallline.second_order import _pairs_native, _pairs_numpy

    if isa is None:
        pytest.skip("no core")
    fl.set_isa(isa)
    rng = np.random.default_rng(seed)
    s, y = rng.normal(size=(2, 6, n)).astype(dtype)
    g, before, x = (rng.normal(size=(3, n)) * 10.0 ** rng.integers(-20, 20, n)).astype(dtype)
    weights = rng.normal(size=(2, len(rows))).tolist()

    def passes(backend: Any) -> list[Any]:
        own = s.copy(), y.copy(), x.copy()
        trial = np.empty_like(x)
        kernels = backend.bind(*own[:2])
        products = kernels.products(rows, 5, g, before, own[2], alpha, threads)
        ahead = kernels.combine(rows, *weights, 0.7, g, x, alpha, 5, trial, threads)
        return [*own, trial, list(products), list(ahead), kernels.slope(5, before, threads)]

    with np.errstate(over="ignore"):
        for got, expected in zip(passes(_pairs_native), passes(_pairs_numpy), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_a_step_allocates_nothing_of_the_parameters_size() -> None:
    if "native" not in fl.backends():
        pytest.skip("no core")
    n = 200_000
    method = fl.LBFGS(Separable(n), np.full(n, 3.0))
    for _ in range(3):
        method.step()
    tracemalloc.start()
    try:
        for _ in range(12):
            assert method.step().success
        assert tracemalloc.get_traced_memory()[1] < n
    finally:
        tracemalloc.stop()


# ---- against others ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_exact_searches_end_on_a_quadratic_after_n_steps(n: int) -> None:
    """Then the directions are those of conjugate gradients, whatever m."""
    rng = np.random.default_rng(n)
    Q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    A = Q @ np.diag(np.geomspace(1, 50, n)) @ Q.T
    f = Function(lambda x: 0.5 * x @ A @ x, lambda x: A @ x, n_params=n)
    for m in (1, 3, n):
        options: dict[str, Any] = {"history_size": m, "c1": 1e-10, "c2": 1e-9}
        res = fl.minimize(f, rng.normal(size=n), fl.LBFGS, gtol=1e-6, **options)
        assert res.success
        assert res.nit <= n + 2
        assert np.abs(res.x).max() < 1e-5


def steps_as_torch(torch: Any, seed: int) -> int:
    """Steps that both take alike, until one does not take its first trial: searches differ."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 4)) * [1, 3, 0.3, 2]
    f = LogisticRegression(X, rng.random(60) < 0.5, l2=0.1, intercept=False)
    x0 = rng.normal(size=4)
    ours = fl.LBFGS(f, x0, history_size=3)
    phi = torch.tensor(x0, requires_grad=True)
    g = f.gradient(x0)
    # torch's first step is of length 1 in the 1-norm, or α = 1 if that is less.
    lr = max(1, np.abs(g).sum()) / np.linalg.norm(g)
    options = {"tolerance_grad": 0, "tolerance_change": 0, "line_search_fn": "strong_wolfe"}
    theirs = torch.optim.LBFGS([phi], lr, max_iter=1, history_size=3, **options)

    def closure() -> Any:
        phi.grad = torch.tensor(f.gradient(phi.detach().numpy()))
        return torch.tensor(f.loss(phi.detach().numpy()))

    for same in range(9):
        step = ours.step()
        theirs.step(closure)
        theirs.param_groups[0]["lr"] = 1
        if step.alpha not in (1, 1 / step.grad_norm):
            return same
        assert np.allclose(ours.x, phi.detach().numpy(), rtol=1e-7, atol=1e-10)
    return 9


def test_torch_takes_the_same_steps() -> None:
    torch = pytest.importorskip("torch")
    assert sum(steps_as_torch(torch, seed) for seed in range(12)) >= 24


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_optimum_is_scipys(dtype: Any) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 20)).astype(dtype)
    y = X[:, 0] + 0.5 * rng.normal(size=200) > 0
    f = LogisticRegression(X, y, l2=0.01)
    res = fl.minimize(f, optimizer=fl.LBFGS, gtol=1e-5)
    assert res.success
    assert res.x.dtype == dtype
    wide = LogisticRegression(X.astype(np.float64), y, l2=0.01)
    best = optimize.minimize(
        wide.loss, wide.initial(), jac=wide.gradient, method="L-BFGS-B", options={"gtol": 1e-9}
    )
    assert np.abs(res.x - best.x).max() < 2e-3
    assert res.fun == pytest.approx(best.fun, rel=1e-6)


@settings(max_examples=40)
@given(
    n=st.integers(1, 30),
    m=st.integers(1, 12),
    condition=st.sampled_from([1.0, 10.0, 1e4]),
    seed=st.integers(0, 1000),
)
def test_every_step_meets_the_wolfe_conditions(n: int, m: int, condition: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scales = np.geomspace(1, condition, n)
    f = Function(
        lambda x: (0.25 * x**4 + 0.5 * scales * x**2 - x).sum(),
        lambda x: x**3 + scales * x - 1,
        n_params=n,
    )
    method = fl.LBFGS(f, rng.normal(size=n) * 3, history_size=m)
    for _ in range(60):
        x, g = method.x.copy(), method.gradient
        g = f.gradient(x) if g is None else g.copy()
        if np.linalg.norm(g) < 1e-6:
            break
        step = method.step()
        assert step.success
        d = method.x - x
        slope = g @ d
        assert slope < 0
        if "only the gradient" in step.message:
            continue
        assert step.fun <= step.loss + 1e-4 * slope + 1e-12 * abs(step.loss)
        assert abs(method.gradient @ d) <= 0.9 * abs(slope) * (1 + 1e-6)
        assert step.fun == f.loss(method.x)
    assert method.skipped == 0


# ---- in minimize -------------------------------------------------------------------------------


def test_a_fit_goes_on_from_a_file_bit_for_bit(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    f = surfaces.Rosenbrock(6)
    options: dict[str, Any] = {"x0": np.linspace(-1, 2, 6), "history_size": 3, "gtol": 0.0}
    whole = fl.minimize(f, optimizer=fl.LBFGS, steps=25, trajectory=True, **options)
    path = tmp_path / "fit"
    fl.minimize(f, optimizer=fl.LBFGS, steps=11, trajectory=True, checkpoint=path, **options)
    rest = fl.minimize(f, optimizer=fl.LBFGS, steps=25, trajectory=True, resume=path, **options)
    for name in ("x", "jac", "history", "history_lr", "trajectory"):
        assert np.array_equal(whole[name], rest[name]), name
    assert whole.nfev == rest.nfev
    with pytest.raises(ValueError, match="history_size=3; this one has 4"):
        fl.minimize(
            f, optimizer=fl.LBFGS, resume=path, trajectory=True, **{**options, "history_size": 4}
        )


def test_state_dicts_are_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    f = surfaces.Rosenbrock(4)
    one, other = (fl.LBFGS(f, [-1.2, 1.0, -1.2, 1.0]) for _ in range(2))
    for _ in range(7):
        one.step()
    state = one.state_dict()
    monkeypatch.setenv("FALLLINE_BACKEND", "numpy")
    other.load_state_dict(state)
    for _ in range(7):
        assert one.step().fun == other.step().fun
    assert np.array_equal(one.x, other.x)
    with pytest.raises(ValueError, match="history"):
        fl.LBFGS(f, history_size=3).load_state_dict(state)


def test_a_start_at_the_minimum() -> None:
    res = fl.minimize(surfaces.Rosenbrock(), [1.0, 1.0], fl.LBFGS)
    assert (res.status, res.nit, res.nfev) == (Status.GRADIENT, 0, 1)
    step = fl.LBFGS(surfaces.Rosenbrock(), [1.0, 1.0]).step()
    assert not step.success
    assert "critical point" in step.message


def test_unbounded_objectives_are_reported() -> None:
    slide = Function(lambda x: -x.sum(), lambda x: -np.ones_like(x), n_params=3)
    for f, x0 in [(surfaces.UnboundedCubic(), [1.5]), (slide, np.zeros(3))]:
        res = fl.minimize(f, x0, fl.LBFGS)
        assert (res.status, res.success) == (Status.UNBOUNDED, False)
        assert "seems to be unbounded below" in res.message
        assert np.isfinite(res.x).all()


def test_saddles_are_left() -> None:
    f = Function(lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4, n_params=2)
    res = fl.minimize(f, [0.7, 0.0], fl.LBFGS, escape_saddles=True)
    assert res.success
    assert np.abs(res.x) == pytest.approx([0, math.sqrt(0.5)], abs=1e-5)


def test_what_is_not_finite_on_the_line_is_too_long() -> None:
    barrier = Function(
        lambda x: x[0] - math.log(x[0]) if x[0] > 0 else math.nan,
        lambda x: 1 - 1 / x,
        x0=[1e-3],
    )
    for lr in (1.0, 1e4):
        res = fl.minimize(barrier, None, fl.LBFGS(lr=lr))
        assert res.success
        assert res.x == pytest.approx([1])
    hole = Function(
        lambda x: float(x @ x), lambda x: np.where(np.abs(x) < 1, np.nan, 2 * x), x0=[3.0, 3.0]
    )
    res = fl.minimize(hole, None, fl.LBFGS)
    assert not res.success
    assert np.isfinite(res.x).all()
    assert np.isfinite(res.jac).all()


def test_no_decrease_is_told_without_an_endless_loop() -> None:
    lying = Function(lambda x: x @ x, lambda x: -2 * x, n_params=3)
    res = fl.minimize(lying, np.ones(3), fl.LBFGS)
    assert (res.status, res.success, res.nit) == (Status.NO_DECREASE, False, 0)
    assert "found no step at which f falls enough" in res.message
    assert res.nfev <= 1 + 2 * 25
    assert res.x.tolist() == [1, 1, 1]


def test_a_fit_that_fails_ends_where_it_was() -> None:
    """What a search tries is not what is handed out."""
    f = surfaces.Rosenbrock()
    lying = Function(
        lambda x: f.loss(x), lambda x: (1 if f.loss(x) > 1 else -1) * f.gradient(x), x0=[-1.2, 1]
    )
    res = fl.minimize(lying, None, fl.LBFGS, trajectory=True)
    assert res.status == Status.NO_DECREASE
    assert res.nit > 3
    assert np.array_equal(res.x, res.trajectory[-1])
    assert res.fun == f.loss(res.x) < 1


def test_below_the_losses_rounding_the_gradient_decides() -> None:
    f = Function(lambda x: 1e6 + x @ x / 2, lambda x: x, n_params=3)
    res = fl.minimize(f, [1e-3, 2e-3, 3e-3], fl.LBFGS, gtol=1e-12)
    assert res.success
    assert np.abs(res.x).max() < 1e-12


# ---- by a closure ------------------------------------------------------------------------------


def test_a_closure_takes_the_steps_of_an_objective() -> None:
    f = surfaces.Rosenbrock(6)
    x0 = np.linspace(-1, 1, 6)
    method = fl.LBFGS(f, x0)
    params = {"a": x0[:2].copy(), "b": x0[2:].reshape(2, 2).copy()}

    def closure() -> tuple[float, dict[str, Array]]:
        phi = np.concatenate([params["a"], params["b"].ravel()])
        loss, g = f.loss_and_gradient(phi)
        return loss, {"b": g[2:].reshape(2, 2), "a": g[:2]}

    lbfgs = fl.LBFGS(params, max_iter=1)
    for _ in range(8):
        step, other = lbfgs.step(closure), method.step()
        assert (step.fun, step.alpha, step.loss) == (other.fun, other.alpha, other.loss)
        assert np.array_equal(np.concatenate([params["a"], params["b"].ravel()]), method.x)
    assert lbfgs.nfev == method.nfev + 7  # a closure is asked anew in each call
    step = fl.LBFGS(params, max_iter=200).step(closure)
    assert np.allclose(params["b"], 1, atol=1e-6)
    assert step.loss > step.fun


def test_a_closures_parameters_may_be_moved() -> None:
    x = np.array([5.0, 1.0], np.float32)
    lbfgs = fl.LBFGS([x], max_iter=2)
    lbfgs.step(lambda: (float(x @ x), [2 * x]))
    x[:] = [7, 7]
    step = lbfgs.step(lambda: (float(x @ x), [2 * x]))
    assert step.loss == 98
    assert x.dtype == np.float32
    assert np.abs(x).max() < 1


def test_a_closure_that_fails_moves_nothing() -> None:
    x = np.array([5.0, 1.0])
    calls = 0

    def closure() -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyError("lost")
        return x @ x, 2 * x

    lbfgs = fl.LBFGS(x)
    with pytest.raises(KeyError):
        lbfgs.step(closure)
    assert x.tolist() == [5, 1]
    assert lbfgs.step(closure).success
    assert np.abs(x).max() < 1e-6


@pytest.mark.parametrize(
    ("closure", "message"),
    [
        (None, "closure must be callable, not None"),
        (lambda: 3.0, r"closure must return \(loss, gradients\), not float"),
        (lambda: (1.0, [np.ones(2)]), "must be an array, like the parameters, not list"),
        (lambda: (1.0, np.ones(3)), r"the gradient of params has shape \(3,\)"),
    ],
)
def test_bad_closures(closure: Any, message: str) -> None:
    x = np.ones(2)
    with pytest.raises((TypeError, ValueError), match=message):
        fl.LBFGS(x).step(closure)
    assert x.tolist() == [1, 1]


# ---- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fl.LBFGS(history_size=0), ValueError, "history_size must be at least 1, not 0"),
        (lambda: fl.LBFGS(history_size=2.5), TypeError, "history_size must be an integer"),
        (lambda: fl.LBFGS(lr=0), ValueError, "lr must be a finite number"),
        (lambda: fl.LBFGS(c1=0.9, c2=0.1), ValueError, "c1 must be less than c2"),
        (lambda: fl.LBFGS(c2=1.0), ValueError, "c2 must be"),
        (lambda: fl.LBFGS(max_iter=0), ValueError, "max_iter must be at least 1"),
        (lambda: fl.LBFGS(max_trials=0), ValueError, "max_trials must be at least 1"),
        (lambda: fl.LBFGS(np.ones(2), np.ones(2)), TypeError, "x0 beside parameters"),
        (lambda: fl.LBFGS(x0=np.ones(2)), TypeError, "x0 without an objective"),
        (lambda: fl.LBFGS([]), ValueError, "params is empty"),
        (lambda: fl.LBFGS(np.ones(0)), ValueError, "params has no elements"),
        (lambda: fl.LBFGS(np.ones(2, np.float16)), TypeError, "dtype float16; expected float64"),
        (lambda: fl.LBFGS([np.ones(2), np.ones(2, np.float32)]), TypeError, "the same of all"),
        (lambda: fl.LBFGS(np.ones((4, 2))[:, 0]), ValueError, "not C-contiguous"),
        (lambda: fl.LBFGS().step(), TypeError, "no objective to step on"),
        (
            lambda: fl.LBFGS(surfaces.Rosenbrock()).step(lambda: (1.0, np.ones(2))),
            TypeError,
            "a closure needs parameters",
        ),
        (
            lambda: fl.minimize(surfaces.Rosenbrock(), None, fl.LBFGS, batch_size=1),
            ValueError,
            "Leave out batch_size",
        ),
    ],
)
def test_bad_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_history_larger_than_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pairs, "available_memory", lambda: 10_000)
    with pytest.raises(MemoryError, match="history of 10 pairs of 1,000 float64 parameters takes"):
        fl.LBFGS(Separable(1000), np.ones(1000))
    fl.LBFGS(Separable(30), np.ones(30)).step()
