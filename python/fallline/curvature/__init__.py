"""What second derivatives say: critical points, escape from saddles, steps and their limits."""

from __future__ import annotations

from ._critical import CriticalPoint as CriticalPoint
from ._critical import critical_point as critical_point
from ._critical import escape_direction as escape_direction
from ._derivatives import GradientCheck as GradientCheck
from ._derivatives import check_gradient as check_gradient
from ._derivatives import hessian as hessian
from ._derivatives import jacobian as jacobian
from ._steps import TaylorPrediction as TaylorPrediction
from ._steps import condition_number as condition_number
from ._steps import optimal_step as optimal_step
from ._steps import taylor_prediction as taylor_prediction
from ._steps import worst_case_step as worst_case_step
