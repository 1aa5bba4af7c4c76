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
        axis.get_label_text() or not any(t.get_visible() and t.get_text() for t in axis.get_ticklabels())
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
