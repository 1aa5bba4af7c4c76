"""Planes through parameter space."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..curvature._spectrum import spectrum
from ..objectives._data import as_vector, check_finite_rows
from ..objectives.base import Objective

__all__ = ["PLANES", "Plane", "choose_plane"]

# What the axes of a picture show, so that paths can be drawn onto it.
PLANES: WeakKeyDictionary[Any, Plane] = WeakKeyDictionary()

float64 = np.dtype(np.float64)


class Plane:
    r"""A plane through parameter space.

    .. math:: φ(a, b) = φ_0 + a u + b v

    Parameters
    ----------
    center : array_like, shape (n,)
        φ₀.
    u, v : array_like, shape (n,)
        Directions, not parallel.
    names : pair of str
        What the axes are labelled with.

    Raises
    ------
    TypeError, ValueError
        Vectors of other lengths, or directions that span no plane.

    Examples
    --------
    >>> import fallline as fl
    >>> plane = fl.plot.Plane([1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0])
    >>> plane.point(0.5, 1.0), plane.project([[1.5, 3.0, 7.0]])
    (array([1.5, 3. , 1. ]), array([[0.5, 1. ]]))
    """

    def __init__(
        self,
        center: npt.ArrayLike,
        u: npt.ArrayLike,
        v: npt.ArrayLike,
        names: tuple[str, str] = ("$a$", "$b$"),
    ) -> None:
        n = np.size(center)
        self.center = as_vector("center", center, n, float64)
        self.axes = np.stack([as_vector(w, x, n, float64) for w, x in (("u", u), ("v", v))])
        check_finite_rows("center", self.center)
        check_finite_rows("directions", self.axes)
        lengths = np.linalg.norm(self.axes, axis=1)
        if not lengths.all():
            raise ValueError(f"the direction {'uv'[int(np.argmin(lengths))]} is 0 everywhere")
        if np.linalg.matrix_rank(self.axes / lengths[:, None]) < 2:
            raise ValueError("the directions u and v are parallel: they span no plane")
        self.names = names

    def point(self, a: float, b: float) -> Array:
        """Parameters at coordinates (a, b)."""
        moved: Array = self.points(np.array([[a, b]]))[0]
        return moved

    def points(self, coordinates: Array) -> Array:
        """Those at each row (a, b), shape (k, n)."""
        a, b = coordinates.T[:, :, None]
        moved: Array = self.center + a * self.axes[0] + b * self.axes[1]
        return moved

    def project(self, points: npt.ArrayLike) -> Array:
        """Coordinates of the nearest points in the plane, shape (k, 2)."""
        path = np.asarray(points, np.float64)
        if path.ndim != 2 or path.shape[1] != self.center.size:
            raise ValueError(
                f"points have shape {path.shape}; expected (points, {self.center.size})"
            )
        coordinates: Array = np.linalg.lstsq(self.axes.T, (path - self.center).T, rcond=None)[0].T
        return coordinates


def choose_plane(
    objective: Objective, center: npt.ArrayLike | None, directions: Any, seed: int
) -> Plane:
    """The plane that `directions` names or gives."""
    n = objective.n_params
    if n < 2:
        raise ValueError("the objective has 1 parameter; a surface needs two")
    if directions is None and n == 2:
        return Plane([0, 0], [1, 0], [0, 1], ("$φ_0$", "$φ_1$"))
    if center is None:
        raise ValueError(f"center must say where the slice through {n:,} parameters lies")
    middle = as_vector("center", center, n, objective.dtype)
    if isinstance(directions, str) or directions is None:
        named = {None: _random, "random": _random, "eigen": _eigen}
        if directions not in named:
            raise ValueError(
                f"directions must be 'random', 'eigen' or two vectors, not {directions!r}"
            )
        return named[directions](objective, middle, seed)
    if len(directions) != 2:
        raise ValueError(f"directions must be two vectors, not {len(directions)}")
    return Plane(middle, *directions)


def _random(objective: Objective, center: Array, seed: int) -> Plane:
    """Li et al. (2018), section 4: random directions, each filter as long as the parameters'."""
    rng = np.random.default_rng(seed)
    u, v = (rng.normal(size=center.size) for _ in range(2))
    for direction in (u, v):
        parts = objective.unpack(direction)
        for name, filters in objective.unpack(center.astype(np.float64)).items():
            rows = parts[name].reshape(len(filters), -1) if filters.ndim > 1 else parts[name][None]
            own = filters.reshape(len(rows), -1)
            lengths = np.linalg.norm(own, axis=1) / np.linalg.norm(rows, axis=1).clip(1e-300)
            parts[name][...] = (rows * lengths[:, None]).reshape(filters.shape)
    if not (u.any() and v.any()):
        raise ValueError(
            "center is 0, which has no filters to be normalised by; give directions, or 'eigen'"
        )
    return Plane(center, u, v, ("random direction", "another"))


def _eigen(objective: Objective, center: Array, seed: int) -> Plane:
    """Along the largest and the smallest curvature."""
    found = spectrum(objective, center, None, 1)
    # What is 0 up to rounding is labelled so.
    low, high = (round(x, 9) + 0.0 for x in (found.values[0], found.values[-1]))
    names = (f"eigenvector of λ = {high:.3g}", f"eigenvector of λ = {low:.3g}")
    return Plane(center, found.vectors[:, -1], found.vectors[:, 0], names)
