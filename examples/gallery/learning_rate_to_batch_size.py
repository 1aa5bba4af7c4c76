"""The ratio of learning rate to batch size.

A network of 32 units learns to tell two classes, from 512 samples in 20 dimensions of which a tenth
bear the wrong label, by plain SGD for 60 epochs (means of four seeds). Left: the training loss of
nine settings, three ratios α/B by three batch sizes: those of one ratio lie on one another. Middle
and right: the training loss at the end, and the error on 4,096 other samples, by the ratio. The
ratio decides, as long as the learning rate is below about 2. With larger ones (B = 256 beyond α/B =
1/160) the training loss does not follow the others down. No ratio is better in itself here: the
error is lowest where training has not come far enough to learn the wrong labels.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import new_figure, shades, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = {4: ("-", "o"), 16: ("--", "s"), 64: ("-.", "^"), 256: (":", "D")}
RATIOS = tuple(2.0**k / 1280 for k in range(7))
SEEDS = 4


@cache
def samples() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """512 to learn from, a tenth of them with the wrong label, and 4,096 to test on."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(512 + 4096, 20))
    y = (np.tanh(X @ rng.normal(size=(20, 8)) / 2) @ rng.normal(size=8) > 0).astype(float)
    X, wrong = X.astype(np.float32), rng.random(512) < 0.1
    return X[:512], np.where(wrong, 1 - y[:512], y[:512]), X[512:], y[512:]


@cache
def train(size: int, ratio: float) -> tuple[np.ndarray, float]:
    """Training loss by epoch, and error on the test set."""
    X, y, X_test, y_test = samples()
    f = fl.objectives.MLP(X, y, hidden=(32,), loss="logistic")
    runs = [
        fl.minimize(f, None, fl.SGD, ratio * size, size, 60, seed=seed, progress=False)
        for seed in range(SEEDS)
    ]
    errors = [np.mean(f.predict(run.x, X_test) != y_test) for run in runs]
    return np.mean([run.history_epoch for run in runs], axis=0), float(np.mean(errors))


def figure() -> Figure:
    """Draw it."""
    drawn = new_figure(4.2)
    left, middle, right = drawn.subplots(1, 3)
    for ratio, color in zip(RATIOS[:5:2], shades(3), strict=True):
        for size, (style, _) in list(SIZES.items())[:3]:
            name = f"1/{1 / ratio:.0f}" if size == 4 else None
            left.plot(train(size, ratio)[0], color=color, linestyle=style, label=name)
    left.set(xlabel="epoch", ylabel="training loss", yscale="log", ylim=(1e-3, 1))
    left.legend(title="$α/B$", loc="lower left")
    for (size, (style, mark)), color in zip(SIZES.items(), shades(4, "plasma_r"), strict=True):
        ends = [train(size, ratio) for ratio in RATIOS]
        look = {"color": color, "linestyle": style, "marker": mark, "label": f"$B = {size}$"}
        middle.plot(RATIOS, [losses[-1] for losses, _ in ends], **look)
        right.plot(RATIOS, [error for _, error in ends], **look)
    middle.set(xlabel="$α/B$", ylabel="training loss", xscale="log", yscale="log", ylim=(1e-3, 1))
    right.set(xlabel="$α/B$", ylabel="error on other samples", xscale="log")
    middle.legend(loc="lower left")
    tidy(left, middle, right)
    return drawn
