"""torchao's CPUOffloadOptimizer around ours, as far as it goes without a GPU."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchao")
from torchao.optim import CPUOffloadOptimizer, cpu_offload  # noqa: E402

import fallline.torch as flt  # noqa: E402


class Stream:
    """A stream where there is one place to run."""

    def wait_stream(self, other: Any) -> None: ...
    def record_event(self) -> Any:
        return self

    def synchronize(self) -> None: ...


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU in the place of the GPU: its copies and hooks run, its streams do nothing."""
    empty_like = torch.empty_like

    def unpinned(*args: Any, pin_memory: bool = False, **more: Any) -> Any:
        return empty_like(*args, **more)

    monkeypatch.setattr(cpu_offload, "get_available_devices", lambda: ["cpu", "cuda"])
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch, "empty_like", unpinned)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda *_: None)


def run(inner: Any, steps: int, **options: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    opt = CPUOffloadOptimizer(net.parameters(), inner, minimal_size=0, lr=0.01, **options)
    plan = torch.optim.lr_scheduler.StepLR(opt, 2)
    for k in range(steps):
        opt.zero_grad()
        net(torch.randn(4, 8, generator=torch.Generator().manual_seed(k))).pow(2).mean().backward()
        assert all((p.grad is None) == ("offload_gradients" in options) for p in net.parameters())
        opt.step()
        plan.step()
    return net, opt


def test_it_asks_for_a_gpu() -> None:
    if torch.cuda.is_available() or torch.xpu.is_available():
        pytest.skip("there is one")
    with pytest.raises(AssertionError, match="CUDA & XPU"):
        CPUOffloadOptimizer([torch.nn.Parameter(torch.ones(3))], flt.AdamW)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("options", [{}, {"offload_gradients": True}], ids=str)
@pytest.mark.parametrize("name", ["AdamW", "SGD", "NAdam"])
def test_ours_inside_steps_as_torchs(name: str, options: dict[str, Any]) -> None:
    nets = [run(getattr(module, name), 5, **options)[0] for module in (flt, torch.optim)]
    for a, b in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("no_gpu")
def test_its_state_dicts_interchange() -> None:
    for first, then in ((flt, torch.optim), (torch.optim, flt)):
        _, opt = run(first.AdamW, 3)
        _, other = run(then.AdamW, 0)
        other.load_state_dict(opt.state_dict())
        for a, b in zip(opt.optim_dict.values(), other.optim_dict.values(), strict=True):
            for old, new in zip(a.state.values(), b.state.values(), strict=True):
                assert float(new["step"]) == 3
                torch.testing.assert_close(new["exp_avg"], old["exp_avg"])
