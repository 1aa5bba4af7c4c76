"""How parameters of 16 bits are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ._types import Array, Group, compute_dtype

if TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack
else:
    Unpack = dict  # annotations are not evaluated, and typing has had it since Python 3.11

__all__ = ["Storage"]


class Storage(TypedDict, total=False):
    r"""Keywords of every optimizer, and of its groups, for float16 and bfloat16 parameters.

    A 16-bit parameter has a spacing of 2⁻⁸ of its value (bfloat16), and loses every update below
    half of that. Either of these keeps them:

    .. math::
        w \leftarrow w - \Delta, \quad \phi = \mathrm{nearest}(w)
        \qquad \text{or} \qquad
        \phi \leftarrow \lfloor \phi - \Delta \rfloor + u \, b, \quad
        P(b = 1) = \frac{\phi - \Delta - \lfloor \phi - \Delta \rfloor}{u}

    with the master copy w in float32, the neighbour :math:`\lfloor\cdot\rfloor` towards zero and
    the spacing u. Parameters of 32 and 64 bits are as without.

    Attributes
    ----------
    master_weights : bool
        Keep a float32 copy of each parameter in the state (``"master"``). It is what is updated,
        and the parameter gets it rounded, in the same pass: what else is written to a parameter
        after its first step is lost, until :meth:`fallline.Optimizer.sync_master` takes it over.
    rounding : {"nearest", "stochastic"}
        How updated parameters are rounded. Stochastic rounding leaves the mean as it is; beyond
        the largest finite number it is to nearest. For float16 below 2⁻¹⁴ the probability has a
        resolution of 2⁻¹⁶.
    seed : int
        Of the random bits, in [0, 2⁶⁴): a function of seed, step, parameter and element alone.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> x = np.full(1000, 1, np.float16)
    >>> opt = fl.SGD(x, lr=1e-4, rounding="stochastic", seed=1)
    >>> opt.step(np.ones_like(x))
    >>> np.unique(x)
    array([0.9995, 1.    ], dtype=float16)
    >>> y = np.full(3, 1, np.float16)
    >>> opt = fl.SGD(y, lr=1e-4, master_weights=True)
    >>> opt.step(np.ones_like(y))
    >>> y, opt.state[0]["master"]
    (array([1., 1., 1.], dtype=float16), array([0.9999, 0.9999, 0.9999], dtype=float32))

    References
    ----------
    Micikevicius et al. (2018), Mixed precision training, section 3.1. Gupta, Agrawal,
    Gopalakrishnan & Narayanan (2015), Deep learning with limited numerical precision, section 3.2.
    Salmon, Moraes, Dror & Shaw (2011), Parallel random numbers: as easy as 1, 2, 3 (Threefry).
    """

    master_weights: bool
    rounding: Literal["nearest", "stochastic"]
    seed: int


STORAGE: dict[str, Any] = {"master_weights": False, "rounding": "nearest", "seed": 0}


def complete(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options, those of a call among them; a TypeError where `name` has no such keyword."""
    for option in given:
        if option not in STORAGE:
            raise TypeError(f"{name}() got an unexpected keyword argument {option!r}")
    return {**STORAGE, **given}


def is_narrow(param: Array) -> bool:
    """Whether a parameter is updated in a wider type than its own."""
    return compute_dtype(param.dtype) != param.dtype


def has_master(group: Group, param: Array) -> bool:
    """Whether a parameter of this group has a master copy."""
    return bool(group["master_weights"]) and is_narrow(param)
