"""The gallery: every figure draws, says what its axes show, and shows what its text claims."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import _gallery

pytest.importorskip("matplotlib")


def module(name: str) -> Any:
    """A figure's module, with the parts that it is drawn of."""
    return importlib.import_module(_gallery.entry(name).figure.__module__)


def labelled(ax: Any) -> bool:
    """Whether each axis that has numbers says what they are."""
    axes = [ax.xaxis, ax.yaxis, *([ax.zaxis] if hasattr(ax, "zaxis") else [])]
    return all(
        axis.get_label_text()
        or not any(t.get_visible() and t.get_text() for t in axis.get_ticklabels())
        for axis in axes
        if axis.get_visible() and ax.axison
    )


# ---- every figure --------------------------------------------------------------------------------


def test_every_figure_is_listed() -> None:
    files = {
        path.stem for path in Path(module(_gallery.names()[0]).__file__).parent.glob("[!_]*.py")
    }
    assert set(_gallery.names()) == files
    assert len(set(_gallery.names())) == len(_gallery.names())


@pytest.mark.parametrize("name", _gallery.names())
def test_draws(name: str) -> None:
    from matplotlib import pyplot

    entry = _gallery.entry(name)
    drawn = entry.figure()
    file = io.BytesIO()
    _gallery.save(drawn, file)
    assert file.getvalue().startswith(b"\x89PNG")
    assert pyplot.get_fignums() == []
    assert drawn.axes
    # An axis that shares its numbers with another is labelled there, so its ticks have no text.
    assert [ax.get_title() for ax in drawn.axes if not labelled(ax)] == []
    assert entry.title
    assert "\n" not in entry.title
    assert len(entry.text) > 100
    assert entry.code.startswith("from __future__")


# ---- what the texts claim ------------------------------------------------------------------------


def test_line_search_regression() -> None:
    """Nearly at the minimum after four steps, each orthogonal to the one before."""
    here = module("line_search_regression")
    x, y = here.points()
    assert len(x) == 12
    f = fl.objectives.LinearRegression(x[:, None], y)
    path = here.descend(f)
    least = np.linalg.lstsq(np.stack([x, np.ones(12)], 1), y, rcond=None)[0]
    losses = np.array([f.loss(phi) for phi in path])
    assert len(path) == 5
    shed = (losses - f.loss(least)) / (losses[0] - f.loss(least))
    assert 0 < shed[4] < 0.002
    assert shed[2] > 0.03  # it was not there at once
    steps = np.diff(path, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    np.testing.assert_allclose((steps[1:] * steps[:-1]).sum(1), 0, atol=1e-3)


def test_gabor_surface() -> None:
    """A global minimum of 0.64, several local ones, saddles: by an independent solver, too."""
    from scipy.optimize import minimize

    here, data = module("gabor_surface"), importlib.import_module("fallline.gallery._gabor")
    f = data.loss()
    x, y = data.points()
    assert len(x) == 28
    assert (abs(x) <= 15).all()

    def value(phi: np.ndarray) -> float:
        u = phi[0] + 0.06 * phi[1] * x
        return float(((np.sin(u) * np.exp(-(u**2) / 32) - y) ** 2).sum())

    minima = here.critical_points(f, fl.LBFGS)
    saddles = here.critical_points(f, fl.Newton)["saddle"]
    assert list(minima) == ["local minimum"]
    minima = minima["local minimum"]
    assert len(minima) == 8
    assert len(saddles) >= 8
    losses = [value(phi) for phi in minima]
    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(0.64, abs=0.005)
    np.testing.assert_allclose(minima[0], [0.02, 16.6], atol=0.05)
    assert losses[1] > 2.5
    for phi in minima:
        around = minimize(value, phi, method="Nelder-Mead", options={"xatol": 1e-6})
        np.testing.assert_allclose(around.x, phi, atol=1e-3)
        assert (np.linalg.eigvalsh(f.hessian(phi)) > 0).all()
    for phi in saddles:
        low, high = np.linalg.eigvalsh(f.hessian(phi))
        assert low < 0 < high
        assert np.linalg.norm(f.gradient(phi)) < 1e-6
    # No point of a fine grid over the window is lower than the global minimum.
    grid = np.stack(np.meshgrid(*(np.linspace(*ends, 81) for ends in data.WINDOW)), -1)
    assert min(f.loss(phi) for phi in grid.reshape(-1, 2)) >= losses[0]


def test_gabor_sgd() -> None:
    """Descent is trapped outside the right valley; SGD can get out, by as many seeds as is said."""
    here = module("gabor_sgd")
    f = importlib.import_module("fallline.gallery._gabor").loss()
    starts = list(here.STARTS.values())
    ends = [f.loss(here.descend(start).x) for start in starts]
    assert ends[0] < 0.66
    assert min(ends[1:]) > 4
    assert max(f.loss(here.descend(start, here.SEED).x) for start in starts) < 0.66
    shares = [sum(f.loss(here.descend(at, k, False).x) < 1 for k in range(100)) for at in starts]
    np.testing.assert_allclose(shares, [56, 36, 31], atol=2)  # numba may differ in the last bits


def test_gabor_one_step() -> None:
    """A step that is downhill on its batch and uphill on all points, as 49 % of all are."""
    here = module("gabor_one_step")
    f = importlib.import_module("fallline.gallery._gabor").loss("mean")
    points = here.next_points(f)
    assert len(points) == 3276
    np.testing.assert_allclose(points.mean(axis=0), here.AT - here.RATE * f.gradient(here.AT))
    up = np.mean([f.loss(phi) > f.loss(here.AT) for phi in points])
    assert up == pytest.approx(0.49, abs=0.005)
    step = here.AT - here.RATE * f.gradient(here.AT, here.BATCH)
    assert abs(points - step).sum(axis=1).min() < 1e-12
    losses = [f.loss(phi, batch) for batch in (here.BATCH, None) for phi in (here.AT, step)]
    np.testing.assert_allclose(losses, [0.24, 0.01, 0.40, 0.45], atol=0.006)
    (low, high), (bottom, top) = here.WINDOW
    assert ((points > [low, bottom]) & (points < [high, top])).all()


def test_momentum() -> None:
    """Smoother at the same rate, not faster; faster at a higher one."""
    here = module("momentum")
    f = importlib.import_module("fallline.gallery._gabor").loss()

    def turn(path: np.ndarray) -> float:
        steps = np.diff(path, axis=0)
        steps /= np.linalg.norm(steps, axis=1, keepdims=True)
        return float(np.degrees(np.arccos(np.clip((steps[1:] * steps[:-1]).sum(1), -1, 1))).mean())

    def arrival(path: np.ndarray) -> float:
        return next((t for t, phi in enumerate(path) if f.loss(phi) < 1), np.inf)

    runs = [list(here.paths(seed).values()) for seed in range(30)]
    turns = np.median([[turn(path) for path in run] for run in runs], axis=0)
    np.testing.assert_allclose(turns[:2], [91, 21], atol=1)
    arrivals = np.array([[arrival(path) for path in run] for run in runs])
    np.testing.assert_allclose(np.median(arrivals, axis=0), [79, 95, 51], atol=1)
    assert np.isinf(arrivals[:, 2]).sum() == 3
    lengths = [np.linalg.norm(np.diff(path, axis=0), axis=1).sum() for path in runs[here.SEED]]
    assert lengths[1] / lengths[0] == pytest.approx(0.25, abs=0.03)
    assert arrivals[here.SEED].argmin() == 2
    assert arrivals[here.SEED][1] > arrivals[here.SEED][0]


def test_nesterov() -> None:
    """What is drawn is what the optimizers do, and looking ahead ends lower."""
    here = module("nesterov")
    phi, m = here.state()
    ends = {}
    for rule in (fl.Momentum, fl.NesterovMomentum):
        x = phi.copy()
        optimizer = rule(x, lr=here.RATE, beta=here.BETA)
        optimizer.state[0]["exp_avg"][:] = m
        if rule is fl.NesterovMomentum:
            with optimizer.lookahead():
                g = here.VALLEY.gradient(x)
            optimizer.step(g)
        else:
            optimizer.step(here.VALLEY.gradient(x))
        ends[rule] = x
    drawn = here.figure()
    for ax, end in zip(drawn.axes, ends.values(), strict=True):
        star = next(line for line in ax.get_lines() if line.get_marker() == "*")
        np.testing.assert_allclose(star.get_xydata()[0], end, atol=1e-12)
    losses = [here.VALLEY.loss(x) for x in ends.values()]
    assert losses[1] < here.VALLEY.loss(phi) < losses[0]


def test_momentum_forms() -> None:
    """The same path after rescaling α, up to rounding; another before."""
    ball, slow, rescaled = module("momentum_forms").paths().values()
    assert np.linalg.norm(rescaled - ball, axis=1).max() < 1e-15
    first = np.linalg.norm(slow[1] - slow[0]) / np.linalg.norm(ball[1] - ball[0])
    assert first == pytest.approx(0.1)
    assert np.linalg.norm(slow - ball, axis=1).max() > 1


def test_valley() -> None:
    """Crawls, diverges, bounces, arrives."""
    here = module("valley")
    good, steep, bounce, adam = here.paths().values()
    assert abs(good[-1, 1]) < 1e-4
    assert good[-1, 0] < here.START[0] / 3
    assert (np.diff(abs(steep[:, 1])) > 0).all()
    assert (np.sign(steep[1:, 1]) == -np.sign(steep[:-1, 1])).all()
    np.testing.assert_allclose(abs(np.diff(bounce, axis=0)), 0.3, rtol=1e-6)
    assert (np.sign(bounce[-8:-1]) == -np.sign(bounce[-7:])).all()
    assert np.linalg.norm(adam[-1]) < 0.02
    turns = np.diff(np.sign(adam[:, 1]))
    assert np.count_nonzero(turns) < np.count_nonzero(np.diff(np.sign(bounce[:, 1]))) / 3


def test_leaving_a_minimum() -> None:
    """2/λ decides; only the minimum itself is kept at any rate."""
    here = module("leaving_a_minimum")
    h = 1e-4
    curved = [(here.slope(np.array(x + h)) - here.slope(np.array(x - h))) / (2 * h) for x in (0, 2)]
    np.testing.assert_allclose(curved, [19.5, 1], atol=0.01)
    x = np.linspace(-3, 3, 601)
    numeric = (here.height(x + h) - here.height(x - h)) / (2 * h)
    np.testing.assert_allclose(here.slope(x), numeric, atol=1e-5)
    assert here.height(np.zeros(1)) < here.height(np.full(1, 2.0))
    stays, leaps, leaves = (here.descend(rate) for rate in here.RATES)
    assert 0.09 < 2 / 19.5 < 0.12
    assert abs(stays[-1]) < 1e-9
    assert leaps[-1] == pytest.approx(-leaps[-2], rel=1e-6)
    assert 0.1 < abs(leaps[-1]) < 0.2
    assert abs(leaves[-1]) == pytest.approx(2, abs=1e-6)
    assert (here.descend(0.4, 0.0) == 0).all()


def test_sgd_is_not_adam() -> None:
    """It is where v starts at 1; else AdaGrad's mean, or steps of g/ε."""
    here = module("sgd_is_not_adam")
    sgd, adam, from_one = here.paths().values()
    np.testing.assert_array_equal(from_one, sgd)
    assert abs(adam - sgd).max() > 1
    mean = here.run(fl.Adagrad(np.array(here.START), lr=here.RATE, accumulate="mean"))
    np.testing.assert_allclose(adam, mean, atol=1e-5)
    x = np.array(here.START)
    fl.RMSprop(x, lr=here.RATE, alpha=1.0, eps=1e-8).step(here.VALLEY.gradient(x))
    np.testing.assert_allclose(x - here.START, 1e8 * (sgd[1] - sgd[0]))


# ---- the command ---------------------------------------------------------------------------------


def run(*arguments: str) -> Any:
    from typer.testing import CliRunner

    from fallline.cli.app import app

    return CliRunner().invoke(app, ["figures", *arguments])


def test_command_writes_files(tmp_path: Path) -> None:
    pytest.importorskip("typer")
    first = _gallery.names()[0]
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for format, begin in begins.items():
        done = run(first.replace("_", "-"), "--out", str(tmp_path / "new"), "--format", format)
        assert done.exit_code == 0, done.output
        path = tmp_path / "new" / f"{first}.{format}"
        assert done.output.replace("\n", "") == str(path)
        assert path.read_bytes().startswith(begin)
    again = io.BytesIO()
    _gallery.save(_gallery.entry(first).figure(), again, "svg")
    assert again.getvalue() == (tmp_path / "new" / f"{first}.svg").read_bytes()


def test_command_lists() -> None:
    pytest.importorskip("typer")
    lines = run("--list").output.splitlines()
    assert [line.split()[0] for line in lines] == list(_gallery.names())
    assert _gallery.entry(_gallery.names()[0]).title in lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["line_serch_regression"], "did you mean line_search_regression"),
        (["zzz"], "--list shows all"),
        (["--format", "gif"], "'gif' is not one of png, svg, pdf"),
    ],
)
def test_command_refuses(arguments: list[str], message: str, tmp_path: Path) -> None:
    pytest.importorskip("typer")
    done = run(*arguments, "--out", str(tmp_path / "new"))
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())
    assert not (tmp_path / "new").exists()
