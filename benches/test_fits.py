"""Whole fits, ours and of the peers: ``pytest benches/test_fits.py``.

``fallline bench gradients`` holds them against each other in interleaved runs.
"""

from __future__ import annotations

from typing import Any

import pytest

from fallline.bench.contestants import OURS, UnavailableError
from fallline.bench.fits import check, contestant, fit_works

WORKS = fit_works()


@pytest.mark.parametrize(
    ("name", "who"), [(work.name, who) for work in WORKS.values() for who in (OURS, *work.peers)]
)
def test_fit(benchmark: Any, name: str, who: str) -> None:
    work = WORKS[name]
    benchmark.group = work.title
    try:
        objective = work.objective(work)
        one = contestant(who, work, objective)
    except UnavailableError as reason:
        pytest.skip(str(reason))
    benchmark.pedantic(one.run, args=(1,), rounds=3, warmup_rounds=1)
    check(work, objective, [one])
