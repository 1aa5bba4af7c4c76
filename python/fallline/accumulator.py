"""Sums of gradients over micro-batches and workers."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from ._types import Array, Grads, Params, compute_dtype
from .arrays import check_apart, check_array, check_gradient
from .backends import Binding, Work, choose
from .rules.elementwise import accumulate
from .structure import Structure, flatten_groups, nest, split_groups
from .threads import get_num_threads

__all__ = ["GradientAccumulator"]

ON_NONFINITE = ("warn", "raise", "ignore")
DTYPES = ("float32", "float64")

# Adds so far, their total weight, and which sums have begun. Replaced as a whole.
Progress: TypeAlias = tuple[int, float, tuple[bool, ...]]


class GradientAccumulator:
    r"""A weighted sum of gradients for each parameter, and their mean.

    .. math:: s \leftarrow s + w c\, g, \qquad W \leftarrow W + w, \qquad \bar g = s / W

    with the weight w and the scale c of an add. Each element is summed in the order of the adds, in
    float32 (float64 where its parameter is), one call and one pass over memory an add: the same
    bits on every backend, instruction set and thread count. The mean of k equal micro-batches'
    mean gradients is the full batch's.

    Parameters
    ----------
    params
        What an optimizer takes: an array, a sequence or a mapping of arrays, or a list of group
        dicts. Only structure, shapes and dtypes are used.
    dtype : {"float32", "float64"}, optional
        Type of all sums, instead of float64 for float64 parameters and float32 for others. Terms
        are rounded to it, too.
    backend : {"native", "numba", "numpy"}, optional
        Who computes; the best one usable here by default.

    Raises
    ------
    TypeError, ValueError
        An array or argument is not as described.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> x = np.ones(2)
    >>> opt, acc = fl.SGD(x, lr=0.5), fl.GradientAccumulator(x)
    >>> for grad in (np.array([1.0, 2.0]), np.array([3.0, 2.0])):
    ...     acc.add(grad)
    >>> acc.mean()
    array([2., 2.])
    >>> opt.step(acc.sum(), scale=1 / acc.weight)  # the mean's step, without an array for it
    >>> x
    array([0., 0.])
    >>> acc.reset()
    """

    def __init__(
        self,
        params: Params,
        dtype: Literal["float32", "float64"] | None = None,
        backend: str | None = None,
    ) -> None:
        if dtype is not None and dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {DTYPES} or None, not {dtype!r}")
        self._backend = choose(backend)
        self._lock = threading.Lock()
        self._structures: list[Structure] = []
        self._names: list[str] = []
        self._sums: list[Array] = []
        groups, self._grouped = split_groups(params)
        for i, group in enumerate(groups):
            prefix = f"param_groups[{i}]['params']" if self._grouped else "params"
            structure, arrays = nest(prefix, group["params"])
            names = structure.names(prefix)
            for name, array in zip(names, arrays, strict=True):
                check_array(name, array)
                self._sums.append(np.zeros(array.shape, dtype or compute_dtype(array.dtype)))
            self._structures.append(structure)
            self._names += names
        if not self._sums:
            raise ValueError("params is empty: there are no gradients to accumulate")
        self._binding = self._bind(self._sums)
        self._views = [array.view() for array in self._sums]
        for view in self._views:
            view.flags.writeable = False
        self._all = (True,) * len(self._sums)
        self._progress: list[Progress] = [self._nothing()]

    def _bind(self, arrays: list[Array]) -> Binding:
        """Bind each array as a cohort of its own, so that any of them can sit an add out."""
        return self._backend.bind(arrays, [()] * len(arrays), range(len(arrays)))

    def _nothing(self) -> Progress:
        return 0, 0.0, (False,) * len(self._sums)

    @property
    def backend(self) -> str:
        """Name of the backend in use."""
        return self._backend.NAME

    @property
    def count(self) -> int:
        """Number of adds since the last reset."""
        return self._progress[0][0]

    @property
    def weight(self) -> float:
        """Total weight of the adds since the last reset: `count` where every weight is 1."""
        return self._progress[0][1]

    # ---- adding --------------------------------------------------------------------------------

    def add(
        self,
        grads: Grads,
        scale: float = 1.0,
        *,
        weight: float = 1.0,
        on_nonfinite: Literal["warn", "raise", "ignore"] = "warn",
    ) -> None:
        """Add one micro-batch's gradients.

        Threads that add at the same time wait for each other; :meth:`add_many` fixes the order.

        Parameters
        ----------
        grads
            Gradients nested like the parameters: C-contiguous arrays of any supported dtype. A
            ``None`` counts as 0.
        scale : float
            Multiplies the gradients alone (1/1024 undoes a loss scale of 1024).
        weight : float
            Multiplies the gradients and counts in the mean (the micro-batch's size where these
            differ, and the gradients are means). Not negative.
        on_nonfinite : {"warn", "raise", "ignore"}
            What to do about infinite or NaN gradients. "raise" looks first and leaves every bit of
            the sums untouched; "warn" notices during the sum.

        Raises
        ------
        TypeError, ValueError
            An array or argument is not as described; nothing has been added.
        FloatingPointError
            A gradient is not finite and `on_nonfinite` is "raise"; nothing has been added.

        Warns
        -----
        RuntimeWarning
            A gradient is not finite and `on_nonfinite` is "warn".
        """
        self._add([("grads", "", grads)], scale, [weight], on_nonfinite)

    def add_many(
        self,
        grads: Sequence[Grads],
        scale: float = 1.0,
        *,
        weights: Sequence[float] | None = None,
        on_nonfinite: Literal["warn", "raise", "ignore"] = "warn",
    ) -> None:
        """Add several workers' gradients, in the order given: the bits of as many single adds.

        Parameters
        ----------
        grads : sequence
            Each entry is what :meth:`add` takes.
        scale : float
            Multiplies all gradients.
        weights : sequence of float, optional
            A weight for each entry; 1 by default.
        on_nonfinite : {"warn", "raise", "ignore"}
            See :meth:`add`.

        Raises
        ------
        TypeError, ValueError, FloatingPointError
            As :meth:`add` does, for any entry; none has been added.

        Warns
        -----
        RuntimeWarning
            As :meth:`add` does.
        """
        if not isinstance(grads, (list, tuple)):
            raise TypeError(
                f"grads must be a list with an entry per worker, not {type(grads).__name__}"
            )
        weights = [1.0] * len(grads) if weights is None else list(weights)
        if len(weights) != len(grads):
            raise ValueError(f"weights has {len(weights)} entries for {len(grads)} of grads")
        entries = [(f"grads[{k}]", f" in grads[{k}]", entry) for k, entry in enumerate(grads)]
        self._add(entries, scale, weights, on_nonfinite)

    def _add(
        self,
        entries: list[tuple[str, str, Grads]],
        scale: float,
        weights: list[float],
        on_nonfinite: str,
    ) -> None:
        _check_arguments(scale, weights, on_nonfinite)
        flats = [
            (flatten_groups(self._structures, self._grouped, what, grads), where)
            for what, where, grads in entries
        ]
        with self._lock:
            for flat, where in flats:  # all of them, before the first is added
                if not self._binding.accept(flat):
                    self._admit(flat, where)
                if on_nonfinite == "raise":
                    _, bad = self._binding.sum_squares(1.0, get_num_threads())
                    if bad >= 0:
                        raise FloatingPointError(
                            f"the gradient of {self._names[bad]}{where} is not finite; "
                            "nothing was added"
                        )
            bad_ones = list(self._update(flats, scale, weights, watch=on_nonfinite == "warn"))
        for name in bad_ones:
            warnings.warn(f"the gradient of {name} is not finite", RuntimeWarning, stacklevel=3)

    def _update(
        self, flats: list[tuple[list[Any], str]], scale: float, weights: list[float], *, watch: bool
    ) -> Iterator[str]:
        """Add gradients that have been checked; yields where one is not finite."""
        for (flat, where), weight in zip(flats, weights, strict=True):
            if len(flats) > 1:
                self._binding.bind(flat)
            count, total, begun = self._progress[0]
            share = accumulate, 1.0, (0.0, scale * weight)
            work: Work = (share,) * len(flat)
            # The other way costs 0.2 µs a tensor, twice what the native call does.
            if begun is not self._all or any(grad is None for grad in flat):
                first = accumulate, 1.0, (1.0, scale * weight)
                work = tuple(
                    None if grad is None else share if started else first
                    for grad, started in zip(flat, begun, strict=True)
                )
                begun = tuple(w is not None or b for w, b in zip(work, begun, strict=True))
                begun = self._all if all(begun) else begun
            pending = count + 1, total + weight, begun
            bad = self._binding.update(
                work, watch, get_num_threads(), self._progress, pending, None
            )
            if bad >= 0:
                yield self._names[bad] + where

    def _admit(self, flat: list[Any], where: str) -> None:
        """Bind gradients that are not plainly fine, or raise what is wrong."""
        present = []
        for name, grad, own in zip(self._names, flat, self._sums, strict=True):
            if grad is not None:
                what = f"the gradient of {name}{where}"
                present.append((what, check_gradient(what, grad, own)))
        sums = [f"the sum of {name}" for name in self._names]
        check_apart(list(zip(sums, self._sums, strict=True)), present)
        self._binding.bind(flat)

    # ---- results -------------------------------------------------------------------------------

    def sum(self) -> Any:
        """The weighted sums, nested like the parameters.

        ``opt.step(acc.sum(), scale=1 / acc.weight)`` takes the same step as
        ``opt.step(acc.mean())``, with the same bits where the optimizer computes in the sums' type,
        and saves the mean's memory.

        Returns
        -------
        ndarray, list or dict
            Read-only views of the sums, which later adds change; None where no add had a gradient.
        """
        return self._nested(self._views)

    def mean(self) -> Any:
        """The sums times 1 / `weight`, nested like the parameters.

        Returns
        -------
        ndarray, list or dict
            New arrays of the sums' type; None where no add had a gradient.

        Raises
        ------
        ValueError
            The adds have a total weight of 0.
        """
        with self._lock:
            count, weight, begun = self._progress[0]
            if count > 0 and weight == 0:
                raise ValueError(f"the weights of {count} adds are all 0; they have no mean")
            means = [np.empty_like(own) for own in self._sums]
            if count > 0:
                binding = self._bind(means)
                binding.bind([own if b else None for own, b in zip(self._sums, begun, strict=True)])
                share = accumulate, 1.0, (1.0, 1 / weight)
                work = tuple(share if b else None for b in begun)
                binding.update(work, False, get_num_threads(), [None], None, None)
            return self._nested(means)

    def _nested(self, arrays: list[Array]) -> Any:
        begun = self._progress[0][2]
        flat = [array if b else None for array, b in zip(arrays, begun, strict=True)]
        nested = []
        for structure in self._structures:
            nested.append(structure.unflatten(flat[: structure.length]))
            flat = flat[structure.length :]
        return nested if self._grouped else nested[0]

    def reset(self) -> None:
        """Begin anew. No memory is touched: a sum's first term replaces what it held."""
        with self._lock:
            self._progress[0] = self._nothing()

    def __repr__(self) -> str:
        size = sum(own.size for own in self._sums)
        return (
            f"GradientAccumulator({len(self._sums)} arrays, {size:,} elements, count={self.count}, "
            f"weight={self.weight:g}, backend: {self.backend})"
        )


def _check_arguments(scale: float, weights: list[float], on_nonfinite: str) -> None:
    if not math.isfinite(scale):
        raise ValueError(f"scale must be finite, not {scale!r}")
    for weight in weights:
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be finite and not negative, not {weight!r}")
    if on_nonfinite not in ON_NONFINITE:
        raise ValueError(f"on_nonfinite must be one of {ON_NONFINITE}, not {on_nonfinite!r}")
