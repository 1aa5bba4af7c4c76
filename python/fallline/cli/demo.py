"""What ``fallline demo`` shows of :mod:`fallline.demo`."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

from .. import __version__, demo
from ..config import config
from .progress import progress

__all__ = ["run"]


def run(out: Path | None, params: int, seed: int, epochs: int) -> bool:
    """Show both parts of the demo, and save a plot to `out`; whether all bits agreed."""
    begin = perf_counter()
    console = Console(highlight=False)
    found = config()
    where = " ".join(filter(None, (found["default backend"], found["active isa"])))
    console.print(f"fallline {__version__}: {where}, threads: {found['threads']}\n")
    fits = _train(console, seed, epochs)
    if out is not None:
        demo.save_plot(fits, out)
        console.print(f"\nlosses drawn in {out}", soft_wrap=True, markup=False)
    console.print()
    same = _update(console, params, seed)
    console.print(f"\n{perf_counter() - begin:.1f} s in all")
    return same


def _train(console: Console, seed: int, epochs: int) -> list[demo.Fit]:
    """Train with each recipe and show how far it came."""
    data = demo.Data.digits(seed)
    console.print(
        f"Network {'-'.join(map(str, demo.LAYERS))} on {len(data.y):,} handwritten digits, "
        f"{len(data.y_test)} more to test;\nminibatches of {demo.BATCH}, epochs: {epochs}\n"
    )
    with progress(epochs * len(demo.RECIPES)) as start:
        fits = [
            demo.fit(recipe, data, epochs, seed, start(f"train with {recipe.label}"))
            for recipe in demo.RECIPES
        ]
    table = _table("optimizer", "settings", "train loss", "test accuracy", "seconds")
    for fit in fits:
        settings = ", ".join(f"{key}={value:g}" for key, value in fit.recipe.options.items())
        numbers = f"{fit.losses[-1]:.4f}", f"{fit.accuracy:.1%}", f"{fit.seconds:.2f}"
        table.add_row(fit.recipe.label, settings, *numbers)
    console.print(table)
    return fits


def _update(console: Console, params: int, seed: int) -> bool:
    """Update on every backend and show how fast; whether all bits agreed."""
    n = demo.affordable(params)
    if n < params:
        console.print(f"{params:,} parameters are too many for the free memory: fewer follow")
    console.print(f"AdamW on {n:,} float32 parameters, {demo.STEPS} steps a backend\n")
    places = demo.places()
    names = [" ".join(filter(None, place)) for place in places]
    with progress((demo.STEPS + 1) * len(places)) as start:
        start("fill arrays")
        large = demo.LargeUpdate(n, seed)
        updates = []
        for place, name in zip(places, names, strict=True):
            tell = start(f"update on {name}")
            updates.append(large.run(*place, tell))
            tell()
    table = _table("backend", "", "ms a step", "GB/s")
    for update in updates:
        numbers = f"{1e3 * update.seconds:.1f}", f"{update.gigabytes_per_second:.1f}"
        table.add_row(update.backend, update.isa or "", *numbers)
    console.print(table, "")
    for name, update in zip(names, updates, strict=True):
        if update.different:
            console.print(f"{update.different:,} parameters differ: {name}, {names[0]}")
    same = not any(update.different for update in updates)
    style, word = ("green", "yes") if same else ("red", "no")
    console.print(f"[bold {style}]same bits: {word}")
    return same


def _table(*names: str) -> Table:
    """Without lines, as files read it too; all but the first two columns hold numbers."""
    table = Table(box=None, pad_edge=False)
    for i, name in enumerate(names):
        table.add_column(name, justify="left" if i < 2 else "right", no_wrap=True)
    return table
