"""Several processes over gloo: sharded parameters step as whole ones do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
if not torch.distributed.is_available():
    pytest.skip("torch without distributed", allow_module_level=True)

SAVED, ALL = 3, 5  # steps before the checkpoint, and in all


def model(dtype: Any = torch.float32) -> Any:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 3))
    return net.to(dtype)


def batch(k: int) -> Any:
    return torch.randn(8, 6, generator=torch.Generator().manual_seed(k))


def train(net: Any, opt: Any, first: int, last: int) -> None:
    for k in range(first, last):
        opt.zero_grad()
        net(batch(k).to(next(net.parameters()).dtype)).pow(2).mean().backward()
        opt.step()


def alone(last: int, dtype: Any = torch.float32) -> Any:
    import fallline.torch as flt

    net = model(dtype)
    train(net, flt.AdamW(net.parameters(), lr=0.01, master_weights=True), 0, last)
    return net


def check(params: Any, last: int, dtype: Any = torch.float32) -> None:
    # Of bfloat16, gradients are averaged with 8 bits.
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    for a, b in zip(params, alone(last, dtype).parameters(), strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=tolerance, atol=tolerance / 10)


def mesh_of(ranks: int, dims: int = 1) -> Any:
    return torch.distributed.init_device_mesh("cpu", (1,) * (dims - 1) + (ranks,))


def sharded(ranks: int, dtype: Any = torch.float32, **how: Any) -> Any:
    from torch.distributed.fsdp import fully_shard

    return fully_shard(model(dtype), mesh=mesh_of(ranks), **how)


def full(tensor: Any) -> Any:
    return getattr(tensor, "full_tensor", lambda: tensor)().detach()


def whole(net: Any) -> list[Any]:
    return [full(p) for p in net.parameters()]


def fsdp(ranks: int, folder: str) -> None:
    from torch.distributed.fsdp import CPUOffloadPolicy

    import fallline.torch as flt

    net = sharded(ranks, offload_policy=CPUOffloadPolicy(pin_memory=False))
    opt = flt.AdamW(net.parameters(), lr=0.01)
    train(net, opt, 0, 4)
    check(whole(net), 4)
    assert type(next(iter(opt.state.values()))["exp_avg"]).__name__ == "DTensor"


def masters(net: Any, opt: Any) -> list[Any]:
    return [full(opt.state[p]["master"]) for p in net.parameters()]


def save(ranks: int, folder: str) -> None:
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict

    import fallline.torch as flt

    for dtype in (torch.float32, torch.bfloat16):
        net = sharded(ranks, dtype)
        opt = flt.AdamW(net.parameters(), lr=0.01, master_weights=True)
        train(net, opt, 0, SAVED)
        weights, state = get_state_dict(net, opt)
        dcp.save({"model": weights, "optim": state}, checkpoint_id=f"{folder}/{dtype}")
    torch.save(masters(net, opt), f"{folder}/masters")


def resume(ranks: int, folder: str) -> None:
    """In other shards than the saved ones, and whole."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

    import fallline.torch as flt

    for dtype in (torch.float32, torch.bfloat16):
        for net in (sharded(ranks, dtype), model(dtype)):
            opt = flt.AdamW(net.parameters(), lr=0.5, master_weights=True)
            weights, state = get_state_dict(net, opt)
            dcp.load({"model": weights, "optim": state}, checkpoint_id=f"{folder}/{dtype}")
            set_state_dict(net, opt, model_state_dict=weights, optim_state_dict=state)
            if dtype == torch.bfloat16:
                saved = torch.load(f"{folder}/masters")
                assert all(map(torch.equal, masters(net, opt), saved))
            train(net, opt, SAVED, ALL)
            check(whole(net), ALL, dtype)


def threads(ranks: int, folder: str) -> None:
    import fallline as fl
    from fallline.threads import available_cpus

    assert fl.get_num_threads() == max(1, available_cpus() // ranks)


def ddp(ranks: int, folder: str) -> None:
    from torch.distributed.optim import ZeroRedundancyOptimizer

    import fallline.torch as flt

    for zero, views in ((False, False), (False, True), (True, True), (True, False)):
        net = torch.nn.parallel.DistributedDataParallel(model(), gradient_as_bucket_view=views)
        if zero:
            opt: Any = ZeroRedundancyOptimizer(
                net.parameters(), flt.AdamW, parameters_as_bucket_view=views, lr=0.01
            )
        else:
            opt = flt.AdamW(net.parameters(), lr=0.01)
        train(net, opt, 0, 4)
        check([p.detach() for p in net.parameters()], 4)
    opt.consolidate_state_dict()  # on rank 0
    if torch.distributed.get_rank() == 0:
        saved = opt.state_dict()
        for other in (flt.AdamW(net.parameters()), torch.optim.AdamW(net.parameters())):
            other.load_state_dict(saved)
            assert all(own["step"] == 4 for own in other.state.values())


def tensors(ranks: int, placements: Any, dtype: Any = torch.float32, step: int = 0) -> list[Any]:
    """One for each placement, the same in all ranks; whole where that is None.

    Two placements are on a mesh of two dimensions.
    """
    from torch.distributed.tensor import distribute_tensor

    generator = torch.Generator().manual_seed(step)
    wholes = [torch.randn(50, 70, generator=generator).to(dtype) for _ in placements]
    return [
        x if own is None else distribute_tensor(x, mesh_of(ranks, len(own)), own)
        for x, own in zip(wholes, placements, strict=True)
    ]


def steps(ranks: int, placements: Any, count: int, dtype: Any, **options: Any) -> list[Any]:
    import fallline.torch as flt

    params = [p.requires_grad_() for p in tensors(ranks, placements, dtype)]
    opt = flt.AdamW(params, lr=1e-3, **options)
    for k in range(count):
        for p, grad in zip(params, tensors(ranks, placements, dtype, k + 1), strict=True):
            p.grad = grad
        opt.step()
    return [full(p) for p in params]


def random_bits(ranks: int, folder: str) -> None:
    """Those of one process, where a rank's part is a stretch of the whole, and else not shared."""
    from torch.distributed.tensor import Replicate, Shard

    import fallline.torch as flt

    for options in ({}, {"master_weights": True}):
        run = (3, torch.bfloat16)
        ours = steps(
            ranks,
            ((Replicate(),), (Shard(0),), (Replicate(), Shard(0))),
            *run,
            rounding="stochastic",
            **options,
        )
        theirs = steps(ranks, (None, None, None), *run, rounding="stochastic", **options)
        assert all(map(torch.equal, ours, theirs))
    (columns,) = tensors(ranks, [(Shard(1),)], torch.bfloat16)
    columns = torch.ones_like(columns).requires_grad_()
    columns.grad = torch.ones_like(columns).detach()
    flt.SGD([columns], lr=1e-3, rounding="stochastic").step()
    moved = (full(columns) < 1).to(torch.float32).T.flatten()
    assert 0.2 < moved.mean() < 0.3  # 1e-3 of the spacing 2^-8
    part = moved.numel() // ranks
    for lag in range(part - 700, part + 700):  # ranks with one stream have one pattern
        assert (moved[lag:] * moved[:-lag]).mean() < 0.1


def modes(ranks: int, folder: str) -> None:
    """Rules with more than a step, and copies made anew: part by part as on the whole."""
    import fallline.torch as flt

    results = []
    for net in (sharded(ranks), model()):
        opt = flt.ScheduleFreeAdamW(net.parameters(), lr=0.01)
        train(net, opt, 0, 3)
        opt.eval()
        averaged = [p.clone() for p in whole(net)]
        opt.train()
        ahead = flt.NesterovMomentum(net.parameters(), lr=0.01)
        for k in range(3):
            with ahead.lookahead():
                ahead.zero_grad()
                net(batch(k)).pow(2).mean().backward()
            ahead.step()
        results.append([*averaged, *whole(net)])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    net = sharded(ranks, torch.bfloat16)
    opt = flt.AdamW(net.parameters(), lr=0.01, master_weights=True)
    train(net, opt, 0, 2)
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(3)
    opt.sync_master()
    assert all(bool((master == 3).all()) for master in masters(net, opt))


def gradients_of_parts(ranks: int, folder: str) -> None:
    """Autograd leaves the gradient of a replicated parameter as one to be summed over the ranks."""
    from torch.distributed.tensor import Replicate, Shard

    import fallline.torch as flt

    results = []
    for module in (flt, torch.optim):
        w, x = tensors(ranks, ((Replicate(),), (Shard(0),)))
        w = torch.nn.Parameter(w)
        opt = module.SGD([w], lr=0.1)
        for _ in range(2):
            opt.zero_grad()
            (x.T @ w).pow(2).mean().backward()
            opt.step()
        results.append(full(w))
    torch.testing.assert_close(*results)


def clip(ranks: int, folder: str) -> None:
    """In the step, by the norm over all ranks, as torch's does before it."""
    from torch.distributed.tensor import Replicate, Shard

    import fallline.torch as flt

    for placements in (
        ((Shard(0),), (Shard(1),)),
        ((Replicate(), Shard(0)),),
        ((Shard(0),), (Replicate(),), (Replicate(), Shard(1)), None),
    ):
        norm = torch.stack([full(g).norm() for g in tensors(ranks, placements, step=1)]).norm()
        params = [p.requires_grad_() for p in tensors(ranks, placements)]
        wholes = [full(p).clone().requires_grad_() for p in params]
        opt, alone = flt.SGD(params, lr=1.0), torch.optim.SGD(wholes, lr=1.0)
        for p, q, grad in zip(params, wholes, tensors(ranks, placements, step=1), strict=True):
            p.grad, q.grad = grad, full(grad).clone()
        torch.nn.utils.clip_grad_norm_(wholes, 0.5)
        alone.step()
        opt.step(max_norm=0.5)
        assert opt.grad_norm == pytest.approx(norm.item(), rel=1e-6)
        for p, q in zip(params, wholes, strict=True):
            torch.testing.assert_close(full(p), q.detach())
        if torch.distributed.get_rank() == 0:
            params[0].grad.to_local()[0, 0] = float("nan")
        opt.step(on_nonfinite="skip")
        assert opt.skipped_steps == 1
        with pytest.raises(FloatingPointError, match="is not finite"):
            opt.step(on_nonfinite="raise")
        for p, q in zip(params, wholes, strict=True):
            torch.testing.assert_close(full(p), q.detach())


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


def test_the_example_under_torchrun(tmp_path: Path) -> None:
    """And with a thread a rank: it sets OMP_NUM_THREADS=1 where that is not set."""
    example = Path(__file__).parents[1] / "examples" / "offload.py"
    script = tmp_path / "ranks.py"
    script.write_text(
        f"import runpy\nimport fallline as fl\n"
        f"print('threads', fl.get_num_threads(), flush=True)\nrunpy.run_path({str(example)!r})\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [*command, str(script)], env=kept, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.count("threads 1\n") == 2, done.stderr
    assert float(done.stdout.split("loss ")[1].split()[0]) < 0.5, done.stderr


def test_ranks_equal_one_process(tmp_path: Path) -> None:
    first = (threads, ddp, fsdp, modes, random_bits, gradients_of_parts, clip, save)
    second = (*first[:-1], resume)
    for ranks, tasks in ((2, first), (3, second)):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        torch.multiprocessing.spawn(_rank, (port, str(tmp_path), ranks, tasks), nprocs=ranks)
