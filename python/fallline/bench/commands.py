"""``fallline bench`` on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import filter as matching
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from ..threads import get_num_threads
from . import compare as comparing
from . import show
from .fits import fit_works
from .gradients import gradient_works
from .peers import thread_count
from .report import Report, machine
from .run import AnyWork, run
from .works import works

ROUNDS, QUICK_ROUNDS = 15, 3

app = typer.Typer(
    invoke_without_command=True,
    no_args_is_help=False,
    help="Measure steps against the memory's speed and against other libraries.",
)


Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", help="A work to measure, or a pattern ('flt-*'); repeated, or with commas."
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="Three rounds: rough numbers.")]
Rounds = Annotated[
    int | None,
    typer.Option("--rounds", min=1, help=f"Interleaved rounds ({ROUNDS}; quick: {QUICK_ROUNDS})."),
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads of every contestant.")
]
Json = Annotated[
    Path | None, typer.Option("--json", help="Save all times to this file.", dir_okay=False)
]
Plot = Annotated[
    Path | None, typer.Option("--plot", help="Draw the ratios to this file.", dir_okay=False)
]
List = Annotated[bool, typer.Option("--list", help="List the works and stop.")]


@app.callback()
def bench(
    context: typer.Context,
    only: Only = None,
    quick: Quick = False,
    rounds: Rounds = None,
    threads: Threads = None,
    json: Json = None,
    plot: Plot = None,
    list_: List = False,
) -> None:
    """Measure steps against the memory's speed and against other libraries."""
    if context.invoked_subcommand is None:
        rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
        _bench(works(), only, rounds, threads, json, plot, list_)


@app.command()
def gradients(
    only: Only = None,
    quick: Quick = False,
    rounds: Rounds = None,
    threads: Threads = None,
    json: Json = None,
    plot: Plot = None,
    list_: List = False,
    mnist: Annotated[
        Path | None, typer.Option(help="Folder of MNIST's files.", file_okay=False, exists=True)
    ] = None,
) -> None:
    """Measure minibatch gradients and fits; "of bound": of the speed of reading the samples."""
    rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    _bench({**gradient_works(mnist), **fit_works()}, only, rounds, threads, json, plot, list_)


def _bench(
    table: Mapping[str, AnyWork],
    only: list[str] | None,
    rounds: int,
    threads: int | None,
    json: Path | None,
    plot: Path | None,
    list_: bool,
) -> None:
    console = Console()
    if list_:
        for work in table.values():
            console.print(f"{work.name:<26}{work.title}", highlight=False)
        return
    chosen = _chosen(table, only)
    with thread_count(threads or get_num_threads()):
        report = _measure(chosen, rounds, console)
    console.print(show.table(report))
    for line in show.missing(report):
        console.print(f"not measured: {line}", style="dim", highlight=False)
    if json is not None:
        report.save(json)
    if plot is not None:
        show.plot(report, plot)


def _chosen(table: Mapping[str, AnyWork], only: list[str] | None) -> list[AnyWork]:
    if only is None:
        return list(table.values())
    chosen: dict[str, AnyWork] = {}
    for pattern in (name for group in only for name in group.split(",") if name):
        names = matching(table, pattern)
        if not names:
            raise typer.BadParameter(
                f"{pattern!r} is not a work; expected one of {', '.join(table)}",
                param_hint="--only",
            )
        chosen |= {name: table[name] for name in names}
    return list(chosen.values())


def _measure(chosen: list[AnyWork], rounds: int, console: Console) -> Report:
    entries = []
    host = machine(rounds)
    # Drawn between rounds only: a thread that draws would take time from the steps.
    with Progress(console=console, transient=True, auto_refresh=False) as progress:
        bar = progress.add_task("", total=rounds * len(chosen))

        def tell() -> None:
            progress.advance(bar)
            progress.refresh()

        for work in chosen:
            progress.update(bar, description=work.title, refresh=True)
            entries.append(run(work, rounds, tell=tell))
    return Report(host, entries)


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    new: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    threshold: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="What change of speed matters.")
    ] = 0.1,
) -> None:
    """Tell what became slower between two files of --json; exit with 1 where something did."""
    try:
        changes = comparing.compare(Report.load(old), Report.load(new))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if not changes:
        raise typer.BadParameter(f"{old} and {new} have no work in common")
    Console().print(comparing.table(changes, threshold))
    if any(change.verdict(threshold) == "slower" for change in changes):
        raise typer.Exit(1)
