"""Gauss-Newton and Levenberg-Marquardt: curvature from first derivatives of residuals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .. import linesearch
from .._memory import available_memory
from .._types import Array
from ..clipping import global_norm
from ..linesearch import Line, LineSearchResult
from ..linesearch._line import check_count, check_number, dot
from ..objectives._blas import unthreaded
from ..objectives.base import Objective
from ..objectives.residuals import Linearized, is_squared, linearized
from ._method import Method, Step
from ._trust import ACCEPT, Spectral, Steihaug, next_radius

__all__ = ["GaussNewton", "LevenbergMarquardt"]

Solver: TypeAlias = Literal["auto", "svd", "cg"]
Solve: TypeAlias = Callable[[float], Array]

DENSE = 500  # parameters up to which "auto" forms the Jacobian
SHRINKS = 100
SHORT = 1 / 16  # a share of d so short that another direction is looked for
DAMPINGS = 30  # that are tried then, each ten times the one before
FACTOR = 100.0  # of the first radius, as in MINPACK


class _LeastSquares(Method):
    """What both share: residuals, and who solves with their Jacobian."""

    solver: Solver
    max_cg: int | None

    def _begin(self) -> None:
        if not is_squared(self.objective):
            raise TypeError(
                f"{type(self).__name__} needs squared residuals: LinearRegression, MLP with "
                f"loss='squared', Gabor, ShallowReLU, LeastSquares; not {self.objective!r}"
            )

    def _keep_solver(self, solver: Solver, max_cg: int | None) -> None:
        if solver not in ("auto", "svd", "cg"):
            raise ValueError(f"solver must be 'auto', 'svd' or 'cg', not {solver!r}")
        self.solver = solver
        self.max_cg = None if max_cg is None else check_count("max_cg", max_cg)

    @property
    def _dense(self) -> bool:
        return self.solver == "svd" or (self.solver == "auto" and self.objective.n_params <= DENSE)

    def _linear(self) -> Linearized:
        with np.errstate(all="ignore"):
            linear = linearized(self.objective, self.x)
        if not np.isfinite(linear.residuals).all():
            raise FloatingPointError("a residual is not finite")
        return linear

    def _jacobian(self, linear: Linearized) -> Array:
        size = 8 * linear.residuals.size * self.objective.n_params
        free = available_memory()
        if free is not None and size > free / 2:
            raise MemoryError(
                f"the Jacobian of {linear.residuals.size:,} residuals by "
                f"{self.objective.n_params:,} parameters would take {size / 1e9:,.1f} GB, and "
                f"{free / 1e9:,.1f} GB are available; solver='cg' does not form it"
            )
        self.nhev += self.objective.n_params
        with np.errstate(all="ignore"):
            J = linear.jacobian().astype(np.float64, copy=False)
        bad = np.argwhere(~np.isfinite(J))
        if bad.size:
            i, j = bad[0]
            raise FloatingPointError(
                f"the Jacobian is not finite: its entry [{i}, {j}] is {J[i, j]}"
            )
        return J

    def _settled(self, linear: Linearized) -> bool:
        """Whether what steps along the gradient could gain drowns in the loss's rounding."""
        assert self.gradient is not None
        return self._unseen(self.grad_norm**2 / _largest(linear, self.gradient))

    def _conjugate(self, linear: Linearized, damping: float) -> Steihaug:
        def product(v: Array) -> Array:
            self.nhev += 1
            with np.errstate(all="ignore"):
                return linear.pull(linear.push(v)) + damping * v

        return Steihaug(product, linear.pull(linear.residuals), self.max_cg or len(self.x))

    def _move(self, batch: Array | None) -> Step:
        try:
            with unthreaded():
                return self._attempt(self._linear())
        except FloatingPointError as error:
            return self._failed(str(error))

    def _attempt(self, linear: Linearized) -> Step:
        raise NotImplementedError


class GaussNewton(_LeastSquares):
    r"""Gauss-Newton: least squares of the linearized residuals.

    .. math::
        L = \tfrac12 \|r(\varphi)\|^2, \qquad
        d = \operatorname{arg\,min}_d \|J d + r\|^2 + λ \|d\|^2, \qquad
        \varphi_{t+1} = \varphi_t + α d

    Its matrix JᵀJ is the Hessian without Σ rᵢ∇²rᵢ: exact for linear residuals, where one step
    suffices, and good where residuals are small or nearly linear. It is never indefinite, so that
    d leads down. Of several shortest d (rank-deficient J, λ = 0) it is the one of least length.

    Where J is nearly rank-deficient, d is long and hardly leads down, and searches along it stall.
    If it takes α < 1/16, λ grows tenfold from 10⁻⁶ of about the largest eigenvalue of JᵀJ, until
    the whole d lowers the loss enough; the next step begins with the λ that was asked for.

    Parameters
    ----------
    objective : Objective, optional
        A sum of squares: ``LinearRegression``, ``MLP`` with ``loss="squared"``, ``Gabor``,
        ``ShallowReLU``, ``LeastSquares``;
        :func:`fallline.minimize` brings its own. Penalties and weights are part of r.
    x0 : array_like, shape (n_params,), optional
        Where to start; ``objective.initial(seed)`` by default.
    damping : float
        λ ≥ 0.
    line_search : {"backtracking", "strong_wolfe", None}
        How α is found, from 1 on, and λ where that fails; None takes α = 1 without a look.
    solver : {"auto", "svd", "cg"}
        "svd" forms J, "cg" uses products with it and its transpose; "auto" forms it up to 500
        parameters.
    max_cg : int, optional
        Iterations a step at most ("cg"); as many as parameters by default.
    seed : int
        Of the start without `x0`.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or the objective no sum of squares.
    MemoryError
        In a step: J would take more than half of the memory that is available.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> X = np.random.default_rng(0).standard_normal((100, 3))
    >>> f = fl.objectives.LinearRegression(X, X @ [1.0, 2.0, 3.0] + 4)
    >>> gauss = fl.GaussNewton(f)
    >>> gauss.step().success, gauss.x.round(6)
    (True, array([1., 2., 3., 4.]))

    References
    ----------
    Nocedal & Wright (2006), Numerical optimization, section 10.3.
    """

    def __init__(
        self,
        objective: Objective | None = None,
        x0: npt.ArrayLike | None = None,
        *,
        damping: float = 0.0,
        line_search: Literal["backtracking", "strong_wolfe"] | None = "backtracking",
        solver: Solver = "auto",
        max_cg: int | None = None,
        seed: int = 0,
    ) -> None:
        self.damping = check_number("damping", damping, 0)
        searches = (None, "backtracking", "strong_wolfe")
        if line_search not in searches:
            raise ValueError(f"line_search must be one of {searches}, not {line_search!r}")
        self.line_search = line_search
        self._keep_solver(solver, max_cg)
        super().__init__(objective, x0, seed)

    def _attempt(self, linear: Linearized) -> Step:
        solve = self._solver(linear)
        d = solve(self.damping).astype(self.x.dtype)
        assert self.gradient is not None
        slope = dot(self.gradient, d)
        if not math.isfinite(slope) or not np.isfinite(d).all():
            return self._failed("the Gauss-Newton step is not finite")
        if self.line_search is None:
            return self._go(self.x + d, 1.0, "a Gauss-Newton step")
        if slope >= 0:
            return self._failed("the Gauss-Newton direction does not lead down")
        if self._unseen(-slope):
            return self._by_gradient(self.x + d)
        found = self._search(self.line_search, Line(self.objective, self.x, d), slope)
        if found.unbounded:
            return self._failed(found.message, unbounded=True)
        if found.fun < self.fun and found.alpha >= SHORT:
            return self._go(self.x + found.alpha * d, found.alpha, found.message)
        return self._damped(linear, solve)

    def _search(self, name: str, line: Line, slope: float) -> LineSearchResult:
        if name == "backtracking":
            most = 1 + round(-math.log2(SHORT))
            found = linesearch.backtracking(line, slope, f0=self.fun, max_iter=most)
        else:
            found = linesearch.strong_wolfe(line, f0=self.fun, slope0=slope)
        self.nfev += found.nfev
        self.ngev += found.ngev
        return found

    def _damped(self, linear: Linearized, solve: Solve) -> Step:
        """Whole steps by ever more damping: between d and -g."""
        g = self.gradient
        assert g is not None
        damping = max(self.damping, 1e-6 * _largest(linear, g))
        for _ in range(DAMPINGS):
            d = solve(damping).astype(self.x.dtype)
            if self._unseen(-(slope := dot(g, d))):
                return self._by_gradient(self.x + d, inside=self._settled(linear))
            line = Line(self.objective, self.x, d)
            found = linesearch.backtracking(line, slope, f0=self.fun, max_iter=1)
            self.nfev += found.nfev
            if found.success:
                message = f"a Gauss-Newton step, damped by {damping:.3g}"
                return self._go(line.point(1.0), 1.0, message)
            damping *= 10
        return self._failed("no step lowers the loss, however much it is damped")

    def _solver(self, linear: Linearized) -> Solve:
        """What gives d for a λ."""
        if not self._dense:
            return lambda damping: self._conjugate(linear, damping).solve(math.inf).step
        U, s, Vt = np.linalg.svd(self._jacobian(linear), full_matrices=False)
        # Smaller ones are what rounding has left of 0: as np.linalg.lstsq takes them.
        kept = s > np.finfo(np.float64).eps * max(U.shape[0], Vt.shape[1]) * s.max(initial=0)
        s, down = s[kept], -(U[:, kept].T @ linear.residuals)
        return lambda damping: np.asarray(Vt[kept].T @ (s / (s**2 + damping) * down))


def _largest(linear: Linearized, g: Array) -> float:
    """About the largest eigenvalue of JᵀJ, by a step of the power method from the gradient."""
    v = linear.pull(linear.push(g / g.dtype.type(global_norm(g))))
    along = linear.push((v / (np.linalg.norm(v) or 1.0)).astype(g.dtype))
    return max(float(along @ along), float(np.finfo(np.float64).tiny))


class LevenbergMarquardt(_LeastSquares):
    r"""Levenberg-Marquardt: Gauss-Newton within a trust region.

    .. math::
        \min_d\; \tfrac12 \|J d + r\|^2 \;\text{ with } \|D d\| ≤ Δ
        \quad\Longleftrightarrow\quad
        (J^T J + λ D^2)\, d = -J^T r

    for the λ ≥ 0 that makes d as long as Δ, or 0 where it is shorter (Moré 1978). D holds the
    largest norms that J's columns have had, so that units of parameters do not matter. Δ grows and
    shrinks as the linearization proves right or wrong, and the loss falls at every step.

    Parameters
    ----------
    objective : Objective, optional
        A sum of squares, as for :class:`GaussNewton`; :func:`fallline.minimize` brings its own.
    x0 : array_like, shape (n_params,), optional
        Where to start; ``objective.initial(seed)`` by default.
    radius : float, optional
        Δ at first; 100 ‖D φ₀‖, or 100 where that is 0, by default.
    scaled : bool
        Whether D is as above; the identity otherwise, and with "cg".
    solver : {"auto", "svd", "cg"}
        "svd" forms J, "cg" takes truncated conjugate gradients (Steihaug) on products with it and
        its transpose; "auto" forms it up to 500 parameters.
    max_cg : int, optional
        Iterations a step at most ("cg"); as many as parameters by default.
    seed : int
        Of the start without `x0`.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described, or the objective no sum of squares.
    MemoryError
        In a step: J would take more than half of the memory that is available.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> rosenbrock = fl.objectives.LeastSquares(
    ...     lambda x: [10 * (x[1] - x[0] ** 2), 1 - x[0]], x0=[-1.2, 1.0]
    ... )
    >>> res = fl.minimize(rosenbrock, optimizer=fl.LevenbergMarquardt)
    >>> res.x.round(6), res.nit < 20
    (array([1., 1.]), True)

    References
    ----------
    Moré (1978), The Levenberg-Marquardt algorithm: implementation and theory.
    Nocedal & Wright (2006), Numerical optimization, section 10.3. Steihaug (1983).
    """

    _state = ("_radius", "_scale")

    def __init__(
        self,
        objective: Objective | None = None,
        x0: npt.ArrayLike | None = None,
        *,
        radius: float | None = None,
        scaled: bool = True,
        solver: Solver = "auto",
        max_cg: int | None = None,
        seed: int = 0,
    ) -> None:
        self.radius = None if radius is None else check_number("radius", radius, 0, open=True)
        if not isinstance(scaled, (bool, np.bool_)):
            raise TypeError(f"scaled must be True or False, not {scaled!r}")
        self.scaled = bool(scaled)
        self._keep_solver(solver, max_cg)
        super().__init__(objective, x0, seed)

    def _begin(self) -> None:
        super()._begin()
        self._radius = math.nan if self.radius is None else self.radius
        self._scale = np.zeros(self.objective.n_params)

    def _attempt(self, linear: Linearized) -> Step:
        subproblem = self._subproblem(linear)
        if math.isnan(self._radius):
            size = float(np.linalg.norm(self._scale * self.x))
            self._radius = FACTOR * size if size > 0 else FACTOR
        for _ in range(SHRINKS):
            found = subproblem.solve(self._radius)
            x = self.x + (found.step / self._scale).astype(self.x.dtype)
            if np.array_equal(x, self.x):
                break
            if self._unseen(found.predicted):
                return self._by_gradient(x, inside=self._settled(linear))
            fun, gradient = self._at(x)
            finite = math.isfinite(fun) and bool(np.isfinite(gradient).all())
            ratio = (self.fun - fun) / found.predicted if finite else -math.inf
            length = float(np.linalg.norm(found.step))
            self._radius = next_radius(self._radius, ratio, length, found.on_boundary, math.inf)
            if ratio > ACCEPT:
                where = "to the boundary" if found.on_boundary else "inside the trust region"
                return self._reach(x, fun, gradient, f"a step {where}")
        return self._failed(f"nothing lower within a radius of {self._radius:.3g}")

    def _subproblem(self, linear: Linearized) -> Spectral | Steihaug:
        if not self._dense:
            self._scale[:] = 1
            return self._conjugate(linear, 0.0)
        J = self._jacobian(linear)
        if self.scaled:
            np.maximum(self._scale, np.sqrt((J * J).sum(axis=0)), out=self._scale)
        else:
            self._scale[:] = 1
        self._scale[self._scale == 0] = 1  # no residual depends on it
        return Spectral.of_jacobian(J / self._scale, linear.residuals)
