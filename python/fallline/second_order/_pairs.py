"""The history of a quasi-Newton method: pairs of steps and changes of the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from .._memory import available_memory
from .._types import Array
from ..backends import choose
from ..threads import get_num_threads

__all__ = ["Pairs", "Passes"]


class Passes(Protocol):
    """The passes over the vectors, as a backend makes them; the same bits of all backends.

    `rows` are rows of the arrays of s and y: the pairs, oldest first.
    """

    def products(
        self,
        rows: Sequence[int],
        added: int,
        gradient: Array,
        before: Array,
        x: Array,
        alpha: float,
        threads: int,
    ) -> Sequence[float]:
        """Row `added` becomes s ← α s and y ← g - g₋ (`gradient`, `before`); x ← x + s.

        Returns s_i·y, s_i·g, y_i·y, y_i·g of each pair, of the one added last, and g·g.
        """

    def combine(
        self,
        rows: Sequence[int],
        s_weights: Sequence[float],
        y_weights: Sequence[float],
        g_weight: float,
        gradient: Array,
        x: Array,
        alpha: float,
        direction: int,
        trial: Array,
        threads: int,
    ) -> Sequence[float]:
        """Row `direction` of s becomes d = c g + Σ a_i s_i + b_i y_i, and `trial` x + α d.

        Returns d·g and d·d.
        """

    def slope(self, direction: int, gradient: Array, threads: int) -> float:
        """d·g."""


class Pairs:
    r"""The last m pairs, and the direction that they make of a gradient.

    The two-loop recursion (Nocedal & Wright, algorithm 7.4) takes 2m inner products of vectors,
    each with one that the last has changed, so that every pair is read twice in either loop. But
    all its vectors are combinations of g and the pairs. Their inner products are formed when a
    pair joins, and the recursion then runs on the combinations' weights: the vectors are read once
    for the products and once for the direction (Chen, Wang & Zhou 2014, "vector-free"; as with the
    compact form of Byrd, Nocedal & Schnabel 1994, only s_i·y_j, y_i·y_j, s_i·g, y_i·g are needed).
    At 10 million variables and m = 10 that is 52 passes over a vector for 80.

    Both rings have m + 1 rows: the direction is formed in the free row of s, which becomes its
    step in place.

    Parameters
    ----------
    n, m : int
        Length of the vectors, and the most pairs.
    dtype : dtype
        float32 or float64.
    """

    def __init__(self, n: int, m: int, dtype: np.dtype[Any]) -> None:
        size = 2 * (m + 1) * n * dtype.itemsize
        available = available_memory()
        if available is not None and size > 0.9 * available:
            raise MemoryError(
                f"a history of {m} pairs of {n:,} {dtype} parameters takes {size / 1e9:.3g} GB; "
                f"{available / 1e9:.3g} GB are available. Lower history_size"
            )
        self._bind(np.zeros((m + 1, n), dtype), np.zeros((m + 1, n), dtype))
        self.rows: list[int] = []  # of the pairs, oldest first
        self.free = 0  # row that the next pair will have
        self._sy = np.zeros((m + 1, m + 1))  # s_i·y_j of rows i and j, where j is no older
        self._yy = np.zeros((m + 1, m + 1))
        self._g = np.zeros((2, m + 1))  # s_i·g and y_i·g
        self._length = 0.0  # of d

    def _bind(self, s: Array, y: Array) -> None:
        self.s, self.y = s, y
        backend = choose(None).NAME
        self._passes: Passes = import_module(f"{__package__}._pairs_{backend}").bind(s, y)

    @property
    def direction(self) -> Array:
        """d, once :meth:`look_ahead` has formed it."""
        row: Array = self.s[self.free]
        return row

    def forget(self) -> None:
        """Start again, without pairs."""
        self.rows = []

    def look_ahead(self, gradient: Array, x: Array, alpha: float, trial: Array) -> float:
        """Form d = -H g, and x + α d in `trial`; the slope d·g."""
        g_weight, s_weights, y_weights = self._weights()
        rows, threads = self.rows, get_num_threads()
        slope, square = self._passes.combine(
            rows, s_weights, y_weights, g_weight, gradient, x, alpha, self.free, trial, threads
        )
        self._length = math.sqrt(square)
        return slope

    def slope(self, gradient: Array) -> float:
        """Along d, where the gradient is another."""
        return self._passes.slope(self.free, gradient, get_num_threads())

    def add(self, gradient: Array, before: Array, x: Array, alpha: float) -> tuple[bool, float]:
        """Move x by α d, add the pair if it has curvature; whether it has, and the norm of g."""
        new, rows = self.free, [*self.rows, self.free]
        sums = self._passes.products(self.rows, new, gradient, before, x, alpha, get_num_threads())
        products = np.array(sums[:-1]).reshape(len(rows), 4)
        sy, yy = (float(products[-1, k]) for k in (0, 2))
        length = alpha * self._length
        eps = float(np.finfo(self.s.dtype).eps)
        good = eps * length * math.sqrt(yy) < sy < math.inf and 0 < yy < math.inf
        if good:
            self._sy[rows, new] = products[:, 0]
            self._yy[rows, new] = self._yy[new, rows] = products[:, 2]
            self.rows = rows[-self.s.shape[0] + 1 :]
            self.free = next(i for i in range(len(self.s)) if i not in self.rows)
        self._g[:, rows] = products[:, [1, 3]].T
        return good, math.sqrt(sums[-1])

    def _weights(self) -> tuple[float, list[float], list[float]]:
        """The two loops: of g, of each s and of each y in -H g."""
        try:
            return self._two_loops(self.rows)
        except (ArithmeticError, ValueError):  # a sum that is not finite
            self.forget()
            return -1.0, [], []

    def _two_loops(self, rows: list[int]) -> tuple[float, list[float], list[float]]:
        if not rows:
            return -1.0, [], []
        sy, yy = self._sy.tolist(), self._yy.tolist()
        sg, yg = self._g.tolist()
        newest = rows[-1]
        gamma = sy[newest][newest] / yy[newest][newest]
        firsts: dict[int, float] = {}  # the first loop's α_i, from the newest on
        for i in reversed(rows):
            firsts[i] = (sg[i] - math.fsum(sy[i][j] * a for j, a in firsts.items())) / sy[i][i]
        steps: dict[int, float] = {}  # α_i - β_i, from the oldest on
        for i in rows:
            along = gamma * (yg[i] - math.fsum(yy[i][j] * firsts[j] for j in rows))
            along += math.fsum(sy[j][i] * c for j, c in steps.items())
            steps[i] = firsts[i] - along / sy[i][i]
        return -gamma, [-steps[i] for i in rows], [gamma * firsts[i] for i in rows]

    # ---- state ---------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All of it, arrays as they are."""
        return {
            "s": self.s,
            "y": self.y,
            "rows": self.rows,
            "free": self.free,
            "sy": self._sy,
            "yy": self._yy,
            "g": self._g,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state; its arrays are kept."""
        self.rows, self.free = list(state["rows"]), int(state["free"])
        self._sy, self._yy, self._g = state["sy"], state["yy"], state["g"]
        self._bind(state["s"], state["y"])
