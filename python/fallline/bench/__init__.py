"""``fallline bench``: steps against the memory's speed and against other libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the ``bench`` command to a command line."""
    from .commands import app as commands

    app.add_typer(commands, name="bench")
