"""The scripts behind the guide's tables, in a smaller setting."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

import fallline as fl

EXAMPLES = Path(__file__).parents[1] / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="needs the examples beside the tests")


def script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def test_kfac_takes_fewer_steps_than_adam(capsys: pytest.CaptureFixture[str]) -> None:
    """From every start, each at the best of the same rates, to both losses."""
    threads = fl.get_num_threads()
    fl.set_num_threads(1)  # steps of a millisecond, on a machine that may be busy
    try:
        found = script("kfac_digits")["main"](3, 35, (0.01, 0.03), ("K-FAC", "Adam"))
    finally:
        fl.set_num_threads(threads)
    kfac, adam = ([f.steps for f in found[name][1]] for name in ("K-FAC", "Adam"))
    assert len(kfac) == len(adam) == 3
    for k, a in zip(kfac, adam, strict=True):
        assert k[0] < a[0]
        assert k[1] < a[1] / 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| | lr | loss 0.1 | loss 0.01 |")
    assert len(lines) == 4


@pytest.mark.filterwarnings("ignore::fallline.SaddleWarning")
def test_plain_newton_steps_end_at_saddles(capsys: pytest.CaptureFixture[str]) -> None:
    found = script("newton_and_saddles")["main"](15)
    assert all(sum(ends.values()) == 15 for ends in found.values())  # every fit is counted
    for (surface, name), ends in found.items():
        if name == "plain":
            assert ends["saddle"] >= 3, surface
        else:
            assert ends["local minimum"] == 15, (surface, name)
    assert capsys.readouterr().out.startswith("| | plain |")
