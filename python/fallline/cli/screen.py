"""What ``fallline fit`` shows of a fit."""

from __future__ import annotations

import math

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..config import config
from ..fitting.model import Score
from ..fitting.train import Epoch, Fit, Problem

__all__ = ["Screen", "words_of"]

ROWS = 25  # epochs shown at most
WIDTH = 12


class Screen:
    """A few lines at the start, one an epoch, a table at the end."""

    def __init__(self, problem: Problem) -> None:
        self._console = Console(highlight=False)
        self._problem = problem
        self._every = -(-problem.recipe.epochs // ROWS)
        self._headed = False

    def begin(self) -> None:
        """What will be fitted to what."""
        p, found = self._problem, config()
        sizes = [f"{part.X.shape[0]:,} {name}" for name, part in p.parts.items()]
        form = p.form
        what = "regression"
        if p.classes is not None:
            what = f"{len(p.classes)} classes"
        widths = "-".join(map(str, (form.features, *form.hidden, form.outputs)))
        where = " ".join(filter(None, (p.objective.backend, found["active isa"])))
        lines = {
            "samples": ", ".join(sizes),
            "model": f"{form.kind} {widths}, {what}, {p.objective.n_params:,} parameters",
            "optimizer": p.recipe.describe(),
            "computed": f"{p.objective.dtype}, {where}, threads: {found['threads']}",
        }
        for name, text in lines.items():
            self._console.print(f"[bold]{name:<11}[/]{escape(text)}", soft_wrap=True)
        self._console.print()

    def epoch(self, epoch: Epoch) -> None:
        """A line, for some of the epochs if there are many.

        Not by rich, whose consoles pass by the bar that it draws meanwhile: print goes above it.
        """
        if epoch.number % self._every and epoch.number < self._problem.recipe.epochs:
            return
        cells = {"train loss": f"{epoch.loss:.5g}"}
        if epoch.validation is not None:
            cells |= {f"val {name}": text for name, text in words_of(epoch.validation).items()}
        cells["seconds"] = f"{epoch.seconds:.1f}"
        if not self._headed:
            head = "".join(f"{name:>{WIDTH + 2}}" for name in cells)
            print(f"epoch{head}")
            self._headed = True
        row = "".join(f"{text:>{WIDTH + 2}}" for text in cells.values())
        print(f"{epoch.number:>5}{row}")

    def end(self, fit: Fit) -> None:
        """How good the model is on each part."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        names = words_of(fit.scores["train"])
        for name in ("", *names):
            table.add_column(name, justify="right" if name else "left", no_wrap=True)
        for part, score in fit.scores.items():
            table.add_row(part, *words_of(score).values())
        pace = f", {fit.steps / fit.seconds:,.0f} steps/s" if fit.steps and fit.seconds > 0 else ""
        self._console.print()
        self._console.print(table)
        self._console.print(f"\n{fit.result.message} in {fit.seconds:.1f} s{pace}")
        if (r2 := fit.scores["train"].r2) is not None and r2 < 0:
            scaled = "" if self._problem.recipe.standardize else "--standardize, "
            self.say(f"worse than the targets' mean: try {scaled}another --lr or more --epochs")

    def say(self, line: str) -> None:
        """A line of its own."""
        self._console.print(line, soft_wrap=True, markup=False)


def words_of(score: Score) -> dict[str, str]:
    """A score's numbers by name."""
    words = {"loss": f"{score.loss:.5g}"}
    if score.accuracy is not None:
        words["accuracy"] = f"{score.accuracy:.2%}"
    if score.rmse is not None and score.r2 is not None:
        words |= {"RMSE": f"{score.rmse:.5g}"}
        words["R²"] = "none" if math.isnan(score.r2) else f"{score.r2:.4f}"
    return words
