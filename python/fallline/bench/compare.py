"""Two saved reports: what became slower, what faster."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from .._extras import require
from .contestants import OURS
from .report import Entry, Report


@dataclass(frozen=True)
class Change:
    """How one work's speed changed: `speed` is 0.5 where it takes twice as long as before."""

    work: str
    title: str
    subject: str  # which of this library's backends
    speed: float
    yardsticks: tuple[str, ...]  # what its time was held against; empty: raw seconds

    def verdict(self, threshold: float) -> str:
        """Slower, faster or the same, beyond `threshold`."""
        if self.speed < 1 - threshold:
            return "slower"
        return "faster" if self.speed > 1 / (1 - threshold) else "same"


def compare(old: Report, new: Report) -> list[Change]:
    """Changes of all works that both reports have.

    Speeds are taken relative to the memory bound and the peers that were measured in the same
    rounds, as a machine's own speed varies: of the changes so found, the median. Raw seconds are
    the last resort.
    """
    before = {entry.work: entry for entry in old.entries}
    changes = []
    for now in new.entries:
        then = before.get(now.work)
        if then is None:
            continue
        common = [name for name in now.seconds if name in then.seconds]
        subjects = [name for name in common if name.startswith(OURS)]
        yardsticks = tuple(name for name in common if name not in subjects)
        changes += [
            Change(now.work, now.title, name, _speed(then, now, name, yardsticks), yardsticks)
            for name in subjects
        ]
    return changes


def _speed(then: Entry, now: Entry, name: str, yardsticks: tuple[str, ...]) -> float:
    if not yardsticks:
        return then.time(name).median / now.time(name).median
    return median(
        now.ratio(yard, to=name).median / then.ratio(yard, to=name).median for yard in yardsticks
    )


def table(changes: list[Change], threshold: float) -> Any:
    """A ``rich`` table of the changes, the slowest first."""
    rich = require("rich.table", extra="cli")
    grid = rich.Table(title=f"change of speed (threshold {threshold:.0%})")
    for name in ("work", "backend", "speed", "verdict", "held against"):
        grid.add_column(name)
    colors = {"slower": "[red]", "faster": "[green]", "same": ""}
    for change in sorted(changes, key=lambda c: c.speed):
        verdict = change.verdict(threshold)
        grid.add_row(
            change.title,
            change.subject,
            f"{colors[verdict]}{change.speed - 1:+.1%}",
            colors[verdict] + verdict,
            ", ".join(change.yardsticks) or "seconds",
        )
    return grid
