"""f″ = 0 alone does not make a saddle.

Above: three functions of x with f′ = f″ = 0 at 0, of which one has a saddle there (an inflection),
one a minimum, one a maximum. Below: three functions of x and y whose gradient is 0 at the origin
and whose Hessian has the eigenvalues 0 and 2, drawn along both axes: one has a minimum, one a whole
valley of them, one a saddle. Within a row all that second derivatives say is the same, so they
cannot tell, and `fl.curvature.critical_point` calls each of the six degenerate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fallline as fl

from ._style import BLACK, BLUE, ORANGE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ONE = {
    "$x^3$: saddle": fl.objectives.Function(lambda x: x[0] ** 3, n_params=1),
    "$x^4$: minimum": fl.objectives.Function(lambda x: x[0] ** 4, n_params=1),
    "$-x^4$: maximum": fl.objectives.Function(lambda x: -(x[0] ** 4), n_params=1),
}
TWO = {
    "$x^2 + y^4$: minimum": fl.objectives.Function(lambda x: x[0] ** 2 + x[1] ** 4, n_params=2),
    "$x^2$: valley": fl.objectives.Function(lambda x: x[0] ** 2, n_params=2),
    "$x^2 - y^4$: saddle": fl.objectives.Function(lambda x: x[0] ** 2 - x[1] ** 4, n_params=2),
}


def figure() -> Figure:
    """Draw it."""
    drawn = new_figure(5.4)
    above, below = drawn.subplots(2, 3, sharey=True)
    for ax, (name, f) in zip(above, ONE.items(), strict=True):
        fl.plot.loss_curve(f, extent=(-1, 1), ax=ax)
        verdict = fl.curvature.critical_point(f, [0.0]).verdict
        ax.set(title=f"{name}\nby f″: {verdict}", xlabel="$x$", ylabel="")
    for ax, (name, f) in zip(below, TWO.items(), strict=True):
        for along, axis, color, style in (
            ("$x$", [1, 0], BLUE, "-"),
            ("$y$", [0, 1], ORANGE, "--"),
        ):
            look: dict[str, Any] = {"label": f"along {along}", "color": color, "linestyle": style}
            fl.plot.loss_curve(f, [0, 0], axis, extent=(-1, 1), ax=ax, **look)
        verdict = fl.curvature.critical_point(f, [0.0, 0.0]).verdict
        ax.set(title=f"{name}\nby the Hessian: {verdict}", xlabel="$x$ or $y$", ylabel="")
    for ax in (*above, *below):
        ax.plot(0, 0, "o", color=BLACK, markersize=5)
    above[0].set_ylabel("$f(x)$")
    below[0].set_ylabel("$f(x, y)$")
    below[2].legend(loc="lower center")
    return drawn
