"""MkDocs hook: the table of optimizers, from what each class's docstring says."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
from docstrings import markdown
from formulas import mathml

import fallline as fl

FORMULA = re.compile(r"\\\[(.*?)\\\]", re.DOTALL)
WHEN = re.compile(r"^When to use: (.*?)\n\n", re.DOTALL | re.MULTILINE)
SOURCE = re.compile(r"([A-ZÀ-Þ][^.;:()]*) \((\d{4})\)")

HEAD = "| Class | What it does, and when to use it | States | Source |\n|---|---|---|---|\n"


def on_page_markdown(text: str, **_: Any) -> str:
    """Put table and list in their markers' places."""
    for marker, content in MARKERS.items():
        if marker in text:
            text = text.replace(marker, re.sub(r"\]\[(\w+)\]", _link, content()))
    return text


def _link(to: re.Match[str]) -> str:
    return f"][{fl.optimizers()[to[1]].__module__}.{to[1]}]"


def table() -> str:
    """A row per optimizer, in the registry's order."""
    return HEAD + "\n".join(row(name, rule) for name, rule in fl.optimizers().items())


def for_torch() -> str:
    """The classes that fallline.torch makes, which no source has a line for."""
    return "\n".join(f"- `fallline.torch.{name}`: [`{name}`][{name}]" for name in fl.optimizers())


def row(name: str, rule: type[fl.Optimizer]) -> str:
    """Formula, use and source stand in the docstring; the states in the kernel."""
    text = markdown(inspect.getdoc(rule) or "")
    formula, when = FORMULA.search(text), WHEN.search(text)
    if not (formula and when):
        raise ValueError(f"the docstring of {name} lacks a formula, or 'When to use: …'")
    optimizer = rule(np.zeros(1))
    cells = (
        f"[`{name}`][{name}]",
        f"{text.partition(chr(10))[0]} {mathml(formula[1], display=True)} *When to use:* {when[1]}",
        str(len(rule.kernel(optimizer.param_groups[0]).slots)),
        "; ".join(dict.fromkeys(map(short, SOURCE.findall(text.rpartition("**References**")[2])))),
    )
    return f"| {' | '.join(' '.join(cell.split()) for cell in cells)} |"


def short(found: tuple[str, str]) -> str:
    """Authors and year, as they are cited."""
    authors, year = re.split(r",\s+|\s+&\s+", found[0]), found[1]
    who = f"{authors[0]} et al." if len(authors) > 2 else " & ".join(authors)
    return f"{who} ({year})"


MARKERS = {
    "<!-- table of optimizers -->": table,
    "<!-- every optimizer for torch -->": for_torch,
}
