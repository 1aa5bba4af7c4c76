"""``fallline bench`` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from .. import threads
from . import compare as comparing
from . import show
from .peers import thread_count
from .report import Report, machine
from .run import run
from .works import Training, Work, works

ROUNDS, QUICK_ROUNDS = 15, 3

app = typer.Typer(
    invoke_without_command=True,
    no_args_is_help=False,
    help="Measure steps against the memory's speed and against other libraries.",
)


@app.callback()
def bench(
    context: typer.Context,
    only: Annotated[
        list[str] | None,
        typer.Option(help="A work to measure; may be repeated, or name several with commas."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Three rounds: rough numbers.")] = False,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help=f"Interleaved rounds ({ROUNDS}; quick: {QUICK_ROUNDS})."),
    ] = None,
    threads_: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="Threads of every contestant."),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(help="Save all times to this file.", dir_okay=False),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the ratios to this file.", dir_okay=False),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the works and stop.")] = False,
) -> None:
    """Measure steps against the memory's speed and against other libraries."""
    if context.invoked_subcommand is not None:
        return
    console = Console()
    if list_:
        for work in works().values():
            console.print(f"{work.name:<24}{work.title}", highlight=False)
        return
    chosen = _chosen(only)
    with thread_count(threads_ or threads.get_num_threads()):
        report = _measure(chosen, rounds or (QUICK_ROUNDS if quick else ROUNDS), console)
    console.print(show.table(report))
    for line in show.missing(report):
        console.print(f"not measured: {line}", style="dim", highlight=False)
    if json is not None:
        report.save(json)
    if plot is not None:
        show.plot(report, plot)


def _chosen(only: list[str] | None) -> list[Work | Training]:
    table = works()
    if only is None:
        return list(table.values())
    names = [name for group in only for name in group.split(",") if name]
    for name in names:
        if name not in table:
            raise typer.BadParameter(
                f"{name!r} is not a work; expected one of {', '.join(table)}", param_hint="--only"
            )
    return [table[name] for name in names]


def _measure(chosen: list[Work | Training], rounds: int, console: Console) -> Report:
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
