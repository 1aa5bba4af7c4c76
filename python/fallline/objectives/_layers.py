"""A linear model or network as its layers, in NumPy: what curvature is built of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .._types import Array
from ._activations import Jet, identity
from ._glm import GeneralizedLinearModel, Head, Samples
from .base import Objective
from .mlp import MLP

__all__ = ["Layers", "Pass", "layers_of"]


@dataclass(frozen=True)
class Pass:
    """A batch gone forward."""

    inputs: list[Any]  # a into each layer, (n, inputs); the first may be sparse
    slopes: list[Array]  # f′ of each hidden layer, (n, units)
    z: Array  # outputs, (n, k)


@dataclass(frozen=True)
class Layers:
    """Samples, weights' places in the parameter vector, and the functions between."""

    samples: Samples
    widths: tuple[int, ...]
    activation: Callable[[Any], Jet]
    head: Head
    biased: bool

    @property
    def places(self) -> list[tuple[slice, slice]]:
        """Where each layer's weights, shape (outputs, inputs), and biases (perhaps none) lie."""
        found, end = [], 0
        for inputs, outputs in pairwise(self.widths):
            begin, bias = end, end + outputs * inputs
            end = bias + (outputs if self.biased else 0)
            found.append((slice(begin, bias), slice(bias, end)))
        return found

    def views(self, phi: Array) -> list[tuple[Array, Array]]:
        """Weights and biases as views into a vector."""
        return [
            (phi[w].reshape(outputs, -1), phi[b])
            for (w, b), outputs in zip(self.places, self.widths[1:], strict=True)
        ]

    def rows(self, batch: Array | None) -> tuple[Any, Array, Array | None]:
        """Samples, targets and weights of a batch."""
        X, y, w = self.samples.X, self.samples.y, self.samples.weight
        return (X, y, w) if batch is None else (X[batch], y[batch], None if w is None else w[batch])

    def forward(self, phi: Array, X: Any) -> Pass:
        """Go forward with rows of samples."""
        a, inputs, slopes = X, [], []
        *hidden, (last, bias) = self.views(phi)
        with np.errstate(all="ignore"):
            for weight, b in hidden:
                inputs.append(a)
                value, slope, _ = self.activation(_affine(a, weight, b))
                a = np.asarray(value, phi.dtype)
                slopes.append(np.broadcast_to(np.asarray(slope, phi.dtype), a.shape))
            return Pass([*inputs, a], slopes, _affine(a, last, bias))

    def backward(self, phi: Array, passed: Pass, delta: Array) -> list[Array]:
        """∂ℓ/∂z of every layer, from that of the outputs, (n, k)."""
        deltas = [delta]
        with np.errstate(all="ignore"):
            for (weight, _), slope in zip(self.views(phi)[:0:-1], passed.slopes[::-1], strict=True):
                deltas.append((deltas[-1] @ weight) * slope)
        return deltas[::-1]

    def pulled(self, passed: Pass, deltas: list[Array]) -> Array:
        """Σ over the samples of the parameters' gradients."""
        out = np.empty(self.places[-1][1].stop, deltas[0].dtype)
        for (weight, bias), a, delta in zip(self.views(out), passed.inputs, deltas, strict=True):
            weight[:] = (a.T @ delta).T
            if self.biased:
                bias[:] = delta.sum(axis=0)
        return out

    def pushed(self, phi: Array, passed: Pass, v: Array) -> Array:
        """Change of the outputs along v, (n, k)."""
        rz = np.empty(0)
        layers = zip(self.views(phi), self.views(v), passed.inputs, strict=True)
        for k, ((weight, _), (vweight, vbias), a) in enumerate(layers):
            along = _affine(a, vweight, vbias)
            if k:
                along = along + (passed.slopes[k - 1] * rz) @ weight.T
            rz = along
        return rz

    def jacobian(self, phi: Array, passed: Pass) -> Array:
        """∂z/∂φ, shape (n, k, n_params)."""
        n, k = passed.z.shape
        out = np.zeros((n, k, len(phi)), phi.dtype)
        for c in range(k):
            delta = np.zeros((n, k), phi.dtype)
            delta[:, c] = 1
            deltas = self.backward(phi, passed, delta)
            for (w, b), a, d in zip(self.places, passed.inputs, deltas, strict=True):
                dense = a.toarray() if hasattr(a, "toarray") else a
                out[:, c, w] = (d[:, :, None] * dense[:, None, :]).reshape(n, -1)
                if self.biased:
                    out[:, c, b] = d
        return out


def _affine(a: Any, weight: Array, bias: Array) -> Array:
    z: Array = np.asarray(a @ weight.T)
    return z + bias if bias.size else z


def layers_of(objective: Objective) -> Layers | None:
    """The objective's layers, if it is a linear model or a network."""
    if isinstance(objective, MLP):
        model = objective._model
        return Layers(model.samples, model.widths, model.activation, model.head, True)
    if isinstance(objective, GeneralizedLinearModel):
        s = objective.samples
        widths = (objective.n_features, s.outputs)
        return Layers(s, widths, identity, objective.head, objective.intercept)
    return None
