"""Checks of options and reports of failure, shared by the commands."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import typer

from .._extras import require

__all__ = [
    "assignments",
    "check_folder",
    "check_plot",
    "choice",
    "column",
    "fail",
    "failing",
    "integers",
]


def fail(why: object) -> typer.Exit:
    """Say in one line what is wrong; the exception to raise then."""
    typer.echo(f"fallline: {why}", err=True)
    return typer.Exit(1)


@contextmanager
def failing(*expected: type[Exception]) -> Iterator[None]:
    """Fail with one line where one of these is raised."""
    try:
        yield
    except BrokenPipeError:  # a reader such as head has had enough: click ends quietly
        raise
    except expected as error:
        raise fail(error) from error


def choice(names: Iterable[str]) -> Callable[[str | None], str | None]:
    """A parameter's callback: one of these names, in whatever case."""
    known = list(names)

    def check(value: str | None) -> str | None:
        if value is None:
            return None
        for name in known:
            if name.lower() == value.lower():
                return name
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(known)}")

    return check


def integers(text: str, hint: str) -> tuple[int, ...]:
    """Positive whole numbers between commas."""
    try:
        numbers = tuple(int(word) for word in text.split(","))
    except ValueError:
        numbers = (0,)
    if min(numbers) < 1:
        raise typer.BadParameter(
            f"{text!r} is no list of positive whole numbers, like 1024,1024", param_hint=hint
        )
    return numbers


def assignments(texts: Iterable[str], hint: str) -> dict[str, Any]:
    """Values by name, from ``name=value`` each."""
    found = {}
    for text in texts:
        name, equals, value = (word.strip() for word in text.partition("="))
        if not equals or not name.isidentifier():
            raise typer.BadParameter(f"{text!r} is not of the form NAME=VALUE", param_hint=hint)
        try:
            found[name] = literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def column(text: str | None) -> int | str | None:
    """A target's column by number, where it is one, or by name."""
    if text is None:
        return None
    return int(text) if text.lstrip("-").isdecimal() else text


def check_folder(path: Path, hint: str) -> None:
    """Fail now where writing would fail after the work is done."""
    folder = path.parent
    if path.is_dir():
        raise typer.BadParameter(f"{str(path)!r} is a folder", param_hint=hint)
    if not folder.is_dir():
        raise typer.BadParameter(f"there is no folder {str(folder)!r}", param_hint=hint)
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        message = f"{str(path)!r} cannot be written: {error.strerror}"
        raise typer.BadParameter(message, param_hint=hint) from error


def check_plot(path: Path, hint: str) -> None:
    """The same for a picture, which must also be of a known kind."""
    figure = require("matplotlib.figure", extra="plot").Figure()
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.lower().lstrip(".") not in known:
        raise typer.BadParameter(
            f"{str(path)!r} must end in one of .{', .'.join(known)}", param_hint=hint
        )
    check_folder(path, hint)
