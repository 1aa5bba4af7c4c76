"""The optimizers, in the order of the documentation's table: a line adds one."""

from . import elementwise as elementwise

# isort: off
from .sgd import SGD as SGD
from .adam import Adam as Adam, AdamW as AdamW
# isort: on

from ..optimizer import Optimizer

_REGISTRY: dict[str, type[Optimizer]] = {
    name: value
    for name, value in globals().items()
    if isinstance(value, type) and issubclass(value, Optimizer) and value is not Optimizer
}


def optimizers() -> dict[str, type[Optimizer]]:
    """Every optimizer by name, in the order of the documentation's table.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.optimizers()["AdamW"] is fl.AdamW
    True
    """
    return dict(_REGISTRY)


__all__ = [*_REGISTRY, "optimizers"]  # noqa: PLE0604
