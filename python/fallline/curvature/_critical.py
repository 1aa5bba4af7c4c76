"""Critical points, told apart by the Hessian's eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..linesearch._line import check_count, check_number
from ..objectives.base import Batch, Objective
from ..objectives.function import Function
from ._spectrum import spectrum

__all__ = ["CriticalPoint", "Verdict", "critical_point", "escape_direction"]

Verdict: TypeAlias = Literal[
    "local minimum", "local maximum", "saddle", "degenerate", "not critical"
]


@dataclass(frozen=True)
class CriticalPoint:
    """What gradient and Hessian say about a point.

    Attributes
    ----------
    verdict : str
        "local minimum", "local maximum", "saddle", "degenerate" or "not critical".
    message : str
        The reason, in words.
    gradient_norm : float
        ‖g‖.
    eigenvalues : ndarray, shape (k,)
        Of the Hessian, ascending: all, or those at both ends.
    eigenvectors : ndarray, shape (n_params, k)
        A column each, of length 1.
    complete : bool
        Whether these are all.
    tolerance : float
        Up to what an eigenvalue counts as 0.
    """

    verdict: Verdict
    message: str
    gradient_norm: float
    eigenvalues: Array
    eigenvectors: Array
    complete: bool
    tolerance: float

    @property
    def is_critical(self) -> bool:
        """Whether the gradient counts as 0."""
        return self.verdict != "not critical"

    def __str__(self) -> str:
        return f"{self.verdict}: {self.message}"


def critical_point(
    objective: Objective,
    phi: npt.ArrayLike,
    *,
    batch: Batch = None,
    k: int = 3,
    gtol: float | None = None,
    etol: float | None = None,
    dense: bool | None = None,
) -> CriticalPoint:
    r"""Tell what kind of critical point a point is, if it is one.

    At a point with ‖g‖ ≈ 0, by the eigenvalues λ of the Hessian:

    .. math::
        \text{all } λ > 0: \text{ minimum}, \quad \text{all } λ < 0: \text{ maximum}, \quad
        \text{both signs: saddle},

    and degenerate where none of these holds as an eigenvalue is about 0. There the second
    derivative does not decide: x³, x⁴ and -x⁴ have the same at 0. Nor does it make a saddle of an
    eigenvalue that is about 0 beside positive ones.

    Parameters
    ----------
    objective : Objective
        What the point is one of.
    phi : array_like, shape (n_params,)
        The point.
    batch : array_like of int, optional
        Samples; all by default.
    k : int
        Eigenvalues at either end, where not all are found.
    gtol, etol : float, optional
        Up to what ‖g‖, and |λ|, count as 0, in units of max(1, max|λ|). ε^(1/3) and ε^(1/2) of the
        objective's dtype by default: 6e-6 and 1.5e-8 in float64, 5e-3 and 3e-4 in float32
        (and 6e-6 for either where the Hessian is formed by differences of differences).
    dense : bool, optional
        Whether to form the Hessian; by default, up to 500 parameters. Beyond, Lanczos iterations
        on Hessian-vector products find both ends (SciPy's; extra ``scipy``).

    Returns
    -------
    CriticalPoint
        Verdict, reason, eigenvalues and eigenvectors.

    Raises
    ------
    FloatingPointError
        Gradient or Hessian are not finite.
    MemoryError
        The Hessian would not fit and `dense` is True.
    RuntimeError
        Lanczos does not converge.
    TypeError, ValueError, IndexError
        An argument is not as described.

    Examples
    --------
    >>> import fallline as fl
    >>> surfaces = fl.objectives.surfaces
    >>> print(fl.curvature.critical_point(surfaces.Saddle(), [0.0, 0.0]))
    saddle: 1 of 2 eigenvalues is negative, the smallest -2; the largest is 2
    >>> fl.curvature.critical_point(surfaces.Cubic(), [0.0]).verdict
    'degenerate'

    References
    ----------
    Nocedal & Wright (2006), Numerical optimization, section 2.1. Dauphin et al. (2014),
    Identifying and attacking the saddle point problem in high-dimensional non-convex optimization.
    """
    point, indices = objective._check(phi, batch)
    rough = float(np.finfo(objective.dtype).eps) ** (1 / 3)
    gtol = rough if gtol is None else check_number("gtol", gtol, 0)
    etol = _etol(objective, etol)
    norm = _norm(_finite_gradient(objective, point, indices))
    found = spectrum(objective, point, indices, check_count("k", k), dense=dense)
    values = found.values
    scale = max(1.0, float(np.abs(values).max()))
    verdict, message = _judge(values, etol * scale, found.complete)
    if norm > gtol * scale:
        verdict, message = "not critical", f"the gradient's norm is {norm:.3g}"
    return CriticalPoint(
        verdict, message, norm, values, found.vectors, found.complete, etol * scale
    )


def _etol(objective: Objective, etol: float | None) -> float:
    if etol is not None:
        return check_number("etol", etol, 0)
    # Differences of differences, with steps of ε^(1/4), are off by some ε^(1/2) themselves.
    rough = isinstance(objective, Function) and objective.rough_curvature
    return float(np.finfo(objective.dtype).eps ** (1 / 3 if rough else 1 / 2))


def _judge(values: Array, tolerance: float, complete: bool) -> tuple[Verdict, str]:
    low, high = float(values[0]), float(values[-1])
    if low > tolerance:
        return "local minimum", f"all eigenvalues are positive, the smallest {low:.3g}"
    if high < -tolerance:
        return "local maximum", f"all eigenvalues are negative, the largest {high:.3g}"
    negative = int((values < -tolerance).sum())
    if low < -tolerance and high > tolerance:
        count = f"{negative} of {len(values)} eigenvalues "
        count += ("is" if negative == 1 else "are") + " negative"
        if not complete:
            count = "eigenvalues of both signs"
        return "saddle", f"{count}, the smallest {low:.3g}; the largest is {high:.3g}"
    nearest = values[np.argmin(np.abs(values))]
    message = f"an eigenvalue is {nearest:.3g}, within {tolerance:.3g} of 0"
    if low < -tolerance:
        return "degenerate", f"{message}; no minimum, as another is {low:.3g}"
    if high > tolerance:
        return "degenerate", f"{message}; no maximum, as another is {high:.3g}"
    return "degenerate", f"{message}, as are all: the second derivative does not decide"


def escape_direction(
    objective: Objective,
    phi: npt.ArrayLike,
    *,
    batch: Batch = None,
    etol: float | None = None,
    dense: bool | None = None,
) -> Array:
    r"""Where to leave a saddle: along the most negative curvature, downhill.

    .. math:: H v = λ_{\min} v, \qquad \|v\| = 1, \quad g^T v ≤ 0

    At the saddle itself, where both signs are as good to second order, it is the one whose loss
    after a small step is lower.

    Parameters
    ----------
    objective : Objective
        What is to be minimized.
    phi : array_like, shape (n_params,)
        A point, critical or not.
    batch : array_like of int, optional
        Samples; all by default.
    etol : float, optional
        Up to what an eigenvalue counts as 0, as in :func:`critical_point`.
    dense : bool, optional
        Whether to form the Hessian, as in :func:`critical_point`.

    Returns
    -------
    ndarray, shape (n_params,)
        A vector of length 1, of the objective's dtype.

    Raises
    ------
    ValueError
        No eigenvalue is negative: there is nothing to escape from along a curvature.
    FloatingPointError, MemoryError, RuntimeError, TypeError, IndexError
        As in :func:`critical_point`.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> saddle = fl.objectives.surfaces.Saddle()
    >>> np.abs(fl.curvature.escape_direction(saddle, [0.0, 0.0]))
    array([0., 1.])
    """
    point, indices = objective._check(phi, batch)
    etol = _etol(objective, etol)
    gradient = _finite_gradient(objective, point, indices)
    found = spectrum(objective, point, indices, 1, dense=dense)
    low, high = float(found.values[0]), float(found.values[-1])
    if low >= -etol * max(1.0, -low, high):
        raise ValueError(
            f"no direction of negative curvature: the Hessian's smallest eigenvalue is {low:.3g}"
        )
    v = found.vectors[:, 0]
    along = float(v @ gradient)
    if abs(along) <= etol * _norm(gradient):
        along = _rise(objective, point, indices, v)
    direction: Array = (-v if along > 0 else v).astype(objective.dtype)
    return direction


def _rise(objective: Objective, phi: Array, batch: Array | None, v: Array) -> float:
    """Loss one small step ahead, less the loss one step behind; 0 where they are level."""
    h = float(np.finfo(phi.dtype).eps ** (1 / 4)) * max(1.0, float(np.abs(phi).max()))
    with np.errstate(all="ignore"):
        step = (h * v).astype(phi.dtype)
        ahead, behind = (objective._evaluate(phi + s, batch, None) for s in (step, -step))
    return ahead - behind


def _finite_gradient(objective: Objective, phi: Array, batch: Array | None) -> Array:
    gradient = np.empty_like(phi)
    with np.errstate(all="ignore"):
        objective._evaluate(phi, batch, gradient)
    bad = np.flatnonzero(~np.isfinite(gradient))
    if bad.size:
        raise FloatingPointError(
            f"the gradient at phi is not finite: its entry {bad[0]} is {gradient[bad[0]]}"
        )
    return gradient


def _norm(x: Any) -> float:
    return float(np.linalg.norm(x.astype(np.float64)))
