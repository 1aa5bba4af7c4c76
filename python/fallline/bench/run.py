"""A work from its arrays to its entry in the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from . import check, fits, gradients, training
from .contestants import BOUND, OURS, Contestant, UnavailableError, line_up
from .fits import FitWork
from .gradients import GradientWork
from .measure import TURN, race
from .peers import CONTESTANTS
from .report import Entry
from .works import Data, Training, Work

AnyWork: TypeAlias = Work | Training | GradientWork | FitWork
# What builds a work's problem, a contestant of this name, and what checks their results.
Parts: TypeAlias = tuple[
    Callable[[Any], Any],
    Callable[[str, Any, Any], Contestant],
    Callable[[Any, Any, Any], None],
]


def run(
    work: AnyWork,
    rounds: int,
    turn: float = TURN,
    tell: Callable[[], object] = lambda: None,
) -> Entry:
    """Measure a work against its peers, and check the results."""
    build, enter, verify = _parts(work)
    bounds = (BOUND,) if isinstance(work, (Work, GradientWork)) else ()
    try:
        problem = build(work)
        if isinstance(work, Work) and work.tensors:
            # The first small pages that a process is given are fragments that others have left
            # (3 GB of them where this was seen), and steps in them took up to 14 % longer: nobody
            # who is timed gets those.
            ballast = [enter(OURS, work, problem) for _ in range(3)]
            for one in ballast:
                one.run(1)
        contestants, skipped = line_up(
            lambda name: enter(name, work, problem), (*bounds, *work.peers)
        )
    except UnavailableError as reason:  # nobody could take part
        return Entry(
            work.name, work.title, 0.0, {}, {}, dict.fromkeys((OURS, *work.peers), str(reason))
        )
    seconds = race(contestants, rounds, turn, tell)
    verify(work, problem, contestants)
    size = contestants[0].bytes
    _scale_bounds(seconds, contestants, size)
    details = {c.name: c.detail for c in contestants if c.detail}
    return Entry(work.name, work.title, size, seconds, details, skipped)


def _parts(work: AnyWork) -> Parts:
    if isinstance(work, GradientWork):
        return work.problem, lambda name, _, p: gradients.contestant(name, p), gradients.check
    if isinstance(work, FitWork):
        return work.objective, fits.contestant, fits.check
    if isinstance(work, Training):
        return training.problem, training.contestant, training.check
    return Data.of, contestant, check.check


def contestant(name: str, work: Work, data: Data) -> Contestant:
    """Someone who steps."""
    return CONTESTANTS[name](work, data)


def _scale_bounds(
    seconds: dict[str, list[float]], contestants: list[Contestant], size: float
) -> None:
    """To the same bytes: a rule may have more streams than the largest kernel of streams."""
    for bound in (c for c in contestants if c.name == BOUND):
        seconds[BOUND] = [t * size / bound.bytes for t in seconds[BOUND]]
