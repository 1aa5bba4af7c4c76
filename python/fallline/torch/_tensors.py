"""What a step needs to know of a tensor, and what is wrong with one that it cannot take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._placement import zeros_beside

PLAIN = (torch.nn.Parameter, Tensor)  # types with memory of their own and nothing else
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type a parameter of this dtype is updated in, and its states are kept in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def local(tensor: Tensor) -> Tensor:
    """The plain tensor behind a DTensor (this rank's part) or another subclass."""
    if type(tensor) in PLAIN:
        return tensor
    inner = getattr(tensor, "_local_tensor", None)  # to_local() makes a new object at every call
    if inner is None:
        return tensor.as_subclass(Tensor)
    # A collective still under way is waited for.
    return inner.wait() if hasattr(inner, "wait") else inner  # type: ignore[no-any-return]


def check_parameter(name: str, param: Tensor) -> None:
    """Raise where a step could not update this parameter."""
    if param.device.type == "meta":
        raise ValueError(
            f"{name} is on the meta device and has no data; materialize it (module.to_empty, then "
            "its initialization) before making the optimizer"
        )
    if param.device.type != "cpu":
        raise ValueError(
            f"{name} is on {param.device}; fallline updates parameters in host memory. Keep this "
            "one on torch.optim, or keep parameters and states on the CPU (FSDP2: "
            "fully_shard(..., offload_policy=CPUOffloadPolicy()))"
        )
    tensor = param if param.is_nested else local(param)
    if type(tensor) not in PLAIN or tensor.is_nested:
        raise TypeError(
            f"{name} is a {type(tensor).__name__} of layout {tensor.layout}, which has no plain "
            "memory that a step could update; expected a torch.Tensor, or a DTensor of such"
        )
    if tensor.layout != torch.strided:
        raise ValueError(f"{name} has layout {tensor.layout}; expected {torch.strided}")
    if tensor.is_complex():
        raise ValueError(
            f"{name} is complex ({tensor.dtype}); make torch.view_as_real of it the parameter"
        )
    if tensor.dtype not in DTYPES:
        raise TypeError(f"{name} has dtype {tensor.dtype}; expected one of {_listed(DTYPES)}")
    if overlaps_itself(tensor):
        raise ValueError(
            f"{name} has elements that share memory (shape {tuple(tensor.shape)}, strides "
            f"{tensor.stride()}); pass a contiguous() one"
        )


def _listed(dtypes: Iterable[torch.dtype]) -> str:
    return ", ".join(map(str, dtypes))


def _dimensions(tensor: Tensor) -> list[tuple[int, int]]:
    """(stride, size) of the dimensions that say something, smallest stride first."""
    return sorted(
        (stride, size)
        for stride, size in zip(tensor.stride(), tensor.shape, strict=True)
        if size != 1
    )


def in_place(tensor: Tensor) -> bool:
    """Whether its memory can be updated as it is: one stretch, and what it says is meant."""
    return is_dense(tensor) and not tensor.is_neg()


def is_dense(tensor: Tensor) -> bool:
    """Whether the elements fill one stretch of memory, in any order of dimensions."""
    if tensor.is_contiguous():
        return True
    filled = 1
    for stride, size in _dimensions(tensor):
        if stride != filled:
            return False
        filled *= size
    return True


def overlaps_itself(tensor: Tensor) -> bool:
    """Whether two elements may share memory."""
    if tensor.numel() == 0:
        return False
    reach = 0
    for stride, size in _dimensions(tensor):
        if stride <= reach:
            return True
        reach += stride * (size - 1)
    return False


def check_apart(written: Iterable[tuple[str, Tensor]]) -> None:
    """Raise where two tensors that a step writes share memory."""
    ranges = []
    for name, tensor in written:
        if tensor.numel():
            begin = tensor.data_ptr()
            last = sum(
                (n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True)
            )
            end = begin + (last + 1) * tensor.element_size()
            ranges.append((begin, end, name, tensor))
    ranges.sort(key=lambda r: r[0])
    furthest = ranges[:1]
    for this in ranges[1:]:
        for other in furthest:
            if this[0] < other[1] and _share(this[3], other[3]):
                raise ValueError(f"{this[2]} and {other[2]} overlap in memory")
        # Interleaved views overlap in range only: all that reach beyond this one's begin are kept.
        furthest = [other for other in furthest if other[1] > this[0]] + [this]


def _share(a: Tensor, b: Tensor) -> bool:
    if is_dense(a) and is_dense(b):
        return True
    return np.shares_memory(_bytes(a), _bytes(b))


def _bytes(tensor: Tensor) -> Any:
    integers = {8: torch.int64, 4: torch.int32, 2: torch.int16}
    return tensor.detach().view(integers[tensor.element_size()]).numpy()


def zeros(home: Tensor, dtype: torch.dtype, index: int) -> Tensor:
    """Zeros that lie as `home` does, placed in memory for loops over both."""
    if home.is_contiguous() and home.numel():
        array = zeros_beside(
            _bytes(home) if home.dtype != dtype else home.detach().numpy(),
            np.float64 if dtype == torch.float64 else np.float32,
            index,
        )
        return torch.from_numpy(array)
    return torch.zeros_like(home, dtype=dtype, requires_grad=False)


def like(home: Tensor, values: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy of `values` of this dtype that lies as `home` does."""
    copy = torch.empty_strided(home.size(), home.stride(), dtype=dtype, device="cpu")
    return copy.copy_(values.detach())


def lies_like(tensor: Tensor, home: Tensor) -> bool:
    """Whether the elements of both stand in memory in the same order."""
    if tensor.shape != home.shape or tensor.is_neg():
        return False
    return all(
        a == b for a, b, n in zip(tensor.stride(), home.stride(), home.shape, strict=True) if n != 1
    )


def conform(name: str, grad: Tensor, home: Tensor) -> Tensor:
    """The gradient as the kernels take it: laid out as its parameter, and apart from it."""
    grad = local(grad)
    what = f"the gradient of {name}"
    if grad.device.type != "cpu":
        raise ValueError(f"{what} is on {grad.device}; its parameter is on the CPU")
    if grad.layout != torch.strided:
        raise RuntimeError(f"{what} has layout {grad.layout}; expected {torch.strided}")
    if grad.shape != home.shape:
        raise ValueError(
            f"{what} has shape {tuple(grad.shape)}; its parameter has {tuple(home.shape)}"
        )
    if grad.dtype not in DTYPES:
        raise TypeError(f"{what} has dtype {grad.dtype}; expected one of {_listed(DTYPES)}")
    return like(home, grad, grad.dtype)


def rows(name: str, grad: Tensor, home: Tensor) -> tuple[Tensor, Tensor]:
    """(indices, values) of a sparse gradient that has some rows of its parameter."""
    grad = local(grad)
    if grad.shape != home.shape:
        raise ValueError(
            f"the gradient of {name} has shape {tuple(grad.shape)}; its parameter has "
            f"{tuple(home.shape)}"
        )
    if grad.sparse_dim() != 1 or home.stride() != home.contiguous().stride():
        raise RuntimeError(
            f"the sparse gradient of {name} must have rows of a contiguous parameter "
            f"(sparse_dim 1), not sparse_dim {grad.sparse_dim()} and strides {home.stride()}"
        )
    grad = grad.coalesce()
    values = grad.values()
    if values.dtype not in DTYPES:
        raise TypeError(
            f"the gradient of {name} has dtype {values.dtype}; expected one of {_listed(DTYPES)}"
        )
    return grad.indices()[0].contiguous(), values.contiguous()
