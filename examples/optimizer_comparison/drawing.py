"""Curves and table as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from results import Record, curve, done, rows
from settings import OPTIMIZERS, TASKS

# Okabe & Ito (2008), told apart by colour-blind eyes; dashes where two curves nearly coincide.
COLORS = ("#000000", "#E69F00", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
DASHES = ("-", "-", "-", "-", "-", "--")


def draw(records: Sequence[Record], folder: Path) -> None:
    """``curves.svg`` and ``table.svg`` into the folder."""
    with rc_context({"svg.hashsalt": "comparison"}):  # the same results, the same file
        for name, figure in {"curves": curves(records), "table": table(records)}.items():
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def tasks_of(records: Sequence[Record]) -> list[str]:
    """The tasks with something to draw."""
    return [task for task in TASKS if done(records, task)]


def curves(records: Sequence[Record]) -> Figure:
    """Training loss and test accuracy over the epochs, a column a model."""
    tasks = tasks_of(records)
    figure = Figure(figsize=(3.6 * len(tasks), 6), layout="constrained")
    axes = figure.subplots(2, len(tasks), squeeze=False)
    for (upper, lower), task in zip(axes.T, tasks, strict=True):
        for record in records:
            if record["task"] == task and record["epochs"]:
                plot_run(upper, lower, record)
        upper.set_title(TASKS[task].title)
        if task == "mlp":
            upper.set_yscale("log")
        else:
            # ln 10 = 2.3 is chance; the first steps can go far above it.
            upper.set_ylim(0.95 * lowest_loss(records, task), 2.5)
        lower.set_xlabel("epoch")
        for ax in (upper, lower):
            ax.set_xlim(0, 1.02 * done(records, task))
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.grid(alpha=0.25)
            ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("training loss")
    axes[1, 0].set_ylabel("test accuracy (%)")
    handles = axes[0, 0].get_lines()
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False)
    return figure


def lowest_loss(records: Sequence[Record], task: str) -> float:
    """Of all of a task's training losses."""
    return min(loss for r in records if r["task"] == task for _, loss in curve(r))


def plot_run(upper: Any, lower: Any, record: Record) -> None:
    """One run's training loss above, its accuracy below."""
    i = list(OPTIMIZERS).index(record["optimizer"])
    style = {"color": COLORS[i], "linestyle": DASHES[i], "label": record["optimizer"]}
    style |= {"linewidth": 1.3, "markersize": 3}
    upper.plot(*zip(*curve(record), strict=True), **style)
    epochs = [e["epoch"] for e in record["epochs"]]
    lower.plot(epochs, [e["test_accuracy"] for e in record["epochs"]], marker="o", **style)


def table(records: Sequence[Record]) -> Figure:
    """Accuracies beside the published ones: a dot and a ring a run."""
    tasks = tasks_of(records)
    figure = Figure(figsize=(3.6 * len(tasks), 2.6), layout="constrained")
    axes = figure.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
    for ax, task in zip(axes, tasks, strict=True):
        for _, optimizer, _, _, accuracy, published in (r for r in rows(records) if r[0] == task):
            i = list(OPTIMIZERS).index(optimizer)
            ax.plot(published, i, "o", color=COLORS[i], fillstyle="none", markersize=8)
            if accuracy != "diverged":
                ax.plot(float(accuracy), i, "o", color=COLORS[i], markersize=5)
        epochs = done(records, task)
        ax.set_title(f"{TASKS[task].title}, {epochs} epoch{'' if epochs == 1 else 's'}")
        ax.set_xlabel("accuracy (%); ring: published")
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(OPTIMIZERS)), OPTIMIZERS)
    axes[0].invert_yaxis()
    return figure
