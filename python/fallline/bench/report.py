"""What was measured, as data: times, ratios, the machine; to and from JSON."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from .. import config
from .contestants import BOUND, OURS

FORMAT = 1
LIBRARIES = ("torch", "jax", "optax", "deepspeed", "numba")


@dataclass(frozen=True)
class Spread:
    """A median and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Any) -> Spread:
        """The spread of these values."""
        low, median, high = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
        return cls(median, low, high)


@dataclass(frozen=True)
class Entry:
    """One work's times: seconds a step of every contestant in every round."""

    work: str
    title: str
    bytes: float  # that a step of ours moves; 0 where that is not known
    seconds: dict[str, list[float]]
    details: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def time(self, name: str = OURS) -> Spread:
        """Seconds a step."""
        return Spread.of(self.seconds[name])

    def ratio(self, name: str, to: str = OURS) -> Spread:
        """How many times as long as `to` this contestant takes, round by round."""
        return Spread.of(np.divide(self.seconds[name], self.seconds[to]))

    @property
    def peers(self) -> list[str]:
        """The contestants beside ours and the bound."""
        return [name for name in self.seconds if name not in (OURS, BOUND)]

    @property
    def gigabytes_per_second(self) -> float | None:
        """How fast our step moves what it has to move."""
        return self.bytes / self.time().median / 1e9 if self.bytes else None

    @property
    def share_of_bound(self) -> Spread | None:
        """The bound's time over ours."""
        return self.ratio(BOUND) if BOUND in self.seconds else None


@dataclass(frozen=True)
class Report:
    """Entries, and where and when they were measured."""

    machine: dict[str, Any]
    entries: list[Entry]

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Report:
        """Read what :meth:`save` wrote."""
        try:
            found = json.loads(path.read_text())
            if found["format"] != FORMAT:
                raise ValueError(f"its format is {found['format']}, and {FORMAT} is expected")
            return cls(found["machine"], [Entry(**entry) for entry in found["entries"]])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a file of 'fallline bench --json': {error}") from error


def machine(rounds: int) -> dict[str, Any]:
    """What a reader needs to know to judge the numbers."""
    return {
        **config.config(),
        "cpu": _cpu(),
        "peers": {name: found for name in LIBRARIES if (found := _version(name)) is not None},
        "rounds": rounds,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if found is not None:
            return found[1]
    return platform.processor() or platform.machine()
