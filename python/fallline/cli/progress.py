"""A bar for work in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["progress"]


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], Callable[[], object]]]:
    """A bar of `total` parts, only on a terminal; ``start(label)`` returns how to advance it.

    It is drawn between parts only: a thread that draws would take time from the steps.
    """
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(
        *columns,
        console=console,
        transient=True,
        auto_refresh=False,
        disable=not console.is_interactive,
    ) as bar:
        task = bar.add_task("", total=total)

        def advance() -> None:
            bar.advance(task)
            bar.refresh()

        def start(label: str) -> Callable[[], object]:
            bar.update(task, description=label, refresh=True)
            return advance

        yield start
