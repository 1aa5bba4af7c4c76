"""Losses to minimize: their values, gradients and Hessian-vector products over minibatches."""

from __future__ import annotations

from .base import Objective as Objective
from .gabor import Gabor as Gabor
from .linear import LinearRegression as LinearRegression
from .logistic import LogisticRegression as LogisticRegression
from .shallow_relu import ShallowReLU as ShallowReLU
from .softmax import SoftmaxRegression as SoftmaxRegression
