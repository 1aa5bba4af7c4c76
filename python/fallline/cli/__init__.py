"""``fallline`` on the command line."""

from __future__ import annotations

import sys

from .._extras import require

__all__ = ["main"]


def main() -> None:
    """Run the command line; where an extra is missing, say so in a line and exit with 1."""
    try:
        for module in ("typer", "rich"):
            require(module, extra="cli")
        from .app import app

        app(prog_name="fallline")
    except ImportError as error:
        sys.exit(f"fallline: {error}")
    except KeyboardInterrupt:  # while modules are loaded; later typer does the same
        sys.exit(130)
