"""Newton's method: plain, damped, by absolute curvature, within a trust region."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .. import linesearch
from .._types import Array
from ..linesearch import Line
from ..linesearch._line import check_count, check_number, dot
from ..objectives.base import Objective
from ._method import Method, Step
from ._trust import ACCEPT, Bounded, Spectral, Steihaug, next_radius

__all__ = ["Newton"]

Curvature: TypeAlias = Literal["exact", "absolute"]
TrustRegion: TypeAlias = Literal["auto", "exact", "steihaug"]

CURVATURES = ("exact", "absolute")
SEARCHES = (None, "backtracking", "strong_wolfe")
REGIONS = (None, "auto", "exact", "steihaug")
DENSE = 500  # parameters up to which "auto" forms the Hessian, as fallline.curvature does
SHRINKS = 100  # of the region in one step; each by four at least


class Newton(Method):
    r"""Newton's method: to where the quadratic model of the loss has its critical point.

    .. math:: (H + λI)\, d = -g, \qquad \varphi_{t+1} = \varphi_t + α d

    H is formed, at n Hessian-vector products, and the system solved; nothing is inverted.
    One step reaches the minimum of a quadratic loss, and near any regular minimum the error is
    squared by each step. The same holds at saddles and maxima: where H is indefinite, d may lead
    up, and plain Newton steps are *drawn to* saddles. Two remedies:

    ``curvature="absolute"`` takes :math:`|H|`, the matrix with the eigenvectors of H and the
    absolute values of its eigenvalues, so that every direction leads down and saddles repel.

    ``trust_region`` takes the minimum of the model within a radius Δ,

    .. math:: \min_d\; g^T d + \tfrac12 d^T H d \quad \text{with } \|d\| ≤ Δ,

    which follows negative curvature to the boundary; Δ grows and shrinks as the model proves right
    or wrong, and the loss falls at every step.

    Parameters
    ----------
    objective : Objective, optional
        What is to be minimized; :func:`fallline.minimize` brings its own.
    x0 : array_like, shape (n_params,), optional
        Where to start; ``objective.initial(seed)`` by default.
    curvature : {"exact", "absolute"}
        H or \|H\|.
    damping : float
        λ ≥ 0, added to the diagonal (of \|H\| too).
    lr : float
        α, positive; the first that a line search tries.
    line_search : {None, "backtracking", "strong_wolfe"}
        How α is found; None takes `lr` without a look.
    trust_region : {None, "auto", "exact", "steihaug"}
        "exact" solves the subproblem by the eigenvectors of H (Moré & Sorensen), "steihaug" by
        conjugate gradients on Hessian-vector products, without forming H; "auto" takes the first up
        to 500 parameters. Not together with `damping`, `line_search` or ``curvature="absolute"``.
    radius, max_radius : float
        Δ at first, and at most.
    max_cg : int, optional
        Products a step at most ("steihaug"); as many as parameters by default.
    seed : int
        Of the start without `x0`.

    Attributes
    ----------
    radius : float
        Δ of the next step.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.
    MemoryError
        In a step: the Hessian would take more than half of the memory that is available.

    Examples
    --------
    >>> import fallline as fl
    >>> valley = fl.objectives.surfaces.QuadraticValley(1e6)
    >>> newton = fl.Newton(valley, [3.0, 4.0])
    >>> newton.step().fun < 1e-20
    True
    >>> f = fl.objectives.surfaces.Rosenbrock()
    >>> res = fl.minimize(f, [-1.2, 1.0], fl.Newton(trust_region="exact"))
    >>> res.x.round(6), res.nit < 30
    (array([1., 1.]), True)

    References
    ----------
    Nocedal & Wright (2006), Numerical optimization, sections 3.3, 4.1 and 7.1. Moré &
    Sorensen (1983), Computing a trust region step. Steihaug (1983), The conjugate gradient method
    and trust regions in large scale optimization. Dauphin et al. (2014), Identifying and attacking
    the saddle point problem in high-dimensional non-convex optimization (absolute
    curvature; there in a Krylov subspace).
    """

    _state = ("_radius",)

    def __init__(
        self,
        objective: Objective | None = None,
        x0: npt.ArrayLike | None = None,
        *,
        curvature: Curvature = "exact",
        damping: float = 0.0,
        lr: float = 1.0,
        line_search: Literal["backtracking", "strong_wolfe"] | None = None,
        trust_region: TrustRegion | None = None,
        radius: float = 1.0,
        max_radius: float = 1000.0,
        max_cg: int | None = None,
        seed: int = 0,
    ) -> None:
        for name, value, choices in (
            ("curvature", curvature, CURVATURES),
            ("line_search", line_search, SEARCHES),
            ("trust_region", trust_region, REGIONS),
        ):
            if value not in choices:
                raise ValueError(f"{name} must be one of {choices}, not {value!r}")
        self.curvature = curvature
        self.damping = check_number("damping", damping, 0)
        self.lr = check_number("lr", lr, 0, open=True)
        self.line_search = line_search
        self.trust_region = trust_region
        self.radius = self._radius = check_number("radius", radius, 0, open=True)
        self.max_radius = check_number("max_radius", max_radius, 0, open=True)
        if radius > max_radius:
            raise ValueError(f"radius must be at most max_radius={max_radius:g}, not {radius:g}")
        self.max_cg = None if max_cg is None else check_count("max_cg", max_cg)
        if trust_region is not None:
            self._refuse_beside_region(damping=0.0, line_search=None, curvature="exact", lr=1.0)
        super().__init__(objective, x0, seed)

    def _refuse_beside_region(self, **neutral: Any) -> None:
        for name, value in neutral.items():
            if (given := getattr(self, name)) != value:
                raise ValueError(
                    f"{name}={given!r} with trust_region={self.trust_region!r}, which bounds its "
                    "steps itself"
                )

    def _begin(self) -> None:
        self._radius = self.radius

    def _move(self, batch: Array | None) -> Step:
        try:
            return self._along() if self.trust_region is None else self._within()
        except FloatingPointError as error:
            return self._failed(str(error))

    def _hessian(self) -> Array:
        self.nhev += self.objective.n_params
        with np.errstate(all="ignore"):
            H = self.objective.hessian(self.x)
        bad = np.argwhere(~np.isfinite(H))
        if bad.size:
            i, j = bad[0]
            raise FloatingPointError(
                f"the Hessian is not finite: its entry [{i}, {j}] is {H[i, j]}"
            )
        return H

    # ---- along a direction ---------------------------------------------------------------------

    def _along(self) -> Step:
        if (direction := self._direction(self._hessian())) is None:
            return self._failed("the Hessian is singular: damping makes it regular")
        if not np.isfinite(direction).all():
            return self._failed("the Newton step is not finite: the Hessian is nearly singular")
        assert self.gradient is not None
        slope = dot(self.gradient, direction)
        if self.line_search is None:
            message = (
                "a Newton step" if slope <= 0 else "a Newton step up: the curvature is negative"
            )
            return self._go(self.x + self.x.dtype.type(self.lr) * direction, self.lr, message)
        if slope >= 0:
            return self._failed(
                "the Newton direction leads up, as the Hessian is indefinite; "
                "curvature='absolute', damping or a trust_region leads down"
            )
        return self._search(direction, slope)

    def _direction(self, H: Array) -> Array | None:
        """The solution d of (H + λI) d = -g; None where there is none."""
        assert self.gradient is not None
        g = self.gradient.astype(np.float64)
        if self.curvature == "absolute":
            values, vectors = np.linalg.eigh(H)
            sizes = np.abs(values)
            # Below this an eigenvalue is what rounding has left of 0.
            sizes = np.maximum(sizes, math.sqrt(np.finfo(np.float64).eps) * sizes.max())
            sizes += self.damping
            if not sizes.all():
                return None
            down: Array = -(vectors @ ((vectors.T @ g) / sizes))
            return down.astype(self.x.dtype)
        H[np.diag_indices_from(H)] += self.damping
        try:
            with np.errstate(all="ignore"):
                return (-np.linalg.solve(H, g)).astype(self.x.dtype)
        except np.linalg.LinAlgError:
            return None

    def _search(self, direction: Array, slope: float) -> Step:
        if self._unseen(-slope):
            return self._by_gradient(self.x + direction)
        line = Line(self.objective, self.x, direction)
        assert self.line_search is not None
        if self.line_search == "backtracking":
            found = linesearch.backtracking(line, slope, self.lr, f0=self.fun)
        else:
            found = linesearch.strong_wolfe(line, None, self.lr, f0=self.fun, slope0=slope)
        self.nfev += found.nfev
        self.ngev += found.ngev
        if found.unbounded or not found.fun < self.fun:
            why = "no step along the direction lowers the loss" if found.success else found.message
            return self._failed(why, unbounded=found.unbounded)
        return self._go(line.point(found.alpha), found.alpha, found.message)

    # ---- within a region -----------------------------------------------------------------------

    def _within(self) -> Step:
        subproblem = self._subproblem()
        for _ in range(SHRINKS):
            found = subproblem.solve(self._radius)
            x = self.x + found.step.astype(self.x.dtype)
            if np.array_equal(x, self.x):
                break
            if self._unseen(found.predicted):
                return self._by_gradient(x, inside=not found.on_boundary)
            fun, gradient = self._at(x)
            finite = math.isfinite(fun) and bool(np.isfinite(gradient).all())
            ratio = (self.fun - fun) / found.predicted if finite else -math.inf
            length = float(np.linalg.norm(found.step))
            self._radius = next_radius(
                self._radius, ratio, length, found.on_boundary, self.max_radius
            )
            if ratio > ACCEPT:
                return self._reach(x, fun, gradient, self._how(found))
        return self._failed(f"nothing lower within a radius of {self._radius:.3g}")

    def _subproblem(self) -> Spectral | Steihaug:
        n = self.objective.n_params
        assert self.gradient is not None
        if self.trust_region == "exact" or (self.trust_region == "auto" and n <= DENSE):
            return Spectral(self._hessian(), self.gradient)

        def product(v: Array) -> Array:
            return self._product(v.astype(self.x.dtype), None).astype(np.float64)

        return Steihaug(product, self.gradient, self.max_cg or n)

    def _how(self, found: Bounded) -> str:
        return "a step to the boundary" if found.on_boundary else "a step inside the trust region"
