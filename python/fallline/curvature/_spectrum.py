"""Eigenvalues of the Hessian: all of them, or both ends without forming it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._extras import require
from .._types import Array
from ..objectives.base import Objective

__all__ = ["DENSE", "Spectrum", "ritz", "spectrum"]

DENSE = 500  # parameters up to which the Hessian is formed: n products and O(n³), a second or so


class Spectrum(NamedTuple):
    """Eigenvalues, ascending, and their eigenvectors, a column each."""

    values: Array
    vectors: Array
    complete: bool


def spectrum(
    objective: Objective,
    phi: Array,
    batch: Array | None,
    k: int,
    which: str = "both",
    dense: bool | None = None,
) -> Spectrum:
    """All eigenpairs, or the k at either end ("smallest", "largest", "both")."""
    n = objective.n_params
    if dense if dense is not None else n <= max(DENSE, 4 * k):
        return _dense(objective, phi, batch)
    if 2 * k >= n:
        raise ValueError(f"k must be less than half of the {n} parameters, not {k}")
    return _lanczos(objective, phi, batch, k, which)


def _dense(objective: Objective, phi: Array, batch: Array | None) -> Spectrum:
    with np.errstate(all="ignore"):
        H = objective.hessian(phi, batch)
    bad = np.argwhere(~np.isfinite(H))
    if bad.size:
        i, j = bad[0]
        raise FloatingPointError(
            f"the Hessian at phi is not finite: its entry [{i}, {j}] is {H[i, j]}"
        )
    values, vectors = np.linalg.eigh(H)
    return Spectrum(values, vectors, True)


def _lanczos(objective: Objective, phi: Array, batch: Array | None, k: int, which: str) -> Spectrum:
    linalg = require("scipy.sparse.linalg", extra="scipy")
    n, dtype = objective.n_params, objective.dtype

    def product(v: Array) -> Array:
        with np.errstate(all="ignore"):
            result = objective.hvp(phi, v.reshape(-1).astype(dtype), batch)
        if not np.isfinite(result).all():
            j = int(np.argmin(np.isfinite(result)))
            raise FloatingPointError(
                f"a product with the Hessian at phi is not finite: its entry {j} is {result[j]}"
            )
        return result.astype(np.float64)

    operator = linalg.LinearOperator((n, n), matvec=product, dtype=np.float64)
    # A start of its own, as ARPACK's default is not the same in every run.
    start = np.random.default_rng(0).normal(size=n)
    tol = float(np.sqrt(np.finfo(dtype).eps)) / 10
    ends = {"smallest": ["SA"], "largest": ["LA"], "both": ["SA", "LA"]}[which]
    found = []
    for end in ends:
        try:
            found.append(linalg.eigsh(operator, k, which=end, v0=start, tol=tol))
        except linalg.ArpackNoConvergence as error:
            raise RuntimeError(
                f"Lanczos found {len(error.eigenvalues)} of the {k} {which} eigenvalues in "
                f"{10 * n} iterations: they lie close together. Ask for other than k = {k}, or for "
                "dense=True"
            ) from error
    values = np.concatenate([w for w, _ in found])
    vectors = np.concatenate([v for _, v in found], axis=1)
    order = np.argsort(values, kind="stable")
    return Spectrum(values[order], vectors[:, order], False)


def ritz(objective: Objective, phi: Array, batch: Array | None, steps: int) -> Array:
    """Ritz values of a few Lanczos iterations, which lie between the Hessian's ends.

    From a random start, with every vector orthogonalized against all before it (twice, which is
    enough: Parlett 1998, section 6.9). With as many steps as parameters they are the eigenvalues.
    """
    n, dtype = objective.n_params, objective.dtype
    v = np.random.default_rng(0).normal(size=n)
    basis: list[Array] = []
    diagonal, beside = [], []
    noise = float(np.finfo(dtype).eps)
    for _ in range(min(steps, n)):
        basis.append(v / np.linalg.norm(v))
        with np.errstate(all="ignore"):
            v = objective.hvp(phi, basis[-1].astype(dtype), batch).astype(np.float64)
        if not np.isfinite(v).all():
            raise FloatingPointError("a product with the Hessian is not finite")
        diagonal.append(float(v @ basis[-1]))
        size = float(np.linalg.norm(v))
        for q in basis * 2:
            v -= (q @ v) * q
        beside.append(float(np.linalg.norm(v)))
        if beside[-1] <= n * noise * size:  # an invariant space
            break
    T = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    return np.linalg.eigvalsh(T)
