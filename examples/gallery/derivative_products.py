"""Products of derivatives overflow and underflow.

The derivative through n layers is a product of n factors. Left: wⁿ, computed in float32. Crosses
mark where it becomes 0, below 1.4·10⁻⁴⁵, or ∞, above 3.4·10³⁸: by halves after 150 layers, by
doubles after 128. In float16, whose range is grey, that is after 25 and 16. Right: the same in a
network of 60 layers of 32 tanh units, with its usual random weights W times a number: the length of
the loss's gradient by the constants of each layer. At a tenth of the usual weights it is 0 in the
first 19 layers; at five times the usual ones it grows beyond 10¹¹ on the way back to the input (how
far beyond hangs on the last bits of the products, which are the BLAS's).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fallline as fl

from ._style import new_figure, shades, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FACTORS = (0.5, 0.8, 1.0, 1.25, 2.0)
GAINS = (0.1, 0.5, 1.0, 2.0, 5.0)
LAYERS = 60
STYLES = ("-", "--", ":", "-.", (0, (6, 1)))


def powers(factor: float, n: int = 160) -> np.ndarray:
    """Products of 1 to n equal factors, in float32."""
    with np.errstate(over="ignore"):
        return np.cumprod(np.full(n, factor, np.float32), dtype=np.float32)


def gradients(gain: float) -> list[float]:
    """Length of the gradient by each hidden layer's constants."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 8)).astype(np.float32)
    f = fl.objectives.MLP(X, rng.integers(0, 2, 64), (32,) * LAYERS, "tanh", loss="logistic")
    parts = f.unpack(f.gradient(f.initial(seed=0) * np.float32(gain)))
    lengths = [np.linalg.norm(parts[f"bias{k + 1}"].astype(np.float64)) for k in range(LAYERS)]
    return [float(length) for length in lengths]


def figure() -> Figure:
    """Draw it."""
    drawn = new_figure(4.2)
    left, right = drawn.subplots(1, 2, sharey=True)
    for factor, color, style in zip(FACTORS, shades(5), STYLES, strict=True):
        product = powers(factor)
        fine = (product > 0) & np.isfinite(product)
        layers = 1 + np.flatnonzero(fine)
        left.plot(layers, product[fine], color=color, linestyle=style, label=f"$w = {factor:g}$")
        if not fine.all():
            left.plot(layers[-1], product[fine][-1], "x", color=color, markersize=9)
    left.set(xlabel="layers $n$", ylabel="product of derivatives", yscale="log")

    for gain, color, style in zip(GAINS, shades(5), STYLES, strict=True):
        lengths = np.array(gradients(gain))
        layers = 1 + np.flatnonzero(lengths)
        label = f"$W × {gain:g}$"
        right.plot(layers, lengths[lengths > 0], color=color, linestyle=style, label=label)
        if not lengths.all():
            right.plot(layers[0], lengths[layers[0] - 1], "x", color=color, markersize=9)
    right.set(xlabel="layer, from the input", ylabel="gradient by its constants")
    left.set_yticks(10.0 ** np.arange(-40, 41, 20))
    for ax in (left, right):
        ax.axhspan(2.0**-24, 65504, color="0.92", zorder=0)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    tidy(left, right)
    return drawn
