"""The vanishing gradient of tanh.

Left: tanh and its slope, 1 − tanh². At 4 the slope is 0.0013: the function falls to −1 on the other
side, but gradient descent sees little of that. Right: descent on tanh itself, at learning rate 1,
from four starts, with the number of steps until x is negative: 2 from 1, 378 from 4. Adam's steps
do not scale with the gradient: at a learning rate of 0.1 it is there from 4 after 36.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import fallline as fl

from ._style import BLACK, BLUE, ORANGE, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STARTS = (1, 2, 3, 4)


def descend(start: float, optimizer: Any, lr: float) -> np.ndarray:
    """The x before the first step and after each, until it is below 0."""
    run = fl.minimize(
        fl.objectives.surfaces.Tanh(),
        [start],
        optimizer,
        lr=lr,
        steps=1000,
        trajectory=True,
        progress=False,
        callback=lambda now: bool(now.x[0] < 0),
    )
    return np.ravel(run.trajectory)


def figure() -> Figure:
    """Draw it."""
    tanh = fl.objectives.surfaces.Tanh()
    drawn = new_figure()
    left, right = drawn.subplots(1, 2)
    x = np.linspace(-5, 5, 201)
    left.plot(x, np.tanh(x), color=BLUE, label="tanh $x$")
    left.plot(x, [tanh.gradient([at])[0] for at in x], "--", color=ORANGE, label="its slope")
    slope = tanh.gradient([4.0])[0]
    left.plot(4, slope, "o", color=BLACK)
    left.annotate(f"slope {slope:.4f}", (4, slope), (1.2, -0.45), arrowprops={"arrowstyle": "->"})
    left.set(xlabel="$x$", ylabel="value")
    left.legend(loc="upper left")

    paths = [descend(start, fl.SGD, 1.0) for start in STARTS]
    adam = descend(4, fl.Adam, 0.1)
    for path in paths:
        right.plot(path, color=BLUE, label="descent, rate 1" if path is paths[0] else None)
        box = {"facecolor": "w", "edgecolor": "none", "pad": 1}
        right.text(len(path) - 1, -0.38, f"{len(path) - 1}", ha="center", bbox=box)
    right.plot(adam, "--", color=ORANGE, label="Adam, rate 0.1")
    right.text(0.8 * len(adam), 0.12, f"{len(adam) - 1}", ha="right")
    right.axhline(0, color="0.5", linewidth=0.8)
    right.set(xscale="symlog", xlabel="step", ylabel="$x$", xlim=(0, 600), ylim=(-0.5, 4.3))
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    tidy(left, right)
    return drawn
