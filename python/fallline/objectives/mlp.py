"""Fully connected networks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .._types import Array
from ..backends import backends, choose
from ..numerics import sigmoid, softmax
from . import _blas
from ._activations import ACTIVATIONS, RECTIFIERS
from ._data import as_weights
from ._glm import Head, Samples, as_samples
from ._network import Model, Network, NumpyParts, Parts
from ._sparse import is_sparse
from .base import Objective, Reduction
from .linear import LinearRegression, as_targets
from .logistic import LogisticRegression, as_labels
from .softmax import SoftmaxRegression, as_classes

__all__ = ["MLP"]

Activation: TypeAlias = Literal["identity", "relu", "tanh", "sigmoid", "softplus", "silu", "gelu"]
Loss: TypeAlias = Literal["squared", "softmax", "logistic"]

HEADS: dict[str, Head] = {
    "squared": LinearRegression.head,
    "softmax": SoftmaxRegression.head,
    "logistic": LogisticRegression.head,
}


class MLP(Objective):
    r"""A fully connected network (multilayer perceptron) under a loss of its outputs.

    .. math:: a_0 = x, \quad a_l = f(W_l a_{l-1} + b_l), \quad z = W_L a_{L-1} + b_L,
              \quad \ell_i = \ell(z, y_i)

    Matrix products are those of the BLAS that NumPy carries; all between them is fused and
    parallel. The native backend gives the same bits at any number of threads and, but for the
    sums inside BLAS, on every CPU; BLAS chooses the order of its sums by the CPU.

    Parameters
    ----------
    X : array, shape (n, d)
        Samples, float32 or float64, a row each; read in place where C-contiguous. Parameters and
        gradients are of its dtype.
    y : array
        "softmax": class of each sample, from 0, shape (n,). "logistic": 0 and 1, or probabilities
        between them, shape (n,). "squared": targets, shape (n,) or (n, k).
    hidden : sequence of int
        Units of each hidden layer; none makes a linear model.
    activation : {"relu", "tanh", "sigmoid", "gelu", "softplus", "silu", "identity"}
        f of the hidden units. f′ of relu at 0 is 0. gelu is x Φ(x), not its approximation by tanh.
    loss : {"softmax", "logistic", "squared"}
        Cross-entropy of several classes or of two, or the squared error summed over the outputs:
        those of :class:`SoftmaxRegression`, :class:`LogisticRegression`, :class:`LinearRegression`.
    n_classes : int, optional
        For "softmax"; one more than the largest label without it.
    sample_weight : array of shape (n,), optional
        Weights of at least 0.
    reduction : {"mean", "sum"}
        Over a batch's samples.
    l2 : float
        Adds (l2/2)Σ‖W_l‖² (not of the biases).
    backend : {"native", "numba", "numpy"}, optional
        Where it is computed. Where NumPy's BLAS cannot be called from C++, "native" is refused,
        and Numba is the first choice; see `backend` of the objective.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not match, values that are not finite (named by row), labels out of range,
        an unknown activation or loss, a hidden layer without units.
    RuntimeError
        The backend cannot be used here.

    Notes
    -----
    While it computes, the native backend holds OpenBLAS to one thread in the whole process and
    shares the products out over its own. A large product of your own by NumPy keeps OpenBLAS's
    threads waiting in a loop for some 25 ms, in which they take cores from the next evaluations:
    one between any two steps made 784-1024-1024-10 on two cores four times as slow.
    ``OPENBLAS_THREAD_TIMEOUT=4`` in the environment lets them sleep at once; a product within
    ``threadpoolctl.threadpool_limits(1)`` wakes none.

    Examples
    --------
    >>> import fallline as fl
    >>> X, y = fl.datasets.digits()
    >>> f = fl.objectives.MLP(X, y, hidden=(32,))
    >>> phi = f.initial(seed=0)
    >>> {name: part.shape for name, part in f.unpack(phi).items()}
    {'weight1': (32, 64), 'bias1': (32,), 'weight2': (10, 32), 'bias2': (10,)}
    >>> opt = fl.Adam(phi, lr=1e-2)
    >>> for _ in range(60):
    ...     opt.step(f.gradient(phi))
    >>> bool((f.predict(phi) == y).mean() > 0.95)
    True

    References
    ----------
    Rumelhart, Hinton & Williams (1986), Learning representations by back-propagating errors;
    Pearlmutter (1994), Fast exact multiplication by the Hessian, section 3 (Hessian-vector
    product).
    """

    bounded = True

    def __init__(
        self,
        X: Any,
        y: npt.ArrayLike,
        hidden: Sequence[int] = (1024, 1024),
        activation: Activation = "relu",
        loss: Loss = "softmax",
        *,
        n_classes: int | None = None,
        sample_weight: npt.ArrayLike | None = None,
        reduction: Reduction = "mean",
        l2: float = 0.0,
        backend: str | None = None,
    ) -> None:
        _check_choice("activation", activation, ACTIVATIONS)
        _check_choice("loss", loss, HEADS)
        if n_classes is not None and loss != "softmax":
            raise ValueError(f"n_classes is for loss='softmax', not for {loss!r}")
        X = _as_dense(X)
        n, features = X.shape
        targets, outputs = _targets(y, loss, n_classes)
        if len(targets) != n:
            raise ValueError(f"y has {len(targets)} entries; X has {n} samples")
        widths = (features, *_as_hidden(hidden), outputs)
        layers = range(1, len(widths))
        shapes: dict[str, tuple[int, ...]] = {}
        for k, (inputs, units) in zip(layers, pairwise(widths), strict=True):
            shapes |= {f"weight{k}": (units, inputs), f"bias{k}": (units,)}
        self.unpenalized = tuple(f"bias{k}" for k in layers)
        super().__init__(n_samples=n, shapes=shapes, dtype=X.dtype, reduction=reduction, l2=l2)
        self.n_features = features
        self.activation = activation
        self.loss_name = loss
        self._squeeze = targets.ndim == 1
        samples = Samples(
            X,
            np.ascontiguousarray(targets.reshape(n, -1), X.dtype),
            as_weights(sample_weight, n, self.dtype),
            outputs,
            intercept=True,
        )
        self._model = Model(samples, widths, ACTIVATIONS[activation], HEADS[loss])
        self.backend = _choose(backend)
        if self.backend == "native":
            self._core = _core_network(self._model, activation, self._terms())
        else:
            self._evaluator = Network(self._model, _parts(self.backend, self._model))

    def initial(self, seed: int | np.random.Generator = 0) -> Array:
        """Random parameters to start from.

        Weights are normal numbers of mean 0, biases 0. The variance keeps that of activations and
        gradients about level from layer to layer: 2/inputs of a layer that a rectifier follows
        ("relu", "gelu", "silu", "softplus"; He et al. 2015, eq. 10), 2/(inputs + outputs) of the
        others and of the last (Glorot & Bengio 2010, eq. 12).

        Parameters
        ----------
        seed : int or numpy.random.Generator
            The same seed gives the same parameters.
        """
        rng = np.random.default_rng(seed)
        phi = np.zeros(self.n_params, self.dtype)
        layers = self._model.layers(phi)
        for k, (weight, _) in enumerate(layers):
            outputs, inputs = weight.shape
            rectified = self.activation in RECTIFIERS and k + 1 < len(layers)
            variance = 2 / inputs if rectified else 2 / (inputs + outputs)
            weight[:] = np.sqrt(variance) * rng.standard_normal(weight.shape, self.dtype)
        return phi

    def _accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        return self._evaluator.accumulate(phi, batch, gradient, scale)

    def _curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        self._evaluator.curve(phi, v, batch, out, scale)

    def _losses(self, phi: Array, batch: Array | None) -> Array:
        X, y = self._model.samples.X, self._model.samples.y
        rows, targets = (X, y) if batch is None else (X[batch], y[batch])
        return self._model.head.value(self._model.outputs(phi, rows), targets)[0]

    def outputs(self, phi: npt.ArrayLike, X: Any = None) -> Array:
        """The last layer's outputs z for each sample of X (its own without one), shape (n, k)."""
        vector, _ = self._check(phi, None)
        if X is None:
            X = self._model.samples.X
        else:
            X = _as_dense(X)
            if X.shape[1] != self.n_features:
                raise ValueError(f"X has {X.shape[1]} features; the model has {self.n_features}")
        with np.errstate(all="ignore"):
            return self._model.outputs(vector, X.astype(self.dtype, copy=False))

    def predict_proba(self, phi: npt.ArrayLike, X: Any = None) -> Array:
        """Probabilities for each sample: of each class ("softmax"), or of label 1 ("logistic")."""
        if self.loss_name == "squared":
            raise TypeError("loss='squared' gives no probabilities; see predict")
        z = self.outputs(phi, X)
        return np.asarray(softmax(z) if self.loss_name == "softmax" else sigmoid(z[:, 0]))

    def predict(self, phi: npt.ArrayLike, X: Any = None) -> Array:
        """The likeliest class or label of each sample, or ("squared") its targets, shaped as y."""
        z = self.outputs(phi, X)
        if self.loss_name == "softmax":
            return np.asarray(np.argmax(z, axis=1))
        if self.loss_name == "logistic":
            return (z[:, 0] > 0).astype(np.int64)
        return z[:, 0] if self._squeeze else z


def _check_choice(what: str, value: Any, choices: dict[str, Any]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{what} is {value!r}; expected one of {', '.join(choices)}")


def _as_dense(X: Any) -> Array:
    if is_sparse(X):
        raise TypeError(f"X is sparse ({type(X).__name__}); expected a dense array (X.toarray())")
    array: Array = as_samples("X", X)
    return array


def _as_hidden(hidden: Any) -> tuple[int, ...]:
    if isinstance(hidden, (str, bytes)) or not isinstance(hidden, (Sequence, np.ndarray)):
        raise TypeError(f"hidden must be a sequence of layers' units, not {hidden!r}")
    for units in hidden:
        if isinstance(units, (bool, np.bool_)) or not isinstance(units, (int, np.integer)):
            raise TypeError(f"hidden holds {units!r}; expected whole numbers of units")
        if units < 1:
            raise ValueError(f"hidden holds {units}; expected at least 1 unit a layer")
    return tuple(int(units) for units in hidden)


def _targets(y: npt.ArrayLike, loss: str, n_classes: int | None) -> tuple[Array, int]:
    """Targets of a loss, and how many outputs they take."""
    if loss == "softmax":
        return as_classes(y, n_classes)
    if loss == "logistic":
        return as_labels(y), 1
    targets = as_targets(y)
    return targets, 1 if targets.ndim == 1 else targets.shape[1]


def _choose(backend: str | None) -> str:
    """The backend to use; without NumPy's BLAS, the best that has its products by np.matmul."""
    name = choose(backend).NAME
    if name != "native" or _blas.find() is not None:
        return name
    if backend is not None:
        raise RuntimeError(
            "backend='native' cannot be used here: NumPy's BLAS offers no cblas_sgemm to C++"
        )
    return next(other for other in backends() if other != "native")


def _parts(backend: str, model: Model) -> Parts:
    if backend == "numpy":
        return NumpyParts(model)
    from ._network_numba import NumbaParts

    return NumbaParts(model)


def _core_network(model: Model, activation: str, terms: dict[str, Any]) -> Any:
    from .. import _core

    s, blas = model.samples, _blas.find()
    assert blas is not None
    return _core.Network(
        head=model.head.name,
        activation=activation,
        x=s.X,
        y=s.y,
        weight=s.weight,
        widths=model.widths,
        blas=blas,
        **terms,
    )
