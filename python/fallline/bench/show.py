"""A report for people: a table and a plot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._extras import require
from .report import Entry, Report, Spread


def table(report: Report) -> Any:
    """A ``rich`` table: a row for each work, and one for each peer below it."""
    rich = require("rich.table", extra="cli")
    host = report.machine
    grid = rich.Table(
        title=f"{host['cpu']}, {host['active isa']}, {host['threads']} threads"
        + ("" if host["load"] is None else f" (load {host['load']:.1f} before)"),
        caption=f"Medians of {host['rounds']} interleaved rounds. Ratio: the peer's time over "
        "ours, round by round, with quartiles.",
    )
    grid.add_column("work")
    for name in ("time", "GB/s", "of bound", "ratio"):
        grid.add_column(name, justify="right", no_wrap=True)
    for entry in report.entries:
        if entry.seconds:
            _add(grid, entry)
    return grid


def _add(grid: Any, entry: Entry) -> None:
    rate, share = entry.gigabytes_per_second, entry.share_of_bound
    grid.add_row(
        f"[bold]{entry.title}",
        duration(entry.time().median),
        "" if rate is None else f"{rate:.1f}",
        "" if share is None else f"{share.median:.0%}",
    )
    for peer in entry.peers:
        label = f"  {peer}" + (f" ({detail})" if (detail := entry.details.get(peer)) else "")
        grid.add_row(label, duration(entry.time(peer).median), "", "", ratio(entry.ratio(peer)))
    grid.add_section()


def missing(report: Report) -> list[str]:
    """What could not take part and why, a line each."""
    works: dict[str, list[str]] = {}
    for entry in report.entries:
        for peer, reason in entry.skipped.items():
            works.setdefault(f"{peer}: {reason}", []).append(entry.work)
    return [f"{line} ({', '.join(names)})" for line, names in works.items()]


def ratio(spread: Spread) -> str:
    """A ratio with its quartiles."""
    return f"{spread.median:.2f} ({spread.low:.2f}–{spread.high:.2f})"


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def plot(report: Report, path: Path) -> None:
    """Ratios to every peer as bars, by work."""
    figure_module = require("matplotlib.figure", extra="plot")
    entries = [entry for entry in report.entries if entry.peers]
    rows = [(entry, peer) for entry in entries for peer in entry.peers]
    figure = figure_module.Figure(figsize=(9, 1.5 + 0.25 * len(rows)), layout="constrained")
    axes = figure.subplots()
    colors = {peer: f"C{i % 10}" for i, peer in enumerate(dict.fromkeys(p for _, p in rows))}
    for row, (entry, peer) in enumerate(rows):
        found = entry.ratio(peer)
        axes.barh(
            row,
            found.median - 1.0,
            left=1.0,
            xerr=[[found.median - found.low], [found.high - found.median]],
            color=colors[peer],
        )
    axes.set_yticks(range(len(rows)), [f"{entry.title}: {peer}" for entry, peer in rows])
    axes.tick_params(axis="y", labelsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xlabel("peer's time / fallline's time (log scale; right of 1, fallline is faster)")
    host = report.machine
    axes.set_title(f"{host['cpu']}, {host['threads']} threads, float32", fontsize=10)
    figure.savefig(path, dpi=150)
