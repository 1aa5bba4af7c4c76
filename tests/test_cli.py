"""The command line, as a stranger uses it: typed, piped, interrupted, incomplete."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fallline as fl
from fallline import demo
from fallline.config import config

pytest.importorskip("typer")
from rich.console import Console
from typer.testing import CliRunner

from fallline.cli import app as commands
from fallline.cli.app import app

SMALL = ["demo", "--params", "20000", "--epochs", "3"]
RUN = [sys.executable, "-m", "fallline"]


def call(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def block(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)


# ---- info --------------------------------------------------------------------------------------


def test_version() -> None:
    assert call("--version") == (0, f"fallline {fl.__version__}\n")


def test_info_is_what_show_config_prints() -> None:
    expected = io.StringIO()
    fl.show_config(expected)
    assert call("info") == (0, expected.getvalue())


def test_info_as_json() -> None:
    code, output = call("info", "--json")
    assert code == 0
    assert json.loads(output) == config()


def test_info_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(force_terminal=True, width=100, file=io.StringIO(), color_system=None)
    monkeypatch.setattr(commands, "Console", lambda: terminal)
    lost = {**config(), "isas": {"sse2": True, "avx9": False}, "active isa": None}
    monkeypatch.setattr(commands, "config", lambda: lost)
    assert call("info")[0] == 0
    assert isinstance(terminal.file, io.StringIO)
    lines = [line.split() for line in terminal.file.getvalue().splitlines()]
    assert ["fallline", lost["fallline"]] in lines
    assert ["isas", "sse2", "usable"] in lines
    assert ["avx9", "not", "usable", "here"] in lines
    assert ["active", "isa", "none"] in lines


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("FALLLINE_BACKEND", "abacus", "FALLLINE_BACKEND='abacus' is not a backend"),
        ("FALLLINE_NUM_THREADS", "0", "FALLLINE_NUM_THREADS='0' is not a positive integer"),
        ("FALLLINE_ISA", "mmx", "FALLLINE_ISA='mmx' is not usable here"),
    ],
)
def test_bad_environment_is_one_line(variable: str, value: str, expected: str) -> None:
    if variable == "FALLLINE_ISA" and not fl.isas():
        pytest.skip("needs the native backend")
    done = subprocess.run(
        [*RUN, "info"], capture_output=True, text=True, env={**os.environ, variable: value}
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"fallline: {expected}")
    assert done.stderr.count("\n") == 1


def test_as_a_module() -> None:
    done = subprocess.run([*RUN, "info", "--json"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["fallline"] == fl.__version__


# ---- demo --------------------------------------------------------------------------------------


def test_demo(tmp_path: Path) -> None:
    out = tmp_path / "losses.png"
    isa = fl.get_isa()
    code, output = call(*SMALL, "--out", str(out))
    assert code == 0
    rows = [line.split() for line in output.splitlines() if line]
    for recipe in demo.RECIPES:
        words = recipe.label.split()
        (row,) = (r for r in rows if r[: len(words)] == words and r[-2].endswith("%"))
        assert float(row[-3]) < 2.3  # ln 10: as good as guessing
        assert float(row[-2].rstrip("%")) > 50
    for place in demo.places():
        words = [word for word in place if word]
        (row,) = (r for r in rows if r[: len(words)] == words and len(r) == len(words) + 2)
        assert float(row[-1]) >= 0  # 0.0 GB/s on a busy machine
    assert "20,000 float32 parameters" in output
    assert "same bits: yes" in output
    assert out.read_bytes().startswith(b"\x89PNG")
    assert fl.get_isa() == isa


def test_demo_fails_where_bits_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = demo.LargeUpdate._steps

    def flawed(self: demo.LargeUpdate, backend: str, *rest: object) -> float:
        seconds = steps(self, backend, *rest)  # type: ignore[arg-type]
        if backend == "numpy":
            self._params[7] = -self._params[7]
        return seconds

    monkeypatch.setattr(demo.LargeUpdate, "_steps", flawed)
    if len(demo.places()) == 1:
        monkeypatch.setattr(demo, "places", lambda: [("numpy", None), ("numpy", None)])
    code, output = call(*SMALL, "--no-plot")
    assert code == 1
    assert "1 parameters differ: numpy" in output
    assert "same bits: no" in output


def test_demo_says_when_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "affordable", lambda n: 100)
    code, output = call(*SMALL, "--no-plot")
    assert code == 0
    assert "20,000 parameters are too many for the free memory" in output
    assert "AdamW on 100 float32 parameters" in output


def test_demo_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(n: int, seed: int) -> None:
        raise MemoryError

    monkeypatch.setattr(demo, "LargeUpdate", none_left)
    code, output = call(*SMALL, "--no-plot")
    assert code == 1
    assert "fallline: no memory for 20,000 parameters; try --params" in output


@pytest.mark.parametrize(
    ("name", "expected"), [("losses.xyz", "must end in one of"), ("no/losses.png", "no folder")]
)
def test_demo_checks_the_file_before_it_works(
    name: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "fit", lambda *_: pytest.fail("trained"))
    monkeypatch.chdir(tmp_path)
    code, output = call(*SMALL, "--out", name)
    assert code == 2
    assert expected in output


@pytest.mark.parametrize("option", ["--params", "--epochs"])
def test_demo_checks_numbers(option: str) -> None:
    code, output = call("demo", option, "0")
    assert code == 2
    assert option in output


def test_piped_output_is_plain() -> None:
    done = subprocess.run([*RUN, *SMALL, "--no-plot"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "train with" not in done.stdout


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_progress_on_a_terminal() -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*RUN, *SMALL, "--no-plot"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    assert process.stdout is not None
    output = b""
    try:
        while chunk := os.read(ours, 4096):
            output += chunk
    except OSError:  # Linux: the other side has closed
        pass
    assert b"same bits: yes" in process.stdout.read()
    process.stdout.close()
    assert process.wait() == 0
    os.close(ours)
    assert b"train with Adam" in output
    assert b"update on numpy" in output


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_is_quiet() -> None:
    # A shell's background job, in which tests may run, hands down that SIGINT is ignored.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from fallline.cli import main; main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "demo", "--no-plot", "--epochs", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("minibatches"):  # it trains from here on
                    break
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert errors == ""


# ---- missing extras ----------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_without_the_cli_extra(module: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from fallline.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"fallline: {module} is missing")
    assert done.stderr.endswith("pip install 'fallline[cli]'\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "extra"), [("sklearn.datasets", "demo"), ("matplotlib.figure", "plot")]
)
def test_demo_without_an_extra(
    module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block(monkeypatch, module)
    monkeypatch.chdir(tmp_path)
    code, output = call(*SMALL)
    assert code == 1
    assert output.splitlines()[-1].startswith(f"fallline: {module.partition('.')[0]} is missing")
    assert output.endswith(f"pip install 'fallline[{extra}]'\n")


def test_no_plot_needs_no_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block(monkeypatch, "matplotlib.figure")
    monkeypatch.chdir(tmp_path)
    code, output = call(*SMALL, "--no-plot")
    assert code == 0
    assert "drawn" not in output
    assert not list(tmp_path.iterdir())
