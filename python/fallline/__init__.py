"""fallline: fast large-parameter updates on the CPU.

Every optimizer as one fused pass over memory, with the same bits on every backend.
"""

from __future__ import annotations

from . import curvature as curvature
from . import datasets as datasets
from . import linesearch as linesearch
from . import numerics as numerics
from . import objectives as objectives
from . import plot as plot
from . import schedules as schedules
from .accumulator import GradientAccumulator as GradientAccumulator
from .backends import backends as backends
from .climbing import hill_climbing as hill_climbing
from .clipping import clip_grad_norm as clip_grad_norm
from .clipping import clip_grad_value as clip_grad_value
from .clipping import global_norm as global_norm
from .config import get_isa as get_isa
from .config import isas as isas
from .config import set_isa as set_isa
from .config import show_config as show_config
from .fitting.files import load_model as load_model
from .fitting.files import save_model as save_model
from .fitting.model import Model as Model
from .gradient_descent import GradientDescent as GradientDescent
from .grid import grid_search as grid_search
from .loop.averaging import EMA as EMA
from .loop.averaging import SWA as SWA
from .loop.result import Result as Result
from .loop.saddles import SaddleWarning as SaddleWarning
from .loop.table import Table as Table
from .minibatch import Minibatches as Minibatches
from .minimize import minimize as minimize
from .multistart import multistart as multistart
from .optimizer import Optimizer as Optimizer
from .rules import *  # noqa: F403
from .rules import optimizers as optimizers
from .second_order import KFAC as KFAC
from .second_order import LBFGS as LBFGS
from .second_order import AdaHessian as AdaHessian
from .second_order import GaussNewton as GaussNewton
from .second_order import LevenbergMarquardt as LevenbergMarquardt
from .second_order import Newton as Newton
from .serialization import load as load
from .serialization import save as save
from .storage import Storage as Storage
from .sweep import LogUniform as LogUniform
from .sweep import Uniform as Uniform
from .sweep import sweep as sweep
from .threads import get_num_threads as get_num_threads
from .threads import set_num_threads as set_num_threads

__version__ = "0.1.0"
