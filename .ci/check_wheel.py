"""That an installed, repaired Linux wheel runs its core on the one libgomp it carries."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import fallline as fl

fl.set_num_threads(2)
x = np.ones(1_000_000)
fl.SGD(x, lr=0.5, backend="native").step(np.ones(1_000_000))
assert (x == 0.5).all()

maps = Path("/proc/self/maps").read_text().splitlines()
mapped = {line.split()[-1] for line in maps if "libgomp" in line}
assert mapped == {str(Path(fl.__file__).parent / "libgomp.so.1")}, mapped
print(f"{fl.__file__}: one OpenMP runtime, its own")
