"""What was built, what can be used here, what is in use."""

from __future__ import annotations

import platform
import sys
from typing import Any

import numpy as np

from .backends import NAMES, _module, choose
from .threads import available_cpus, get_num_threads


def isas() -> tuple[str, ...]:
    """Instruction sets whose kernels were built and can run here, best first.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.get_isa() is None or fl.get_isa() in fl.isas()
    True
    """
    core = _core()
    return () if core is None else tuple(n for n, usable in reversed(core.isas()) if usable)


def get_isa() -> str | None:
    """Instruction set whose kernels run; None without the native backend."""
    core = _core()
    return None if core is None else str(core.active_isa())


def set_isa(name: str) -> None:
    """Use the kernels of this instruction set from the next step on, in the whole process.

    Results do not depend on it. ``FALLLINE_ISA`` in the environment does the same at import.

    Raises
    ------
    ValueError
        It was not built or cannot run here.
    """
    core = _core()
    if core is None or not core.activate(name):
        usable = ", ".join(isas()) or "none: the native backend is not usable"
        raise ValueError(f"ISA {name!r} is not usable here; expected one of {usable}")


def _core() -> Any:
    native = _module("native")
    return None if native.why_not() else native._core  # type: ignore[attr-defined]


def config() -> dict[str, Any]:
    """What :func:`show_config` prints, as a dict."""
    from . import __version__

    core = _core()
    return {
        "fallline": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "backends": {name: _module(name).why_not() or "usable" for name in NAMES},
        "default backend": choose(None).NAME,
        "isas": {} if core is None else {n: bool(u) for n, u in core.isas()},
        "active isa": get_isa(),
        "compiler": None if core is None else core.compiler,
        "openmp": None if core is None else core.openmp,
        "available cpus": available_cpus(),
        "threads": get_num_threads(),
    }


def show_config(file: Any = None) -> None:
    """Print versions, backends (and why one is missing), instruction sets and threads.

    Parameters
    ----------
    file : text file, optional
        Where to; standard output by default.
    """
    for key, value in config().items():
        if isinstance(value, dict):
            print(f"{key}:", file=file or sys.stdout)
            for name, what in value.items():
                print(f"  {name}: {what}", file=file or sys.stdout)
        else:
            print(f"{key}: {value}", file=file or sys.stdout)
