"""The results of many fits, a row each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from .._extras import require
from .result import Result, Status

__all__ = ["Table"]

SHOWN = 20  # rows that a printed table has at most
WIDEST = 24  # characters that a printed cell has at most
OUTCOME = ("fun", "success", "nit", "nepoch", "seconds", "message")


class Table(Sequence[dict[str, Any]]):
    """Results of many fits: a sequence of rows, each a dict.

    Beside what was chosen for its fit, a row has ``fun``, ``success``, ``nit``, ``nepoch``,
    ``seconds`` and ``message``. Where a fit failed, ``message`` holds the error, ``success`` is
    False, and the numbers are NaN or 0.

    Attributes
    ----------
    columns : list of str
        Keys of the rows.
    results : list of Result or None
        What each fit returned; None where it failed.

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.LinearRegression([[1.0], [2.0]], [3.0, 5.0])
    >>> table = fl.sweep(f, optimizer=fl.SGD, lr=[0.01, 0.1, 10.0], steps=50)
    >>> [row["lr"] for row in table if row["success"]], table.best_row["lr"]
    ([0.01, 0.1], 0.1)
    """

    def __init__(self, chosen: Sequence[dict[str, Any]], fits: Sequence[Fit]) -> None:
        names = list(dict.fromkeys(name for row in chosen for name in row))
        self.columns: list[str] = [*names, *OUTCOME]
        self.results: list[Result | None] = [fit.result for fit in fits]
        self._rows = [
            {**{name: row.get(name) for name in names}, **fit.outcome()}
            for row, fit in zip(chosen, fits, strict=True)
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)

    @property
    def best_index(self) -> int:
        """Row of the lowest ``fun`` among fits that have not diverged; the first, of equals.

        Raises
        ------
        ValueError
            All have failed or diverged.
        """
        sound = [
            (result.fun, i)
            for i, result in enumerate(self.results)
            if result is not None and result.status != Status.DIVERGED
        ]
        if not sound:
            why = self._rows[0]["message"] if self._rows else "there are none"
            raise ValueError(f"no fit has succeeded; the first: {why}")
        return min(sound)[1]

    @property
    def best(self) -> Result:
        """Result of the row :attr:`best_index`."""
        result = self.results[self.best_index]
        assert result is not None
        return result

    @property
    def best_row(self) -> dict[str, Any]:
        """The row :attr:`best_index`."""
        return self._rows[self.best_index]

    def to_pandas(self) -> Any:
        """As a ``pandas.DataFrame``; needs pandas (extra ``table``)."""
        pandas = require("pandas", extra="table")
        return pandas.DataFrame(self._rows, columns=self.columns)

    def __repr__(self) -> str:
        try:
            best = self.best_index
        except ValueError:
            best = -1
        lines = [["", *self.columns]]
        for i, row in enumerate(self._rows[:SHOWN]):
            mark = "*" if i == best else ""
            lines.append([f"{i}{mark}", *(_cell(row[name]) for name in self.columns)])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        if len(self) > SHOWN:
            text.append(f"… {len(self) - SHOWN} more")
        return "\n".join(text)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, type):
        return value.__name__
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


class Fit:
    """One fit: what it returned or raised, and how long it took."""

    def __init__(self, result: Result | None, error: BaseException | None, seconds: float) -> None:
        self.result, self.error, self.seconds = result, error, seconds

    def outcome(self) -> dict[str, Any]:
        """Its share of a row."""
        if self.result is None:
            said = f"{type(self.error).__name__}: {self.error}"
            values: tuple[Any, ...] = (math.nan, False, 0, 0, self.seconds, said)
        else:
            r = self.result
            values = (r.fun, r.success, r.nit, r.nepoch, self.seconds, r.message)
        return dict(zip(OUTCOME, values, strict=True))
