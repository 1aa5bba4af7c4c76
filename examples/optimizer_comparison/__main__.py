"""Six optimizers on three models: ``python examples/optimizer_comparison --help``."""

from __future__ import annotations

import statistics
import tempfile
import time
from functools import partial
from itertools import count, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Annotated

import typer
from rich import print
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import results
from data import Data, load, load_held_out
from fallline.datasets import DataError
from runs import Run, trainer
from settings import OPTIMIZERS, TASKS, Size, Task

app = typer.Typer(add_completion=False, help=__doc__, pretty_exceptions_enable=False)

Folder = Annotated[Path, typer.Option(help="Holds the official files of MNIST and CIFAR-10.")]
Out = Annotated[Path, typer.Option(help="For checkpoints, results and pictures.")]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="mlp, cnn or vgg13; all without.")
]

Optimizers = Annotated[
    list[str] | None, typer.Option("--optimizer", help="As in the table; all without.")
]


def tasks_of(models: list[str] | None) -> dict[str, Task]:
    """The tasks asked for, or all."""
    for name in models or ():
        if name not in TASKS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(TASKS)}")
    return {key: task for key, task in TASKS.items() if not models or key in models}


def optimizers_of(names: list[str] | None) -> list[str]:
    """The optimizers asked for, or all."""
    for name in names or ():
        if name not in OPTIMIZERS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(OPTIMIZERS)}")
    return [name for name in OPTIMIZERS if not names or name in names]


@app.command()
def run(
    data: Folder,
    out: Out = Path("comparison"),
    model: Models = None,
    optimizer: Optimizers = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Other than the table's.")] = None,
    lr: Annotated[float | None, typer.Option(help="Other than the table's.")] = None,
    quick: Annotated[bool, typer.Option(help="Small subsets: about a minute.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of start and batches.")] = 0,
) -> None:
    """Train every model by every optimizer; go on where an earlier call stopped."""
    names = optimizers_of(optimizer)
    (out / "runs").mkdir(parents=True, exist_ok=True)
    for key, task in tasks_of(model).items():
        size = task.quick if quick else task.full
        rates = {name: lr or task.rates[name] for name in names}
        train_all(key, rates, load(task, data, size), epochs or size.epochs, out, seed)
    records = results.write(out)
    print(results.show(records))
    draw(out)


def train_all(
    key: str, rates: dict[str, float], data: Data, epochs: int, out: Path, seed: int
) -> None:
    """All optimizers on one model, an epoch each in turn, so that all get equally far."""
    task = TASKS[key]
    steps = -(-len(data.y) // task.batch_size)
    with progress_bars() as bars:
        lines = {
            name: bars.add_task(f"{task.title}: {name}", total=epochs * steps, start=False)
            for name in rates
        }
        for epoch in range(1, epochs + 1):
            for name, line in lines.items():
                bars.start_task(line)
                bars.update(line, completed=0)
                one = Run(key, name, rates[name], seed, out / "runs")
                one.train(data, epoch, partial(bars.advance, line))
                bars.update(line, description=f"{task.title}: {name} {state_of(one)}")
            results.write(out)


def state_of(one: Run) -> str:
    """How far a run has come."""
    return "diverged" if one.diverged else f"{one.epochs[-1]['test_accuracy']:.2f} %"


def progress_bars() -> Progress:
    """Bars that count steps."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    )


@app.command()
def search(
    data: Folder,
    out: Out = Path("comparison"),
    model: Models = None,
    optimizer: Optimizers = None,
) -> None:
    """Choose learning rates: a short run each, judged by training images held out."""
    names = optimizers_of(optimizer)
    out.mkdir(parents=True, exist_ok=True)
    lines: list[tuple[str, str, float, float, float]] = []
    for key, task in tasks_of(model).items():
        held_out = load_held_out(task, data)
        total = sum(len(task.grid[name]) for name in names)
        with progress_bars() as bars, tempfile.TemporaryDirectory() as scratch:
            line = bars.add_task(task.title, total=total)
            for name in names:
                for lr in task.grid[name]:
                    lines.append((key, name, lr, *tried(key, name, lr, held_out, Path(scratch))))
                    bars.advance(line)
        results.write_csv(
            out / f"search-{key}.csv", SEARCHED, [line for line in lines if line[0] == key]
        )
    show_search(lines)


SEARCHED = ("task", "optimizer", "lr", "loss", "accuracy")


def tried(key: str, name: str, lr: float, data: Data, folder: Path) -> tuple[float, float]:
    """Loss and accuracy on what was held out, after a short run."""
    one = Run(key, name, lr, 0, folder / f"{lr}")
    one.folder.mkdir(exist_ok=True)
    one.train(data, TASKS[key].search.epochs, lambda _: None)
    if one.diverged:
        return float("inf"), 0.0
    last = one.epochs[-1]
    return round(last["test_loss"], 4), round(last["test_accuracy"], 2)


def show_search(lines: list[tuple[str, str, float, float, float]]) -> None:
    """Print each optimizer's learning rates, best first."""
    table = Table("", "", "loss by learning rate, the lowest first")
    for key, name in dict.fromkeys(line[:2] for line in lines):
        ranked = sorted((line for line in lines if line[:2] == (key, name)), key=itemgetter(3))
        table.add_row(key, name, "   ".join(f"{lr:g}: {loss:.3f}" for _, _, lr, loss, _ in ranked))
    print(table)


@app.command()
def draw(out: Out = Path("comparison")) -> None:
    """Write and draw the results again from what has been run."""
    from drawing import draw

    if not results.titles(results.read(out)):
        raise typer.BadParameter(f"{out} holds no run with an epoch")
    draw(results.write(out), out)
    print(f"In {out}: results.json, epochs.csv, losses.csv, table.csv, curves.svg, table.svg")


@app.command("time")
def time_steps(
    data: Folder,
    model: Models = None,
    steps: Annotated[int, typer.Option(min=3, max=20, help="Steps to time.")] = 12,
) -> None:
    """Time a training step by each optimizer: the median over some, after two to warm up."""
    table = Table("", *OPTIMIZERS, title="ms a step")
    for key, task in tasks_of(model).items():
        few = load(task, data, Size(epochs=1, train=(steps + 3) * task.batch_size, test=1))
        table.add_row(
            task.title, *(f"{step_time(key, name, few, steps):.1f}" for name in OPTIMIZERS)
        )
    print(table)


def step_time(key: str, name: str, data: Data, steps: int) -> float:
    """Milliseconds a step takes, epochs of few steps after one another."""
    stamps: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        learner = trainer(key, name, TASKS[key].rates[name], data, Path(scratch, "run"), 0)
        for k in count(1):
            learner.epoch(k, lambda _: stamps.append(time.perf_counter()))
            if len(stamps) >= steps + 3:
                break
    return 1e3 * statistics.median(after - before for before, after in pairwise(stamps[2:]))


if __name__ == "__main__":
    try:
        app()
    except (FileNotFoundError, DataError) as error:
        raise SystemExit(str(error)) from None
