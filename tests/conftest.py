"""What holds for every test."""

import pytest


def pytest_collection_modifyitems(items):
    # An address in a test's name differs from process to process, and pytest-xdist's workers, which
    # compare what they have collected, give up (about one run in two).
    for item in items:
        if " at 0x" in item.name:
            raise pytest.UsageError(f"an object's address is in the name of {item.nodeid}")
