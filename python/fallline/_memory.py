"""How much memory a large array may take."""

from __future__ import annotations

from pathlib import Path

from . import _cgroup

# Limit, use, and the entry of memory.stat for file pages that the kernel drops when asked to.
_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes this process may still take; None where the system does not say (Linux does)."""
    amounts = [_free(root)]
    amounts += [_left(folder, *_FILES[v]) for v, folder in _cgroup.folders("memory", root)]
    return min((a for a in amounts if a is not None), default=None)


def _free(root: Path) -> int | None:
    """The machine's memory that is free or can be made so."""
    try:
        kib = _table(root / "proc/meminfo")["MemAvailable:"]
    except (OSError, ValueError, KeyError):
        return None
    return 1024 * kib


def _left(folder: Path, limit: str, use: str, cached: str) -> int | None:
    """What a control group's limit leaves; None without a limit."""
    try:
        most, used = int((folder / limit).read_text()), int((folder / use).read_text())
        droppable = _table(folder / "memory.stat").get(cached, 0)
    except (OSError, ValueError):  # "max" is no number
        return None
    return max(0, most - used + droppable)


def _table(path: Path) -> dict[str, int]:
    rows = (line.split() for line in path.read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows}
