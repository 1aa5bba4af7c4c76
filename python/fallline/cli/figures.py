"""``fallline figures``."""

from __future__ import annotations

import difflib
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from .. import _gallery, serialization
from .._extras import require
from .options import choice, failing
from .progress import progress

__all__ = ["figures"]

FORMATS = ("png", "svg", "pdf")


def figures(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Which; by default all.")
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where to; made where missing.", file_okay=False)
    ] = Path("figures"),
    format: Annotated[
        str, typer.Option(callback=choice(FORMATS), metavar="NAME", help="png, svg or pdf.")
    ] = "png",
    show: Annotated[bool, typer.Option("--list", help="Print the names, and end.")] = False,
) -> None:
    """Draw the gallery's figures: what optimizers do, each in a few lines of Python."""
    with failing(ImportError, OSError):
        known = _gallery.names()
        if show:
            width = max(map(len, known))
            for name in known:
                typer.echo(f"{name:<{width}}  {_gallery.entry(name).title}")
            return
        wanted = [_resolve(name, known) for name in names] if names else list(known)
        require("matplotlib.figure", extra="plot")
        out.mkdir(parents=True, exist_ok=True)
        written: list[Path] = []
        try:
            with progress(len(wanted)) as start:
                for name in wanted:
                    tell = start(name)
                    path = out / f"{name}.{format}"
                    drawn = _gallery.entry(name).figure()
                    serialization.replace(path, partial(_gallery.save, drawn, format=format))
                    written.append(path)
                    tell()
        finally:  # after the bar, whose line they would share
            for path in written:
                typer.echo(path)


def _resolve(name: str, known: tuple[str, ...]) -> str:
    """A figure's name as it is spelled, or the nearest ones."""
    plain = name.lower().replace("-", "_")
    if plain in known:
        return plain
    near = difflib.get_close_matches(plain, known, cutoff=0.5)
    near += [n for n in known if plain and plain in n and n not in near]
    hint = f"did you mean {' or '.join(near)}?" if near else "--list shows all"
    raise typer.BadParameter(f"there is no figure {name!r}; {hint}", param_hint="NAME")
