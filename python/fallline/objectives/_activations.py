"""Activations f of a network's units: f, f′ and f″ of a number.

Each is spelled once for two backends: NumPy calls it on arrays, Numba compiles it for a scalar. C++
has its own in cpp/include/fallline/activations.hpp, a line each under the same names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernel import where

__all__ = ["ACTIVATIONS", "RECTIFIERS", "erf"]

Jet = tuple[Any, Any, Any]

erf: Callable[[Any], Any] = np.vectorize(math.erf, otypes=[np.float64])  # NumPy has none


def identity(x: Any) -> Jet:
    return x, 1.0, 0.0


def relu(x: Any) -> Jet:
    return where(x <= 0, 0.0, x), where(x > 0, 1.0, 0.0), 0.0  # NaN stays


def tanh(x: Any) -> Jet:
    t = np.tanh(x)
    return t, 1.0 - t * t, -2.0 * t * (1.0 - t * t)


def sigmoid(x: Any) -> Jet:
    e = np.exp(-np.abs(x))  # never overflows
    s, d = where(x < 0, e, 1.0) / (1.0 + e), e / ((1.0 + e) * (1.0 + e))
    return s, d, d * (1.0 - 2.0 * s)


def softplus(x: Any) -> Jet:
    s, d, _ = sigmoid(x)
    return where(x <= 0, 0.0, x) + np.log1p(np.exp(-np.abs(x))), s, d


def silu(x: Any) -> Jet:
    s, d, b = sigmoid(x)
    return x * s, s + x * d, 2.0 * d + x * b


def gelu(x: Any) -> Jet:
    p = 0.5 * (1.0 + erf(x * math.sqrt(0.5)))
    d = np.exp(-0.5 * x * x) * math.sqrt(0.5 / math.pi)
    return x * p, p + x * d, d * (2.0 - x * x)


ACTIVATIONS: dict[str, Callable[[Any], Jet]] = {
    f.__name__: f for f in (identity, relu, tanh, sigmoid, softplus, silu, gelu)
}
RECTIFIERS = ("relu", "softplus", "silu", "gelu")  # about x for x > 0, about 0 for x < 0
