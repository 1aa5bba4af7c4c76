"""A fully connected network's sums over batches: products by NumPy, what is between them by parts.

The second of each pair of numbers below, as (z, Rz), is a derivative in the direction v, R{z} in
Pearlmutter (1994); None where only the gradient is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from .._types import Array
from ._activations import Jet
from ._glm import Head, Samples

__all__ = ["CHUNK", "Model", "Network", "NumpyParts", "Parts"]

CHUNK = 512  # rows that pass through together: enough for the products, few enough for a cache

Layers = list[tuple[Array, Array]]  # weights (outputs, inputs) and biases


@dataclass(frozen=True)
class Model:
    """Samples, and the network that reads them."""

    samples: Samples
    widths: tuple[int, ...]  # inputs, hidden layers, outputs
    activation: Callable[[Any], Jet]
    head: Head

    def layers(self, phi: Array) -> Layers:
        """Views into a vector of parameters."""
        views, end = [], 0
        for inputs, outputs in pairwise(self.widths):
            begin, bias = end, end + outputs * inputs
            end = bias + outputs
            views.append((phi[begin:bias].reshape(outputs, inputs), phi[bias:end]))
        return views

    def outputs(self, phi: Array, X: Array) -> Array:
        """The last layer's outputs, by NumPy."""
        *hidden, (last, bias) = self.layers(phi)
        z = np.empty((len(X), len(bias)), phi.dtype)
        for begin in range(0, len(X), CHUNK):
            a = X[begin : begin + CHUNK]
            for weight, b in hidden:
                a = self.activation(a @ weight.T + b)[0].astype(phi.dtype, copy=False)
            z[begin : begin + CHUNK] = a @ last.T + bias
        return z


class Parts(Protocol):
    """What a backend computes between products; arguments may be overwritten."""

    def activate(
        self, z: Array, bias: Array, rz: Array | None, rbias: Array | None
    ) -> tuple[Array, Array, Array | None, Array | None]:
        """From products to activations a, slopes f′, and R{a} and f″·R{z}."""

    def losses(
        self,
        z: Array,
        y: Array,
        weight: Array | None,
        rz: Array | None,
        scale: float,
    ) -> tuple[float, Array, Array | None]:
        """From the outputs to Σ w·ℓ, and scale·w times δ = ∂ℓ/∂z and R{δ}."""

    def pull(
        self, delta: Array, slope: Array, rdelta: Array | None, bend: Array | None
    ) -> tuple[Array, Array | None]:
        """From ∂ℓ/∂a to ∂ℓ/∂z, and both of R."""


class NumpyParts:
    """The reference."""

    def __init__(self, model: Model) -> None:
        self._activation, self._head = model.activation, model.head
        self._dtype = model.samples.X.dtype

    def _cast(self, x: Any) -> Array:
        return np.asarray(x, self._dtype)

    def activate(
        self, z: Array, bias: Array, rz: Array | None, rbias: Array | None
    ) -> tuple[Array, Array, Array | None, Array | None]:
        """See :class:`Parts`."""
        value, slope, bend = map(self._cast, self._activation(z + bias))
        if rz is None:
            return value, slope, None, None
        rz = rz + rbias
        return value, slope, slope * rz, bend * rz

    def losses(
        self, z: Array, y: Array, weight: Array | None, rz: Array | None, scale: float
    ) -> tuple[float, Array, Array | None]:
        """See :class:`Parts`."""
        w = np.ones(len(z)) if weight is None else weight.astype(np.float64)
        loss, slope = self._head.value(z, y)
        factor = (scale * w)[:, None]
        curve = None if rz is None else self._cast(factor * self._head.curve(z, y, rz))
        return float((w * loss).sum()), self._cast(factor * slope), curve

    def pull(
        self, delta: Array, slope: Array, rdelta: Array | None, bend: Array | None
    ) -> tuple[Array, Array | None]:
        """See :class:`Parts`."""
        if rdelta is not None:
            rdelta = rdelta * slope + delta * bend
        return delta * slope, rdelta


class Network:
    """Sums over batches, in chunks of rows."""

    def __init__(self, model: Model, parts: Parts) -> None:
        self._model = model
        self._parts = parts

    def accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        """Σ w·ℓ; `gradient`, if given, becomes scale · Σ w·∂ℓ."""
        return self._sum(phi, None, batch, gradient, scale)

    def curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        """`out` becomes scale · Σ w·(∂²ℓ) v."""
        self._sum(phi, v, batch, out, scale)

    def _sum(
        self, phi: Array, v: Array | None, batch: Array | None, out: Array | None, scale: float
    ) -> float:
        layers = self._model.layers
        W, V = layers(phi), None if v is None else layers(v)
        if out is not None:
            out[:] = 0
        with np.errstate(all="ignore"):
            return sum(
                self._chunk(W, V, *rows, None if out is None else layers(out), scale)
                for rows in self._chunks(batch)
            )

    def _chunks(self, batch: Array | None) -> Iterator[tuple[Array, Array, Array | None]]:
        s = self._model.samples
        for begin in range(0, len(s.y) if batch is None else len(batch), CHUNK):
            rows = slice(begin, begin + CHUNK)
            chosen = rows if batch is None else batch[rows]
            yield s.X[chosen], s.y[chosen], None if s.weight is None else s.weight[chosen]

    def _chunk(
        self,
        W: Layers,
        V: Layers | None,
        x: Array,
        y: Array,
        weight: Array | None,
        out: Layers | None,
        scale: float,
    ) -> float:
        """One chunk forward and back; `out` gains its share."""
        passed: list[tuple[Array, Array | None]] = []  # (a, Ra) into each layer
        bends: list[tuple[Array, Array | None]] = []  # (f′, f″·Rz) of each hidden layer
        a, ra = x, None
        for k, (w, b) in enumerate(W):
            passed.append((a, ra))
            z, rz, rb = a @ w.T, None, None
            if V is not None:
                rz, rb = a @ V[k][0].T, V[k][1]
                if ra is not None:
                    rz += ra @ w.T
            if k + 1 < len(W):
                a, slope, ra, bend = self._parts.activate(z, b, rz, rb)
                bends.append((slope, bend))
        z += b
        if rz is not None:
            rz += rb
        loss, delta, rdelta = self._parts.losses(z, y, weight, rz, scale)
        if out is not None:
            self._back(W, V, passed, bends, delta, rdelta, out)
        return loss

    def _back(
        self,
        W: Layers,
        V: Layers | None,
        passed: list[tuple[Array, Array | None]],
        bends: list[tuple[Array, Array | None]],
        delta: Array,
        rdelta: Array | None,
        out: Layers,
    ) -> None:
        for k in reversed(range(len(W))):
            a, ra = passed[k]
            own = delta if rdelta is None else rdelta
            weights, biases = out[k]
            weights += own.T @ a
            if ra is not None:
                weights += delta.T @ ra
            biases += own.sum(axis=0, dtype=np.float64).astype(biases.dtype)
            if k == 0:
                return
            back, rback = delta @ W[k][0], None
            if V is not None and rdelta is not None:
                rback = rdelta @ W[k][0] + delta @ V[k][0]
            delta, rdelta = self._parts.pull(back, bends[k - 1][0], rback, bends[k - 1][1])
