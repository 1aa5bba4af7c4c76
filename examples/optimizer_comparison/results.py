"""What the runs came to: CSV, JSON and a table."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from settings import OPTIMIZERS, TASKS

Record = dict[str, Any]


def read(folder: Path) -> list[Record]:
    """The records in a folder, in the order of tasks and optimizers."""
    records = [json.loads(path.read_text()) for path in (folder / "runs").glob("*.json")]
    tasks, optimizers = list(TASKS), list(OPTIMIZERS)
    return sorted(records, key=lambda r: (tasks.index(r["task"]), optimizers.index(r["optimizer"])))


def write(folder: Path) -> list[Record]:
    """``results.json``, ``epochs.csv``, ``losses.csv``, ``table.csv``, ``table.md``."""
    records = read(folder)
    (folder / "results.json").write_text(json.dumps(records, indent=1))
    columns = ("epoch", "train_loss", "test_loss", "test_accuracy", "cpu_seconds")
    write_csv(
        folder / "epochs.csv",
        ("task", "optimizer", "lr", *columns),
        (
            (r["task"], r["optimizer"], r["settings"]["lr"], *(short(e[c]) for c in columns))
            for r in records
            for e in r["epochs"]
        ),
    )
    write_csv(
        folder / "losses.csv",
        ("task", "optimizer", "epoch", "train_loss"),
        (
            (r["task"], r["optimizer"], short(at), short(loss))
            for r in records
            for at, loss in curve(r)
        ),
    )
    write_csv(folder / "table.csv", HEADER, rows(records))
    (folder / "table.md").write_text(markdown(records))
    return records


def curve(record: Record) -> Iterable[tuple[float, float]]:
    """Training losses over the epochs: each at the middle of the part it is the mean of."""
    for epoch in record["epochs"]:
        losses = epoch["train_losses"]
        for i, loss in enumerate(losses):
            yield epoch["epoch"] - 1 + (i + 0.5) / len(losses), loss


def done(records: Sequence[Record], task: str) -> int:
    """The epochs that all of a task's runs have, so that they are compared at the same one."""
    return min(
        (len(r["epochs"]) for r in records if r["task"] == task and not r["diverged"]), default=0
    )


HEADER = ("task", "optimizer", "lr", "epochs", "accuracy", "published")


def rows(records: Sequence[Record]) -> list[tuple[Any, ...]]:
    """The table: accuracy in per cent after the last epoch that all of a task's runs have."""
    table = []
    for r in records:
        epochs = done(records, r["task"])
        if r["diverged"] or epochs:
            accuracy = "diverged"
            if not r["diverged"]:
                accuracy = f"{r['epochs'][epochs - 1]['test_accuracy']:.2f}"
            published = TASKS[r["task"]].published[r["optimizer"]]
            lr = r["settings"]["lr"]
            table.append((r["task"], r["optimizer"], lr, epochs, accuracy, published))
    return table


def titles(records: Sequence[Record]) -> list[str]:
    """A heading for each task with results."""
    counts = {task: done(records, task) for task in TASKS}
    return [
        f"{TASKS[task].title}, {count} epoch{'' if count == 1 else 's'}"
        for task, count in counts.items()
        if count
    ]


def lines(records: Sequence[Record]) -> list[list[str]]:
    """Each optimizer with its accuracies, and in brackets the published ones."""
    cells = {
        (task, name): f"{here} ({there:.2f})" for task, name, _, _, here, there in rows(records)
    }
    tasks = [task for task in TASKS if done(records, task)]
    return [[name, *(cells.get((task, name), "") for task in tasks)] for name in OPTIMIZERS]


def show(records: Sequence[Record]) -> Table:
    """The table for a terminal."""
    table = Table("", title="Accuracy on the test images in per cent (in brackets: published)")
    for title in titles(records):
        model, _, epochs = title.rpartition(", ")
        table.add_column(f"{model}\n{epochs}", justify="right")
    for line in lines(records):
        table.add_row(*line)
    return table


def markdown(records: Sequence[Record]) -> str:
    """The table for a page."""
    header = ["", *titles(records)]
    rule = ["---", *("---:" for _ in header[1:])]
    return "".join(f"| {' | '.join(line)} |\n" for line in (header, rule, *lines(records)))


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """A CSV file with a header."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)


def short(value: Any) -> Any:
    """Five digits, which are more than the runs' scatter leaves."""
    return f"{value:.5g}" if isinstance(value, float) else value
