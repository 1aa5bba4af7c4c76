"""The classic test functions, with exact gradients and Hessians.

Each is an objective of float64 parameters with these attributes:

``minima``
    The minimizers, shape (k, n_params): those with the lowest value of all where there are such,
    the local ones in ``domain`` where the function is unbounded below, none (k = 0) where it has
    none.
``infimum``
    What the values approach from above, over all parameters; -inf where that is unbounded.
``domain``
    Lower and upper ends of where the function is usually looked at, shape (n_params, 2);
    ``initial(seed)`` draws from it uniformly.
"""

from __future__ import annotations

from ._base import Surface as Surface
from ._many import QuadraticValley as QuadraticValley
from ._many import Rastrigin as Rastrigin
from ._many import Rosenbrock as Rosenbrock
from ._many import StyblinskiTang as StyblinskiTang
from ._one import Cubic as Cubic
from ._one import EmpiricalRisk as EmpiricalRisk
from ._one import Risk as Risk
from ._one import Tanh as Tanh
from ._one import UnboundedCubic as UnboundedCubic
from ._two import Beale as Beale
from ._two import Himmelblau as Himmelblau
from ._two import MixedCubic as MixedCubic
from ._two import Saddle as Saddle

__all__ = [
    "Beale",
    "Cubic",
    "EmpiricalRisk",
    "Himmelblau",
    "MixedCubic",
    "QuadraticValley",
    "Rastrigin",
    "Risk",
    "Rosenbrock",
    "Saddle",
    "StyblinskiTang",
    "Surface",
    "Tanh",
    "UnboundedCubic",
]
