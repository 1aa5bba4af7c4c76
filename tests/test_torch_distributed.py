"""Several processes over gloo: sharded parameters step as whole ones do."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
if not torch.distributed.is_available():
    pytest.skip("torch without distributed", allow_module_level=True)

RANKS = 2


def model() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 3))


def batch(k: int) -> Any:
    return torch.randn(8, 6, generator=torch.Generator().manual_seed(k))


def train(net: Any, opt: Any, first: int, last: int) -> None:
    for k in range(first, last):
        opt.zero_grad()
        net(batch(k)).pow(2).mean().backward()
        opt.step()


def alone(last: int) -> Any:
    import fallline.torch as flt

    net = model()
    train(net, flt.AdamW(net.parameters(), lr=0.01), 0, last)
    return net


def check(params: Any, last: int) -> None:
    for a, b in zip(params, alone(last).parameters(), strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=1e-5, atol=1e-6)


def fsdp(rank: int, folder: str) -> None:
    from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard

    import fallline.torch as flt

    mesh = torch.distributed.init_device_mesh("cpu", (RANKS,))
    net = fully_shard(model(), mesh=mesh, offload_policy=CPUOffloadPolicy(pin_memory=False))
    opt = flt.AdamW(net.parameters(), lr=0.01)
    train(net, opt, 0, 4)
    check([p.full_tensor().detach() for p in net.parameters()], 4)
    assert type(next(iter(opt.state.values()))["exp_avg"]).__name__ == "DTensor"


def checkpoint(rank: int, folder: str) -> None:
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
    from torch.distributed.fsdp import fully_shard

    import fallline.torch as flt

    mesh = torch.distributed.init_device_mesh("cpu", (RANKS,))
    net = fully_shard(model(), mesh=mesh)
    opt = flt.AdamW(net.parameters(), lr=0.01)
    train(net, opt, 0, 3)
    weights, state = get_state_dict(net, opt)
    dcp.save({"model": weights, "optim": state}, checkpoint_id=folder)
    other = model()  # whole: another sharding than the saved one
    then = flt.AdamW(other.parameters(), lr=0.5)
    weights, state = get_state_dict(other, then)
    dcp.load({"model": weights, "optim": state}, checkpoint_id=folder)
    set_state_dict(other, then, model_state_dict=weights, optim_state_dict=state)
    train(other, then, 3, 5)
    check([p.detach() for p in other.parameters()], 5)


def ddp(rank: int, folder: str) -> None:
    from torch.distributed.optim import ZeroRedundancyOptimizer

    import fallline.torch as flt

    for zero in (False, True):
        net = torch.nn.parallel.DistributedDataParallel(model())
        if zero:
            opt: Any = ZeroRedundancyOptimizer(net.parameters(), flt.AdamW, lr=0.01)
        else:
            opt = flt.AdamW(net.parameters(), lr=0.01)
        train(net, opt, 0, 4)
        check([p.detach() for p in net.parameters()], 4)


def _rank(rank: int, port: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), LOCAL_WORLD_SIZE=str(RANKS))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=RANKS)
    try:
        for what in (ddp, fsdp, checkpoint):  # in one start of the ranks, which takes the time
            what(rank, folder)
    finally:
        torch.distributed.destroy_process_group()


def test_ranks_equal_one_process(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_rank, (port, str(tmp_path)), nprocs=RANKS)
