"""Functions of one parameter."""

from __future__ import annotations

import math

import numpy as np

from ..._types import Array
from ._base import Separable, Terms, wave

__all__ = ["Cubic", "EmpiricalRisk", "Risk", "Tanh", "UnboundedCubic"]


class Cubic(Separable):
    r"""The inflection at 0: critical, and neither minimum nor maximum.

    .. math:: f(x) = x^3

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.Cubic().hessian([0.0])
    array([[0.]])
    """

    def __init__(self) -> None:
        super().__init__([(-2, 2)])

    def _terms_at(self, x: Array) -> Terms:
        return x**3, 3 * x**2, 6 * x


class UnboundedCubic(Separable):
    r"""A local minimum at -1, a local maximum at 1, and no lower bound beyond.

    .. math:: f(x) = -x^3 + 3x

    Examples
    --------
    >>> import fallline as fl
    >>> f = fl.objectives.surfaces.UnboundedCubic()
    >>> f.loss([-1.0]), f.loss([1.0]), f.infimum
    (-2.0, 2.0, -inf)
    """

    def __init__(self) -> None:
        super().__init__([(-2.5, 2.5)], [[-1]])

    def _terms_at(self, x: Array) -> Terms:
        return 3 * x - x**3, 3 - 3 * x**2, -6 * x


class Tanh(Separable):
    r"""Gradients that vanish, though no minimum is near.

    .. math:: f(x) = \tanh x

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.Tanh().gradient([4.0]).round(5)
    array([0.00134])
    """

    infimum = -1.0

    def __init__(self) -> None:
        super().__init__([(-4, 4)])

    def _terms_at(self, x: Array) -> Terms:
        value = np.tanh(x)
        slope = 1 / np.cosh(x) ** 2
        return value, slope, -2 * value * slope


class Risk(Separable):
    r"""A smooth risk with several minima, two of them in its domain.

    .. math:: f(x) = x \cos(π x)

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.Risk().minima.round(4).tolist()
    [[-0.2739], [1.0904]]
    """

    def __init__(self) -> None:
        super().__init__([(-1, 2)], [[-0.27385268680085091], [1.0904082219467212]])

    def _terms_at(self, x: Array) -> Terms:
        value, slope, bend = wave(x, math.pi)
        return x * value, value + x * slope, 2 * slope + x * bend


class EmpiricalRisk(Risk):
    r""":class:`Risk` with the ripples that few samples make.

    .. math:: f(x) = x \cos(π x) + 0.2 \cos(5 π x)

    Examples
    --------
    >>> import fallline as fl
    >>> fl.objectives.surfaces.EmpiricalRisk().loss([1.0])
    -1.2
    """

    def __init__(self) -> None:
        super().__init__()
        found = (
            -0.97403729171094430,
            -0.55845871204121747,
            -0.20805498623437829,
            0.18999729312026078,
            0.65163665206175661,
            1.0169834031079085,
            1.3208019867362605,
        )
        self.minima = np.array(found)[:, None]

    def _terms_at(self, x: Array) -> Terms:
        f, slope, bend = super()._terms_at(x)
        ripple = wave(x, 5 * math.pi)
        return f + 0.2 * ripple[0], slope + 0.2 * ripple[1], bend + 0.2 * ripple[2]
