"""bfloat16 parameters: a step with master copies or stochastic rounding, beside torch's.

    python benches/test_storage.py [parameters]    # steps of all in turn, 2 threads

torch's user with bfloat16 parameters copies gradients to float32, has fused AdamW update the
float32 copies, and copies these back.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

import fallline as fl

ROUNDS = 15
OURS: dict[str, dict[str, Any]] = {
    "master": {"master_weights": True},
    "stochastic": {"rounding": "stochastic"},
    "nearest": {},
}


def steps(n: int) -> dict[str, Callable[[], None]]:
    """A step of each, over one tensor."""
    import torch

    import fallline.torch as flt

    generator = torch.Generator().manual_seed(0)
    start = torch.randn(n, generator=generator).bfloat16()
    grad = torch.randn(n, generator=generator).bfloat16()

    def ours(options: dict[str, Any]) -> Callable[[], None]:
        param = start.clone().requires_grad_()
        param.grad = grad.clone()
        optimizer: Any = flt.AdamW([param], lr=1e-4, **options)
        return optimizer.step  # type: ignore[no-any-return]

    param = start.clone()
    master = start.float().requires_grad_()
    master.grad = torch.zeros_like(master)
    fused = torch.optim.AdamW([master], lr=1e-4, fused=True)

    def theirs() -> None:
        with torch.no_grad():
            master.grad.copy_(grad)
            fused.step()
            param.copy_(master)

    return {"torch": theirs, **{name: ours(options) for name, options in OURS.items()}}


@pytest.mark.parametrize("who", ["torch", *OURS])
def test_step(benchmark: Any, who: str) -> None:
    pytest.importorskip("torch")
    benchmark.group = "AdamW, 10M bfloat16"
    benchmark.pedantic(steps(10_000_000)[who], rounds=5, warmup_rounds=2)


def main(n: int) -> None:
    """Medians of pairwise ratios over interleaved rounds."""
    import torch

    torch.set_num_threads(2)
    fl.set_num_threads(2)
    contestants = steps(n)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS + 2):  # two to warm up
        for name, step in contestants.items():
            begin = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - begin)
    for name, own in seconds.items():
        ratios = [t / s for t, s in zip(seconds["torch"][2:], own[2:], strict=True)]
        print(
            f"{name:10}  {statistics.median(own[2:]) * 1e3:6.1f} ms"
            f"   {statistics.median(ratios):.2f} times torch's speed"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
