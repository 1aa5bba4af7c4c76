"""Objectives from a user's loss and gradient of one sample."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .. import _differences as differences
from .._extras import require
from .._types import Array
from ..threads import get_num_threads
from ._data import as_floats, as_weights, check_finite_rows
from ._leaves import sum_leaves
from .base import Objective, Reduction
from .function import as_start, log

__all__ = ["SampleObjective", "from_sample"]

# Compiled once for each function, number of arrays, and whether a batch's indices are followed and
# weights multiply. A weighted sample adds to `own`, which then joins the sums.
_LOOP = """
def total(phi, {v} batch, size, rows, first, last, {arrays} weight, sums, losses):
    own = zeros(phi.size)
    for leaf in range(first, last):
        out = sums[leaf]
        loss = 0.0
        for k in range(leaf * rows, min((leaf + 1) * rows, size)):
            {step}
        losses[leaf] = loss

def each(phi, batch, {arrays} scratch, losses):
    for k in range(losses.size):
        losses[k] = f(phi, {elements} scratch)
"""

_PLAIN = "{keep} f(phi, {v} {elements} out)"
_WEIGHTED = """own[:] = 0.0
            {keep} weight[{index}] * f(phi, {v} {elements} own)
            for j in range(own.size):
                out[j] += weight[{index}] * own[j]"""

# Numbers of a batch (samples, and a gradient for each) that count as one multiplication of a linear
# model: to wake a second thread costs some 100 µs, in which one goes through 10⁵ of them.
LIGHT = 8


def from_sample(
    f: Callable[..., float],
    *arrays: npt.ArrayLike,
    n_params: int | None = None,
    x0: npt.ArrayLike | None = None,
    hvp: Callable[..., None] | None = None,
    dtype: npt.DTypeLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
    reduction: Reduction = "mean",
    l2: float = 0.0,
    backend: Literal["numba", "numpy"] = "numba",
) -> SampleObjective:
    r"""Make an objective of a function that gives one sample's loss and gradient.

    .. math::
        L(\varphi) = s \sum_{i \in B} w_i f(\varphi, x_i, y_i, \dots) + \tfrac12 λ \|\varphi\|^2

    Numba compiles the function into a loop over a batch's samples. Nothing is gathered: sample i is
    ``array[i]`` of each array. Batches are cut into parts that depend on their size alone, which
    several threads go through, and whose sums are joined in a fixed order: the bits are the same at
    any number of threads.

    Parameters
    ----------
    f : callable
        ``f(phi, x, y, ..., gradient)``: returns the loss of a sample and adds its gradient to
        `gradient`, a float64 vector. What it is given else it must not write to. It is written in
        the part of Python and NumPy that Numba compiles. Indices are checked in compiled code too
        (those of its own arrays; functions that it calls are compiled as they come).
    *arrays : array_like
        One or more arrays of one length: the samples, along the first axis. Read in place where
        C-contiguous.
    n_params : int, optional
        Number of parameters, where `x0` does not tell.
    x0 : array_like, optional
        Parameters to start from; zeros by default.
    hvp : callable, optional
        ``hvp(phi, v, x, y, ..., out)``: adds a sample's product of Hessian and v to `out`, a
        float64 vector. Without it, products are central differences of the gradient in float64,
        good to some ten digits; ``derivatives`` and the repr say so.
    dtype : dtype, optional
        float32 or float64, of the parameters; by default, float32 where the arrays' floats are.
    sample_weight : array of shape (n,), optional
        Factors of the samples' losses, at least 0.
    reduction : {"mean", "sum"}
        Over a batch's samples.
    l2 : float
        Adds (l2/2)‖φ‖².
    backend : {"numba", "numpy"}
        "numpy" runs the functions as they are, which is slow.

    Returns
    -------
    SampleObjective
        An :class:`Objective`.

    Raises
    ------
    TypeError, ValueError
        Arguments are not as described, arrays differ in length or hold values that are not finite,
        or Numba cannot compile a function.
    IndexError
        A function reaches beyond an array at the first sample. An evaluation raises it where that
        happens at another.
    ImportError
        Numba is missing (extra ``numba``).

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> def ratio(phi, x, y, gradient):
    ...     bottom = 1 + phi[1] * x
    ...     r = phi[0] / bottom - y
    ...     gradient[0] += 2 * r / bottom
    ...     gradient[1] -= 2 * r * phi[0] * x / bottom**2
    ...     return r * r
    >>> x = np.linspace(0, 1, 5)
    >>> f = fl.objectives.from_sample(ratio, x, 2 / (1 + 3 * x), n_params=2)
    >>> f.loss([2.0, 3.0]), f.gradient([2.0, 0.0], batch=[0, 4]).round(3)
    (0.0, array([ 1.5, -3. ]))
    """
    return SampleObjective(
        f,
        arrays,
        as_start(x0, n_params),
        hvp,
        dtype=dtype,
        sample_weight=sample_weight,
        reduction=reduction,
        l2=l2,
        backend=backend,
    )


class SampleObjective(Objective):
    """What :func:`from_sample` makes.

    Attributes
    ----------
    derivatives : dict of str to str
        Where "gradient" and "hvp" come from.
    backend : str
        "numba" or "numpy".
    """

    def __init__(
        self,
        f: Callable[..., float],
        arrays: tuple[npt.ArrayLike, ...],
        start: Array,
        hvp: Callable[..., None] | None = None,
        *,
        dtype: npt.DTypeLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
        reduction: Reduction = "mean",
        l2: float = 0.0,
        backend: Literal["numba", "numpy"] = "numba",
    ) -> None:
        for name, given in (("f", f), ("hvp", hvp)):
            if not (callable(given) or (given is None and name == "hvp")):
                raise TypeError(f"{name} must be callable, not {given!r}")
        if backend not in ("numba", "numpy"):
            raise ValueError(f"backend must be 'numba' or 'numpy', not {backend!r}")
        self.arrays = _samples(arrays)
        super().__init__(
            n_samples=len(self.arrays[0]),
            shapes={"phi": (start.size,)},
            dtype=_dtype(dtype, self.arrays),
            reduction=reduction,
            l2=l2,
        )
        self._start = start.astype(self.dtype)
        self._f, self._hvp = f, hvp
        self._weight = as_weights(sample_weight, self.n_samples, np.dtype(np.float64))
        self.backend = backend
        self._width = self.n_params + sum(a[0].size for a in self.arrays)
        by_differences = "central differences of the gradient"
        self.derivatives = {
            "gradient": "given",
            "hvp": "given" if hvp is not None else by_differences,
        }
        self._try()
        if hvp is None:
            log.info("%r", self)

    def _try(self) -> None:
        """Run both functions on the first sample, uncompiled and then compiled."""
        first = [a[0] for a in self.arrays]
        v = np.zeros(self.n_params, self.dtype)
        tests: list[tuple[str, Any, tuple[Any, ...]]] = [("f", self._f, (self._start, *first))]
        if self._hvp is not None:
            tests.append(("hvp", self._hvp, (self._start, v, *first)))
        for name, function, arguments in tests:
            plain = getattr(function, "py_func", function)
            try:
                with np.errstate(all="ignore"):
                    loss = plain(*arguments, np.zeros(self.n_params))
            except IndexError as error:
                raise IndexError(
                    f"{name} reaches beyond its arguments at the first sample ({error}); there are "
                    f"{self.n_params} parameters"
                ) from error
            except (ArithmeticError, ValueError):  # outside of its domain, as math.log raises
                continue
            if name == "f" and np.asarray(loss).dtype.kind not in "fiub":
                raise TypeError(f"f must return the loss, a real number, not {loss!r}")
            if name == "f" and np.size(loss) != 1:
                raise ValueError(f"f must return one number, not an array of {np.size(loss)}")
        one = np.zeros(1, np.int64)
        for direction in (None,) if self._hvp is None else (None, v):
            with suppress(ArithmeticError, ValueError):
                self._run(self._start, direction, one)

    def initial(self, seed: int | np.random.Generator = 0) -> Array:
        """`x0`, or zeros."""
        return np.array(self._start)

    def _accumulate(
        self, phi: Array, batch: Array | None, gradient: Array | None, scale: float
    ) -> float:
        loss, total = self._run(phi, None, batch)
        if gradient is not None:
            np.multiply(total, scale, out=gradient, casting="same_kind")
        return loss

    def _curve(self, phi: Array, v: Array, batch: Array | None, out: Array, scale: float) -> None:
        if self._hvp is not None:
            total = self._run(phi, v, batch)[1]
        else:
            wide = phi.astype(np.float64), v.astype(np.float64)
            total = differences.product(lambda x: self._run(x, None, batch)[1], *wide)
        np.multiply(total, scale, out=out, casting="same_kind")

    def _losses(self, phi: Array, batch: Array | None) -> Array:
        losses = np.empty(self._size(batch))
        each = self._loops(self._f, batch, False)[1]
        self._call(each, phi, batch, *self.arrays, np.zeros(self.n_params), losses)
        return losses

    def _run(self, phi: Array, v: Array | None, batch: Array | None) -> tuple[float, Array]:
        """Σ of the losses (0 with v) and of the gradients (products with v), in float64."""
        function = self._f if v is None else self._hvp
        total = self._loops(function, batch, v is not None)[0]
        weight = np.empty(0) if self._weight is None else self._weight
        size = self._size(batch)
        given = (phi, batch) if v is None else (phi, v, batch)

        def run(first: int, last: int, rows: int, losses: Array, sums: Array) -> None:
            self._call(total, *given, size, rows, first, last, *self.arrays, weight, sums, losses)

        threads = 1 if self.backend == "numpy" else get_num_threads()
        with np.errstate(all="ignore"):
            return sum_leaves(
                run, size, self.n_params, self.n_params, size * self._width // LIGHT, threads
            )

    def _loops(
        self, function: Any, batch: Array | None, curved: bool
    ) -> tuple[Callable[..., Any], Callable[..., Any]]:
        weighted = self._weight is not None
        return _loops(function, len(self.arrays), batch is not None, curved, weighted, self.backend)

    def _call(self, loop: Callable[..., Any], *arguments: Any) -> Any:
        if self.backend == "numpy":
            with np.errstate(all="ignore"):
                return loop(*arguments)
        errors = require("numba.core.errors", extra="numba")
        try:
            return loop(*arguments)
        except errors.NumbaError as error:
            raise TypeError(
                f"Numba cannot compile the function (backend='numpy' runs it as it is): {error}"
            ) from error

    def __repr__(self) -> str:
        name = getattr(self._f, "__name__", type(self._f).__name__)
        hvp = self.derivatives["hvp"]
        source = "" if hvp == "given" else f", hvp by {hvp}"
        return f"from_sample({name}){super().__repr__()[len(type(self).__name__) :][:-1]}{source})"


@lru_cache(maxsize=64)
def _loops(
    f: Any, arrays: int, indexed: bool, curved: bool, weighted: bool, backend: str
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Sum over a range of a batch, and one loss after another."""
    names = [f"a{i}" for i in range(arrays)]
    index = "batch[k]" if indexed else "k"
    parts = {
        "v": "v," if curved else "",
        "arrays": "".join(f"{a}, " for a in names),
        "elements": "".join(f"{a}[{index}], " for a in names),
    }
    if curved:  # nothing comes back
        step = _WEIGHTED.replace("{keep} weight[{index}] * ", "") if weighted else _PLAIN
    else:
        step = _WEIGHTED if weighted else _PLAIN
    step = step.format(keep="" if curved else "loss +=", index=index, **parts)
    source = _LOOP.format(step=step, **parts)
    scope: dict[str, Any] = {"f": f, "zeros": np.zeros}
    if backend == "numpy":
        scope["f"] = getattr(f, "py_func", f)
        exec(source, scope)
        return scope["total"], scope["each"]
    numba = require("numba", extra="numba")
    from ..backends.numba import compiler

    compiler()  # with the library's own operations
    checked = {"nogil": True, "error_model": "numpy", "boundscheck": True}
    given: dict[str, Any] = {}
    if isinstance(f, numba.core.dispatcher.Dispatcher):  # with the options it has, fastmath say
        given = {k: v for k, v in f.targetoptions.items() if k != "nopython"}
    scope["f"] = numba.njit(**given | checked)(getattr(f, "py_func", f))
    njit = numba.njit(**checked)
    exec(source, scope)
    return njit(scope["total"]), njit(scope["each"])


def _samples(arrays: tuple[npt.ArrayLike, ...]) -> list[Array]:
    """Arrays of one length, of numbers that are finite."""
    if not arrays:
        raise TypeError("from_sample needs at least one array of samples")
    found: list[Array] = []
    for i, given in enumerate(arrays):
        array = np.asarray(given)
        what = f"arrays[{i}]"
        if array.ndim == 0 or len(array) == 0:
            raise ValueError(f"{what} has shape {array.shape}; expected (samples, ...)")
        if array.dtype.kind in "iub":
            array = np.ascontiguousarray(array)
        else:
            array = as_floats(what, array)
            check_finite_rows(what, array)
        if found and len(array) != len(found[0]):
            raise ValueError(f"{what} has {len(array)} samples; arrays[0] has {len(found[0])}")
        found.append(array)
    return found


def _dtype(dtype: npt.DTypeLike | None, arrays: list[Array]) -> np.dtype[Any]:
    if dtype is not None:
        chosen = np.dtype(dtype)
        if chosen not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise ValueError(f"dtype must be float32 or float64, not {chosen}")
        return chosen
    floats = {a.dtype for a in arrays if a.dtype.kind == "f"}
    return np.dtype(np.float32 if floats == {np.dtype(np.float32)} else np.float64)
