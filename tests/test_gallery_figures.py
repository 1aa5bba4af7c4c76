"""What the texts of the gallery's figures claim, of searches, numbers, batches, symmetries."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import _gallery
from fallline.objectives import surfaces

pytest.importorskip("matplotlib")


def module(name: str) -> Any:
    """A figure's module, with the parts that it is drawn of."""
    return importlib.import_module(_gallery.entry(name).figure.__module__)


# ---- searches and surfaces -----------------------------------------------------------------------


def test_bracketing() -> None:
    here = module("bracketing")
    found = fl.linesearch.bracketing(here.f, -1, 5)
    widths = found.brackets[:, 3] - found.brackets[:, 0]
    np.testing.assert_allclose(widths[1:7], 6 * (2 / 3) ** np.arange(1, 7))
    assert widths[6] / 6 == pytest.approx(0.09, abs=0.003)
    for (a, b, c, d), after in zip(found.brackets[:6], found.brackets[1:7], strict=True):
        expected = (b, d) if here.f(b) > here.f(c) else (a, c)
        assert (after[0], after[3]) == expected
        assert a < found.x < d
    golden = fl.linesearch.golden_section(here.f, -1, 5)
    assert found.nfev >= 2 * found.nit - 2
    assert golden.nfev <= golden.nit + 2


def test_risk() -> None:
    risk, empirical = surfaces.Risk(), surfaces.EmpiricalRisk()
    assert (len(risk.minima), len(empirical.minima)) == (2, 7)
    for f in (risk, empirical):
        verdicts = {fl.curvature.critical_point(f, x).verdict for x in f.minima}
        assert verdicts == {"local minimum"}
    (best,), (found,) = (min(f.minima, key=f.loss) for f in (risk, empirical))
    assert (round(best, 3), round(found, 3)) == (1.090, 1.017)
    assert round(risk.loss([found]) - risk.loss([best]), 3) == 0.031
    assert round(risk.loss([best]) - empirical.loss([found]), 2) == 0.16


def test_local_minimum() -> None:
    here = module("local_minimum")
    two, one = surfaces.StyblinskiTang(1), surfaces.UnboundedCubic()
    for start, end in ((-0.2, -2.90), (0.5, 2.75), (0.15, -2.90), (0.17, 2.75)):
        assert round(float(here.descend(two, start, 0.008).x[0]), 2) == end
    assert two.loss([2.75]) > two.loss([-2.90])
    assert here.descend(one, 0.7, 0.04).x == pytest.approx(-1, abs=1e-3)
    fallen = here.descend(one, 1.2, 0.04)
    assert not fallen.success
    assert "unbounded" in fallen.message


def test_saddles() -> None:
    path = module("saddles").descend([0.9, -1e-3])
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert 5 < np.argmin(lengths) < len(lengths) - 5  # short in between, at the saddle
    assert np.abs(path[np.argmin(lengths)]).max() < 0.05
    assert path[-1, 1] == -1
    assert abs(path[-1, 0]) < 1e-2
    stuck = module("saddles").descend([0.9, 0.0])
    assert np.abs(stuck[-1]).max() < 1e-8
    out = fl.curvature.escape_direction(surfaces.Saddle(), stuck[-1])
    np.testing.assert_allclose(np.abs(out), [0, 1], atol=1e-8)


def test_flat_curvature() -> None:
    here = module("flat_curvature")
    for row, eigenvalues in ((here.ONE, [0]), (here.TWO, [0, 2])):
        for f in row.values():
            point = fl.curvature.critical_point(f, np.zeros(f.n_params))
            assert point.verdict == "degenerate"
            np.testing.assert_allclose(point.eigenvalues, eigenvalues, atol=point.tolerance)
    # What it is in truth: the signs of f nearby.
    ring = np.stack([np.cos(t := np.linspace(0, 2 * np.pi, 400)), np.sin(t)], 1) * 0.1
    for name, f in (*here.ONE.items(), *here.TWO.items()):
        near = np.array([f.loss(x[: f.n_params]) for x in ring if abs(x[0]) > 1e-9])
        signs = (bool((near < -1e-12).any()), bool((near > 1e-12).any()))
        kind = {"saddle": (True, True), "maximum": (True, False)}
        assert signs == kind.get(name.split(": ")[1], (False, True)), name


def test_first_order_prediction() -> None:
    here = module("first_order_prediction")
    for curvature in here.CURVATURES:
        change = fl.curvature.taylor_prediction(here.slope(curvature), [0.0], [0.7])
        assert change.linear == -0.7
        assert change.actual == pytest.approx(-0.7 + curvature * 0.7**2 / 2)
        assert np.sign(round(change.actual - change.linear, 12)) == curvature
    f = here.slope(1)
    best = fl.curvature.optimal_step(f, [0.0])
    assert best == 1
    assert f.loss([best]) == -0.5 * best
    assert f.loss([2 * best]) == 0


# ---- numbers -------------------------------------------------------------------------------------


def test_vanishing_gradient() -> None:
    here = module("vanishing_gradient")
    assert round(float(surfaces.Tanh().gradient([4.0])[0]), 4) == 0.0013
    counts = [len(here.descend(start, fl.SGD, 1.0)) - 1 for start in here.STARTS]
    assert counts == [2, 10, 55, 378]
    assert len(here.descend(4, fl.Adam, 0.1)) - 1 == 36


def test_derivative_products() -> None:
    here = module("derivative_products")
    halves, doubles = here.powers(0.5), here.powers(2.0)
    assert halves.dtype == np.float32
    assert (np.argmax(halves == 0) + 1, np.argmax(np.isinf(doubles)) + 1) == (150, 128)
    with np.errstate(over="ignore"):
        lost = [np.cumprod(np.full(40, w, np.float16), dtype=np.float16) for w in (0.5, 2)]
    assert (np.argmax(lost[0] == 0) + 1, np.argmax(np.isinf(lost[1])) + 1) == (25, 16)
    small = here.gradients(0.1)
    assert [k for k, length in enumerate(small) if length > 0] == list(range(19, 60))
    # Chaotic: 2.8e11 and 4e11 by OpenBLAS' kernels for two generations of one CPU.
    assert 1e11 < here.gradients(5.0)[0] < 1e13
    usual = here.gradients(1.0)
    assert max(usual) / min(usual) < 30


def test_stable_softmax() -> None:
    here = module("stable_softmax")
    added = np.arange(-150, 151, dtype=np.float32)
    shifted = here.LOGITS + added[:, None]
    naive, stable = here.naive(shifted), fl.numerics.softmax(shifted)
    np.testing.assert_allclose(stable, np.broadcast_to(stable[150], stable.shape), rtol=1e-5)
    finite = added[np.isfinite(naive).all(axis=1)]
    assert (finite[0], finite[-1]) == (-105, 86)
    assert naive[added == -105, 2] == 1  # wrong before it is NaN
    trails = np.float32([103, 104])
    logits = np.stack([-trails, 0 * trails], axis=1)
    assert (here.naive(logits)[:, 0] > 0).tolist() == [True, False]
    np.testing.assert_allclose(fl.numerics.log_softmax(logits)[:, 0], -trails)


# ---- schedules, batches, rules -------------------------------------------------------------------


def test_learning_rate_schedules() -> None:
    here = module("learning_rate_schedules")
    for name, schedule in here.SCHEDULES.items():
        rates = [schedule(step) for step in range(here.STEPS)]
        assert 0 <= min(rates) <= max(rates) <= 1, name
        assert len(set(rates)) > 2, name
    assert len(here.SCHEDULES) + 1 == 12
    assert here.plateau()[-1] == 0.5**4


def test_batch_size() -> None:
    here = module("batch_size")
    spreads = {size: here.spread(size) for size in (1, 16, 64, 512)}
    assert spreads[1] / spreads[16] == pytest.approx(4, rel=0.1)
    # Drawn without replacement: √((n − B)/(n − 1)) of 1/√B.
    share = math.sqrt((1000 - 512) / 999)
    assert spreads[512] * math.sqrt(512) / spreads[1] == pytest.approx(share, rel=0.1)
    runs = {size: here.descend(size) for size in here.SIZES}
    floors = {size: float(means[-5:].mean()) for size, (_, means) in runs.items()}
    for size, floor in ((1, 0.3), (8, 0.02), (64, 8e-4)):
        assert floors[size] == pytest.approx(floor, rel=0.25)
    assert floors[512] < floors[64] / 8
    early = [means[np.argmax(steps >= 20)] for steps, means in runs.values()]
    assert max(early) / min(early) < 2  # by the step, all alike
    # By the samples, small ones are first: to half of what was lost at the start.
    read = [size * steps[np.argmax(means < 7)] for size, (steps, means) in runs.items()]
    assert read == sorted(read)


def test_learning_rate_to_batch_size() -> None:
    here = module("learning_rate_to_batch_size")
    ends = {(size, r): here.train(size, r) for size in here.SIZES for r in here.RATIOS[:6]}
    for ratio in here.RATIOS[:6]:
        fine = [ends[size, ratio] for size in here.SIZES if size * ratio <= 1.7]
        losses = [loss[-1] for loss, _ in fine]
        assert max(losses) / min(losses) < 1.1
        assert np.ptp([error for _, error in fine]) < 0.012
    by_ratio = [ends[4, ratio] for ratio in here.RATIOS[:6]]
    assert np.all(np.diff([loss[-1] for loss, _ in by_ratio]) < 0)
    assert np.all(np.diff([error for _, error in by_ratio]) > 0)
    for ratio in here.RATIOS[5:]:
        assert here.train(256, ratio)[0][-1] > 5 * here.train(4, ratio)[0][-1]


def test_momentum_weights() -> None:
    here = module("momentum_weights")
    ages, steps = np.arange(here.STEPS), np.arange(1, here.STEPS + 1)
    for beta in here.BETAS:
        mean = here.weights(fl.Momentum, beta=beta)
        np.testing.assert_allclose(mean[-1, ::-1], (1 - beta) * beta**ages, atol=1e-15)
        np.testing.assert_allclose(mean.sum(axis=1), 1 - beta**steps, rtol=1e-12)
        heavy = here.weights(fl.HeavyBall, momentum=beta)
        np.testing.assert_allclose(heavy * (1 - beta), mean, atol=1e-15)


def test_adagrad_forms() -> None:
    here = module("adagrad_forms")
    t = np.arange(1, 201)
    by_sum, by_mean = (np.array(here.step_lengths(form, 200)) for form in ("sum", "mean"))
    np.testing.assert_allclose(by_sum * np.sqrt(t), 1, rtol=0.05)
    np.testing.assert_allclose(by_mean, 1, rtol=0.05)
    slow, stuck = here.descend("sum"), here.descend("mean")
    assert stuck[2] < slow[2] / 10
    assert slow[-1] < 1e-5
    assert stuck[50:].mean() == pytest.approx(0.07, abs=0.02)


# ---- shapes of the loss --------------------------------------------------------------------------


def test_chords() -> None:
    here = module("chords")
    assert here.crossed(here.convex) == 0
    assert round(here.crossed(here.wavy), 2) == 0.56
    _, graph, line = here.chord(here.convex, -0.8, 1.5)
    assert (graph <= line + 1e-12).all()
    _, graph, line = here.chord(here.wavy, -0.4, 1.25)
    assert (graph > line + 0.1).any()


def test_random_matrices() -> None:
    """The share of matrices with a negative eigenvalue grows, not that of eigenvalues."""
    here = module("random_matrices")
    positive = [
        float((np.linalg.eigvalsh(here.matrices(n, 100_000))[:, 0] > 0).mean())
        for n in (1, 2, 3, 4)
    ]
    expected = [0.5, (2 - math.sqrt(2)) / 4, 0.025, 0.0025]
    np.testing.assert_allclose(positive, expected, atol=0.004)
    np.testing.assert_allclose(positive[3], expected[3], rtol=0.2)
    for n in (1, 2, 8, 32):
        assert here.negative(n)[0] == pytest.approx(0.5, abs=0.02)
    assert here.negative(8)[1] == 1
    shifted = [here.negative(n, 3.0)[0] for n in here.WIDE]
    assert np.all(np.diff(shifted) > 0)
    assert shifted[0] < 0.01 < 0.3 < shifted[-1] < 0.5
    shares = here.verdicts(2, 300)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["local minimum"] == pytest.approx(0.146, abs=0.05)


def test_permuted_minima() -> None:
    here = module("permuted_minima")
    f = here.network()
    phi = here.fit(f)
    minima = here.equivalent(f, phi)
    assert len({tuple(point) for point in minima}) == math.factorial(3) == 6
    np.testing.assert_allclose([f.loss(point) for point in minima], f.loss(phi), rtol=1e-12)
    assert np.linalg.norm(f.gradient(phi)) < 1e-6
    assert np.linalg.eigvalsh(f.hessian(phi)).min() > -1e-6
    way = minima[3] - minima[0]
    top = max(f.loss(minima[0] + a * way) for a in np.linspace(0, 1, 101))
    assert top / f.loss(phi) == pytest.approx(290, abs=10)
    scaled = phi.copy()
    parts = f.unpack(scaled)
    parts["phi"][0] /= 2
    for name in ("theta0", "theta1"):
        parts[name][0] *= 2
    assert f.loss(scaled) == pytest.approx(f.loss(phi), rel=1e-12)
    assert round(math.factorial(10) / 1e6, 1) == 3.6
