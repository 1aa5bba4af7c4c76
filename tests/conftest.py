"""What holds for every test."""

import os
import signal

# Started in the background of a script, Ctrl-C is ignored, and by every process that is started
# here; ten tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before an OpenMP runtime is loaded, which reads it once. Threads that spin at a barrier keep the
# cores from those of other workers: with as many workers as cores, test_mlp.py took 1.2 times as
# long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import fallline as fl

# Hypothesis fails an example that takes more than 200 ms, and a test whose data take a second to
# make: on a busy machine any does.
settings.register_profile("fallline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fallline")


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Threads and instruction set, which a test may change."""
    threads, isa = fl.get_num_threads(), fl.get_isa()
    yield
    fl.set_num_threads(threads)
    if isa:
        fl.set_isa(isa)


def pytest_collection_modifyitems(items):
    # An address in a test's name differs from process to process, and pytest-xdist's workers, which
    # compare what they have collected, give up (about one run in two).
    for item in items:
        if " at 0x" in item.name:
            raise pytest.UsageError(f"an object's address is in the name of {item.nodeid}")
