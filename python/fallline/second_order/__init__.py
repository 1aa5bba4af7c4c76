"""Methods that ask the objective for more than a gradient: line searches and curvature."""

from __future__ import annotations

from ._method import Method as Method
from ._method import Step as Step
from .adahessian import AdaHessian as AdaHessian
from .kfac import KFAC as KFAC
from .lbfgs import LBFGS as LBFGS
from .least_squares import GaussNewton as GaussNewton
from .least_squares import LevenbergMarquardt as LevenbergMarquardt
from .newton import Newton as Newton
