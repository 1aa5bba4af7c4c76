"""A fitted model: what predicts, and what a file holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import objectives
from .._types import Array
from ..numerics import binary_cross_entropy, cross_entropy, sigmoid, softmax
from ..objectives import Objective
from ..objectives._data import as_floats
from ..objectives._sparse import is_sparse
from .data import dense
from .scaling import Scaling
from .targets import Classes, Kind, Loss

__all__ = ["Form", "Model", "Score"]

OBJECTIVES: dict[Kind, Callable[..., Objective]] = {
    "linear": objectives.LinearRegression,
    "logistic": objectives.LogisticRegression,
    "softmax": objectives.SoftmaxRegression,
    "mlp": objectives.MLP,
}
LOSS_OF: dict[Kind, Loss] = {"linear": "squared", "logistic": "logistic", "softmax": "softmax"}


class Score(NamedTuple):
    """How well predictions fit; accuracy of classes, or error and R² of numbers."""

    loss: float
    accuracy: float | None = None
    rmse: float | None = None
    r2: float | None = None


@dataclass(frozen=True)
class Form:
    """A model without its parameters."""

    kind: Kind
    loss: Loss
    features: int
    targets: tuple[int, ...]  # numbers a sample is to have, () for one; of classes, (how many,)
    hidden: tuple[int, ...] = ()
    activation: str = "relu"
    intercept: bool = True

    @classmethod
    def of(cls, objective: Objective) -> Form:
        """That of an objective: one of those below."""
        f: Any = objective
        kind = next((k for k, c in OBJECTIVES.items() if type(f) is c), None)
        if kind is None:
            raise TypeError(
                f"a model is of {', '.join(c.__name__ for c in OBJECTIVES.values())}, "
                f"not of {type(f).__name__}"
            )
        if kind == "mlp":
            *hidden, last = (shape for name, shape in f.shapes.items() if name.startswith("b"))
            widths, loss = tuple(units for (units,) in hidden), f.loss_name
            targets = () if loss == "squared" and f._squeeze else last
            form = cls(kind, loss, f.n_features, targets, widths, f.activation)
        else:
            form = cls(kind, LOSS_OF[kind], f.n_features, f.shapes["weight"][:-1])
            form = replace(form, intercept=f.intercept)
        return replace(form, targets=(2,)) if form.loss == "logistic" else form

    @property
    def outputs(self) -> int:
        """How many numbers the model forms of a sample."""
        return 1 if self.loss == "logistic" else math.prod(self.targets)

    def objective(self, X: Any, y: Array, **options: Any) -> Objective:
        """The objective of samples and their targets, or class indices."""
        if self.loss == "softmax":
            options["n_classes"] = self.targets[0]
        if self.kind == "mlp":
            options |= {"hidden": self.hidden, "activation": self.activation, "loss": self.loss}
        else:
            options["intercept"] = self.intercept
        return OBJECTIVES[self.kind](X, y, **options)

    def empty(self, dtype: npt.DTypeLike) -> Any:
        """An objective of a single blank sample, for its outputs on others."""
        classes = self.loss != "squared"
        y = np.zeros(1, np.int64) if classes else np.zeros((1, *self.targets), dtype)
        return self.objective(np.zeros((1, self.features), dtype), y)

    def score(self, z: Array, y: Array, scale: float = 1.0) -> Score:
        """By a model's outputs; `scale` is the unit of the targets and of z."""
        if self.loss == "squared":
            y = y.reshape(z.shape)
            square = float(np.mean(np.sum((z.astype(np.float64) - y) ** 2, axis=1)))
            spread = float(np.mean(np.sum((y - y.mean(axis=0)) ** 2, axis=1)))
            loss = square * scale**2
            r2 = 1 - square / spread if spread > 0 else math.nan
            return Score(loss, rmse=math.sqrt(loss / z.shape[1]), r2=r2)
        if self.loss == "softmax":
            losses, found = cross_entropy(z, y), np.argmax(z, axis=1)
        else:
            losses, found = binary_cross_entropy(z[:, 0], y), z[:, 0] > 0
        return Score(float(np.mean(losses, dtype=np.float64)), float(np.mean(found == y)))


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A fitted model, as :func:`fallline.load_model` reads it from a file.

    Attributes
    ----------
    form : Form
        Which model it is, and its sizes.
    phi : ndarray
        Its parameters, the vector that was fitted.
    classes : tuple of str or int, or None
        The labels that it tells apart.
    feature_names : tuple of str or None
        Those of the columns that it was fitted on.
    settings : dict
        How it was fitted.

    Examples
    --------
    See :func:`fallline.load_model`.
    """

    form: Form
    phi: Array
    labels: Classes | None = None
    scaling: Scaling | None = None
    feature_names: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...] | tuple[int, ...] | None:
        """The labels that it tells apart; None of a regression."""
        return None if self.labels is None else self.labels.labels

    @cached_property
    def _objective(self) -> Any:
        return self.form.empty(self.phi.dtype)

    def parameters(self) -> dict[str, Array]:
        """Named, shaped views of :attr:`phi`, as the objective's ``unpack`` gives them."""
        views: dict[str, Array] = self._objective.unpack(self.phi)
        return views

    def outputs(self, X: Any) -> Array:
        """Outputs z of each sample: logits, or the predicted numbers; shape (n, k)."""
        if self.scaling is not None or self.form.kind == "mlp":
            X = dense(X, f"model {self.form.kind}")
        X = X if is_sparse(X) else as_floats("X", X)
        if X.ndim != 2 or X.shape[1] != self.form.features:
            raise ValueError(f"X has shape {X.shape}; expected (samples, {self.form.features})")
        X = X.astype(self.phi.dtype, copy=False)
        if self.scaling is not None:
            X = self.scaling.features(X)
        z: Array = self._objective.outputs(self.phi, X)
        if self.scaling is not None and self.form.loss == "squared":
            z = self.scaling.restored(z)
        return z

    def predict(self, X: Any) -> Array:
        """The likeliest label of each sample, or its predicted target or targets.

        Parameters
        ----------
        X : array or scipy.sparse.csr_array, shape (n, features)
            The samples, as the data had them: they are standardised here, if the fit's were.
        """
        return self.decide(self.outputs(X))

    def predict_proba(self, X: Any) -> Array:
        """Probability of each class for each sample, shape (n, classes).

        Raises
        ------
        TypeError
            The model is of a regression.
        """
        return self.probabilities(self.outputs(X))

    def decide(self, z: Array) -> Array:
        """Predictions by the :meth:`outputs` of some samples."""
        if self.labels is None:
            return z if self.form.targets else z[:, 0]
        return self.labels.at(self.choose(z))

    def choose(self, z: Array) -> Array:
        """Index of the likeliest class by the :meth:`outputs` of some samples."""
        if self.form.loss == "logistic":
            return (z[:, 0] > 0).astype(np.intp)
        return np.asarray(np.argmax(z, axis=1))

    def probabilities(self, z: Array) -> Array:
        """Probabilities by the :meth:`outputs` of some samples."""
        if self.labels is None:
            raise TypeError("a regression gives no probabilities; see predict")
        if self.form.loss == "softmax":
            return np.asarray(softmax(z))
        return np.stack([sigmoid(-z[:, 0]), sigmoid(z[:, 0])], axis=1)

    def __repr__(self) -> str:
        f = self.form
        widths = "-".join(map(str, (f.features, *f.hidden, f.outputs)))
        return f"Model({f.kind} {widths}, {self.phi.size:,} parameters, {self.phi.dtype})"
