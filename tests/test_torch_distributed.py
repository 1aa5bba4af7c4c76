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

SAVED, ALL = 3, 5  # steps before the checkpoint, and in all


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


def sharded(ranks: int, **how: Any) -> Any:
    from torch.distributed.fsdp import fully_shard

    return fully_shard(model(), mesh=torch.distributed.init_device_mesh("cpu", (ranks,)), **how)


def whole(net: Any) -> list[Any]:
    return [p.full_tensor().detach() for p in net.parameters()]


def fsdp(ranks: int, folder: str) -> None:
    from torch.distributed.fsdp import CPUOffloadPolicy

    import fallline.torch as flt

    net = sharded(ranks, offload_policy=CPUOffloadPolicy(pin_memory=False))
    opt = flt.AdamW(net.parameters(), lr=0.01)
    train(net, opt, 0, 4)
    check(whole(net), 4)
    assert type(next(iter(opt.state.values()))["exp_avg"]).__name__ == "DTensor"


def save(ranks: int, folder: str) -> None:
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict

    import fallline.torch as flt

    net = sharded(ranks)
    opt = flt.AdamW(net.parameters(), lr=0.01)
    train(net, opt, 0, SAVED)
    weights, state = get_state_dict(net, opt)
    dcp.save({"model": weights, "optim": state}, checkpoint_id=folder)


def resume(ranks: int, folder: str) -> None:
    """In other shards than the saved ones, and whole."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

    import fallline.torch as flt

    for net, parts in ((sharded(ranks), True), (model(), False)):
        opt = flt.AdamW(net.parameters(), lr=0.5)
        weights, state = get_state_dict(net, opt)
        dcp.load({"model": weights, "optim": state}, checkpoint_id=folder)
        set_state_dict(net, opt, model_state_dict=weights, optim_state_dict=state)
        train(net, opt, SAVED, ALL)
        check(whole(net) if parts else [p.detach() for p in net.parameters()], ALL)


def threads(ranks: int, folder: str) -> None:
    import fallline as fl
    from fallline.threads import available_cpus

    assert fl.get_num_threads() == max(1, available_cpus() // ranks)


def ddp(ranks: int, folder: str) -> None:
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


def _rank(rank: int, port: int, folder: str, ranks: int, tasks: tuple[Any, ...]) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), LOCAL_WORLD_SIZE=str(ranks))
    for name in ("FALLLINE_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.pop(name, None)
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=ranks)
    for task in tasks:  # in one start of the ranks, which takes the time
        task(ranks, folder)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    # At a normal exit gloo's threads, some still running, now and then abort the process.
    os._exit(0)


def test_ranks_equal_one_process(tmp_path: Path) -> None:
    for ranks, tasks in ((2, (threads, ddp, fsdp, save)), (3, (threads, ddp, fsdp, resume))):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        torch.multiprocessing.spawn(_rank, (port, str(tmp_path), ranks, tasks), nprocs=ranks)
