"""Interleaved runs: every contestant takes a turn in every round."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from time import perf_counter

from .contestants import Contestant

TURN = 5e-3  # seconds a turn lasts at least: long against a clock tick, short against drift


def _timed(contestant: Contestant, calls: int) -> float:
    begin, untimed = perf_counter(), contestant.untimed
    contestant.run(calls)
    return (perf_counter() - begin - (contestant.untimed - untimed)) / calls


def seconds_a_step(contestant: Contestant) -> float:
    """A rough time, after a warm-up."""
    contestant.run(2)
    return min(_timed(contestant, 1) for _ in range(3))


def race(
    contestants: Sequence[Contestant],
    rounds: int,
    turn: float = TURN,
    tell: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """Seconds a step of each contestant in each round.

    A turn is as many steps as last `turn` seconds, after half as many that are not timed: they
    bring the contestant's data back into the caches, and its threads out of their sleep (200
    tensors of 5,000 took 15 % longer after one step alone). Times of one round belong together:
    only their ratios are taken, so that what slows the machine for a while slows both sides.
    """
    calls = [max(1, round(turn / seconds_a_step(c))) for c in contestants]
    seconds: dict[str, list[float]] = {c.name: [] for c in contestants}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for contestant, count in zip(contestants, calls, strict=True):
                contestant.run(1 + count // 2)
                seconds[contestant.name].append(_timed(contestant, count))
            tell()
    finally:
        if collecting:
            gc.enable()
    return seconds
