"""Optional dependencies, imported when first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["require"]


def require(module: str, *, extra: str) -> Any:
    """Import an optional module, or raise an ImportError that names the extra it comes with."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{package} is missing ({error}): pip install 'fallline[{extra}]'"
        ) from error
