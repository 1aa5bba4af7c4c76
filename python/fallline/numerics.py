"""Exponentials and logarithms that neither overflow nor cancel, and dynamic loss scaling.

Throughout, float32 and float64 stay, float16 and bfloat16 pass through float32 and come back, and
integers and booleans become float64. No call warns, NaN stays NaN, and an infinity stands for its
limit: sigmoid(inf) is 1, and a class of logit -inf has probability 0. Infinities of one sign count
as level with each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from . import hyperparameters
from ._types import Array, Grads, compute_dtype, float64

__all__ = [
    "LossScaler",
    "binary_cross_entropy",
    "cross_entropy",
    "log_softmax",
    "log_sum_exp",
    "sigmoid",
    "softmax",
]

Axis: TypeAlias = int | tuple[int, ...] | None
Reduction: TypeAlias = Literal["none", "sum", "mean"]
DType: TypeAlias = np.dtype[Any]

REDUCTIONS = ("none", "sum", "mean")
ROW_SUM_TOLERANCE = 1e-2  # probabilities rounded to bfloat16 sum to 1 ± 2⁻⁸


def _real(what: str, x: npt.ArrayLike) -> tuple[Array, DType]:
    """`x` in the type to compute in, and the type to return."""
    array = np.asarray(x)
    if array.dtype.kind in "biu":
        return array.astype(float64), float64
    if array.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        raise TypeError(f"{what} must hold real numbers of at most 64 bits, not {array.dtype}")
    return array.astype(compute_dtype(array.dtype), copy=False), array.dtype


def _returned(value: Array, dtype: DType) -> Array:
    return value.astype(dtype, copy=False)[()]


def _reduced(losses: Array, reduction: str, dtype: DType) -> Array:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {REDUCTIONS}, not {reduction!r}")
    if reduction != "none":
        total = np.sum(losses)
        losses = np.divide(total, losses.size, dtype=losses.dtype) if reduction == "mean" else total
    return _returned(losses, dtype)


def _partition(x: Array, axis: Axis) -> tuple[Array, Array, Array]:
    """The maximum m, x - m, and log Σ exp(x - m), which is accurate where it is near 0."""
    top = np.max(x, axis, keepdims=True, initial=-np.inf)
    level = x == top
    below = np.where(level, 0, x - top)
    ties = np.maximum(np.sum(level, axis, keepdims=True, dtype=x.dtype), 1)
    rest = np.sum(np.where(level, 0, np.exp(below)), axis, keepdims=True)
    return top, below, np.log1p(rest / ties) + np.log(ties)


@np.errstate(all="ignore")
def log_sum_exp(x: npt.ArrayLike, axis: Axis = -1, keepdims: bool = False) -> Array:
    r"""Logarithm of a sum of exponentials.

    .. math:: \log \sum_i e^{x_i} = m + \log \sum_i e^{x_i - m}, \qquad m = \max_i x_i

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.
    axis : int, tuple of int or None
        What is summed over; None is everything.
    keepdims : bool
        Keep the summed axes, with length 1.

    Returns
    -------
    ndarray or scalar
        -inf where all terms are -inf or there are none; inf where a term is.

    Raises
    ------
    TypeError
        `x` does not hold real numbers.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.numerics.log_sum_exp([[1000.0, 1000.0], [0.0, 0.0]]).round(4)
    array([1.0006931e+03, 6.9310000e-01])

    References
    ----------
    Blanchard, Higham & Higham (2021), Accurately computing the log-sum-exp and softmax functions,
    equation 1.4.
    """
    values, dtype = _real("x", x)
    top, _, log_total = _partition(values, axis)
    result = top + log_total
    return _returned(result if keepdims else np.squeeze(result, axis), dtype)


@np.errstate(all="ignore")
def softmax(x: npt.ArrayLike, axis: Axis = -1) -> Array:
    r"""Probabilities in proportion to exponentials.

    .. math:: p_i = \frac{e^{x_i - m}}{\sum_j e^{x_j - m}}, \qquad m = \max_j x_j

    Entries of inf share the whole, as do entries of -inf where there are no others.

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.
    axis : int, tuple of int or None
        Over what the probabilities sum to 1; None is everything.

    Returns
    -------
    ndarray
        Of the shape of `x`.

    Raises
    ------
    TypeError
        `x` does not hold real numbers.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.numerics.softmax([1000.0, 990.0, 980.0]).round(7)
    array([9.999546e-01, 4.540000e-05, 0.000000e+00])

    References
    ----------
    Blanchard, Higham & Higham (2021), Accurately computing the log-sum-exp and softmax functions,
    equation 1.5.
    """
    values, dtype = _real("x", x)
    _, below, _ = _partition(values, axis)
    weights = np.exp(below)
    return _returned(weights / np.sum(weights, axis, keepdims=True), dtype)


@np.errstate(all="ignore")
def log_softmax(x: npt.ArrayLike, axis: Axis = -1) -> Array:
    r"""Logarithm of :func:`softmax`, also where that underflows or is next to 1.

    .. math:: \log p_i = x_i - m - \log \sum_j e^{x_j - m}, \qquad m = \max_j x_j

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.
    axis : int, tuple of int or None
        Over what the probabilities sum to 1; None is everything.

    Returns
    -------
    ndarray
        Of the shape of `x`.

    Raises
    ------
    TypeError
        `x` does not hold real numbers.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.numerics.log_softmax([1000.0, 0.0])
    array([    0., -1000.])

    References
    ----------
    Blanchard, Higham & Higham (2021), Accurately computing the log-sum-exp and softmax functions,
    section 1.
    """
    values, dtype = _real("x", x)
    return _returned(_log_softmax(values, axis), dtype)


def _log_softmax(x: Array, axis: Axis) -> Array:
    _, below, log_total = _partition(x, axis)
    return below - log_total


@np.errstate(all="ignore")
def sigmoid(x: npt.ArrayLike) -> Array:
    r"""The logistic function.

    .. math:: \sigma(x) = \frac{1}{1 + e^{-x}}

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.

    Returns
    -------
    ndarray or scalar
        Of the shape of `x`; accurate in its smallest values, too.

    Raises
    ------
    TypeError
        `x` does not hold real numbers.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.numerics.sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    values, dtype = _real("x", x)
    decay = np.exp(-np.abs(values))
    return _returned(np.where(values < 0, decay, 1) / (1 + decay), dtype)


@np.errstate(all="ignore")
def binary_cross_entropy(
    logits: npt.ArrayLike, labels: npt.ArrayLike, reduction: Reduction = "none"
) -> Array:
    r"""Negative log likelihood of two-class labels, for any logit.

    .. math:: \ell = -y \log \sigma(z) - (1 - y) \log(1 - \sigma(z))
                   = y \log(1 + e^{-z}) + (1 - y) \log(1 + e^{z})

    Parameters
    ----------
    logits : array_like
        The log odds z of label 1, of any shape.
    labels : array_like
        The labels y of the same shape: 0 and 1, booleans, or probabilities in [0, 1].
    reduction : {"none", "sum", "mean"}
        A loss per sample, or their sum or mean.

    Returns
    -------
    ndarray or scalar
        In the type of the logits.

    Raises
    ------
    TypeError
        Logits or labels are not real numbers.
    ValueError
        Shapes differ, or a label is not in [0, 1].

    Examples
    --------
    >>> import fallline as fl
    >>> fl.numerics.binary_cross_entropy([1e4, -1e4, 1e4], [1, 0, 0])
    array([    0.,     0., 10000.])

    References
    ----------
    Bishop (2006), Pattern recognition and machine learning, equation 4.90.
    """
    z, dtype = _real("logits", logits)
    y, _ = _real("labels", labels)
    if y.shape != z.shape:
        raise ValueError(f"labels have shape {y.shape}; the logits have {z.shape}")
    _check_probabilities(y)
    y = y.astype(z.dtype, copy=False)
    losses = _times(y, np.logaddexp(0, -z)) + _times(1 - y, np.logaddexp(0, z))
    return _reduced(losses, reduction, dtype)


@np.errstate(all="ignore")
def cross_entropy(
    logits: npt.ArrayLike, labels: npt.ArrayLike, reduction: Reduction = "none"
) -> Array:
    r"""Negative log likelihood of labels among K classes, for any logits.

    .. math:: \ell = -\sum_k y_k \log p_k, \qquad p = \operatorname{softmax}(z)

    Parameters
    ----------
    logits : array_like
        The logits z, of shape (..., K).
    labels : array_like
        Integers in 0, ..., K - 1 of shape (...), or rows of probabilities y of shape (..., K).
    reduction : {"none", "sum", "mean"}
        A loss per sample, or their sum or mean.

    Returns
    -------
    ndarray or scalar
        In the type of the logits; of shape (...) without a reduction.

    Raises
    ------
    TypeError
        Logits or labels are not numbers of these kinds.
    ValueError
        Shapes do not agree, a class is out of range, or a row does not hold probabilities.

    Examples
    --------
    >>> import fallline as fl
    >>> fl.numerics.cross_entropy([[1e4, 0.0], [0.0, 0.0]], [1, 0]).round(4)
    array([1.000e+04, 6.931e-01])
    >>> float(fl.numerics.cross_entropy([0.0, 0.0], [0.9, 0.1]).round(4))
    0.6931

    References
    ----------
    Bishop (2006), Pattern recognition and machine learning, equation 4.108.
    """
    z, dtype = _real("logits", logits)
    if z.ndim == 0:
        raise ValueError("logits must have an axis of classes, not shape ()")
    y = np.asarray(labels)
    if y.shape == z.shape:
        rows, _ = _real("labels", y)
        _check_probabilities(rows, sum_to_one=True)
        losses = _times(rows.astype(z.dtype, copy=False), -_log_softmax(z, -1)).sum(-1)
    elif y.shape == z.shape[:-1]:
        indices = _class_indices(y, z.shape[-1])
        losses = -np.take_along_axis(_log_softmax(z, -1), indices[..., None], -1)[..., 0]
    else:
        raise ValueError(
            f"labels have shape {y.shape}; logits of shape {z.shape} need class indices of shape "
            f"{z.shape[:-1]} or probabilities of shape {z.shape}"
        )
    return _reduced(losses, reduction, dtype)


def _times(weight: Array, x: Array) -> Array:
    """Product that is 0 where the weight is, as the limit of y log y."""
    return np.where(weight == 0, 0, weight * x)


def _class_indices(labels: Array, classes: int) -> Array:
    if labels.dtype.kind not in "iu":
        raise TypeError(f"class labels must be integers, not {labels.dtype}")
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.size:
        raise ValueError(f"labels must lie in 0, ..., {classes - 1}; one is {outside.flat[0]}")
    return labels.astype(np.intp)


def _check_probabilities(labels: Array, *, sum_to_one: bool = False) -> None:
    outside = labels[~((labels >= 0) & (labels <= 1))]
    if outside.size:
        raise ValueError(f"labels must lie in [0, 1]; one is {outside.flat[0]}")
    if sum_to_one:
        sums = np.sum(labels, -1)
        wrong = sums[np.abs(sums - 1) > ROW_SUM_TOLERANCE]
        if wrong.size:
            raise ValueError(f"rows of labels must sum to 1; one sums to {wrong.flat[0]}")


Loss = TypeVar("Loss")

SCALER_CHECKS: dict[str, hyperparameters.Check] = {
    "init_scale": hyperparameters.positive,
    "growth_factor": hyperparameters.more_than_one,
    "backoff_factor": hyperparameters.open_share,
    "growth_interval": hyperparameters.positive_count,
    "growth_tracker": hyperparameters.count,
}


class Steps(Protocol):
    """An optimizer, as far as a :class:`LossScaler` is concerned."""

    skipped_steps: int

    def step(self, grads: Any, *, scale: float = ..., on_nonfinite: Any = ..., **kw: Any) -> None:
        """As :meth:`fallline.Optimizer.step`."""


class LossScaler:
    r"""Dynamic loss scaling, for gradients that float16 would round to 0.

    The loss is multiplied by a scale S before the backward pass, and the gradients by 1/S in the
    step, which is skipped where one of them is not finite. Then

    .. math::
        S \leftarrow \begin{cases}
            S \cdot \text{backoff\_factor} & \text{after a skipped step} \\
            S \cdot \text{growth\_factor} & \text{after growth\_interval good ones in a row}
        \end{cases}

    The scale takes the values of ``torch.amp.GradScaler``'s, bit for bit: it is rounded to float32,
    and does not grow beyond its range. Only, a step is skipped also where a finite gradient
    overflows when it is multiplied by 1/S, as it can with a scale below 1.

    Parameters
    ----------
    init_scale : float
        The first scale, positive.
    growth_factor : float
        More than 1.
    backoff_factor : float
        In (0, 1).
    growth_interval : int
        Updates without a skipped step after which the scale grows, positive.

    Raises
    ------
    ValueError
        A number is not as described.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> x = np.array([1.0], np.float32)
    >>> opt, scaler = fl.SGD(x, lr=0.5), fl.numerics.LossScaler(init_scale=1024)
    >>> scaler.step(opt, np.array([1024.0], np.float16))  # gradient of scaler.scale(loss)
    >>> scaler.update()
    >>> x
    array([0.5], dtype=float32)
    >>> scaler.step(opt, np.array([np.inf], np.float16))
    >>> scaler.update()
    >>> x, scaler.scale_factor
    (array([0.5], dtype=float32), 512.0)

    References
    ----------
    Micikevicius et al. (2018), Mixed precision training, section 3.2.
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ) -> None:
        self._set(init_scale, growth_factor, backoff_factor, growth_interval, 0)
        self._skipped: dict[int, bool] = {}  # by optimizer, since the last update

    def _set(
        self,
        init_scale: float,
        growth_factor: float,
        backoff_factor: float,
        growth_interval: int,
        growth_tracker: int,
    ) -> None:
        given = {
            "init_scale": _float32(init_scale),
            "growth_factor": growth_factor,
            "backoff_factor": backoff_factor,
            "growth_interval": growth_interval,
            "growth_tracker": growth_tracker,
        }
        hyperparameters.check(given, given, SCALER_CHECKS)
        self._scale = _float32(init_scale)
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = growth_tracker

    @property
    def scale_factor(self) -> float:
        """The scale that losses are multiplied by."""
        return float(self._scale)

    def scale(self, loss: Loss) -> Loss:
        """The loss, or an array of losses, times the scale.

        Parameters
        ----------
        loss : float or ndarray
            What the gradients are taken of; anything that multiplies with a float.

        Returns
        -------
        float or ndarray
            In the type of the loss.
        """
        scaled: Loss = loss * self._scale
        return scaled

    def step(self, opt: Steps, grads: Grads, *, scale: float = 1.0, **kw: Any) -> None:
        """Step with the gradients of the scaled loss, or skip where one is not finite.

        Parameters
        ----------
        opt : Optimizer
            Several optimizers may step before an update, each once.
        grads
            Gradients of the scaled loss, as `opt` takes them.
        scale : float
            Multiplies every gradient beside 1/`scale_factor`; 1/k makes a mean of k sums.
        **kw
            Other arguments of the optimizer's step, as `max_norm`, which is that of the unscaled
            gradients.

        Raises
        ------
        RuntimeError
            `opt` has stepped since the last update.
        FloatingPointError
            The scale has fallen to 0, as no step was good for long.
        """
        if id(opt) in self._skipped:
            raise RuntimeError("this optimizer has stepped since the last update(); call it first")
        if self._scale == 0:
            raise FloatingPointError("the scale has fallen to 0: no step has had finite gradients")
        before = opt.skipped_steps
        opt.step(grads, scale=scale / self._scale, on_nonfinite="skip", **kw)
        self._skipped[id(opt)] = opt.skipped_steps > before

    def update(self) -> None:
        """Fit the scale to the steps taken since the last update.

        Raises
        ------
        RuntimeError
            There were none.
        """
        if not self._skipped:
            raise RuntimeError("no step() since the last update()")
        skipped = any(self._skipped.values())
        self._skipped = {}
        self._growth_tracker = 0 if skipped else self._growth_tracker + 1
        if skipped:
            self._scale = _float32(self._scale * self._backoff_factor)
        elif self._growth_tracker == self._growth_interval:
            self._growth_tracker = 0
            grown = _float32(self._scale * self._growth_factor)
            self._scale = grown if math.isfinite(grown) else self._scale

    def state_dict(self) -> dict[str, Any]:
        """Everything a later run needs to go on, as ``torch.amp.GradScaler`` names it.

        Returns
        -------
        dict
            ``scale``, ``growth_factor``, ``backoff_factor``, ``growth_interval`` and
            ``_growth_tracker``, the number of good updates since the last change.
        """
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state dict, of this class or of ``torch.amp.GradScaler``.

        Parameters
        ----------
        state_dict : mapping
            What `state_dict` returned.

        Raises
        ------
        TypeError, ValueError
            Other keys, or values outside their range; nothing has been replaced.
        """
        expected = list(self.state_dict())
        if set(state_dict) != set(expected):
            raise ValueError(f"state_dict must have the keys {expected}, not {list(state_dict)}")
        self._set(*(state_dict[key] for key in expected))
        self._skipped = {}


def _float32(x: Any) -> Any:
    """A number rounded as torch keeps a scale; what is none is for the check to say."""
    if isinstance(x, bool) or not isinstance(x, Real):
        return x
    with np.errstate(over="ignore"):
        return float(np.float32(float(x)))
