"""The optimizers, in the order of the documentation's table: a line adds one."""

from . import elementwise as elementwise

# isort: off
from .sgd import SGD as SGD
from .momentum import Momentum as Momentum, HeavyBall as HeavyBall
from .momentum import NesterovMomentum as NesterovMomentum
from .normalized import NormalizedGradient as NormalizedGradient
from .adagrad import Adagrad as Adagrad
from .rmsprop import RMSprop as RMSprop
from .adadelta import Adadelta as Adadelta
from .adam import Adam as Adam, AdamW as AdamW
from .adamax import Adamax as Adamax
from .nadam import NAdam as NAdam
from .radam import RAdam as RAdam
from .yogi import Yogi as Yogi
from .lion import Lion as Lion
from .rprop import Rprop as Rprop
from .asgd import ASGD as ASGD
from .signum import Signum as Signum
from .adabelief import AdaBelief as AdaBelief
from .adan import Adan as Adan
from .ademamix import AdEMAMix as AdEMAMix
from .schedule_free import ScheduleFreeAdamW as ScheduleFreeAdamW
from .schedule_free import ScheduleFreeSGD as ScheduleFreeSGD
from .swats import SWATS as SWATS
# isort: on

from typing import TYPE_CHECKING

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


if not TYPE_CHECKING:  # to type checkers the lines above say what is exported
    __all__ = [*_REGISTRY, "optimizers"]
