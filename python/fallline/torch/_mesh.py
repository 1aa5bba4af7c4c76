"""DTensors: parameters that have parts on other ranks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ._tensors import local


def place_gradient(param: Any) -> None:
    """Have the gradient where its parameter is.

    Autograd leaves that of a replicated parameter as one that is to be summed over the ranks.
    """
    grad = param.grad
    if grad is not None and getattr(grad, "placements", param.placements) != param.placements:
        param.grad = grad.detach().redistribute(param.device_mesh, param.placements)


def offset_in_whole(param: Any) -> int:
    """Where this rank's part begins, counted in elements of the whole.

    Parts that are no stretch of the whole are counted as if they lay in it one after the other.
    """
    if not hasattr(param, "device_mesh") or not local(param).numel():
        return 0
    chunk = param.__create_chunk_list__()[0]
    offset, before, behind = 0, 1, param.numel()
    for begin, part, size in zip(chunk.offsets, chunk.sizes, param.shape, strict=True):
        behind //= size
        offset += begin * before * behind
        before *= part
    return offset


def sum_squares(params: Iterable[Tensor], scale: float, own: float) -> float:
    """Σ (scale·g)² over all ranks, each element once; `own` is this rank's sum."""
    shared: dict[tuple[Any, ...], list[Tensor]] = {}
    for param in params:  # without a gradient too: the ranks do the same
        shared.setdefault(_sharded_over(param), []).append(param)
    total = 0.0
    for over, members in shared.items():
        part = own if len(shared) == 1 else scale**2 * sum(map(_squares, members))
        for mesh, dim in over:
            on_device = torch.tensor(part, dtype=torch.float64, device=mesh.device_type)
            torch.distributed.all_reduce(on_device, group=mesh.get_group(dim))
            part = on_device.item()
        total += part
    return total


def _sharded_over(param: Any) -> tuple[Any, ...]:
    """The dimensions of its mesh along which the ranks have different parts."""
    placements = getattr(param, "placements", ())
    return tuple(
        (param.device_mesh, dim)
        for dim, placement in enumerate(placements)
        if not placement.is_replicate()
    )


def _squares(param: Tensor) -> float:
    if param.grad is None:
        return 0.0
    grad = local(param.grad)
    values = grad.coalesce().values() if grad.is_sparse else grad
    return float(torch.linalg.vector_norm(values, dtype=torch.float64)) ** 2
