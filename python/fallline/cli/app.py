"""The commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .. import __version__, bench
from ..config import config, show_config
from .demo import run
from .figures import figures
from .fit import fit
from .options import check_plot, fail, failing
from .predict import predict

app = typer.Typer(
    help="Fast large-parameter updates on the CPU.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
bench.register(app)
app.command()(fit)
app.command()(predict)
app.command()(figures)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"fallline {__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print it and exit."),
    ] = False,
) -> None:
    """Fast large-parameter updates on the CPU."""
    with failing(RuntimeError, ValueError):  # FALLLINE_BACKEND and the like
        config()


@app.command()
def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print versions, backends, instruction sets and threads."""
    console = Console()
    if as_json:
        typer.echo(json.dumps(config(), indent=2))
    elif console.is_terminal:
        console.print(_tree(), highlight=False)
    else:
        show_config()


def _tree() -> Table:
    """What :func:`fallline.show_config` prints, aligned."""
    words = {True: "usable", False: "not usable here", None: "none"}
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    for key, value in config().items():
        if not isinstance(value, dict):
            grid.add_row(key, str(words[value] if value is None else value))
            continue
        inner = Table.grid(padding=(0, 2))
        for name, what in value.items():
            what = words.get(what, what)
            inner.add_row(name, what, style="green" if what == "usable" else "yellow")
        grid.add_row(key, inner if value else "none")
    return grid


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option(help="Where the plot of the losses is saved.", dir_okay=False)
    ] = Path("fallline-demo.png"),
    params: Annotated[
        int, typer.Option(min=1, metavar="N", help="Parameters of the large update.")
    ] = 50_000_000,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Of weights, minibatches and gradients.")
    ] = 0,
    epochs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Passes over the training images.")
    ] = 30,
    plot: Annotated[bool, typer.Option("--plot/--no-plot", help="Save a plot or not.")] = True,
) -> None:
    """Train on handwritten digits with several optimizers; compare the bits of all backends.

    Exits with 1 where they differ.
    """
    try:
        with failing(ImportError, OSError):
            if plot:
                check_plot(out, "--out")
            same = run(out if plot else None, params, seed, epochs)
    except MemoryError as error:
        raise fail(f"no memory for {params:,} parameters; try --params") from error
    if not same:
        raise typer.Exit(1)
