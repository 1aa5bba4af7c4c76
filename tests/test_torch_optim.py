"""fallline.torch beside torch.optim: its own database of optimizers, and what its users do."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl

torch = pytest.importorskip("torch")
import fallline.torch as flt  # noqa: E402
from tensors import assert_close, both, parameters, set_grads, train  # noqa: E402

try:
    from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db
except ImportError:  # a test-time extra of torch's own (expecttest) is missing
    optim_db = []

NAMES = list(fl.optimizers())
SHARED = [name for name in NAMES if hasattr(torch.optim, name)]
MODULES = [*SHARED, *flt.MORE]
DATABASE = {info.optim_cls.__name__: info for info in optim_db}


@pytest.fixture
def float64_scalars() -> Iterator[None]:
    """Torch keeps NAdam's product and ASGD's rates in its default dtype."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(default)


# ---- torch's own database ------------------------------------------------------------------------


def _inputs(names: list[str]) -> list[Any]:
    found = []
    for name in names:
        if name not in DATABASE:
            continue
        for i, given in enumerate(DATABASE[name].optim_inputs_func(device="cpu")):
            found.append(pytest.param(name, given.kwargs, id=f"{name}-{i}-{given.desc}"))
    return found


@pytest.mark.parametrize(("name", "options"), _inputs(SHARED))
@pytest.mark.usefixtures("float64_scalars")
def test_every_option_of_torchs_database(name: str, options: dict[str, Any]) -> None:
    (opt, ours), (reference, theirs) = both(name, **options)
    train(opt, ours, 0, 20)
    train(reference, theirs, 0, 20)
    assert_close(ours, theirs)
    for a, b in zip(ours, theirs, strict=True):
        for key, value in reference.state[b].items():
            if value is not None:
                torch.testing.assert_close(
                    opt.state[a][key].double(), value.double(), rtol=1e-12, atol=1e-12
                )


@pytest.mark.parametrize(("name", "options"), _inputs(list(flt.MORE)))
def test_every_option_by_rows(name: str, options: dict[str, Any]) -> None:
    (opt, ours), (reference, theirs) = both(name, lambda: parameters(shapes=((9, 3),)), **options)
    for o, params in ((opt, ours), (reference, theirs)):
        for k in range(20):
            set_grads(params, k)
            rows = torch.tensor([k % 9, (2 * k + 1) % 9]).unique()
            params[0].grad = torch.sparse_coo_tensor(
                rows[None], params[0].grad[rows], (9, 3), check_invariants=True
            )
            o.step()
    # torch computes with its float32 tensor, we with the number in it.
    assert_close(ours, theirs, 1e-7 if torch.is_tensor(options.get("lr")) else 1e-12)


@pytest.mark.parametrize("name", [name for name in MODULES if name in DATABASE])
def test_errors_are_of_torchs_classes(name: str) -> None:
    assert DATABASE[name].optim_error_inputs_func(device="cpu", dtype=torch.float64)
    for given in DATABASE[name].optim_error_inputs_func(device="cpu", dtype=torch.float64):
        what = given.optimizer_error_input
        if given.error_on is not OptimizerErrorEnum.CONSTRUCTION_ERROR:
            continue
        params = what.params if what.params is not None else parameters()
        with pytest.raises(given.error_type):
            getattr(flt, name)(params, **what.kwargs)


@pytest.mark.parametrize("name", MODULES)
def test_torchs_arguments_stand_where_torch_has_them(name: str) -> None:
    theirs = list(inspect.signature(getattr(torch.optim, name)).parameters.values())
    ours = list(inspect.signature(getattr(flt, name)).parameters.values())
    for a, b in zip(ours, theirs, strict=False):
        assert (a.name, a.kind, a.default) == (b.name, b.kind, b.default)


# ---- every rule ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_same_bits_as_on_arrays(name: str) -> None:
    params = parameters(torch.float32)
    arrays = [p.detach().numpy().copy() for p in params]
    opt, rule = getattr(flt, name)(params, lr=0.01), fl.optimizers()[name](arrays, lr=0.01)
    for k in range(5):
        set_grads(params, k)
        opt.step()
        rule.step([p.grad.numpy() for p in params])
    for p, array in zip(params, arrays, strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), array)


@pytest.mark.parametrize("backend", fl.backends())
@pytest.mark.parametrize("name", ["SGD", "AdamW", "NAdam", "SWATS"])
def test_backends_agree(name: str, backend: str) -> None:
    pytest.importorskip("ml_dtypes")
    dtypes = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
    runs = []
    for chosen in ("numpy", backend):
        params = [p for dtype in dtypes for p in parameters(dtype)]
        opt = getattr(flt, name)(params, lr=0.01, backend=chosen)
        train(opt, params, 0, 4)
        runs.append(params)
    for a, b in zip(*runs, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["ScheduleFreeAdamW", "ScheduleFreeSGD"])
def test_schedule_free_modes(name: str) -> None:
    params = parameters()
    arrays = [p.detach().numpy().copy() for p in params]
    opt, rule = getattr(flt, name)(params), fl.optimizers()[name](arrays)
    for k in range(6):
        if k == 3:
            for o in (opt, rule):
                o.eval()
            for p, array in zip(params, arrays, strict=True):
                np.testing.assert_allclose(p.detach().numpy(), array, rtol=1e-12)
            with pytest.raises(RuntimeError, match="evaluation mode"):
                opt.step()
            for o in (opt, rule):
                o.train()
        set_grads(params, k)
        opt.step()
        rule.step([p.grad.numpy() for p in params])
    for p, array in zip(params, arrays, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), array, rtol=1e-12)


def test_lookahead() -> None:
    params = parameters()
    arrays = [p.detach().numpy().copy() for p in params]
    opt, rule = flt.NesterovMomentum(params, lr=0.1), fl.NesterovMomentum(arrays, lr=0.1)
    for _ in range(4):
        with opt.lookahead():
            for p in params:
                p.grad = 2 * p.detach()
        opt.step()
        with rule.lookahead():
            grads = [np.asarray(2 * array) for array in arrays]
        rule.step(grads)
    for p, array in zip(params, arrays, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), array, rtol=1e-12)


# ---- what users do -------------------------------------------------------------------------------


def test_closure_and_its_value() -> None:
    w = torch.nn.Parameter(torch.ones(3))
    opt = flt.SGD([w], lr=0.1)

    def closure() -> Any:
        opt.zero_grad()
        loss = (w**2).sum()
        loss.backward()
        return loss

    assert opt.step(closure).item() == 3.0
    torch.testing.assert_close(w.detach(), torch.full((3,), 0.8))


def test_groups_edited_between_steps() -> None:
    (opt, ours), (reference, theirs) = both("AdamW", lr=0.1)
    for k in range(6):
        for o, params in ((opt, ours), (reference, theirs)):
            o.param_groups[0]["lr"] = 0.1 / (k + 1)
            o.param_groups[0]["weight_decay"] = 0.1 * k
            o.param_groups[0]["maximize"] = k % 2 == 0
            if k == 3:
                o.param_groups[0]["betas"] = (0.5, 0.6)
            if k == 4:
                new = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
                params.append(new)
                o.add_param_group({"params": [new], "lr": 0.5})
            train(o, params, k, k + 1)
    assert_close(ours, theirs)


def test_bad_edit_is_refused_before_anything_is_written() -> None:
    params = parameters()
    opt = flt.AdamW(params)
    train(opt, params, 0, 1)
    before = [p.detach().clone() for p in params]
    opt.param_groups[0]["lr"] = -1.0
    with pytest.raises(ValueError, match="lr"):
        train(opt, params, 1, 2)
    for p, old in zip(params, before, strict=True):
        assert torch.equal(p, old)


def test_failed_add_param_group_leaves_no_group() -> None:
    opt = flt.AdamW(parameters())
    with pytest.raises(ValueError, match="lr"):
        opt.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], "lr": -1})
    assert len(opt.param_groups) == 1


@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam"])
def test_none_gradients_and_parameters_frozen_for_a_while(name: str) -> None:
    (opt, ours), (reference, theirs) = both(name, lr=0.1)
    for k in range(9):
        for o, params in ((opt, ours), (reference, theirs)):
            set_grads(params, k)
            for i, p in enumerate(params):
                if (k + i) % 3 == 0:
                    p.grad = None
            o.step()
    assert_close(ours, theirs, 1e-6)
    assert len(opt.state_dict()["state"]) == len(reference.state_dict()["state"]) or name == "SGD"


def test_tensor_hyperparameters_may_change_in_place() -> None:
    rates = torch.tensor(0.1, dtype=torch.float64), torch.tensor(0.1, dtype=torch.float64)
    ours, theirs = parameters(), parameters()
    opt = flt.Adam(ours, lr=rates[0], betas=(torch.tensor(0.9), torch.tensor(0.99)))
    reference = torch.optim.Adam(theirs, lr=rates[1], betas=(0.9, 0.99))
    for k in range(4):
        for o, params, lr in ((opt, ours, rates[0]), (reference, theirs, rates[1])):
            lr.fill_(0.1 * (k + 1))
            train(o, params, k, k + 1)
    assert_close(ours, theirs, 1e-6)


def test_named_parameters_name_what_is_wrong() -> None:
    model = torch.nn.Linear(2, 2)
    opt = flt.AdamW(model.named_parameters())
    assert opt.param_groups[0]["param_names"] == ["weight", "bias"]
    model.weight.grad = torch.full((2, 2), float("nan"))
    with pytest.warns(RuntimeWarning, match="the gradient of weight is not finite"):
        opt.step()


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.5),
    "MultiStepLR": lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [2, 4]),
    "MultiplicativeLR": lambda o: torch.optim.lr_scheduler.MultiplicativeLR(o, lambda _: 0.9),
    "LambdaLR": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda k: 1 / (1 + k)),
    "ConstantLR": lambda o: torch.optim.lr_scheduler.ConstantLR(o),
    "LinearLR": lambda o: torch.optim.lr_scheduler.LinearLR(o),
    "ExponentialLR": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: torch.optim.lr_scheduler.PolynomialLR(o),
    "CosineAnnealingLR": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 5),
    "CosineAnnealingWarmRestarts": (
        lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3)
    ),
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=20),
    "CyclicLR": lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, cycle_momentum=False),
    "CyclicLR, momentum too": lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, 3),
    "ReduceLROnPlateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=1),
    "ChainedScheduler": lambda o: torch.optim.lr_scheduler.ChainedScheduler(
        [SCHEDULERS["StepLR"](o), SCHEDULERS["ExponentialLR"](o)]
    ),
    "SequentialLR": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o, [SCHEDULERS["ConstantLR"](o), SCHEDULERS["ExponentialLR"](o)], [3]
    ),
    "SWALR": lambda o: torch.optim.swa_utils.SWALR(o, swa_lr=0.05),
}


def run_scheduled(o: Any, params: Any, plans: Any, steps: int) -> None:
    for k in range(steps):
        train(o, params, k, k + 1)
        for plan in plans:
            plan.step(*([1.0] if "Plateau" in type(plan).__name__ else []))


@pytest.mark.parametrize("rate", ["number", "tensor"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # of torch's own
def test_schedulers(scheduler: str, rate: str) -> None:
    runs = []
    for module in (flt, torch.optim):
        params = parameters()
        lr = torch.tensor(0.1, dtype=torch.float64) if rate == "tensor" else 0.1
        opt = module.Adam(params, lr=lr)
        run_scheduled(opt, params, [SCHEDULERS[scheduler](opt)], 10)
        assert (opt.param_groups[0]["lr"] is lr) == (rate == "tensor")
        runs.append((opt, params))
    (opt, ours), (reference, theirs) = runs
    assert float(opt.param_groups[0]["lr"]) == pytest.approx(float(reference.param_groups[0]["lr"]))
    assert opt.param_groups[0]["betas"] == reference.param_groups[0]["betas"]
    assert_close(ours, theirs)


def test_no_scheduler_is_left_out() -> None:
    module = torch.optim.lr_scheduler
    assert set(module.__all__) - {"LRScheduler"} <= set(SCHEDULERS)


def _schedules() -> list[Any]:
    return [
        pytest.param(name, schedule, id=f"{name}-{i}")
        for name in SHARED
        for i, schedule in enumerate(DATABASE[name].scheduler_inputs if name in DATABASE else [])
    ]


@pytest.mark.parametrize(("name", "schedule"), _schedules())
@pytest.mark.usefixtures("float64_scalars")
@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch's own
def test_schedules_of_torchs_database(name: str, schedule: Any) -> None:
    """Several of which work on one optimizer."""
    (opt, ours), (reference, theirs) = both(name, lr=0.01)
    for o, params in ((opt, ours), (reference, theirs)):
        run_scheduled(o, params, [make(o) for make in schedule], 20)
    assert_close(ours, theirs)


def test_hooks_run_in_torchs_order() -> None:
    seen = []
    params = parameters()
    opt = flt.AdamW(params)
    opt.register_step_pre_hook(lambda *_: seen.append("pre"))
    opt.register_step_post_hook(lambda *_: seen.append("post"))
    opt.register_state_dict_pre_hook(lambda _: seen.append("save"))
    opt.register_state_dict_post_hook(lambda _, d: {**d, "more": 1})
    opt.register_load_state_dict_pre_hook(lambda _, d: seen.append(d.pop("more")))
    opt.register_load_state_dict_post_hook(lambda _: seen.append("loaded"))
    train(opt, params, 0, 1)
    saved = opt.state_dict()
    opt.load_state_dict(saved)
    assert seen == ["pre", "post", "save", 1, "loaded"]


def test_version_counters_see_the_step() -> None:
    w = torch.nn.Parameter(torch.ones(2))
    opt = flt.SGD([w])
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    opt.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("flag", ["differentiable", "capturable"])
def test_what_we_do_not_do_is_refused(flag: str) -> None:
    with pytest.raises(RuntimeError, match=flag):
        flt.Adam(parameters(), **{flag: True})


def test_harmless_flags() -> None:
    (opt, ours), (reference, theirs) = both("AdamW", fused=True)
    train(opt, ours, 0, 3)
    train(reference, theirs, 0, 3)
    assert_close(ours, theirs)
    flt.AdamW(parameters(), foreach=True)


def test_grad_scaler() -> None:
    runs = []
    for module in (flt, torch.optim):
        params = parameters(torch.float32, ((3, 2),))
        opt = module.AdamW(params, lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
        scales = []
        for k in range(6):
            opt.zero_grad()
            loss = (params[0] ** 2).sum() * (float("inf") if k == 3 else 1.0)
            scaler.scale(loss).backward()
            if k % 2:
                scaler.unscale_(opt)
            scaler.step(opt)
            scaler.update()
            scales.append(scaler.get_scale())
        runs.append((params, scales))
    assert runs[0][1] == runs[1][1]
    assert_close(runs[0][0], runs[1][0], 1e-6)


def test_clipping_inside_the_step_leaves_gradients() -> None:
    ours, theirs = parameters(), parameters()
    opt, reference = flt.AdamW(ours), torch.optim.AdamW(theirs)
    for k in range(3):
        set_grads(ours, k)
        set_grads(theirs, k)
        norm = torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        before = [p.grad.clone() for p in ours]
        opt.step(max_norm=0.5)
        reference.step()
        assert opt.grad_norm == pytest.approx(float(norm))
        assert all(torch.equal(p.grad, g) for p, g in zip(ours, before, strict=True))
    assert_close(ours, theirs)


def test_step_inside_backward() -> None:
    params = parameters(shapes=((3,), (4,)))
    reference = parameters(shapes=((3,), (4,)))
    opts = {p: flt.SGD([p], lr=0.1) for p in params}

    def hook(p: Any) -> None:
        opts[p].step()
        opts[p].zero_grad()

    for p in params:
        p.register_post_accumulate_grad_hook(hook)
    theirs = torch.optim.SGD(reference, lr=0.1)
    for _ in range(3):
        sum((p**2).sum() for p in params).backward()
        sum((p**2).sum() for p in reference).backward()
        theirs.step()
        theirs.zero_grad()
        assert all(p.grad is None for p in params)
    assert_close(params, reference)


@pytest.mark.parametrize("example", ["step_in_backward", "offload"])
def test_example(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(Path(__file__).parents[1] / "examples" / f"{example}.py"))
    assert float(capsys.readouterr().out.split()[1]) < 0.5


# ---- ways to a tensor's address ------------------------------------------------------------------


WAYS = ("shim", "objects", "arrays")


def go(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the core ask as it does with a torch that lacks the newer interfaces."""
    from fallline.torch import _binding

    if way != "shim":
        monkeypatch.setattr(_binding, "shim", lambda: None)
    if way == "arrays":
        monkeypatch.setattr(_binding, "_exchanges", lambda: False)


def test_this_torch_has_the_fastest_way() -> None:
    from fallline.torch._shim import shim

    if "native" not in fl.backends():
        pytest.skip("no core")
    assert shim() is not None
    params = parameters()
    opt = flt.AdamW(params)
    train(opt, params, 0, 1)
    assert type(opt._bound.native).__name__ == "ExchangedTensors"


def test_an_address_is_not_taken_for_a_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two objects' addresses can differ by one bit; the fastest way was then not found.
    from fallline.torch import _shim

    words = _shim._words
    seen: list[int] = []

    def with_address(address: int, first: int, last: int) -> list[int]:
        seen.append(address)
        return [*words(address, first, last), 0x1000 | (len(seen) - 1) << 8]

    monkeypatch.setattr(_shim, "_words", with_address)
    assert len(_shim._differs(torch.empty(2))) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["SGD", "AdamW", "NAdam", "SWATS"])
def test_every_way_gives_the_same_bits(
    name: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ml_dtypes")
    runs = []
    for chosen in ("shim", way):
        go(chosen, monkeypatch)
        params = [p for t in (torch.float32, torch.bfloat16) for p in parameters(t)]
        params.append(torch.nn.Parameter(torch.ones(4, 6)[:, ::2]))
        opt = getattr(flt, name)(params, lr=0.01)
        for k in range(5):
            set_grads(params, k)
            if k == 2:
                params[1].grad = None
            opt.step(max_norm=0.5)
        assert (type(opt._bound.native).__name__ == "ByArrays") == (
            chosen == "arrays" or opt.backend != "native"
        )
        runs.append(params)
    for a, b in zip(*runs, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("way", WAYS)
def test_a_step_refused_in_mid_check_leaves_nothing_behind(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients that came, went or overlapped in it are seen anew by the next."""
    go(way, monkeypatch)
    runs = []
    for refused in (False, True):
        params = [torch.nn.Parameter(torch.arange(n, dtype=torch.float32)) for n in (5, 20_000, 7)]
        opt = flt.AdamW(params, lr=0.1)
        for k, missing in enumerate(((), (0,), (0,), (0, 2), ())):
            set_grads(params, k)
            for i in missing:
                params[i].grad = None
            opt.step()
        if refused:
            params[0].grad = params[0].detach()  # is copied
            params[2].grad = None
            params[1].grad = torch.zeros(20_000, dtype=torch.float32).to_sparse()
            with pytest.raises((RuntimeError, ValueError)):
                opt.step()
        for k in (8, 9):
            set_grads(params, k)
            opt.step()
        runs.append(params)
    for a, b in zip(*runs, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("way", WAYS)
def test_state_memory_that_was_freed_is_not_written(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(way, monkeypatch)
    (opt, ours), (reference, theirs) = both("Adam", lr=0.1)
    for k in range(4):
        for o, params in ((opt, ours), (reference, theirs)):
            train(o, params, k, k + 1)
            for p in params:
                for key in ("exp_avg", "exp_avg_sq", "step"):
                    o.state[p][key].data = o.state[p][key].data.clone()
    assert_close(ours, theirs)


# ---- checkpoints ---------------------------------------------------------------------------------


OPTIONS = {"SGD": {"momentum": 0.9}}


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("direction", ["from torch", "to torch"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_state_dicts_interchange(name: str, direction: str, dtype: Any) -> None:
    first, then = (torch.optim, flt) if direction == "from torch" else (flt, torch.optim)
    options = {"lr": 0.01, **OPTIONS.get(name, {})}
    params, reference = parameters(dtype), parameters(dtype)
    opt, unbroken = (
        getattr(first, name)(params, **options),
        getattr(torch.optim, name)(reference, **options),
    )
    train(opt, params, 0, 5)
    train(unbroken, reference, 0, 10)
    file = io.BytesIO()
    torch.save(opt.state_dict(), file)
    file.seek(0)
    other = getattr(then, name)(params, lr=0.5)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.param_groups[0]["lr"] == 0.01
    train(other, params, 5, 10)
    assert_close(params, reference, 1e-6 if dtype == torch.float64 else 2e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["state dict", "pickle", "deepcopy"])
def test_goes_on_bit_for_bit(name: str, how: str) -> None:
    params = parameters(torch.bfloat16)
    opt = getattr(flt, name)(params, lr=0.01)
    train(opt, params, 0, 3)
    if how == "state dict":
        file = io.BytesIO()
        torch.save(opt.state_dict(), file)
        file.seek(0)
        copies = copy.deepcopy(params)
        other = getattr(flt, name)(copies)
        other.load_state_dict(torch.load(file, weights_only=True))
    else:
        other = pickle.loads(pickle.dumps(opt)) if how == "pickle" else copy.deepcopy(opt)
        copies = other.param_groups[0]["params"]
    train(opt, params, 3, 6)
    train(other, copies, 3, 6)
    for a, b in zip(params, copies, strict=True):
        assert torch.equal(a, b)
    for a, b in zip(params, copies, strict=True):
        for key, value in opt.state[a].items():
            assert key == "sums" or torch.equal(
                torch.as_tensor(value) if not isinstance(value, str) else torch.ones(1),
                torch.as_tensor(other.state[b][key])
                if not isinstance(value, str)
                else torch.ones(1),
            )


def test_loading_copies() -> None:
    params, copies = parameters(), parameters()
    opt, other = flt.AdamW(params), flt.AdamW(copies)
    train(opt, params, 0, 2)
    other.load_state_dict(opt.state_dict())
    before = opt.state[params[0]]["exp_avg"].clone()
    train(other, copies, 0, 2)
    assert torch.equal(opt.state[params[0]]["exp_avg"], before)


STEPS: dict[str, Callable[[Any], Any]] = {
    "of torch before 1.12": lambda step: int(step),
    "float": lambda step: float(step),
    "float64": lambda step: step.double(),
    "int64": lambda step: step.long(),
    "of shape (1,)": lambda step: step[None],
    "float16": lambda step: step.half(),
}


@pytest.mark.parametrize("kind", STEPS)
def test_steps_of_any_kind_are_counted_on(kind: str) -> None:
    params, reference = parameters(), parameters()
    theirs = torch.optim.AdamW(reference, lr=0.01)
    train(theirs, reference, 0, 4)
    saved = copy.deepcopy(theirs.state_dict())
    for own in saved["state"].values():
        own["step"] = STEPS[kind](own["step"])
    saved["param_groups"][0] |= {"fused": True, "capturable": True}  # as on a GPU
    for p, q in zip(params, reference, strict=True):
        p.data.copy_(q.data)
    opt = flt.AdamW(params)
    opt.load_state_dict(saved)
    train(opt, params, 4, 8)
    train(theirs, reference, 4, 8)
    assert_close(params, reference)
    assert [own["step"] for own in opt.state.values()] == [8] * 3


@pytest.mark.parametrize("name", ["AdamW", "Adam"])  # adamw_mode is in no state dict
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("state", [torch.float32, torch.bfloat16], ids=str)  # fp32_optimizer_states
def test_deepspeeds_layout(name: str, amsgrad: bool, state: Any) -> None:
    params, reference = parameters(torch.float32), parameters(torch.float32)
    options = {"lr": 0.01, "betas": (0.5, 0.5), "weight_decay": 0.1}
    theirs = getattr(torch.optim, name)(reference, **options)
    train(theirs, reference, 0, 4)
    saved = theirs.state_dict()["state"]
    for own in saved.values():
        for slot in ("exp_avg", "exp_avg_sq"):
            own[slot].copy_(own[slot].to(state))
    layout = {
        "state": {
            i: {"step": 4, **{slot: own[slot].to(state) for slot in ("exp_avg", "exp_avg_sq")}}
            for i, own in saved.items()
        },
        "param_groups": [
            {
                **options,
                "eps": 1e-8,
                "bias_correction": True,
                "amsgrad": amsgrad,  # it takes it, and does without
                "params": [0, 1, 2],
            }
        ],
    }
    for p, q in zip(params, reference, strict=True):
        p.data.copy_(q.data)
    opt = getattr(flt, name)(params)
    opt.load_state_dict(layout)
    train(opt, params, 4, 8)
    train(theirs, reference, 4, 8)
    assert_close(params, reference, 1e-6)
    assert "bias_correction" not in opt.state_dict()["param_groups"][0]
    layout["param_groups"][0]["bias_correction"] = False
    with pytest.raises(ValueError, match="bias_correction=False"):
        opt.load_state_dict(layout)


def test_wrong_state_dicts_change_nothing() -> None:
    params = parameters()
    opt = flt.AdamW(params)
    train(opt, params, 0, 2)
    saved = copy.deepcopy(opt.state_dict())
    bad = copy.deepcopy(saved)
    bad["state"][0]["exp_avg"] = torch.zeros(7)
    with pytest.raises(ValueError, match="exp_avg"):
        opt.load_state_dict(bad)
    bad = copy.deepcopy(saved)
    bad["param_groups"][0]["lr"] = -1
    with pytest.raises(ValueError, match="lr"):
        opt.load_state_dict(bad)
    bad = copy.deepcopy(saved)
    bad["param_groups"].append(bad["param_groups"][0])
    with pytest.raises(ValueError, match="different number of parameter groups"):
        opt.load_state_dict(bad)
    assert torch.equal(opt.state[params[0]]["exp_avg"], saved["state"][0]["exp_avg"])


@pytest.mark.parametrize("way", WAYS)
def test_state_replaced_by_hand_is_taken_up(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in codes that add and drop rows of a parameter, and of its state."""
    go(way, monkeypatch)
    (opt, ours), (reference, theirs) = both("Adam", lr=0.1)
    for o, params in ((opt, ours), (reference, theirs)):
        train(o, params, 0, 3)
        old, group = params[0], o.param_groups[0]
        state = o.state.pop(old)
        for key in ("exp_avg", "exp_avg_sq"):
            state[key] = torch.cat([state[key], torch.zeros_like(state[key][:2])])
        params[0] = torch.nn.Parameter(torch.cat([old.detach(), torch.ones_like(old[:2])]))
        group["params"][0] = params[0]
        o.state[params[0]] = state
        train(o, params, 3, 5)
        o.state[params[1]]["step"].fill_(1)
        o.state[params[2]].clear()
        train(o, params, 5, 7)
        for p in params:
            p.data = p.data.clone()  # other memory
        o.state[params[0]]["exp_avg"].data = torch.ones_like(params[0].data)
        train(o, params, 7, 9)
    assert_close(ours, theirs)


# ---- layouts and dtypes --------------------------------------------------------------------------


LAYOUTS: dict[str, Callable[[], Any]] = {
    "transposed": lambda: torch.randn(4, 3, dtype=torch.float64).t(),
    "channels_last": lambda: torch.randn(2, 3, 4, 5, dtype=torch.float64).to(
        memory_format=torch.channels_last
    ),
    "with gaps": lambda: torch.randn(4, 6, dtype=torch.float64)[:, ::2],
    "columns": lambda: torch.randn(4, 6, dtype=torch.float64)[:, :2],
    "one": lambda: torch.randn(1, 3, 1, dtype=torch.float64),
    "empty": lambda: torch.randn(0, 3, dtype=torch.float64),
}
GRADIENTS: dict[str, Callable[[Any], Any]] = {
    "contiguous": lambda g: g.contiguous(),
    "transposed": lambda g: g.transpose(0, -1).contiguous().transpose(0, -1),
    "expanded": lambda g: g.flatten()[:1].sum().expand(g.shape),
    "with gaps": lambda g: torch.stack([g, g], -1)[..., 0],
    "negative view": lambda g: torch._neg_view(g.contiguous()),
    "float32": lambda g: g.float(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_strides(layout: str, gradient: str) -> None:
    torch.manual_seed(1)
    start = LAYOUTS[layout]()
    ours = torch.nn.Parameter(start.clone(memory_format=torch.preserve_format))
    if not ours.is_contiguous() or layout in ("with gaps", "columns"):
        ours = torch.nn.Parameter(start)
    theirs = torch.nn.Parameter(start.detach().clone(memory_format=torch.contiguous_format))
    opt, reference = flt.AdamW([ours], lr=0.1), torch.optim.AdamW([theirs], lr=0.1, foreach=False)
    for _ in range(3):
        grad = GRADIENTS[gradient](torch.randn(start.shape, dtype=torch.float64))
        if gradient == "float32":
            ours.grad_dtype = None
        ours.grad, theirs.grad = grad, grad.double().contiguous()
        opt.step()
        reference.step()
    assert_close([ours], [theirs])


def test_parameters_that_overlap_are_refused() -> None:
    memory = torch.zeros(10)
    with pytest.raises(ValueError, match="overlap"):
        flt.SGD([torch.nn.Parameter(memory[:6]), torch.nn.Parameter(memory[5:])])
    with pytest.raises(ValueError, match="share memory"):
        flt.SGD([torch.nn.Parameter(memory[:1].expand(5))])
    columns = torch.zeros(4, 2)
    flt.SGD([torch.nn.Parameter(columns[:, 0]), torch.nn.Parameter(columns[:, 1])])
    with pytest.raises(ValueError, match="overlap"):
        flt.SGD([torch.nn.Parameter(columns[:, 0]), torch.nn.Parameter(columns[2:, 0])])


def test_gradient_that_is_the_parameter() -> None:
    w = torch.nn.Parameter(torch.ones(3))
    w.grad = w.detach()
    flt.SGD([w], lr=0.5).step()
    assert torch.equal(w.detach(), torch.full((3,), 0.5))


def test_other_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="meta device"):
        flt.AdamW([torch.nn.Parameter(torch.ones(2, device="meta"))])
    with pytest.raises(TypeError, match="dtype"):
        flt.AdamW([torch.ones(2, dtype=torch.int32)])


def test_ranks_of_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    from fallline import threads

    monkeypatch.delenv("FALLLINE_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "_threads", None)
    monkeypatch.setattr(threads, "available_cpus", lambda: 8)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert fl.get_num_threads() == 2


def test_lazy_modules_may_come_later() -> None:
    model = torch.nn.LazyLinear(2)
    opt = flt.AdamW(model.parameters())
    model(torch.ones(3, 4)).sum().backward()
    opt.step()
    assert model.weight.grad is not None


# ---- sparse gradients ----------------------------------------------------------------------------


@pytest.mark.parametrize("backend", fl.backends())
@pytest.mark.parametrize("name", ["SGD", "Adagrad", "Adam", "SparseAdam"])
@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")  # of torch's Adagrad
def test_sparse_gradients_update_rows(name: str, backend: str) -> None:
    peer = "SparseAdam" if name == "Adam" else name
    tables = [torch.nn.Embedding(20, 5, sparse=True, dtype=torch.float64) for _ in range(2)]
    tables[1].weight.data.copy_(tables[0].weight.data)
    opt = getattr(flt, name)(tables[0].parameters(), lr=0.1, backend=backend)
    reference = getattr(torch.optim, peer)(tables[1].parameters(), lr=0.1)
    for k in range(5):
        batch = torch.randint(20, (7,), generator=torch.Generator().manual_seed(k))
        for table, o in ((tables[0], opt), (tables[1], reference)):
            o.zero_grad()
            table(batch).pow(2).sum().backward()
            o.step()
    assert_close([tables[0].weight], [tables[1].weight])


def test_sparse_and_dense_together() -> None:
    table, dense = torch.nn.Embedding(6, 3, sparse=True), torch.nn.Linear(3, 1)
    before = table.weight.detach().clone()
    opt = flt.Adam([*table.parameters(), *dense.parameters()], lr=0.1)
    dense(table(torch.tensor([1, 1, 4]))).sum().backward()
    opt.step()
    moved = (table.weight.detach() != before).any(1)
    assert moved.tolist() == [False, True, False, False, True, False]


@pytest.mark.parametrize(
    ("name", "options"),
    [("AdamW", {}), ("Adagrad", {"weight_decay": 0.1}), ("SGD", {"momentum": 0.9}), ("Lion", {})],
)
def test_sparse_gradients_are_refused_elsewhere(name: str, options: dict[str, Any]) -> None:
    table = torch.nn.Embedding(6, 3, sparse=True)
    opt = getattr(flt, name)(table.parameters(), **options)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="sparse"):
        opt.step()
