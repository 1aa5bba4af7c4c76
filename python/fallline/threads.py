"""How many threads a step uses."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import _cgroup

_threads: int | None = None


# By Python thread, and nearly always empty: a look at a thread-local costs each small step 40 ns.
_limits: dict[int, int] = {}


@contextmanager
def limited(n: int) -> Iterator[None]:
    """In this Python thread alone, `n` threads a step: others work beside it."""
    thread = threading.get_ident()
    before = _limits.get(thread)
    _limits[thread] = n
    try:
        yield
    finally:
        if before is None:
            del _limits[thread]
        else:
            _limits[thread] = before


def get_num_threads() -> int:
    """Number of threads a large step uses.

    ``FALLLINE_NUM_THREADS`` if set, else ``OMP_NUM_THREADS``, else the CPUs that this process may
    use: its affinity and its cgroup's quota, not the machine's count, shared among the ranks here
    where a launcher such as torchrun gives their number (``LOCAL_WORLD_SIZE``). Small steps stay
    on the calling thread whatever the number. Results do not depend on it.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.get_num_threads() >= 1
    True
    """
    global _threads
    if _limits and (limit := _limits.get(threading.get_ident())) is not None:
        return limit
    if _threads is None:
        _threads = _from_environment() or max(1, available_cpus() // _ranks_here())
    return _threads


def set_num_threads(n: int) -> None:
    """Set the number of threads of this process's steps.

    Parameters
    ----------
    n : int
        At least 1.

    Raises
    ------
    ValueError, TypeError
        `n` is not a positive integer.

    Examples
    --------
    >>> import fallline as fl
    >>> before = fl.get_num_threads()
    >>> fl.set_num_threads(1)
    >>> fl.get_num_threads()
    1
    >>> fl.set_num_threads(before)
    """
    global _threads
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"n must be an int, not {n!r}")
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    _threads = n


def _from_environment() -> int | None:
    own = os.environ.get("FALLLINE_NUM_THREADS")
    if own:
        if not own.isdecimal() or int(own) < 1:
            raise ValueError(f"FALLLINE_NUM_THREADS={own!r} is not a positive integer")
        return int(own)
    # OpenMP's own variable may be a list, one number a nesting level; torchrun sets it to 1.
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def _ranks_here() -> int:
    ranks = os.environ.get("LOCAL_WORLD_SIZE", "")
    return max(1, int(ranks)) if ranks.isdecimal() else 1


def available_cpus() -> int:
    """CPUs this process may use: affinity and, in a container, the cgroup's quota."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cpus = os.cpu_count() or 1
    quota = _cgroup_quota(Path("/"))
    return max(1, cpus if quota is None else min(cpus, round(quota)))


def _cgroup_quota(root: Path) -> float | None:
    """CPUs that the cgroup's quota amounts to, the tightest of all levels; None without one."""
    read = {1: _quota_v1, 2: _quota_v2}
    quotas = [read[version](folder) for version, folder in _cgroup.folders("cpu", root)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return None if quota <= 0 else quota / period
