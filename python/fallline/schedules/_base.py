"""What the schedules share: checked arguments, the step index, the shapes of a decay."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from operator import index
from typing import Annotated, Any, Literal, get_args, get_type_hints

ScheduleLike = Callable[[int], float]

# -- Checked arguments: the requirement stands in the annotation of the field --------------------


def _always(value: object) -> bool:
    return True


@dataclass(frozen=True, slots=True, repr=False)
class Check:
    """A requirement on an argument: in words, as a conversion, and as a condition on its result."""

    expected: str
    convert: Callable[[Any], Any]
    holds: Callable[[Any], bool] = _always

    def __call__(self, name: str, value: object) -> Any:
        """Return the converted value, or say what is wrong with the argument called `name`."""
        message = f"{name} must be {self.expected}, got {value!r}"
        try:
            converted = self.convert(value)
        except TypeError:
            raise TypeError(message) from None
        except (ValueError, OverflowError):
            raise ValueError(message) from None
        if not self.holds(converted):
            raise ValueError(message)
        return converted

    def __repr__(self) -> str:
        return self.expected


def as_real(value: Any) -> float:
    """Convert to float what is a number; unlike `float`, refuse strings and booleans."""
    if isinstance(value, (bool, str, bytes, bytearray)):
        raise TypeError
    return float(value)


def as_integer(value: Any) -> int:
    """Convert to int what has ``__index__`` and is not a boolean."""
    if isinstance(value, bool):
        raise TypeError
    return index(value)


def _as_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _as_schedule(value: Any) -> ScheduleLike:
    # A class is callable too: `LinearWarmup(Cosine, 10)` would only fail at the first step.
    if isinstance(value, type) or not callable(value):
        raise TypeError
    return value  # type: ignore[no-any-return]


def finite(condition: str, holds: Callable[[float], bool] = _always) -> Check:
    """Check for a finite number with a further condition."""
    return Check(
        f"a finite number{condition}", as_real, lambda value: math.isfinite(value) and holds(value)
    )


def one_of(literal: Any) -> Check:
    """Check for one of the options of a ``Literal``."""
    options = get_args(literal)
    return Check(
        " or ".join(map(repr, options)), lambda value: value, lambda value: value in options
    )


def _strictly_increasing(steps: tuple[int, ...]) -> bool:
    return all(a < b for a, b in zip((0, *steps), steps, strict=False))


def _are_rates(values: tuple[float, ...]) -> bool:
    return all(math.isfinite(value) and value >= 0 for value in values)


NonNegative = Annotated[float, finite(" >= 0", lambda value: value >= 0)]
Positive = Annotated[float, finite(" > 0", lambda value: value > 0)]
Fraction = Annotated[float, finite(" from 0 to 1", lambda value: 0 <= value <= 1)]
Whole = Annotated[int, Check("an integer >= 0", as_integer, lambda value: value >= 0)]
Count = Annotated[int, Check("an integer >= 1", as_integer, lambda value: value >= 1)]
Flag = Annotated[bool, Check("True or False", _as_flag)]
Nested = Annotated[ScheduleLike, Check("a callable from step to learning rate", _as_schedule)]
Milestones = Annotated[
    Sequence[int],
    Check(
        "a sequence of strictly increasing integers >= 1",
        lambda values: tuple(map(as_integer, values)),
        _strictly_increasing,
    ),
]
Rates = Annotated[
    Sequence[float],
    Check(
        "a sequence of finite numbers >= 0", lambda values: tuple(map(as_real, values)), _are_rates
    ),
]
NestedMany = Annotated[
    Sequence[ScheduleLike],
    Check(
        "a sequence of callables from step to learning rate",
        lambda values: tuple(map(_as_schedule, values)),
    ),
]


@cache
def checks(kind: type[Any]) -> Mapping[str, Check]:
    """Return the arguments of a dataclass, in order, with the check that each has to pass."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name].__metadata__[0] for field in fields(kind) if field.init}


def validate(instance: object) -> None:
    """Check and convert every argument of a dataclass instance; works on frozen ones."""
    kind: Any = type(instance)
    for name, check in checks(kind).items():
        value = check(f"{kind.__name__}.{name}", getattr(instance, name))
        object.__setattr__(instance, name, value)


def require_one_more(owner: str, many: str, values: Sequence[object], few: Sequence[int]) -> None:
    """Check that `few` steps separate one more `values`."""
    if len(values) != len(few) + 1:
        raise ValueError(
            f"{owner} must have one entry more than {many}, got {len(values)} and {len(few)}"
        )


# -- Shapes of a decay: the weight of the start value at progress 0 to 1 --------------------------


def linear(progress: float) -> float:
    """Fall at a constant rate."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """Fall along half a period of a cosine."""
    return (1.0 + math.cos(math.pi * progress)) / 2.0


def one_minus_sqrt(progress: float) -> float:
    """Fall steeply first, as one minus a square root."""
    return 1.0 - math.sqrt(progress)


Anneal = Literal["cosine", "linear"]
Shape = Literal["linear", "cosine", "sqrt"]
SHAPES: dict[str, Callable[[float], float]] = {
    "linear": linear,
    "cosine": cosine,
    "sqrt": one_minus_sqrt,
}


def blend(start: float, end: float, weight: float) -> float:
    """Return `start` at weight 1 and `end` at weight 0, both exactly."""
    # end + (start - end) * weight would miss start by a rounding, and loses small end values.
    return start * weight + end * (1.0 - weight)


# -- The base -----------------------------------------------------------------------------------


class Schedule(ABC):
    """A learning rate as a function of the step index; the base of all schedules.

    Wherever a schedule is expected, a plain function from step to learning rate will do as well:
    deriving from this class is not needed.

    Examples
    --------
    >>> from fallline import schedules
    >>> schedule = schedules.Exponential(0.5, factor=0.5)
    >>> isinstance(schedule, schedules.Schedule), schedule(1)
    (True, 0.25)
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        validate(self)

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step.

        Parameters
        ----------
        step : int
            The index of the step, from 0; anything with ``__index__``.

        Returns
        -------
        float
            The learning rate.

        Raises
        ------
        TypeError
            If `step` is not an integer.
        ValueError
            If `step` is negative.
        """
        try:
            at = index(step)
        except TypeError:
            raise TypeError(f"step must be an integer >= 0, got {step!r}") from None
        if at < 0:
            raise ValueError(f"step must be an integer >= 0, got {step!r}")
        return self._at(at)

    @abstractmethod
    def _at(self, step: int) -> float:
        """Return the learning rate at a step known to be an int >= 0."""
