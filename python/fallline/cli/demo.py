"""What ``fallline demo`` shows of :mod:`fallline.demo`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from .. import demo
from .._extras import require
from ..config import get_isa
from ..optimizer import Optimizer
from ..threads import get_num_threads

Tell = Callable[[str], None]


class UnusableFileError(Exception):
    """No plot can be saved there; the message says why."""


def run(out: Path | None, params: int, seed: int, epochs: int) -> bool:
    """Show both parts of the demo; whether all bits agreed."""
    begin = perf_counter()
    if out is not None:
        _check(out)
    data = demo.Data.digits(seed)
    console = Console(highlight=False)
    _train(console, data, out, seed, epochs)
    console.print()
    same = _update(console, params, seed)
    console.print(f"{perf_counter() - begin:.1f} s in all")
    return same


def _check(out: Path) -> None:
    """Fail now where saving would fail after the work is done."""
    figure = require("matplotlib.figure", extra="plot").Figure()
    known = sorted(figure.canvas.get_supported_filetypes())
    if out.suffix.lower().lstrip(".") not in known:
        raise UnusableFileError(f"{str(out)!r} must end in one of .{', .'.join(known)}")
    if not out.parent.is_dir():
        raise UnusableFileError(f"there is no folder {str(out.parent)!r}")


def _train(console: Console, data: demo.Data, out: Path | None, seed: int, epochs: int) -> None:
    layers = "-".join(map(str, demo.LAYERS))
    console.print(
        f"{len(data.y):,} handwritten digits, {len(data.y_test)} more to test on; network {layers}, "
        f"minibatches of {demo.BATCH}, {epochs} epochs"
    )
    fits = []
    with _progress(epochs * len(demo.RECIPES)) as tell:
        for recipe in demo.RECIPES:
            label = f"train with {recipe.label}"
            fits.append(demo.fit(recipe, data, epochs, seed, lambda label=label: tell(label)))
    table = _table(console, "optimizer", "settings", "train loss", "test accuracy", "seconds")
    for fit in fits:
        settings = ", ".join(f"{key}={value:g}" for key, value in fit.recipe.options.items())
        numbers = f"{fit.losses[-1]:.4f}", f"{fit.accuracy:.1%}", f"{fit.seconds:.2f}"
        table.add_row(fit.recipe.label, settings, *numbers)
    console.print(table)
    if out is not None:
        demo.save_plot(fits, out)
        console.print(f"losses drawn in {out}", soft_wrap=True)


def _update(console: Console, params: int, seed: int) -> bool:
    n = demo.affordable(params)
    places = demo.places()
    if n < params:
        console.print(f"{params:,} parameters are too many for the free memory: {n:,} instead")
    console.print(
        f"AdamW on {n:,} float32 parameters, {demo.STEPS} steps, {get_num_threads()} threads"
    )
    with _progress(demo.STEPS * len(places)) as tell:
        updates = []
        names = iter(places)
    ...
