"""Tensors of 16 bits: master copies, and stochastic rounding, as on arrays."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest

import fallline as fl

torch = pytest.importorskip("torch")
import fallline.torch as flt  # noqa: E402
from fallline.torch._arrays import as_array  # noqa: E402

MASTER: dict[str, Any] = {"master_weights": True}
STOCHASTIC: dict[str, Any] = {"rounding": "stochastic", "seed": 5}
OPTIONS = {"master": MASTER, "stochastic": STOCHASTIC, "both": MASTER | STOCHASTIC}
SHAPES = ((40, 30), (7,), (1100,))


def tensors(dtype: Any = torch.bfloat16, seed: int = 0) -> list[Any]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(s, generator=generator).to(dtype).requires_grad_() for s in SHAPES]


def set_grads(params: list[Any], seed: int, dtype: Any = None) -> None:
    generator = torch.Generator().manual_seed(100 + seed)
    for p in params:
        grad = torch.randn(p.shape, generator=generator).to(dtype or p.dtype)
        if grad.dtype != p.dtype:
            p.grad_dtype = grad.dtype
        p.grad = grad


def train(opt: Any, params: list[Any], first: int, last: int) -> None:
    for step in range(first, last):
        set_grads(params, step)
        opt.step()


def assert_equal(ours: Any, theirs: Any) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a.detach(), b.detach())


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", fl.optimizers())
def test_same_bits_as_on_arrays(name: str, dtype: Any, options: str) -> None:
    params = tensors(dtype)
    arrays = [as_array(p).copy() for p in params]
    ours = getattr(flt, name)(params, lr=0.01, **OPTIONS[options])
    theirs = fl.optimizers()[name](arrays, lr=0.01, **OPTIONS[options])
    for step in range(3):
        set_grads(params, step)
        ours.step()
        theirs.step([as_array(p.grad) for p in params])
    if hasattr(ours, "eval"):
        ours.eval()
        theirs.eval()
    for i, (p, array) in enumerate(zip(params, arrays, strict=True)):
        np.testing.assert_array_equal(as_array(p).view(np.uint16), array.view(np.uint16))
        if "master_weights" in OPTIONS[options]:
            np.testing.assert_array_equal(
                as_array(ours.state[p]["master"]), theirs.state[i]["master"]
            )


@pytest.mark.parametrize("grad_dtype", [torch.bfloat16, torch.float32])
def test_master_is_torchs_on_a_float32_copy(grad_dtype: Any) -> None:
    params = tensors()
    copies = [p.detach().float().requires_grad_() for p in params]
    ours = flt.AdamW(params, lr=0.01, **MASTER)
    theirs = torch.optim.AdamW(copies, lr=0.01)
    for step in range(20):
        set_grads(params, step, grad_dtype)
        for p, c in zip(params, copies, strict=True):
            c.grad = p.grad.float()
        ours.step()
        theirs.step()
    for p, c in zip(params, copies, strict=True):
        torch.testing.assert_close(ours.state[p]["master"], c.detach(), rtol=1e-5, atol=1e-6)
        assert torch.equal(p.detach(), ours.state[p]["master"].bfloat16())


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("backend", fl.backends())
def test_sparse_rows_on_every_backend(backend: str, options: str) -> None:
    """Rows without a gradient keep their bits, and rows have random bits of their own."""
    results = []
    for name in (backend, "numpy"):
        weight = torch.ones(50, 1100, dtype=torch.bfloat16).requires_grad_()
        opt = flt.SparseAdam([weight], lr=1e-3, backend=name, **OPTIONS[options])
        for rows in ([3, 7], [7, 40]):
            values = torch.ones(2, 1100, dtype=torch.bfloat16)
            weight.grad = torch.sparse_coo_tensor(
                torch.tensor([rows]), values, weight.shape, check_invariants=True
            )
            opt.step()
        results.append((weight.detach(), opt.state[weight].get("master", weight.detach())))
    assert_equal(*results)
    weight = results[0][0]
    assert set(torch.nonzero((weight != 1).any(dim=1)).flatten().tolist()) <= {3, 7, 40}
    if options != "master":
        assert (weight[3] != 1).any()
        assert not torch.equal(weight[3], weight[40])


@pytest.mark.parametrize("options", OPTIONS)
def test_strided_parameters(options: str) -> None:
    """Transposed ones in place, those with gaps through a copy."""
    whole = torch.ones(60, 40, dtype=torch.bfloat16)
    params = [torch.ones(30, 20, dtype=torch.bfloat16).t(), whole[::2]]
    for p in params:
        p.requires_grad_()
    opt = flt.SGD(params, lr=0.125, **OPTIONS[options])
    for _ in range(2):
        for p in params:
            p.grad = (torch.arange(p.numel()) % 8).reshape(p.shape).bfloat16()
        opt.step()
    for p in params:
        expected = 1 - 0.25 * (torch.arange(p.numel()).reshape(p.shape) % 8)
        assert torch.equal(p.detach().float(), expected)
    assert (whole[1::2] == 1).all()


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", ["SGD", "AdamW", "ScheduleFreeAdamW"])
@pytest.mark.parametrize("how", ["state dict", "deepcopy"])
def test_goes_on_bit_for_bit(name: str, how: str, options: str) -> None:
    params = tensors()
    opt = getattr(flt, name)(params, lr=0.01, **OPTIONS[options])
    train(opt, params, 0, 3)
    if how == "deepcopy":
        again, others = copy.deepcopy((opt, params))
    else:
        others = [p.detach().clone().requires_grad_() for p in params]
        again = getattr(flt, name)(others, lr=0.5)
        file = io.BytesIO()
        torch.save(opt.state_dict(), file)
        file.seek(0)
        again.load_state_dict(torch.load(file))
    train(opt, params, 3, 6)
    train(again, others, 3, 6)
    assert_equal(params, others)
    if "master_weights" in OPTIONS[options]:
        assert_equal(
            [opt.state[p]["master"] for p in params], [again.state[p]["master"] for p in others]
        )


def test_torchs_state_dict_starts_masters_from_the_parameters() -> None:
    params = tensors()
    theirs = torch.optim.AdamW(params, lr=0.01)
    train(theirs, params, 0, 2)
    ours = flt.AdamW(params, lr=0.01, **MASTER)
    ours.load_state_dict(theirs.state_dict())
    before = [p.detach().clone() for p in params]
    ours.param_groups[0]["lr"] = 0.0
    train(ours, params, 2, 3)
    assert_equal([ours.state[p]["master"] for p in params], [b.float() for b in before])


def test_masters_turned_on_after_loading() -> None:
    """What a state dict says of the option holds, until the group says otherwise."""
    params = tensors()
    plain = flt.AdamW(params, lr=0.01)
    train(plain, params, 0, 2)
    ours = flt.AdamW(params, lr=0.01, **MASTER)
    ours.load_state_dict(plain.state_dict())
    train(ours, params, 2, 3)
    assert "master" not in ours.state[params[0]]
    ours.param_groups[0]["master_weights"] = True
    ours.param_groups[0]["lr"] = 0.0
    before = [p.detach().clone() for p in params]
    train(ours, params, 3, 4)
    assert_equal([ours.state[p]["master"] for p in params], [b.float() for b in before])


def test_a_master_that_went_through_torch_is_dropped() -> None:
    """torch casts it to 16 bits and updates the parameter alone."""
    params = tensors()
    ours = flt.AdamW(params, lr=0.01, **MASTER)
    train(ours, params, 0, 2)
    theirs = torch.optim.AdamW(params, lr=0.01)
    theirs.load_state_dict(ours.state_dict())
    train(theirs, params, 2, 4)
    before = [p.detach().clone() for p in params]
    ours.load_state_dict(theirs.state_dict())
    ours.param_groups[0]["lr"] = 0.0
    train(ours, params, 4, 5)
    assert_equal(params, before)


def test_the_master_wins_unless_told_otherwise() -> None:
    p = torch.zeros(4, dtype=torch.bfloat16).requires_grad_()
    opt = flt.SGD([p], lr=1.0, **MASTER)
    p.grad = torch.ones_like(p)
    opt.step()
    with torch.no_grad():
        p.fill_(100)
    opt.step()
    assert (p == -2).all()
    with torch.no_grad():
        p.fill_(100)
    opt.sync_master()
    opt.step()
    assert (p == 99).all()


def test_groups_choose_between_steps() -> None:
    p, q, r = (torch.ones(300, dtype=t) for t in (torch.bfloat16, torch.bfloat16, torch.float32))
    groups = [{"params": [p], **MASTER}, {"params": [q]}, {"params": [r], **MASTER}]
    opt = flt.SGD(groups, lr=1e-3)
    for x in (p, q, r):
        x.grad = torch.ones_like(x)
    opt.step()
    assert set(opt.state) == {p}
    assert torch.equal(opt.state[p]["master"], r)
    opt.param_groups[0]["master_weights"] = False
    opt.param_groups[1] |= STOCHASTIC
    opt.step()
    assert "master" not in opt.state[p]
    assert (p == 1).all()
    assert 1 - 2**-8 == q.min() < q.max() == 1


def test_bad_options_are_named() -> None:
    for options, message in (
        ({"rounding": "up"}, "rounding must be one of"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"master_weights": 2}, "master_weights must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            flt.AdamW(tensors(), **options)
