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
    """Put the table in the marker's place."""
    marker = "<!-- table of optimizers -->"
    return text.replace(marker, table()) if marker in text else text


def table() -> str:
    """A row per optimizer, in the registry's order."""
    rules = fl.optimizers()

    def link(to: re.Match[str]) -> str:
        return f"][{rules[to[1]].__module__}.{to[1]}]"

    return HEAD + "\n".join(re.sub(r"\]\[(\w+)\]", link, row(*item)) for item in rules.items())


def row(name: str, rule: type[fl.Optimizer]) -> str:
    """Formula, use and source stand in the docstring; the states in the kernel."""
    text = markdown(inspect.getdoc(rule) or "")
    formula, when = FORMULA.search(text), WHEN.search(text)
    if not (formula and when):
        raise ValueError(f"the docstring of {name} lacks a formula, or 'When to use: …'")
    optimizer: fl.Optimizer = rule(np.zeros(1))  # type: ignore[call-arg]
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
