"""A work from its arrays to its entry in the report."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

from . import check, fits, gradients, training
from .contestants import BOUND, OURS, Contestant, UnavailableError, memory_bound, ours
from .fits import FitWork
from .gradients import GradientWork
from .measure import TURN, race
from .peers import PEERS
from .report import Entry
from .works import Data, Training, Work

AnyWork: TypeAlias = Work | Training | GradientWork | FitWork


def run(
    work: AnyWork,
    rounds: int,
    turn: float = TURN,
    tell: Callable[[], object] = lambda: None,
) -> Entry:
    """Measure a work against its peers, and check the results."""
    if isinstance(work, Training):
        return _run_training(work, rounds, turn, tell)
    build, lined_up, verify = _parts(work)
    try:
        problem = build(work)
    except UnavailableError as reason:
        return _missing(work, reason)
    contestants, skipped = lined_up(work, problem)
    seconds = race(contestants, rounds, turn, tell)
    verify(work, problem, contestants)
    size = contestants[0].bytes
    _scale_bounds(seconds, contestants, size)
    details = {c.name: c.detail for c in contestants if c.detail}
    return Entry(work.name, work.title, size, seconds, details, skipped)


def _parts(work: Work | GradientWork | FitWork) -> tuple[Callable[..., Any], ...]:
    """What builds a work's problem, says who takes part, and checks their results."""
    if isinstance(work, GradientWork):
        return work.problem, gradients.line_up, gradients.check
    if isinstance(work, FitWork):
        return work.objective, fits.line_up, fits.check
    return Data.of, lambda work, data: line_up(work, data, work.peers), check.check


def _missing(work: AnyWork, reason: UnavailableError) -> Entry:
    """Nobody could take part."""
    skipped = dict.fromkeys((OURS, *work.peers), str(reason))
    return Entry(work.name, work.title, 0.0, {}, {}, skipped)


def _scale_bounds(
    seconds: dict[str, list[float]], contestants: list[Contestant], size: float
) -> None:
    """To the same bytes: a rule may have more streams than the largest kernel of streams."""
    for bound in (c for c in contestants if c.name == BOUND):
        seconds[BOUND] = [t * size / bound.bytes for t in seconds[BOUND]]


def line_up(
    work: Work, data: Data, peers: Collection[str]
) -> tuple[list[Contestant], dict[str, str]]:
    """Our step, the memory bound and the peers; and why some peers are missing."""
    contestants = [ours(work, data)]
    skipped: dict[str, str] = {}
    builders: dict[str, Any] = {BOUND: memory_bound, **{name: PEERS[name] for name in peers}}
    for name, build in builders.items():
        try:
            contestants.append(build(work, data))
        except UnavailableError as reason:
            skipped[name] = str(reason)
    return contestants, skipped


def _run_training(work: Training, rounds: int, turn: float, tell: Callable[[], object]) -> Entry:
    try:
        trainees = training.contestants(work)
    except UnavailableError as reason:
        return _missing(work, reason)
    seconds = race(trainees, rounds, turn, tell)
    training.check(work, trainees)
    return Entry(work.name, work.title, 0.0, seconds, {}, {})
