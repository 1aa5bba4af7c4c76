"""The test problems of Moré, Garbow & Hillstrom (1981), as sums of squares of residuals.

F(x) = Σ r_i(x)², without a factor 1/2, from their standard starts; `minimum` is the least value
the paper states (problem numbers are its own). Jacobians are exact.

Moré, Garbow & Hillstrom (1981), Testing unconstrained optimization software, ACM TOMS 7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

import fallline as fl

__all__ = ["PROBLEMS", "Problem"]

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Terms: TypeAlias = tuple[Array, Array]  # residuals (m,), Jacobian (m, n)


@dataclass(frozen=True)
class Problem:
    """A problem; `minima` are all values that the paper gives for it, the lowest first."""

    number: int
    name: str
    terms: Callable[[Array], Terms]
    x0: Array
    minima: tuple[float, ...]

    def residuals(self, x: Array) -> Array:
        return self.terms(np.asarray(x, np.float64))[0]

    def jacobian(self, x: Array) -> Array:
        return self.terms(np.asarray(x, np.float64))[1]

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        with np.errstate(all="ignore"):
            r, J = self.terms(x)
            return float(r @ r), 2 * (J.T @ r)

    def objective(self) -> fl.objectives.Function:
        """F and its gradient; Hessian-vector products are differences."""
        return fl.objectives.Function(self.value_and_gradient, True, x0=self.x0)

    def least_squares(self) -> fl.objectives.LeastSquares:
        """F / 2, of its residuals."""
        return fl.objectives.LeastSquares(self.residuals, self.jacobian, x0=self.x0)

    def __str__(self) -> str:
        return f"{self.number}-{self.name}-{self.x0.size}"


PROBLEMS: list[Problem] = []


def problem(number: int, x0: Any, *minima: float) -> Callable[[Callable[[Array], Terms]], None]:
    def register(terms: Callable[[Array], Terms]) -> None:
        name = terms.__name__.strip("_")
        PROBLEMS.append(Problem(number, name, terms, np.array(x0, np.float64), minima))

    return register


def columns(*given: Any) -> Array:
    """A Jacobian of its columns; numbers stand for constant ones."""
    return np.stack(np.broadcast_arrays(*map(np.atleast_1d, given)), axis=1).astype(np.float64)


def numbers(text: str) -> Array:
    return np.array(text.split(), np.float64)


def rows(*given: Any) -> Array:
    return np.array(given, np.float64)


# ---- two parameters ----------------------------------------------------------------------------


@problem(1, [-1.2, 1], 0)
def rosenbrock(x: Array) -> Terms:
    return rows(10 * (x[1] - x[0] ** 2), 1 - x[0]), rows((-20 * x[0], 10), (-1, 0))


@problem(2, [0.5, -2], 0, 48.98425)
def freudenstein_roth(x: Array) -> Terms:
    a, b = x
    r = rows(-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b)
    return r, rows((1, (10 - 3 * b) * b - 2), (1, (3 * b + 2) * b - 14))


@problem(3, [0, 1], 0)
def powell_badly_scaled(x: Array) -> Terms:
    a, b = x
    r = rows(1e4 * a * b - 1, np.exp(-a) + np.exp(-b) - 1.0001)
    return r, rows((1e4 * b, 1e4 * a), (-np.exp(-a), -np.exp(-b)))


@problem(4, [1, 1], 0)
def brown_badly_scaled(x: Array) -> Terms:
    a, b = x
    return rows(a - 1e6, b - 2e-6, a * b - 2), rows((1, 0), (0, 1), (b, a))


@problem(5, [1, 1], 0)
def beale(x: Array) -> Terms:
    i = np.arange(1, 4)
    r = np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** i)
    return r, columns(x[1] ** i - 1, x[0] * i * x[1] ** (i - 1))


@problem(6, [0.3, 0.4], 124.36218)
def jennrich_sampson(x: Array) -> Terms:
    i = np.arange(1.0, 11)
    a, b = np.exp(i * x[0]), np.exp(i * x[1])
    return 2 + 2 * i - a - b, columns(-i * a, -i * b)


# ---- three -------------------------------------------------------------------------------------


@problem(7, [-1, 0, 0], 0)
def helical_valley(x: Array) -> Terms:
    a, b, c = x
    with np.errstate(all="ignore"):
        theta = np.arctan(b / a) / (2 * np.pi) + (0.5 if a < 0 else 0)
    square = a * a + b * b
    length = np.sqrt(square)
    r = rows(10 * (c - 10 * theta), 10 * (length - 1), c)
    turn = 100 / (2 * np.pi * square)
    return r, rows((turn * b, -turn * a, 10), (10 * a / length, 10 * b / length, 0), (0, 0, 1))


@problem(8, [1, 1, 1], 8.214877e-3, 17.42869)
def bard(x: Array) -> Terms:
    y = np.array(
        [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]
    )
    u = np.arange(1.0, 16)
    v = 16 - u
    w = np.minimum(u, v)
    below = v * x[1] + w * x[2]
    return y - (x[0] + u / below), columns(-1, u * v / below**2, u * w / below**2)


@problem(9, [0.4, 1, 0], 1.127932e-8)
def gaussian(x: Array) -> Terms:
    half = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521]
    t = (8 - np.arange(1.0, 16)) / 2 - x[2]
    bell = np.exp(-x[1] * t**2 / 2)
    r = x[0] * bell - np.array([*half, 0.3989, *half[::-1]])
    return r, columns(bell, -x[0] * bell * t**2 / 2, x[0] * bell * x[1] * t)


@problem(10, [0.02, 4000, 250], 87.94586)
def meyer(x: Array) -> Terms:
    y = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427]
    t = 45 + 5 * np.arange(1.0, 17) + x[2]
    e = np.exp(x[1] / t)
    r = x[0] * e - np.array([*y, 3820, 3307, 2872])
    return r, columns(e, x[0] * e / t, -x[0] * e * x[1] / t**2)


@problem(11, [5, 2.5, 0.15], 0, 0.038)
def gulf(x: Array) -> Terms:
    t = np.arange(1.0, 100) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    gap = np.abs(y - x[1])
    power = gap ** x[2] / x[0]
    e = np.exp(-power)
    slope = x[2] * power * np.sign(y - x[1]) / gap
    return e - t, columns(e * power / x[0], e * slope, -e * power * np.log(gap))


@problem(12, [0, 10, 20], 0)
def box(x: Array) -> Terms:
    t = np.arange(1.0, 11) / 10
    a, b = np.exp(-t * x[0]), np.exp(-t * x[1])
    c = np.exp(-t) - np.exp(-10 * t)
    return a - b - x[2] * c, columns(-t * a, t * b, -c)


# ---- four to six -------------------------------------------------------------------------------


@problem(13, [3, -1, 0, 1], 0)
def powell_singular(x: Array) -> Terms:
    return _powell_singular(x)


def _powell_singular(x: Array) -> Terms:
    a, b, c, d = x
    r5, r10 = np.sqrt(5), np.sqrt(10)
    r = rows(a + 10 * b, r5 * (c - d), (b - 2 * c) ** 2, r10 * (a - d) ** 2)
    p, q = 2 * (b - 2 * c), 2 * r10 * (a - d)
    return r, rows((1, 10, 0, 0), (0, 0, r5, -r5), (0, p, -2 * p, 0), (q, 0, 0, -q))


@problem(14, [-3, -1, -3, -1], 0)
def wood(x: Array) -> Terms:
    a, b, c, d = x
    r90, r10 = np.sqrt(90), np.sqrt(10)
    r = rows(10 * (b - a**2), 1 - a, r90 * (d - c**2), 1 - c, r10 * (b + d - 2), (b - d) / r10)
    J = rows(
        (-20 * a, 10, 0, 0),
        (-1, 0, 0, 0),
        (0, 0, -2 * r90 * c, r90),
        (0, 0, -1, 0),
        (0, r10, 0, r10),
        (0, 1 / r10, 0, -1 / r10),
    )
    return r, J


@problem(15, [0.25, 0.39, 0.415, 0.39], 3.075056e-4, 1.027340e-3)
def kowalik_osborne(x: Array) -> Terms:
    y = numbers("0.1957 0.1947 0.1735 0.1600 0.0844 0.0627 0.0456 0.0342 0.0323 0.0235 0.0246")
    u = np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
    above, below = u * (u + x[1]), u * (u + x[2]) + x[3]
    fit = above / below
    slopes = (-fit, -x[0] * u / below, x[0] * fit * u / below, x[0] * fit / below)
    return y - x[0] * fit, columns(*slopes)


@problem(16, [25, 5, -5, -1], 85822.20)
def brown_dennis(x: Array) -> Terms:
    t = np.arange(1.0, 21) / 5
    a, b = x[0] + t * x[1] - np.exp(t), x[2] + x[3] * np.sin(t) - np.cos(t)
    return a**2 + b**2, columns(2 * a, 2 * a * t, 2 * b, 2 * b * np.sin(t))


@problem(17, [0.5, 1.5, -1, 0.01, 0.02], 5.464895e-5)
def osborne_1(x: Array) -> Terms:
    y = numbers(
        """
        844 908 932 936 925 908 881 850 818 784 751 718 685 658 628 603 580
        558 538 522 506 490 478 467 457 448 438 431 424 420 414 411 406
        """
    )
    t = 10 * np.arange(33.0)
    a, b = np.exp(-t * x[3]), np.exp(-t * x[4])
    r = y / 1000 - (x[0] + x[1] * a + x[2] * b)
    return r, columns(-1, -a, -b, x[1] * t * a, x[2] * t * b)


@problem(18, [1, 2, 1, 1, 1, 1], 0, 5.655650e-3)
def biggs_exp6(x: Array) -> Terms:
    t = np.arange(1.0, 14) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    a, b, c = np.exp(-t * x[0]), np.exp(-t * x[1]), np.exp(-t * x[4])
    r = x[2] * a - x[3] * b + x[5] * c - y
    return r, columns(-t * x[2] * a, t * x[3] * b, a, -b, -t * x[5] * c, c)


# ---- more --------------------------------------------------------------------------------------


@problem(19, [1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5], 4.013774e-2)
def osborne_2(x: Array) -> Terms:
    y = numbers(
        """
        1366 1191 1112 1013 991 885 831 847 786 725 746 679 608 655 616 606 602
        626 651 724 649 649 694 644 624 661 612 558 533 495 500 423 395 375
        372 391 396 405 428 429 523 562 607 653 672 708 633 668 645 632 591
        559 597 625 739 710 729 720 636 581 428 292 162 98 54
        """
    )
    t = np.arange(65.0) / 10
    decay = np.exp(-t * x[4])
    gaps = [t - x[8 + k] for k in range(3)]
    bells = [np.exp(-(gaps[k] ** 2) * x[5 + k]) for k in range(3)]
    r = y / 1000 - x[0] * decay - sum(x[1 + k] * bells[k] for k in range(3))
    heights = [-bell for bell in bells]
    widths = [x[1 + k] * gaps[k] ** 2 * bells[k] for k in range(3)]
    places = [-2 * x[1 + k] * x[5 + k] * gaps[k] * bells[k] for k in range(3)]
    return r, columns(-decay, *heights, x[0] * t * decay, *widths, *places)


@problem(20, np.zeros(6), 2.287670e-3)
def watson(x: Array) -> Terms:
    return _watson(x)


@problem(20, np.zeros(9), 1.399760e-6)
def watson_9(x: Array) -> Terms:
    return _watson(x)


def _watson(x: Array) -> Terms:
    t = np.arange(1.0, 30)[:, None] / 29
    j = np.arange(x.size)
    powers = t**j
    slopes = np.zeros_like(powers)
    slopes[:, 1:] = j[1:] * t ** (j[1:] - 1)
    total = powers @ x
    r = [*(slopes @ x - total**2 - 1), x[0], x[1] - x[0] ** 2 - 1]
    last = np.zeros((2, x.size))
    last[0, 0], last[1, 0], last[1, 1] = 1, -2 * x[0], 1
    return np.array(r), np.vstack([slopes - 2 * total[:, None] * powers, last])


def repeat(block: Callable[[Array], Terms], x: Array, size: int) -> Terms:
    """Of a function of each `size` parameters in turn."""
    parts = [block(part) for part in x.reshape(-1, size)]
    J = np.zeros((x.size, x.size))
    for i in range(len(parts)):
        at = slice(i * size, (i + 1) * size)
        J[at, at] = parts[i][1]
    return np.concatenate([r for r, _ in parts]), J


@problem(21, [-1.2, 1] * 10, 0)
def extended_rosenbrock(x: Array) -> Terms:
    def block(x: Array) -> Terms:
        return rows(10 * (x[1] - x[0] ** 2), 1 - x[0]), rows((-20 * x[0], 10), (-1, 0))

    return repeat(block, x, 2)


@problem(22, [3, -1, 0, 1] * 5, 0)
def extended_powell_singular(x: Array) -> Terms:
    return repeat(_powell_singular, x, 4)


@problem(23, np.arange(1, 11), 7.087651e-5)
def penalty_1(x: Array) -> Terms:
    a = np.sqrt(1e-5)
    return np.append(a * (x - 1), x @ x - 0.25), np.vstack([a * np.eye(x.size), 2 * x])


@problem(24, np.full(10, 0.5), 2.936605e-4)
def penalty_2(x: Array) -> Terms:
    n, a = x.size, np.sqrt(1e-5)
    i = np.arange(2, n + 1)
    y = np.exp(i / 10) + np.exp((i - 1) / 10)
    e = a * np.exp(x / 10)
    weights = n - np.arange(n)
    r = [x[0] - 0.2, *(e[1:] + e[:-1] - a * y), *(e[1:] - a * np.exp(-1 / 10))]
    J = np.zeros((2 * n, n))
    J[0, 0] = 1
    at = np.arange(1, n)
    J[at, at], J[at, at - 1] = e[1:] / 10, e[:-1] / 10
    J[n - 1 + at, at] = e[1:] / 10
    J[-1] = 2 * weights * x
    return np.array([*r, weights @ x**2 - 1]), J


@problem(25, 1 - np.arange(1, 11) / 10, 0)
def variably_dimensioned(x: Array) -> Terms:
    i = np.arange(1.0, x.size + 1)
    total = i @ (x - 1)
    return np.array([*(x - 1), total, total**2]), np.vstack([np.eye(x.size), i, 2 * total * i])


@problem(26, np.full(10, 0.1), 0, 2.795056e-5)
def trigonometric(x: Array) -> Terms:
    n, i = x.size, np.arange(1, x.size + 1)
    r = n - np.cos(x).sum() + i * (1 - np.cos(x)) - np.sin(x)
    return r, np.tile(np.sin(x), (n, 1)) + np.diag(i * np.sin(x) - np.cos(x))


@problem(27, np.full(10, 0.5), 0, 1)
def brown_almost_linear(x: Array) -> Terms:
    n = x.size
    r = x + x.sum() - (n + 1)
    r[-1] = x.prod() - 1
    J = np.eye(n) + 1
    J[-1] = [np.delete(x, j).prod() for j in range(n)]
    return r, J


_t = np.arange(1, 11) / 11


@problem(28, _t * (_t - 1), 0)
def discrete_boundary_value(x: Array) -> Terms:
    h = 1 / (x.size + 1)
    cube = x + h * np.arange(1, x.size + 1) + 1
    padded = np.pad(x, 1)
    r = 2 * x - padded[:-2] - padded[2:] + h**2 * cube**3 / 2
    off = -np.eye(x.size, k=1) - np.eye(x.size, k=-1)
    return r, off + np.diag(2 + 1.5 * h**2 * cube**2)


@problem(29, _t * (_t - 1), 0)
def discrete_integral_equation(x: Array) -> Terms:
    h = 1 / (x.size + 1)
    t = h * np.arange(1, x.size + 1)
    low = np.tril(np.outer(1 - t, t)) + np.triu(np.outer(t, 1 - t), 1)
    cube = x + t + 1
    return x + h / 2 * low @ cube**3, np.eye(x.size) + h / 2 * low * (3 * cube**2)


@problem(30, -np.ones(10), 0)
def broyden_tridiagonal(x: Array) -> Terms:
    padded = np.pad(x, 1)
    r = (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1
    return r, np.diag(3 - 4 * x) - np.eye(x.size, k=-1) - 2 * np.eye(x.size, k=1)


@problem(31, -np.ones(10), 0)
def broyden_banded(x: Array) -> Terms:
    n = x.size
    near = sum(np.eye(n, k=k) for k in (-5, -4, -3, -2, -1, 1))
    r = x * (2 + 5 * x**2) + 1 - near @ (x * (1 + x))
    return r, np.diag(2 + 15 * x**2) - near * (1 + 2 * x)


@problem(32, np.ones(10), 10)
def linear_full_rank(x: Array) -> Terms:
    n, m = x.size, 20
    J = np.eye(m, n) - 2 / m
    return J @ x - 1, J


@problem(33, np.ones(10), 20 * 19 / (2 * 41))
def linear_rank_1(x: Array) -> Terms:
    J = np.outer(np.arange(1.0, 21), np.arange(1.0, x.size + 1))
    return J @ x - 1, J


@problem(34, np.ones(10), (20**2 + 3 * 20 - 6) / (2 * 37))
def linear_rank_1_with_zeros(x: Array) -> Terms:
    n, m = x.size, 20
    J = np.zeros((m, n))
    J[1:-1, 1:-1] = np.outer(np.arange(1, m - 1), np.arange(2, n))
    return J @ x - 1, J


@problem(35, np.arange(1, 9) / 9, 3.516873e-3)
def chebyquad(x: Array) -> Terms:
    n = x.size
    u = 2 * x - 1
    values, slopes = [np.ones(n), u], [np.zeros(n), np.full(n, 2.0)]
    for _ in range(n - 1):
        values.append(2 * u * values[-1] - values[-2])
        slopes.append(4 * values[-2] + 2 * u * slopes[-1] - slopes[-2])
    i = np.arange(1, n + 1)
    integrals = np.where(i % 2 == 0, -1 / np.where(i == 1, np.inf, i**2.0 - 1), 0.0)
    return np.mean(values[1:], axis=1) - integrals, np.array(slopes[1:]) / n
