"""What a fit returns, in scipy.optimize's manner."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Result", "Status", "Stop"]


class Status(IntEnum):
    """Why a fit ended."""

    GRADIENT = 0
    LOSS_CHANGE = 1
    EPOCHS = 2
    STEPS = 3
    TIME = 4
    CALLBACK = 5
    DIVERGED = 6
    INTERRUPTED = 7
    NO_DECREASE = 8
    UNBOUNDED = 9


class Stop(NamedTuple):
    """Why a fit ends, and how to say it."""

    status: Status
    message: str


class Result(dict[str, Any]):
    """A dict whose entries are attributes as well, like ``scipy.optimize.OptimizeResult``.

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.LinearRegression([[1.0], [2.0]], [3.0, 5.0])
    >>> res = fl.minimize(f, optimizer=fl.SGD, lr=0.1, epochs=2)
    >>> res.nit == res["nit"] == 2
    True
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the result has no {name!r}; it has {', '.join(self)}") from None

    __setattr__ = dict.__setitem__
    __delattr__ = dict.__delitem__

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:>{width}}: {_short(value)}" for name, value in self.items())


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 6:
        ends = np.array2string(value.reshape(-1), threshold=6, edgeitems=3, precision=4)
        return ends if value.ndim == 1 else f"array of shape {value.shape}"
    if isinstance(value, Status):
        return f"{int(value)} ({value.name})"
    return str(value) if isinstance(value, (str, np.ndarray)) else repr(value).partition("\n")[0]
