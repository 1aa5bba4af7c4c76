"""The progress bar of what takes longer than a second."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from .._extras import require

__all__ = ["Bar"]

AFTER = 1.0  # seconds, before which nothing is drawn
EVERY = 0.1  # seconds between two drawings


class Bar:
    """Parts done, drawn by rich on standard error; ``None`` draws where that is a terminal."""

    def __init__(self, shown: bool | None, total: float) -> None:
        if shown:
            require("rich", extra="cli")
        self._shown = shown
        self._wanted = shown is not False
        self._total = total
        self._next = perf_counter() + AFTER
        self._progress: Any = None
        self._task: Any = None

    def update(self, done: int, text: str) -> None:
        """Show how far it is, if it is time to."""
        if not self._wanted or (now := perf_counter()) < self._next:
            return
        self._next = now + EVERY
        if self._progress is None and not self._start():
            return
        self._progress.update(self._task, completed=done, description=text, refresh=True)

    def _start(self) -> bool:
        """Begin to draw, if that is possible; no thread does, it would take time from the steps."""
        if not self._shown and find_spec("rich") is None:
            self._wanted = False
            return False
        from rich import progress
        from rich.console import Console

        console = Console(stderr=True, force_terminal=self._shown)
        self._wanted = bool(self._shown) or console.is_interactive
        if self._wanted:
            bounded = self._total < float("inf")
            self._progress = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeElapsedColumn(),
                progress.TimeRemainingColumn(),
                console=console,
                transient=True,
                auto_refresh=False,
                redirect_stdout=sys.stdout.isatty(),  # what goes to a file is not for the terminal
            )
            self._progress.start()
            self._task = self._progress.add_task("", total=self._total if bounded else None)
        return self._wanted

    def close(self) -> None:
        """Remove it."""
        if self._progress is not None:
            self._progress.stop()
