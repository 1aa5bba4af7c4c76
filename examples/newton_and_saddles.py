"""Where fits by Newton's method end: at minima, or at saddles and maxima.

    python examples/newton_and_saddles.py [starts]

Plain Newton steps, |H| with backtracking and a trust region, all from the same random starts in
[-4, 4]ⁿ; each fit is counted under what :func:`fallline.curvature.critical_point` calls its end.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np

import fallline as fl

METHODS = {
    "plain": fl.Newton(),
    r"\|H\|, backtracking": fl.Newton(curvature="absolute", line_search="backtracking"),
    "trust region": fl.Newton(trust_region="exact"),
}
SURFACES = {
    "Himmelblau": fl.objectives.surfaces.Himmelblau(),
    "Styblinski-Tang of 4": fl.objectives.surfaces.StyblinskiTang(4),
}
ENDS = ("local minimum", "saddle", "local maximum", "not critical")


def ends(objective: fl.objectives.Objective, method: fl.Newton, starts: np.ndarray) -> Counter[str]:
    """Kinds of points at which fits from these starts end."""
    fits = (fl.minimize(objective, x0, method, steps=1000) for x0 in starts)
    return Counter(fl.curvature.critical_point(objective, fit.x).verdict for fit in fits)


def main(count: int = 200) -> dict[tuple[str, str], Counter[str]]:
    """Print the table, and return its counts by surface and method."""
    found: dict[tuple[str, str], Counter[str]] = {}
    print("| |", " | ".join(METHODS), "|")
    print("|---" * (1 + len(METHODS)) + "|")
    for surface, f in SURFACES.items():
        starts = np.random.default_rng(0).uniform(-4, 4, size=(count, f.n_params))
        columns = [ends(f, method, starts) for method in METHODS.values()]
        found |= {(surface, name): c for name, c in zip(METHODS, columns, strict=True)}
        for end in ENDS:
            if any(column[end] for column in columns):
                print(f"| {surface}: {end} |", " | ".join(str(c[end]) for c in columns), "|")
    return found


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore", fl.SaddleWarning)  # they are what is counted
    main(*map(int, sys.argv[1:]))
