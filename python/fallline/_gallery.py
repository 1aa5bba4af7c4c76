"""The gallery's figures, with their texts and code, wherever fallline runs from."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING

from ._extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DPI", "Entry", "entry", "names", "save"]

PACKAGE = "fallline.gallery"  # examples/gallery, as wheels carry it
DPI = 150


@dataclass(frozen=True)
class Entry:
    """A figure: what it is called, what one sees, its code, and how to draw it."""

    name: str
    title: str
    text: str
    code: str
    figure: Callable[[], Figure]


def names() -> tuple[str, ...]:
    """Of all figures, in their order."""
    found: tuple[str, ...] = _package().FIGURES
    return found


def entry(name: str) -> Entry:
    """A figure by its name."""
    package = _package()
    module = importlib.import_module(f"{package.__name__}.{name}")
    title, _, text = inspect.cleandoc(module.__doc__ or name).partition("\n")
    source = inspect.getsource(module)
    after = ast.parse(source).body[0].end_lineno  # of the docstring
    code = "".join(source.splitlines(keepends=True)[after:]).strip()
    return Entry(name, title.rstrip("."), text.strip(), code, module.figure)


def save(figure: Figure, file: str | IO[bytes], format: str = "png") -> None:
    """Write a figure: with the same bytes each time, so without the date."""
    matplotlib = require("matplotlib", extra="plot")
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with matplotlib.rc_context({"svg.hashsalt": "fallline"}):
        figure.savefig(file, format=format, dpi=DPI, metadata=undated.get(format))


def _package() -> ModuleType:
    """The package of figures; a checkout that is not installed has it beside its sources."""
    if PACKAGE in sys.modules:
        return sys.modules[PACKAGE]
    if importlib.util.find_spec(PACKAGE) is not None:
        return importlib.import_module(PACKAGE)
    folder = Path(__file__).parents[2] / "examples" / "gallery"
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None or not (folder / "__init__.py").exists():
        raise ModuleNotFoundError(f"the figures are neither installed nor in {folder}")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return package
