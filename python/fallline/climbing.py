"""Hill climbing over discrete parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .linesearch._line import check_count

__all__ = ["HillClimbingResult", "hill_climbing"]

T = TypeVar("T")


@dataclass(frozen=True)
class HillClimbingResult(Generic[T]):
    """What hill climbing reached.

    Attributes
    ----------
    x
        The best parameters.
    fun : float
        Value there.
    success : bool
        Whether no neighbour is better.
    message : str
        In words.
    nit, nfev : int
        Moves, and values that were asked for.
    path : list
        Parameters from the start on.
    history : list of float
        Their values.
    """

    x: T
    fun: float
    success: bool
    message: str
    nit: int
    nfev: int
    path: list[T]
    history: list[float]


def hill_climbing(
    f: Callable[[T], float],
    x0: T,
    neighbours: Callable[[T], Iterable[T]],
    *,
    maximize: bool = False,
    max_iter: int = 10_000,
) -> HillClimbingResult[T]:
    r"""Move to the best neighbour as long as that is better.

    .. math:: x_{t+1} = \operatorname{arg\,min}_{x \in N(x_t)} f(x) \quad
        \text{while } f(x_{t+1}) < f(x_t)

    Every move is to a better value, so that no parameters are seen twice, and a plateau ends it. It
    ends at a local optimum: one that is the best of its neighbours, and not of all.

    Parameters
    ----------
    f : callable
        ``f(x)``: the value; NaN is never better.
    x0
        Where to start: a tuple, a string, an array, whatever `f` takes. It is not written to.
    neighbours : callable
        ``neighbours(x)``: those that one move may lead to, new objects. Of equally good ones the
        first is taken.
    maximize : bool
        Climb instead of descend.
    max_iter : int
        Most moves.

    Returns
    -------
    HillClimbingResult
        ``x``, ``fun``, ``success``, ``message``, ``path``, ``history`` and counts.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or `f` returns no number.

    Examples
    --------
    >>> import fallline as fl
    >>> found = fl.hill_climbing(lambda x: (x - 7) ** 2, 3, lambda x: (x - 1, x + 1))
    >>> found.path, found.message
    ([3, 4, 5, 6, 7], 'a local minimum: none of its 2 neighbours is lower')

    References
    ----------
    Russell & Norvig (2021), Artificial intelligence, section 4.1.1.
    """
    for name, given in (("f", f), ("neighbours", neighbours)):
        if not callable(given):
            raise TypeError(f"{name} must be callable, not {given!r}")
    max_iter = check_count("max_iter", max_iter)
    sign = -1.0 if maximize else 1.0
    optimum, better = ("maximum", "higher") if maximize else ("minimum", "lower")

    def cost(x: T) -> float:
        value = sign * float(f(x))
        return math.inf if math.isnan(value) else value

    here, best = x0, cost(x0)
    path, costs, nfev = [here], [best], 1

    def result(success: bool, message: str) -> HillClimbingResult[T]:
        history = [sign * c for c in costs]
        return HillClimbingResult(
            here, history[-1], success, message, len(path) - 1, nfev, path, history
        )

    for _ in range(max_iter + 1):
        around = [(cost(x), x) for x in neighbours(here)]
        nfev += len(around)
        least, x = min(around, key=lambda pair: pair[0], default=(math.inf, here))
        if not least < best:
            count = f"none of its {len(around)} neighbours is {better}"
            if not around:
                count = "it has no neighbours"
            elif least == best < math.inf:
                count += ", though one is level"
            return result(True, f"a local {optimum}: {count}")
        if len(path) > max_iter:
            break
        here, best = x, least
        path.append(here)
        costs.append(best)
    return result(False, f"a neighbour is {better} still after {max_iter} moves")
