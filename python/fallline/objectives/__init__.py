"""Losses to minimize: their values, gradients and Hessian-vector products over minibatches."""

from __future__ import annotations

from . import surfaces as surfaces
from .base import Objective as Objective
from .function import Function as Function
from .gabor import Gabor as Gabor
from .linear import LinearRegression as LinearRegression
from .logistic import LogisticRegression as LogisticRegression
from .mlp import MLP as MLP
from .residuals import LeastSquares as LeastSquares
from .sample import SampleObjective as SampleObjective
from .sample import from_sample as from_sample
from .shallow_relu import ShallowReLU as ShallowReLU
from .softmax import SoftmaxRegression as SoftmaxRegression
