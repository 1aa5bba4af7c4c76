"""The documentation: every public name has its place in it, its code runs, its commands exist."""

from __future__ import annotations

import ast
import doctest
import gzip
import inspect
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import fallline as fl

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md")) if DOCS.exists() else []
pytestmark = pytest.mark.skipif(not PAGES, reason="needs the documentation beside the tests")


def text_of(page: Path) -> str:
    """A page with the files, or sections of files, that it includes."""

    def include(found: re.Match[str]) -> str:
        path, _, section = found[1].partition(":")
        text = (ROOT / path).read_text("utf-8")
        if section:
            text = text.partition(f"[start:{section}]")[2].partition(f"[end:{section}]")[0]
            text = text.partition("\n")[2].rpartition("\n")[0]
        assert text.strip(), found[0]
        return text

    return re.sub(r'^--8<-- "(.+)"$', include, page.read_text("utf-8"), flags=re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


# ---- names ---------------------------------------------------------------------------------------


def public_modules() -> list[ModuleType]:
    """Those that the package shows as its own, by importing them as themselves."""
    tree = ast.parse(Path(fl.__file__).read_text("utf-8"))
    shown = [
        alias.asname
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level and node.module is None
        for alias in node.names
    ]
    names = ["", *shown, "objectives.surfaces", *(["torch"] if find_spec("torch") else [])]
    return [import_module(f"fallline.{name}".rstrip(".")) for name in names]


def public_names(module: ModuleType) -> list[str]:
    shown = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not (name.startswith("_") or isinstance(value, ModuleType) or name == "annotations")
    ]
    return [f"{module.__name__}.{name}" for name in shown]


def object_of(name: str) -> Any:
    value: Any = fl
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    return value


PUBLIC = [name for module in public_modules() for name in public_names(module)]


ENTRY = re.compile(r"^::: (\S+)(?:\n    options: \{(.*)\})?", re.MULTILINE)
MARKERS = {  # in whose place a hook puts an entry per optimizer
    "<!-- every optimizer -->": "fallline",
    "<!-- every optimizer for torch -->": "fallline.torch",
}


def documented() -> dict[str, str]:
    """Names that a page has an entry for, and that page's; of a whole module, all that it shows."""
    found = {}
    for page in PAGES:
        text = text_of(page)
        for path, options in ENTRY.findall(text):
            # A function whose module has its name, too, is found by its path alone.
            name = re.findall(r"heading: (fallline\.\w+)", options) or [path]
            value = object_of(name[0])  # an entry for what is not there fails here
            whole = isinstance(value, ModuleType) and "members: false" not in options
            found |= dict.fromkeys(public_names(value) if whole else name, page.name)
        for marker, owner in MARKERS.items():
            if marker in text:
                found |= dict.fromkeys((f"{owner}.{name}" for name in fl.optimizers()), page.name)
    return found


def test_every_public_name_has_an_entry() -> None:
    assert set(PUBLIC) - set(documented()) == set()


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    value = object_of(name)
    if not callable(value):
        return  # a constant, which its module's source describes
    assert inspect.getdoc(value)
    for member, own in inspect.getmembers(value) if inspect.isclass(value) else ():
        code = own.fget if isinstance(own, property) else own
        ours = getattr(code, "__module__", None) or ""
        if not member.startswith("_") and inspect.isroutine(code) and ours.startswith("fallline"):
            assert inspect.getdoc(own), f"{name}.{member}"


def test_the_readme_has_every_optimizer() -> None:
    table = (
        (ROOT / "README.md").read_text("utf-8").partition("## Optimizers")[2].partition("\n## ")[0]
    )
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert re.findall(r"`(\w+)`", " ".join(rows)) == list(fl.optimizers())


# ---- code ----------------------------------------------------------------------------------------

ELSEWHERE = {
    "contributing.md": "what a new rule looks like",
    "curvature.md": "tests/test_curvature.py runs it, and looks at what it prints",
}
WITH_PYTHON = [p for p in PAGES if p.name not in ELSEWHERE and blocks(p, "python")]
WITH_SHELL = [p for p in PAGES if blocks(p, "bash")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with the files that the pages read."""
    for module in ("matplotlib", "ml_dtypes", "numba", "pandas", "safetensors", "scipy", "sklearn"):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = "".join(f"{a:.1f},{b:.1f},{3 * a - b:.1f}\n" for a, b in rng.random((50, 2)))
    Path("houses.csv").write_text(f"area,age,price\n{rows}")
    mnist = Path("data/mnist")
    mnist.mkdir(parents=True)
    for part, n in (("train", 50), ("t10k", 20)):
        images = rng.integers(0, 256, (n, 28, 28), np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", np.arange(n) % 10)):
            head = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">i4").tobytes()
            with gzip.open(mnist / f"{part}-{kind}-ubyte.gz", "wb") as file:
                file.write(head + array.astype(np.uint8).tobytes())
    return tmp_path


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_code_runs(page: Path, folder: Path) -> None:
    if "torch" in "".join(blocks(page, "python")):
        pytest.importorskip("torch")
    scope: dict[str, Any] = {"__name__": "__main__"}
    parser, runner = (
        doctest.DocTestParser(),
        doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS),
    )
    for number, block in enumerate(blocks(page, "python")):
        if ">>> " in block:
            test = parser.get_doctest(block, scope, f"{page.name}, block {number}", None, 0)
            failed = runner.run(test, clear_globs=False).failed
            scope.update(test.globs)
            assert failed == 0
        else:
            exec(compile(block, f"{page.name}, block {number}", "exec"), scope)


@pytest.mark.parametrize("page", WITH_SHELL, ids=lambda page: page.name)
def test_commands_have_these_options(page: Path) -> None:
    typer = pytest.importorskip("typer")
    pytest.importorskip("rich")
    from fallline.cli.app import app

    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            program, *words = shlex.split(line, comments=True) or [""]
            if Path(program).name != "fallline":
                continue
            command = typer.main.get_command(app)
            while words and words[0] in getattr(command, "commands", {}):
                command = command.commands[words.pop(0)]
            known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
            assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize(
    ("script", "option", "needs", "printed"),
    [
        ("choosing.py", "--quick", "sklearn", "| batch size | 0.0003 |"),
        ("large_parameters.py", "5000", "ml_dtypes safetensors", "bfloat16"),
    ],
)
def test_the_scripts_behind_the_figures_run(
    script: str, option: str, needs: str, printed: str
) -> None:
    for module in needs.split():
        pytest.importorskip(module)
    command = [sys.executable, str(ROOT / "examples" / script), option]
    utf8 = {**os.environ, "PYTHONUTF8": "1"}
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", env=utf8, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout
