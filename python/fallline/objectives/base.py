"""What all objectives share: one flat parameter vector, batches of sample indices, reductions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .._memory import available_memory
from .._types import Array
from ..threads import get_num_threads
from ._data import as_batch, as_vector

__all__ = ["Batch", "Objective", "Reduction"]

Reduction: TypeAlias = Literal["sum", "mean"]
Batch: TypeAlias = npt.ArrayLike | None


class Objective:
    r"""A loss of one flat parameter vector, a sum or mean over samples.

    .. math:: L(\varphi) = s \sum_{i \in B} w_i\, \ell_i(\varphi) + \tfrac{1}{2} λ \|\varphi\|^2,

    with s = 1/\|B\| for ``reduction="mean"`` and 1 for "sum". The mean divides by the number of
    samples, not by their weights, so that the mean over random batches is the full loss. A batch's
    share of the penalty is the whole of it ("mean") or \|B\|/n of it ("sum").

    A subclass names its parameters (``shapes``) and defines :meth:`_accumulate`, :meth:`_curve`
    and :meth:`_losses`, which know neither reduction nor penalty.

    Attributes
    ----------
    n_samples : int
        Number of samples; 1 for a plain function.
    n_params : int
        Length of the parameter vector.
    dtype : dtype
        float32 or float64: of parameters, gradients and products.
    shapes : dict of str to tuple
        Shape of each named part of the parameter vector, in its order.
    """

    unpenalized: tuple[str, ...] = ()
    """Named parts that the l2 penalty leaves out."""

    n_samples: int
    n_params: int
    dtype: np.dtype[Any]
    shapes: dict[str, tuple[int, ...]]
    reduction: Reduction
    l2: float
    convex: bool = False  # in all parameters: without saddles
    bounded: bool = False  # from below, as is known without a look
    _core: Any = None  # the same loss in C++, where there is one

    def __init__(
        self,
        *,
        n_samples: int,
        shapes: Mapping[str, tuple[int, ...]],
        dtype: npt.DTypeLike,
        reduction: Reduction = "mean",
        l2: float = 0.0,
    ) -> None:
        if reduction not in ("sum", "mean"):
            raise ValueError(f"reduction must be 'sum' or 'mean', not {reduction!r}")
        if not (isinstance(l2, (int, float)) and 0 <= l2 < math.inf):
            raise ValueError(f"l2 must be a finite number of at least 0, not {l2!r}")
        self.n_samples = n_samples
        self.shapes = dict(shapes)
        self.dtype = np.dtype(dtype)
        self.reduction = reduction
        self.l2 = float(l2)
        self._parts: dict[str, slice] = {}
        end = 0
        for name, shape in self.shapes.items():
            begin, end = end, end + math.prod(shape)
            self._parts[name] = slice(begin, end)
        self.n_params = end
        self._penalized = [
            part for name, part in self._parts.items() if name not in self.unpenalized
        ]

    def _terms(self) -> dict[str, Any]:
        """Reduction and penalty, as the C++ core takes them."""
        ranges = [(part.start, part.stop) for part in self._penalized]
        return {"mean": self.reduction == "mean", "l2": self.l2, "penalized": ranges}

    # ---- what a model defines ------------------------------------------------------------------

    def _accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        """Σ w·ℓ over the batch, unscaled; `gradient`, if given, becomes scale · Σ w·∂ℓ."""
        raise TypeError(f"{type(self).__name__} does not define its loss")

    def _curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        """`out` becomes scale · Σ w·(∂²ℓ) v over the batch."""
        raise TypeError(f"{type(self).__name__} does not define its curvature")

    def _losses(self, phi: Array, batch: Array | None) -> Array:
        """Loss ℓ of each sample, unweighted."""
        raise TypeError(f"{type(self).__name__} does not define its samples' losses")

    # ---- parameters ----------------------------------------------------------------------------

    def initial(self, seed: int | np.random.Generator = 0) -> Array:
        """Parameters to start from: zeros, where a model has no reason for others."""
        return np.zeros(self.n_params, self.dtype)

    def unpack(self, phi: Array) -> dict[str, Array]:
        """Named, shaped views into a parameter vector (or gradient).

        Examples
        --------
        >>> import numpy as np, fallline as fl
        >>> f = fl.objectives.LinearRegression(np.eye(3), np.ones(3))
        >>> {name: view.shape for name, view in f.unpack(f.initial()).items()}
        {'weight': (3,), 'intercept': ()}
        """
        if not isinstance(phi, np.ndarray) or phi.shape != (self.n_params,):
            raise ValueError(
                f"phi must be an array of {self.n_params} parameters, not {_describe(phi)}"
            )
        return {name: phi[part].reshape(self.shapes[name]) for name, part in self._parts.items()}

    # ---- values --------------------------------------------------------------------------------

    def loss(self, phi: npt.ArrayLike, batch: Batch = None) -> float:
        """Loss over a batch of sample indices; all samples without one.

        Raises
        ------
        ValueError, TypeError, IndexError
            `phi` has another length, or `batch` is empty, not of integers, or out of range.

        Warns
        -----
        RuntimeWarning
            The loss is not finite; the message names a sample at which it overflows.
        """
        vector, indices = self._check(phi, batch)
        return self._report(self._evaluate(vector, indices, None), vector, indices)

    def gradient(self, phi: npt.ArrayLike, batch: Batch = None, out: Array | None = None) -> Array:
        """Gradient over a batch, into `out` if given (C-contiguous, of the objective's dtype)."""
        return self.loss_and_gradient(phi, batch, out)[1]

    def loss_and_gradient(
        self, phi: npt.ArrayLike, batch: Batch = None, out: Array | None = None
    ) -> tuple[float, Array]:
        """Both, in one pass over the data. Raises and warns as :meth:`loss`."""
        vector, indices = self._check(phi, batch)
        out = self._output(out)
        return self._report(self._evaluate(vector, indices, out), vector, indices), out

    def losses(self, phi: npt.ArrayLike, batch: Batch = None) -> Array:
        """Loss of each sample, without weights, reduction and penalty."""
        vector, indices = self._check(phi, batch)
        with np.errstate(all="ignore"):
            return self._losses(vector, indices)

    def hvp(
        self, phi: npt.ArrayLike, v: npt.ArrayLike, batch: Batch = None, out: Array | None = None
    ) -> Array:
        """Hessian-vector product H(φ) v, exact up to rounding."""
        vector, indices = self._check(phi, batch)
        direction = as_vector("v", v, self.n_params, self.dtype)
        out = self._output(out)
        if self._core is not None:
            self._core.evaluate(vector, direction, indices, out, get_num_threads())
            return out
        self._curve(vector, direction, indices, out, self._scale(indices))
        if penalty := self._penalty(indices):
            for part in self._penalized:
                out[part] += self.dtype.type(penalty) * direction[part]
        return out

    def hessian(self, phi: npt.ArrayLike, batch: Batch = None) -> Array:
        """Full Hessian as an (n_params, n_params) array of float64.

        Raises
        ------
        MemoryError
            It would take more than half of the memory that is available.
        """
        vector, indices = self._check(phi, batch)
        n = self.n_params
        self._refuse_if_too_large(8 * n * n)
        columns = np.empty((n, n))
        unit = np.zeros(n, self.dtype)
        for j in range(n):
            unit[j] = 1
            columns[j] = self.hvp(vector, unit, indices)
            unit[j] = 0
        return np.asarray(0.5 * (columns + columns.T))

    def predict(self, phi: npt.ArrayLike, X: Any = None) -> Array:
        """What the model predicts for the samples of X (its own without one)."""
        raise TypeError(f"{type(self).__name__} has no predictions")

    # ---- shared by the above -------------------------------------------------------------------

    def _evaluate(self, phi: Array, batch: Array | None, gradient: Array | None) -> float:
        """Loss and, if asked for, gradient, of checked arguments: what loops call."""
        if self._core is not None:
            return float(self._core.evaluate(phi, None, batch, gradient, get_num_threads()))
        scale = self._scale(batch)
        loss = scale * self._accumulate(phi, batch, gradient, scale)
        if penalty := self._penalty(batch):
            for part in self._penalized:
                values = phi[part]
                loss += 0.5 * penalty * float(np.square(values, dtype=np.float64).sum())
                if gradient is not None:
                    gradient[part] += self.dtype.type(penalty) * values
        return loss

    def _size(self, batch: Array | None) -> int:
        return self.n_samples if batch is None else len(batch)

    def _scale(self, batch: Array | None) -> float:
        return 1.0 / self._size(batch) if self.reduction == "mean" else 1.0

    def _penalty(self, batch: Array | None) -> float:
        share = 1.0 if self.reduction == "mean" else self._size(batch) / self.n_samples
        return self.l2 * share

    def _check(self, phi: npt.ArrayLike, batch: Batch) -> tuple[Array, Array | None]:
        vector = as_vector("phi", phi, self.n_params, self.dtype)
        return vector, None if batch is None else as_batch(batch, self.n_samples)

    def _output(self, out: Array | None) -> Array:
        if out is None:
            return np.empty(self.n_params, self.dtype)
        if (
            not isinstance(out, np.ndarray)
            or out.shape != (self.n_params,)
            or out.dtype != self.dtype
            or not out.flags.carray
        ):
            raise ValueError(
                f"out must be a writeable C-contiguous {self.dtype} array of shape "
                f"({self.n_params},), not {_describe(out)}"
            )
        return out

    def _report(self, loss: float, phi: Array, batch: Array | None) -> float:
        if not math.isfinite(loss):
            warnings.warn(self.why_not_finite(loss, phi, batch), RuntimeWarning, stacklevel=3)
        return loss

    def why_not_finite(self, loss: float, phi: Array, batch: Array | None) -> str:
        """Say where a loss that is not finite comes from."""
        if not np.isfinite(phi).all():
            j = int(np.argmin(np.isfinite(phi)))
            return f"the loss is {loss}: parameter {j} is {phi[j]}"
        with np.errstate(all="ignore"):
            losses = self._losses(phi, batch)
        bad = np.flatnonzero(~np.isfinite(losses))
        if bad.size:
            sample = bad[0] if batch is None else batch[bad[0]]
            return f"the loss is {loss}: that of sample {sample} is {losses[bad[0]]} (overflow)"
        return f"the loss is {loss}: the sum over the samples overflows"

    def _refuse_if_too_large(self, size: int) -> None:
        available = available_memory()
        if available is not None and size > available / 2:
            raise MemoryError(
                f"the Hessian of {self.n_params:,} parameters would take {_bytes(size)}; "
                f"{_bytes(available)} are available. Use hvp, which never forms it"
            )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.n_samples:,} samples, {self.n_params:,} parameters, "
            f"{self.dtype}, reduction={self.reduction!r}, l2={self.l2})"
        )


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    return repr(value) if not isinstance(value, Sequence) else type(value).__name__


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
