"""fallline: fast large-parameter updates on the CPU.

Every optimizer as one fused pass over memory, with the same bits on every backend.
"""

from __future__ import annotations

from .backends import backends
from .config import get_isa, isas, set_isa, show_config
from .optimizer import Optimizer
from .rules import *  # noqa: F403
from .rules import optimizers
from .threads import get_num_threads, set_num_threads

__version__ = "0.1.0"
