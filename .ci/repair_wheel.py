"""Make a Linux wheel portable: ``python repair_wheel.py WHEEL DEST``.

auditwheel would copy libgomp under a name of its own. A process that also loads torch, which
carries it under its plain name, would then have two OpenMP pools that fight for the cores
(pytorch issue 98836: 36 s instead of 11 s). So libgomp goes into the wheel under its plain SONAME,
beside the extension, whose run path is $ORIGIN: the loader takes the copy that is already in the
process, else this one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LIBRARY = "libgomp.so.1"


def run(*command: str | Path) -> str:
    """Output of a command that must succeed."""
    done = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True)
    return done.stdout


def find_library(extension: Path) -> Path:
    """The libgomp that the extension was linked to."""
    for line in run("ldd", extension).splitlines():
        name, _, rest = line.strip().partition(" => ")
        if name == LIBRARY:
            return Path(rest.split(" ")[0]).resolve()
    raise SystemExit(f"{extension} is not linked to {LIBRARY} under its plain name")


def main(wheel: Path, destination: Path) -> None:
    """Repair `wheel` into the folder `destination`."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        python = (sys.executable, "-m")
        run(*python, "auditwheel", "repair", "--exclude", LIBRARY, "-w", scratch, wheel)
        (repaired,) = scratch.glob("*.whl")
        run(*python, "wheel", "unpack", "-d", scratch / "unpacked", repaired)
        (root,) = (scratch / "unpacked").iterdir()
        (extension,) = (root / "fallline").glob("_core*.so")
        shutil.copy(find_library(extension), root / "fallline" / LIBRARY)
        destination.mkdir(parents=True, exist_ok=True)
        run(*python, "wheel", "pack", "-d", destination, root)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
