"""AdaGrad's two forms, by the sum and by the mean.

AdaGrad divides by the root of the sum of all squared gradients so far, or of their mean. Left: the
length of a step, by gradients that are drawn anew each time from the same normal distribution
(10,000 parameters, learning rate 1). By the sum it falls as 1/√t; by the mean it does not fall.
Right: what that means for least squares with batches of 4, at learning rate 0.03. By the mean the
loss falls sooner, but then stays where the noise of the batches keeps it, near 0.07. By the sum it
is slow, and arrives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import BLUE, ORANGE, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMS = {"sum": (BLUE, "-"), "mean": (ORANGE, "--")}
EPOCHS = 100


def step_lengths(form: str, steps: int = 1000) -> list[float]:
    """Root mean square of each step."""
    rng = np.random.default_rng(0)
    x = np.zeros(10_000)
    opt = fl.Adagrad(x, lr=1.0, accumulate=form)
    lengths = []
    for _ in range(steps):
        before = x.copy()
        opt.step(rng.normal(size=10_000))
        lengths.append(float(np.sqrt(np.mean((x - before) ** 2))))
    return lengths


def descend(form: str) -> np.ndarray:
    """Loss above the lowest, after each epoch."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 10))
    f = fl.objectives.LinearRegression(X, X @ rng.normal(size=10) + rng.normal(size=1000))
    lowest = fl.minimize(f, optimizer=fl.Newton).fun
    run = fl.minimize(
        f,
        optimizer=fl.Adagrad,
        lr=0.03,
        accumulate=form,
        batch_size=4,
        epochs=EPOCHS,
        trajectory=250,
        progress=False,
    )
    return np.array([f.loss(phi) - lowest for phi in run.trajectory])


def figure() -> Figure:
    """Draw it."""
    drawn = new_figure()
    left, right = drawn.subplots(1, 2)
    for form, (color, style) in FORMS.items():
        look = {"color": color, "linestyle": style, "label": form}
        lengths = step_lengths(form)
        left.plot(range(1, len(lengths) + 1), lengths, **look)
        right.plot(descend(form), **look)
    left.set(xlabel="step $t$", ylabel="length of a step", xscale="log", yscale="log")
    right.set(xlabel="epoch", ylabel="loss above the lowest", yscale="log")
    left.legend()
    right.legend()
    tidy(left, right)
    return drawn
