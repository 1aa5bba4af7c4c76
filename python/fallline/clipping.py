"""Norms and clipping of gradients outside a step; inside one, ``step(max_norm=…)`` is faster."""

from __future__ import annotations

import math
from typing import Any

from ._types import Array, Grads
from .arrays import check_apart, check_array, check_parameter
from .backends import Binding, choose
from .kernel import Kernel
from .rules.elementwise import clamp, scale
from .structure import nest
from .threads import get_num_threads

__all__ = ["clip_grad_norm", "clip_grad_value", "global_norm"]


def global_norm(grads: Grads) -> float:
    r"""Euclidean norm of all gradients taken as one vector.

    .. math:: \sqrt{\sum_i \sum_j g_{ij}^2}

    Formed in float64, in parallel and in a canonical order: the same bits on every backend,
    instruction set and thread count.

    Parameters
    ----------
    grads
        An array, a sequence or a mapping of C-contiguous arrays; None entries are left out.

    Returns
    -------
    float
        The norm; infinite or NaN where a gradient is.

    Raises
    ------
    TypeError, ValueError
        An array is not as described.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> fl.global_norm([np.array([3.0, 0.0]), None, np.array(4.0)])
    5.0
    """
    return _norm(_bind(_named(grads)))


def clip_grad_norm(grads: Grads, max_norm: float, *, error_if_nonfinite: bool = False) -> float:
    r"""Scale all gradients in place so that their global norm is at most `max_norm`.

    .. math:: g \leftarrow g \min(1, c / (\lVert g \rVert + 10^{-6}))

    Parameters
    ----------
    grads
        An array, a sequence or a mapping of writeable C-contiguous arrays; None entries are left
        out.
    max_norm : float
        The bound c, positive.
    error_if_nonfinite : bool
        Raise where the norm is infinite or NaN.

    Returns
    -------
    float
        The norm before clipping.

    Raises
    ------
    TypeError, ValueError
        An array or the bound is not as described; nothing has been written.
    FloatingPointError
        The norm is not finite and `error_if_nonfinite` is set; nothing has been written.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> g = np.array([3.0, 4.0])
    >>> fl.clip_grad_norm(g, 1.0)
    5.0
    >>> g.round(3)
    array([0.6, 0.8])

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks,
    algorithm 1; the form is that of ``torch.nn.utils.clip_grad_norm_``.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be positive, not {max_norm!r}")
    named = _named(grads, written=True)
    binding = _bind(named)
    norm = _norm(binding)
    if error_if_nonfinite and not math.isfinite(norm):
        raise FloatingPointError(f"the global norm of grads is {norm}")
    if not max_norm / (norm + 1e-6) >= 1.0:
        _apply(binding, scale, max_norm / (norm + 1e-6))
    return norm


def clip_grad_value(grads: Grads, limit: float) -> None:
    r"""Clamp every gradient in place to [-limit, limit]; NaN stays NaN.

    .. math:: g \leftarrow \min(\max(g, -c), c)

    Parameters
    ----------
    grads
        An array, a sequence or a mapping of writeable C-contiguous arrays; None entries are left
        out.
    limit : float
        The bound c, not negative.

    Raises
    ------
    TypeError, ValueError
        An array or the bound is not as described; nothing has been written.

    Examples
    --------
    >>> import numpy as np, fallline as fl
    >>> g = np.array([3.0, -0.5])
    >>> fl.clip_grad_value(g, 1.0)
    >>> g
    array([ 1. , -0.5])
    """
    if not limit >= 0:
        raise ValueError(f"limit must not be negative, not {limit!r}")
    _apply(_bind(_named(grads, written=True)), clamp, -limit, limit)


def _named(grads: Any, *, written: bool = False) -> list[tuple[str, Array]]:
    structure, arrays = nest("grads", grads)
    named = [
        (name, array)
        for name, array in zip(structure.names("grads"), arrays, strict=True)
        if array is not None
    ]
    for name, array in named:
        (check_parameter if written else check_array)(name, array)
    if written:
        check_apart(named)
    return named


def _bind(named: list[tuple[str, Array]]) -> Binding:
    """Bind the gradients as the parameters, too: the kernels used here read nothing else."""
    arrays = [array for _, array in named]
    binding = choose(None).bind(arrays, [()] * len(arrays), [0] * len(arrays))
    binding.bind(list(arrays))
    return binding


def _norm(binding: Binding) -> float:
    total, _ = binding.sum_squares(1.0, get_num_threads())
    return math.sqrt(total)


def _apply(binding: Binding, kernel: Kernel, *numbers: float) -> None:
    binding.update(((kernel, 1.0, numbers),), False, get_num_threads(), [None], None, None)
