"""Random symmetric matrices, mostly saddles.

Left: what `fl.curvature.critical_point` says of the origin of 400 random quadratics xᵀHx/2, with
normal entries of H, in each dimension. A minimum needs all eigenvalues positive: its probability is
1/2, 0.146, 0.025 and 0.0025 for n from 1 to 4. Right: so the share of matrices that have a negative
eigenvalue grows to 1. The share of negative *eigenvalues* does not grow: it is 1/2 in every
dimension. It does, towards 1/2, where H is made positive first, here by 3 on its diagonal, as the
random part's eigenvalues spread like √n.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import BLUE, GREEN, ORANGE, RED, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VERDICTS = {
    "local minimum": (BLUE, ""),
    "saddle": ("0.8", "//"),
    "local maximum": (ORANGE, ""),
}
DIMENSIONS = (1, 2, 3, 4)
WIDE = (1, 2, 4, 8, 16, 32, 64)


def matrices(n: int, count: int) -> np.ndarray:
    """Symmetric, of variance 1 on the diagonal and 1/2 beside it."""
    A = np.random.default_rng(n).normal(size=(count, n, n))
    return np.asarray(A + A.transpose(0, 2, 1)) / 2


def quadratic(H: np.ndarray) -> fl.objectives.Function:
    """With this Hessian, and a critical point at 0."""
    return fl.objectives.Function(
        lambda x: x @ H @ x / 2, lambda x: H @ x, lambda _: H, n_params=len(H)
    )


def verdicts(n: int, count: int = 400) -> dict[str, float]:
    """Shares of what the origin of a random quadratic is."""
    origin, found = np.zeros(n), Counter[str]()
    for H in matrices(n, count):
        f = quadratic(H)
        found[fl.curvature.critical_point(f, origin).verdict] += 1
    return {name: found[name] / count for name in VERDICTS}


def negative(n: int, shift: float = 0.0) -> tuple[float, float]:
    """Share of the negative among 8,192 eigenvalues, and of the matrices that have one."""
    values = np.linalg.eigvalsh(matrices(n, 8192 // n) + shift * np.eye(n))
    return float((values < 0).mean()), float((values < 0).any(axis=1).mean())


def figure() -> Figure:
    """Draw it."""
    drawn = new_figure()
    left, right = drawn.subplots(1, 2)
    floor = np.zeros(len(DIMENSIONS))
    shares = [verdicts(n) for n in DIMENSIONS]
    for name, (color, hatch) in VERDICTS.items():
        heights = np.array([share[name] for share in shares])
        look = {"color": color, "hatch": hatch, "edgecolor": "w"}
        left.bar(DIMENSIONS, heights, bottom=floor, label=name, **look)
        floor += heights
    left.set(xlabel="dimension $n$", ylabel="share of critical points")
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)

    plain, shifted = ([negative(n, s) for n in WIDE] for s in (0.0, 3.0))
    right.plot(WIDE, [any_ for _, any_ in plain], "s-", color=RED, label="matrices that have one")
    right.plot(WIDE, [share for share, _ in plain], "o-", color=BLUE, label="eigenvalues")
    right.plot(
        WIDE, [share for share, _ in shifted], "^--", color=GREEN, label="eigenvalues of $H + 3I$"
    )
    right.set(xlabel="dimension $n$", ylabel="share", xscale="log")
    right.set_xticks(WIDE, [str(n) for n in WIDE])
    right.minorticks_off()
    right.legend(title="negative eigenvalues", loc="center right", bbox_to_anchor=(1, 0.75))
    tidy(left, right)
    return drawn
