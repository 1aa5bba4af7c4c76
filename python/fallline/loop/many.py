"""Many fits beside one another, each on a thread of its own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from time import perf_counter
from typing import Any

from .._interrupts import Noticed, following, noticed
from ..minibatch import as_count
from ..minimize import minimize
from ..objectives import Objective
from ..threads import get_num_threads, limited
from .arguments import hyperparameters_of, is_rule
from .progress import Bar
from .table import Fit

__all__ = ["SETTINGS", "check_options", "run_all"]

SETTINGS = [n for n in inspect.signature(minimize).parameters if n != "hyperparameters"]
SINGLE = ("checkpoint", "checkpoint_every", "resume")  # a file is of one fit


def check_options(who: str, options: Mapping[str, Any], optimizers: Sequence[Any]) -> None:
    """Raise what would make every fit fail."""
    for cls in optimizers:
        if not is_rule(cls):
            raise TypeError(
                f"optimizer must be a class of fallline.optimizers() in {who}, as every fit has an "
                f"optimizer of its own, not {cls!r}"
            )
    for name in options:
        if name in SINGLE:
            raise TypeError(f"{who} has no {name!r}: it would be one file for all fits")
        if name not in SETTINGS and not any(name in hyperparameters_of(c) for c in optimizers):
            owners = ", ".join(cls.__name__ for cls in optimizers)
            raise TypeError(
                f"{name!r} is neither an argument of minimize nor a hyperparameter of {owners}"
            )


def run_all(
    objective: Objective,
    fits: Sequence[Mapping[str, Any]],
    workers: int | None,
    progress: bool | None,
) -> list[Fit]:
    """Run each fit with its options. A fit that raises is recorded; Ctrl-C ends all.

    Fits do not know of one another, so that their results do not depend on the workers.
    """
    workers = get_num_threads() if workers is None else as_count("workers", workers)
    workers = max(1, min(workers, len(fits)))
    bar = Bar(progress, len(fits))
    with noticed() as request, ThreadPoolExecutor(workers, "fallline") as pool:
        share = workers > 1
        futures = [pool.submit(_one, objective, options, request, share) for options in fits]
        pending: set[Future[Fit]] = set(futures)
        try:
            while pending:
                pending = wait(pending, 0.1, FIRST_COMPLETED).not_done
                bar.update(len(futures) - len(pending), "fits")
        except BaseException:
            request.asked = True  # the pool waits for those under way
            raise
        finally:
            bar.close()
        return [future.result() for future in futures]


def _one(objective: Objective, options: Mapping[str, Any], request: Noticed, share: bool) -> Fit:
    begin = perf_counter()
    if request.asked:
        return Fit(None, KeyboardInterrupt("before it began"), 0.0)
    try:
        with following(request), limited(1) if share else nullcontext():
            result = minimize(objective, **{"progress": False, **options})
    except Exception as error:
        return Fit(None, error, perf_counter() - begin)
    return Fit(result, None, perf_counter() - begin)
