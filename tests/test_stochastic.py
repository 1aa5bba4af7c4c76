"""AdaHessian and K-FAC against direct computations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.loop.result import Status
from fallline.objectives import (
    MLP,
    Function,
    LinearRegression,
    LogisticRegression,
    SoftmaxRegression,
    surfaces,
)


def samples(n: int = 40, d: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    return X, (X @ rng.normal(size=(d, 3))).argmax(axis=1)


def network(hidden: tuple[int, ...] = (4,), **options: Any) -> MLP:
    return MLP(*samples(), hidden, **{"activation": "tanh", **options})


# ---- AdaHessian --------------------------------------------------------------------------------


def test_probes_find_the_diagonal() -> None:
    """Exactly where the Hessian is diagonal; with an error of 1/√S elsewhere."""
    f = surfaces.StyblinskiTang(5)
    x = np.array([1.0, -2.0, 0.3, 0.0, 2.5])
    one = fl.AdaHessian(f, x)
    one.step()
    assert np.allclose(one.diagonal, np.diag(f.hessian(x)))
    mlp = network()
    phi = mlp.initial(0)
    H = mlp.hessian(phi)
    for count in (100, 6400):
        many = fl.AdaHessian(mlp, phi, samples=count)
        many.step()
        rest = np.sqrt((H**2).sum(axis=1) - np.diag(H) ** 2)
        error = (many.diagonal - np.diag(H)) / (rest / np.sqrt(count) + 1e-12)
        assert np.abs(error).max() < 4.5  # standard deviations
        assert 0.7 < np.sqrt((error**2).mean()) < 1.3


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("every", [1, 3])
def test_adahessian_is_the_papers(power: float, every: int) -> None:
    """Written out, on a function whose probes are exact."""
    f = surfaces.StyblinskiTang(3)
    x = np.array([1.0, -2.0, 0.3])
    fit = fl.AdaHessian(
        f,
        x,
        lr=0.1,
        betas=(0.8, 0.95),
        eps=1e-3,
        weight_decay=0.02,
        hessian_power=power,
        hessian_every=every,
    )
    m, v, formed = np.zeros(3), np.zeros(3), 0
    for t in range(1, 8):
        step = fit.step()
        assert step.success
        assert step.loss == pytest.approx(f.loss(x), rel=1e-12)
        g = f.gradient(x)
        if (t - 1) % every == 0:
            v = 0.95 * v + 0.05 * np.diag(f.hessian(x)) ** 2
            formed += 1
        m = 0.8 * m + 0.2 * g
        root = np.sqrt(v / (1 - 0.95**formed)) ** power
        x = x - 0.1 * (m / (1 - 0.8**t) / (root + 1e-3) + 0.02 * x)
        assert np.allclose(fit.x, x, rtol=1e-12)


def test_diagonals_are_averaged_in_blocks_of_their_part() -> None:
    f = network((5,))
    phi = f.initial(0)
    plain = fl.AdaHessian(f, phi, seed=3)
    blocks = fl.AdaHessian(f, phi, seed=3, block_size=4)
    plain.step(), blocks.step()
    expected = []
    for part in f.unpack(plain.diagonal).values():
        flat = part.reshape(-1)
        for begin in range(0, flat.size, 4):
            block = flat[begin : begin + 4]
            expected += [block.mean()] * block.size
    assert np.allclose(blocks.diagonal, expected)


# ---- K-FAC: the factors ------------------------------------------------------------------------


def per_sample(f: Any, phi: np.ndarray, i: int) -> np.ndarray:
    return f.gradient(phi, [i])


def models() -> dict[str, Any]:
    X, y = samples()
    rng = np.random.default_rng(1)
    return {
        "softmax": SoftmaxRegression(X, y),
        "logistic": LogisticRegression(X, y == 1),
        "linear": LinearRegression(X, rng.normal(size=(40, 2))),
        "plain": SoftmaxRegression(X, y, intercept=False),
        "mlp": network((4, 5)),
        "relu": network((6,), activation="relu"),
    }


@pytest.mark.parametrize("name", models())
def test_of_one_sample_the_empirical_factors_are_the_fisher_matrix(name: str) -> None:
    """∇∇ᵀ = A ⊗ G, layer by layer, without any approximation."""
    f = models()[name]
    phi = f.initial(0) + 0.1 * np.random.default_rng(2).normal(size=f.n_params)
    fit = fl.KFAC(f, phi, fisher="empirical")
    fit.step([7])
    gradient = f.gradient(phi, [7])
    parts = list(f.unpack(gradient).values())
    biased = name != "plain"
    for (A, G), k in zip(fit.factors, range(0, len(parts), 2 if biased else 1), strict=True):
        W = parts[k].reshape(len(G), -1)
        grad = np.c_[W, parts[k + 1].reshape(-1)] if biased else W
        flat = grad.reshape(-1)
        assert np.allclose(np.kron(G, A), np.outer(flat, flat), atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_factors_are_means_over_the_batch(weighted: bool) -> None:
    X, y = samples()
    w = np.random.default_rng(3).uniform(0.5, 2, size=40) if weighted else np.ones(40)
    f = MLP(X, y, (4,), activation="tanh", sample_weight=w if weighted else None)
    phi = f.initial(1)
    batch = np.array([3, 8, 8, 20, 31])
    fit = fl.KFAC(f, phi, fisher="empirical")
    fit.step(batch)
    p = f.unpack(phi)
    A1, G1, A2, G2 = 0.0, 0.0, 0.0, 0.0
    for i in batch:
        a0 = np.append(X[i], 1)
        h = np.tanh(p["weight1"] @ X[i] + p["bias1"])
        z = p["weight2"] @ h + p["bias2"]
        e = np.exp(z - z.max())
        g2 = e / e.sum() - np.eye(3)[y[i]]
        g1 = (p["weight2"].T @ g2) * (1 - h * h)
        a1 = np.append(h, 1)
        A1 = A1 + w[i] * np.outer(a0, a0) / w[batch].sum()
        A2 = A2 + w[i] * np.outer(a1, a1) / w[batch].sum()
        G1, G2 = G1 + w[i] * np.outer(g1, g1) / 5, G2 + w[i] * np.outer(g2, g2) / 5
    for (A, G), (expected_a, expected_g) in zip(fit.factors, [(A1, G1), (A2, G2)], strict=True):
        assert np.allclose(A, expected_a)
        assert np.allclose(G, expected_g)


@pytest.mark.parametrize("name", ["softmax", "logistic", "linear"])
def test_drawn_labels_give_the_true_fisher_matrix(name: str) -> None:
    """At φ = 0 every sample has the same g's, so that F = A ⊗ G is the Hessian itself."""
    X, y = samples(20_000)
    rng = np.random.default_rng(4)
    f = {
        "softmax": lambda: SoftmaxRegression(X, y),
        "logistic": lambda: LogisticRegression(X, y == 1),
        "linear": lambda: LinearRegression(X, rng.normal(size=(len(X), 2))),
    }[name]()
    fit = fl.KFAC(f, np.zeros(f.n_params), seed=1)
    fit.step()
    ((A, G),) = fit.factors
    H = f.hessian(np.zeros(f.n_params))
    k, d = len(G), len(A)
    order = np.r_[
        [c * (d - 1) + j for c in range(k) for j in range(d - 1)], k * (d - 1) + np.arange(k)
    ]
    kron = np.kron(G, A).reshape(k, d, k, d)
    flat = np.zeros_like(H)
    where = np.zeros((k, d), int)
    where[:, :-1] = order[: k * (d - 1)].reshape(k, d - 1)
    where[:, -1] = order[k * (d - 1) :]
    flat[np.ix_(where.reshape(-1), where.reshape(-1))] = kron.reshape(k * d, k * d)
    assert np.abs(flat - H).max() < 0.03 * np.abs(H).max()


def test_factors_keep_a_running_mean() -> None:
    f = models()["mlp"]
    fit = fl.KFAC(f, fisher="empirical", decay=0.6, lr=0.0)  # it stays where it is
    alone, A = [], []
    for batch in ([1, 2, 3], [4, 5], [6, 7, 8], [9]):
        other = fl.KFAC(f, fisher="empirical")
        other.step(batch)
        alone.append(other.factors[1][1])
        fit.step(batch)
        A.append(fit.factors[1][1])
    mean = alone[0]
    for t, (now, seen) in enumerate(zip(alone, A, strict=True), 1):
        kept = min(1 - 1 / t, 0.6)
        mean = kept * mean + (1 - kept) * now
        assert np.allclose(seen, mean)


# ---- K-FAC: the step ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mlp", "plain", "logistic"])
def test_steps_solve_the_damped_systems(name: str) -> None:
    """Against a dense Kronecker product, with π, momentum and clipping written out."""
    f = models()[name]
    lr, mu, kappa, lam = 0.5, 0.7, 1e-3, 0.05
    fit = fl.KFAC(f, lr=lr, momentum=mu, kl_clip=kappa, damping=lam, inverse_every=1)
    x, v = fit.x.copy(), np.zeros(f.n_params)
    for _ in range(4):
        fit.step()
        gradient = f.gradient(x)
        delta = np.empty_like(gradient)
        values, targets = list(f.unpack(gradient).values()), list(f.unpack(delta).values())
        per_layer = 1 if name == "plain" else 2
        for k, (A, G) in enumerate(fit.factors):
            parts = values[per_layer * k : per_layer * (k + 1)]
            out = targets[per_layer * k : per_layer * (k + 1)]
            grad = np.concatenate([part.reshape(len(G), -1) for part in parts], axis=1)
            pi = np.sqrt(np.trace(A) / len(A) / (np.trace(G) / len(G)))
            damped = np.kron(
                G + np.sqrt(lam) / pi * np.eye(len(G)), A + pi * np.sqrt(lam) * np.eye(len(A))
            )
            solved = np.linalg.solve(damped, grad.reshape(-1)).reshape(grad.shape)
            width = parts[0].reshape(len(G), -1).shape[1]
            out[0][...] = solved[:, :width].reshape(out[0].shape)
            if per_layer == 2:
                out[1][...] = solved[:, width].reshape(out[1].shape)
        nu = min(1, np.sqrt(kappa / (lr**2 * delta @ gradient)))
        assert nu < 1
        v = mu * v + nu * delta
        x = x - lr * v
        assert np.allclose(fit.x, x, rtol=1e-8, atol=1e-12)


def test_reductions_lead_the_same_way() -> None:
    """A sum over n samples has n times the gradient, Fisher matrix and damping of a mean."""
    X, y = samples()
    mean = fl.KFAC(MLP(X, y, (4,)), damping=0.01, kl_clip=None)
    total = fl.KFAC(MLP(X, y, (4,), reduction="sum"), damping=0.4, kl_clip=None)
    for _ in range(3):
        mean.step(), total.step()
    assert np.allclose(mean.x, total.x, rtol=1e-8)


def test_sparse_samples() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X, y = samples()
    X[X < 0] = 0
    dense, thin = (
        fl.KFAC(SoftmaxRegression(Z, y, sample_weight=np.arange(1, 41)), seed=2)
        for Z in (X, sparse.csr_array(X))
    )
    for _ in range(4):
        dense.step(range(10)), thin.step(range(10))
    assert np.allclose(dense.x, thin.x)


# ---- both in minimize --------------------------------------------------------------------------

BOTH: dict[str, Any] = {
    "AdaHessian": fl.AdaHessian,
    "KFAC": fl.KFAC,
}


@pytest.mark.parametrize("name", BOTH)
def test_resumed_fits_have_the_same_bits(name: str, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    f, method = network((4, 3)), BOTH[name]
    options: dict[str, Any] = {
        "batch_size": 7,
        "seed": 5,
        "lr": fl.schedules.Exponential(0.05, 0.99),
    }
    whole = fl.minimize(f, None, method, steps=40, **options)
    fl.minimize(f, None, method, steps=23, checkpoint=tmp_path / "f", **options)
    rest = fl.minimize(f, None, method, steps=40, resume=tmp_path / "f", **options)
    assert np.array_equal(whole.x, rest.x)
    assert np.array_equal(whole.history, rest.history)
    assert np.allclose(whole.history_lr, 0.05 * 0.99 ** np.arange(40))
    assert whole.fun < whole.history[0]
    other = fl.minimize(f, None, method, steps=40, **{**options, "seed": 6})
    assert not np.array_equal(whole.x, other.x)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_dtypes_and_batches(name: str, dtype: str) -> None:
    X, y = samples(100)
    f = MLP(X.astype(dtype), y, (8,))
    res = fl.minimize(f, None, BOTH[name], batch_size=20, epochs=20)
    assert res.x.dtype == dtype
    assert res.fun < 0.5 * res.history[0]
    assert (res.nit, res.success) == (100, True)


@pytest.mark.parametrize("name", BOTH)
def test_schedules_that_listen_are_in_the_file(name: str, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    f = network()

    def fit(**options: Any) -> fl.Result:
        lr = fl.schedules.ReduceOnPlateau(0.5, factor=0.5, patience=0)
        return fl.minimize(f, None, BOTH[name], lr, batch_size=10, **options)

    whole = fit(epochs=30)
    fit(epochs=13, checkpoint=tmp_path / "f")
    rest = fit(epochs=30, resume=tmp_path / "f")
    assert np.array_equal(whole.history_lr, rest.history_lr)
    assert whole.history_lr[-1] < 0.5
    assert np.array_equal(whole.x, rest.x)


@pytest.mark.parametrize("name", BOTH)
def test_divergence_is_told(name: str) -> None:
    X = samples(100)[0]
    f = MLP(X, X @ np.ones(3), (8,), loss="squared", activation="relu")
    options = {"kl_clip": None} if name == "KFAC" else {}
    res = fl.minimize(f, None, BOTH[name](lr=1e6, **options), steps=50)
    assert (res.status, res.success) == (Status.DIVERGED, False)
    assert np.isfinite(res.x).all()
    assert np.isfinite(res.fun)


def test_curvature_that_is_not_finite_is_told() -> None:
    bad = Function(lambda x: x @ x, lambda x: 2 * x, lambda x: np.full((2, 2), np.nan), n_params=2)
    step = fl.AdaHessian(bad, [1.0, 1.0]).step()
    assert (step.success, step.message) == (
        False,
        "the curvature is not finite: that of parameter 0 is nan",
    )


@pytest.mark.parametrize(
    ("method", "arguments", "error", "message"),
    [
        (fl.AdaHessian, {"lr": -1.0}, ValueError, "lr must be"),
        (fl.AdaHessian, {"betas": 0.9}, TypeError, "betas must be a pair"),
        (fl.AdaHessian, {"betas": (0.9, 1.0)}, ValueError, r"betas must lie in \[0, 1\)"),
        (fl.AdaHessian, {"eps": 0.0}, ValueError, "eps must be"),
        (fl.AdaHessian, {"hessian_power": 2.0}, ValueError, "hessian_power must be"),
        (fl.AdaHessian, {"samples": 0}, ValueError, "samples must be at least 1"),
        (fl.AdaHessian, {"block_size": 1.5}, TypeError, "block_size must be an integer"),
        (fl.KFAC, {"momentum": 1.0}, ValueError, r"momentum must lie in \[0, 1\)"),
        (fl.KFAC, {"decay": 1.0}, ValueError, r"decay must lie in \[0, 1\)"),
        (fl.KFAC, {"damping": 0.0}, ValueError, "damping must be"),
        (fl.KFAC, {"fisher": "exact"}, ValueError, "fisher must be 'true' or 'empirical'"),
        (fl.KFAC, {"kl_clip": 0.0}, ValueError, "kl_clip must be"),
        (fl.KFAC, {"inverse_every": 0}, ValueError, "inverse_every must be at least 1"),
        (fl.KFAC, {"objective": surfaces.Saddle()}, TypeError, "KFAC needs layers"),
    ],
)
def test_bad_arguments(
    method: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        method(**arguments)
