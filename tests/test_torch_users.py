"""What users of torch.optim do around a step, with ours as with torch's."""

from __future__ import annotations

import copy
import math
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

torch = pytest.importorskip("torch")
import fallline.torch as flt  # noqa: E402
from fallline import optimizers  # noqa: E402
from tensors import assert_close, both, parameters, set_grads, train  # noqa: E402

MODULES = (flt, torch.optim)


def network() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 3))


def loss_of(net: Any, k: int) -> Any:
    dtype = next(net.parameters()).dtype
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(k)).to(dtype)
    return net(x).pow(2).mean()


def iterate(net: Any, opt: Any, first: int, last: int) -> None:
    for k in range(first, last):
        opt.zero_grad()
        loss_of(net, k).backward()
        opt.step()


# ---- around a step -------------------------------------------------------------------------------


def test_a_transformer_ends_where_torchs_fused_does() -> None:
    losses = []
    for module in MODULES:
        torch.manual_seed(0)
        net = torch.nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        opt = module.AdamW(net.parameters(), lr=1e-3, fused=True)
        x = torch.randn(8, 10, 32, generator=torch.Generator().manual_seed(1))
        losses.append([])
        for _ in range(50):
            opt.zero_grad()
            loss = (net(x) - x.flip(1)).pow(2).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            losses[-1].append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0][-1] < 0.7 * losses[0][0]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_grad_modes(mode: Any) -> None:
    """A closure has gradients to take whatever the mode around the step."""
    nets = []
    for module in MODULES:
        net = network()
        opt = module.AdamW(net.parameters(), lr=0.01)
        iterate(net, opt, 0, 1)

        def closure(net: Any = net, opt: Any = opt) -> Any:
            opt.zero_grad()
            loss = loss_of(net, 1)
            loss.backward()
            return loss

        if mode is torch.inference_mode:
            closure()
            with mode():
                assert opt.step() is None
        else:
            with mode():
                assert opt.step(closure).requires_grad
        iterate(net, opt, 2, 4)
        nets.append(net)
    assert_close(nets[0].parameters(), nets[1].parameters(), 1e-6)


def test_parameters_frozen_and_unfrozen() -> None:
    nets = []
    for module in MODULES:
        net = network()
        opt = module.AdamW(net.parameters(), lr=0.01)
        for k in range(6):
            net[0].requires_grad_(k % 3 != 1)
            iterate(net, opt, k, k + 1)
        assert opt.state[net[0].weight]["step"] == 4
        nets.append(net)
    assert_close(nets[0].parameters(), nets[1].parameters(), 1e-6)


@pytest.mark.parametrize("whole", [False, True])
def test_compiled(whole: bool) -> None:
    """The model, or the iteration with our step in it."""
    nets = []
    for module in MODULES:
        net = network()
        opt = module.AdamW(net.parameters(), lr=0.01)
        if module is torch.optim:
            iterate(net, opt, 0, 4)
        elif whole:
            run = torch.compile(iterate, backend="eager")
            for k in range(4):
                run(net, opt, k, k + 1)
        else:
            iterate(torch.compile(net, backend="aot_eager"), opt, 0, 4)
        nets.append(net)
    assert_close(nets[0].parameters(), nets[1].parameters(), 1e-5)


def test_grad_scaler_over_groups() -> None:
    """An infinite gradient in one group makes all sit the step out."""
    runs = []
    for module in MODULES:
        a, b = parameters(torch.float32, ((3, 2), (4,)))
        opt = module.AdamW([{"params": [a]}, {"params": [b], "lr": 0.1}], lr=0.01)
        scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=2)
        for k in range(6):
            opt.zero_grad()
            loss = (a**2).sum() + (b**2).sum() * (float("inf") if k in (1, 4) else 1.0)
            scaler.scale(loss).backward()
            if k == 4:
                scaler.unscale_(opt)
            scaler.step(opt)
            scaler.update()
        assert opt.state[a]["step"] == opt.state[b]["step"] == 4
        runs.append((a, b))
    assert_close(*runs, 1e-6)


def test_unscaled_clipped_and_scaled_in_one_step() -> None:
    (w,) = parameters(torch.float32, ((5,),))
    opt = flt.SGD([w], lr=1.0)
    before = w.detach().clone()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale((w * 3).sum()).backward()
    scaler.step(opt, max_norm=0.5)
    assert opt.grad_norm == pytest.approx(3 * 5**0.5)
    assert float((w.detach() - before).norm()) == pytest.approx(0.5, rel=1e-5)


def test_gradients_zeroed_in_place() -> None:
    (opt, ours), (reference, theirs) = both("AdamW", lr=0.1)
    for o, params in ((opt, ours), (reference, theirs)):
        train(o, params, 0, 1)
        grads = [p.grad for p in params]
        o.zero_grad(set_to_none=False)
        assert all(p.grad is g and not g.any() for p, g in zip(params, grads, strict=True))
        o.step()
        o.zero_grad()
        assert all(p.grad is None for p in params)
        o.step()
    assert_close(ours, theirs)


def test_hooks_of_all_optimizers_and_their_removal() -> None:
    from torch.optim import optimizer as module

    seen: list[Any] = []
    (w,) = parameters(shapes=((3,),))
    opt = flt.SGD([w], lr=1.0)
    w.grad = torch.ones_like(w)
    handles = [
        module.register_optimizer_step_pre_hook(lambda o, *_: seen.append(("all before", o))),
        module.register_optimizer_step_post_hook(lambda o, *_: seen.append(("all after", o))),
        opt.register_step_pre_hook(lambda o, args, kwargs: (args, {**kwargs, "max_norm": 0.1})),
        opt.register_load_state_dict_pre_hook(lambda *_: seen.append("second")),
        opt.register_load_state_dict_pre_hook(lambda *_: seen.append("first"), prepend=True),
        opt.register_load_state_dict_pre_hook(
            lambda _, d: {**d, "param_groups": [{**d["param_groups"][0], "lr": 0.25}]}
        ),
    ]
    before = w.detach().clone()
    opt.step()
    assert float((w.detach() - before).norm()) == pytest.approx(0.1, rel=1e-5)  # as hooked
    assert seen == [("all before", opt), ("all after", opt)]
    opt.load_state_dict(opt.state_dict())
    assert seen[2:] == ["first", "second"]
    assert opt.param_groups[0]["lr"] == 0.25
    for handle in handles:
        handle.remove()
    opt.step()
    assert len(seen) == 4
    assert opt.grad_norm == pytest.approx(3**0.5)  # of the hooked step


def test_profiler_names() -> None:
    """What a user looks for in a trace."""
    names = []
    for module in MODULES:
        params = parameters()
        opt = module.AdamW(params)
        set_grads(params, 0)
        with torch.profiler.profile() as profile:
            opt.step()
            opt.zero_grad()
        names.append({e.key for e in profile.key_averages() if e.key.startswith("Optimizer.")})
    assert (
        names[0] == names[1] == {"Optimizer.step#AdamW.step", "Optimizer.zero_grad#AdamW.zero_grad"}
    )


def test_defaults_and_what_is_shown() -> None:
    for name in optimizers():
        ours = getattr(flt, name)(parameters(), lr=0.5)
        assert ours.defaults["lr"] == 0.5
        assert repr(ours).startswith(f"{name} (\nParameter Group 0\n")
        if hasattr(torch.optim, name):
            theirs = getattr(torch.optim, name)(parameters(), lr=0.5).defaults
            assert {key: ours.defaults.get(key, True) for key in theirs} == theirs
    ours.defaults["lr"] = 0.25
    ours.add_param_group({"params": parameters()})
    assert ours.param_groups[1]["lr"] == 0.25


class Counting:
    """A binding, and how often what of it was called."""

    def __init__(self, native: Any) -> None:
        self.native, self.calls = native, []

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            self.calls.append(name)
            return getattr(self.native, name)(*args)

        return call


@pytest.mark.parametrize("name", optimizers())
def test_one_call_a_step_and_the_memory_that_was_there(name: str) -> None:
    """Whatever the groups, types and layouts; clipping takes one more."""
    groups = [
        {"params": parameters(dtype), "lr": lr}
        for dtype, lr in ((torch.float64, 0.1), (torch.float32, 0.01), (torch.bfloat16, 0.1))
    ]
    groups.append({"params": [torch.nn.Parameter(torch.ones(3, 4).t())], "master_weights": True})
    opt = getattr(flt, name)(groups)
    params = [p for group in groups for p in group["params"]]
    train(opt, params, 0, 2)
    states = [v for own in opt.state.values() for v in own.values() if torch.is_tensor(v)]
    where = [x.data_ptr() for x in (*params, *states)]
    counting = opt._bound.native = Counting(opt._bound.native)
    set_grads(params, 2)
    opt.step()
    opt.step(max_norm=1.0)
    assert counting.calls == [
        "accept",
        "update",
        "release",
        "accept",
        "sum_squares",
        "update",
        "release",
    ]
    assert [x.data_ptr() for x in (*params, *states)] == where


def test_what_a_gradient_that_is_not_finite_does() -> None:
    (w,) = parameters(shapes=((3,),))
    opt = flt.SGD([("w", w)], lr=1.0)
    before = w.detach().clone()
    w.grad = torch.tensor([1.0, float("nan"), 1.0], dtype=w.dtype)
    opt.step(on_nonfinite="skip")
    assert opt.skipped_steps == 1
    with pytest.raises(FloatingPointError, match="the gradient of w is not finite"):
        opt.step(on_nonfinite="raise")
    assert torch.equal(w.detach(), before)
    with pytest.warns(RuntimeWarning, match="the gradient of w is not finite"):
        opt.step()
    opt.step(on_nonfinite="ignore")
    assert w.detach().isnan().tolist() == [False, True, False]


# ---- pickles and copies --------------------------------------------------------------------------


@pytest.mark.parametrize("how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_model_optimizer_and_scheduler_together(how: Any) -> None:
    """In mid-training, with state, scheduler and hooks: parameters stay those of the model."""
    net = network()
    opt = flt.AdamW(net.parameters(), lr=0.01)
    torch.optim.lr_scheduler.ExponentialLR(opt, 0.9)
    iterate(net, opt, 0, 3)
    other, again = how((net, opt))
    assert again.param_groups[0]["params"][0] is other[0].weight
    iterate(net, opt, 3, 5)
    iterate(other, again, 3, 5)
    assert_close(net.parameters(), other.parameters(), 0)


# ---- tensors that change -------------------------------------------------------------------------


@pytest.mark.parametrize("swap", [False, True])
def test_module_to_another_dtype_and_back(swap: bool) -> None:
    """States stay in the type of the arithmetic; torch's own step fails on the mixture."""
    net, reference = network(), network().double()
    torch.__future__.set_swap_module_params_on_conversion(swap)
    try:
        opts = [flt.AdamW(n.parameters(), lr=0.01) for n in (net, reference)]
        for k, dtype in enumerate((torch.float32, torch.float64, torch.bfloat16, torch.float32)):
            net.to(dtype)
            iterate(net, opts[0], k, k + 1)
            iterate(reference, opts[1], k, k + 1)
            wide = torch.float64 if dtype == torch.float64 else torch.float32
            assert {own["exp_avg"].dtype for own in opts[0].state.values()} == {wide}
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
    assert_close(map(torch.Tensor.double, net.parameters()), reference.parameters(), 0.01)


def test_swapped_tensors() -> None:
    """torch swaps what nobody else holds: parameters always, states where we only look at them."""
    (opt, ours), (reference, theirs) = both("Adam", lr=0.1)
    for o, params in ((opt, ours), (reference, theirs)):
        train(o, params, 0, 2)
        torch.utils.swap_tensors(params[0], torch.nn.Parameter(torch.ones_like(params[0])))
        train(o, params, 2, 4)
        own, fresh = o.state[params[1]], torch.ones_like(params[1].detach())
        try:
            torch.utils.swap_tensors(own["exp_avg"], fresh)
        except RuntimeError:
            own["exp_avg"] = fresh
        train(o, params, 4, 6)
    assert_close(ours, theirs)


def test_data_of_another_shape_is_refused() -> None:
    for module in MODULES:
        params = parameters()
        opt = module.AdamW(params)
        train(opt, params, 0, 1)
        params[0].data = torch.ones(5, 2, dtype=torch.float64)
        with pytest.raises((ValueError, RuntimeError)):
            train(opt, params, 1, 2)


# ---- tensors of other kinds ----------------------------------------------------------------------


class OwnParameter(torch.nn.Parameter):
    pass


class OwnTensor(torch.Tensor):
    pass


def test_subclasses_with_memory_of_their_own() -> None:
    runs = []
    for module in MODULES:
        first, second = parameters(shapes=((3,), (4,)))
        params = [OwnParameter(first.detach()), second.detach().as_subclass(OwnTensor)]
        params[1].requires_grad_()
        opt = module.AdamW(params, lr=0.1)
        for k in range(4):
            set_grads(params, k)
            params[1].grad = params[1].grad.as_subclass(OwnTensor)
            opt.step()
        assert [type(p) for p in params] == [OwnParameter, OwnTensor]
        runs.append([p.detach().as_subclass(torch.Tensor) for p in params])
    assert_close(*runs)


def nested() -> Any:
    parts = [torch.ones(2), torch.ones(3)]
    return torch.nested.nested_tensor(parts, layout=torch.jagged)


def two() -> Any:
    from torch.testing._internal.two_tensor import TwoTensor

    return TwoTensor(torch.ones(3), torch.ones(3))


def fake() -> Any:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch.ones(3)


def test_cuda_parameters_are_told_what_to_do() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        there = torch.nn.Parameter(torch.empty(3, device="cuda"))
    with pytest.raises(ValueError, match=r"is on cuda:0; .*CPUOffloadPolicy"):
        flt.AdamW([there])


FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@pytest.mark.parametrize("grad_dtype", FLOATS, ids=str)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_any_mix_of_parameter_and_gradient(dtype: Any, grad_dtype: Any) -> None:
    ours, theirs = parameters(dtype), [p.double() for p in parameters(dtype)]
    theirs = [p.detach().requires_grad_() for p in theirs]
    opt, reference = flt.AdamW(ours, lr=0.1), torch.optim.AdamW(theirs, lr=0.1)
    for k in range(2):
        set_grads(theirs, k)
        for p, q in zip(ours, theirs, strict=True):
            p.grad_dtype = grad_dtype
            p.grad = q.grad.to(grad_dtype)
            q.grad = p.grad.double()
        opt.step()
        reference.step()
        for p, q in zip(ours, theirs, strict=True):
            assert p.dtype == dtype
            torch.testing.assert_close(p.detach(), q.detach().to(dtype))
            q.data.copy_(p.data)  # what rounding took away is not carried on


@pytest.mark.parametrize("make", [nested, two, fake])
def test_subclasses_without_are_refused(make: Any) -> None:
    with pytest.raises(TypeError, match="no plain memory"):
        flt.SGD([torch.nn.Parameter(make())])


def test_complex_and_tied_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="view_as_real"):
        flt.AdamW([torch.ones(2, dtype=torch.complex64)])
    w = torch.nn.Parameter(torch.ones(2))
    for module in MODULES:
        with pytest.raises(ValueError, match="more than one parameter group"):
            module.SGD([{"params": [w]}, {"params": [w]}])
    # torch steps it twice, and warns that this will be an error.
    with pytest.warns(UserWarning, match="duplicate"), pytest.raises(ValueError, match="overlap"):
        flt.SGD([w, w])


def test_no_parameters_and_no_elements() -> None:
    for module in MODULES:
        with pytest.raises(ValueError, match="empty parameter list"):
            module.AdamW([])
        w, empty = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(0, 3))
        opt = module.AdamW([{"params": []}, {"params": [w, empty]}])
        opt.step()
        for p in (w, empty):
            p.grad = torch.ones_like(p)
        opt.step()
        assert len(opt.state) == 2


def test_negative_views_and_zeros_without_memory() -> None:
    """What a tensor says, not what is in its memory."""
    runs = []
    for module in MODULES:
        plain, negative = parameters(shapes=((3,), (3,)))
        params = [plain, torch.nn.Parameter(torch._neg_view(negative.detach()))]
        opt = module.AdamW(params, lr=0.1)
        train(opt, params, 0, 2)
        own = opt.state[plain]
        own["exp_avg"] = torch._neg_view(-own["exp_avg"])
        train(opt, params, 2, 4)
        for p in params:
            p.grad = torch._efficientzerotensor((3,), dtype=p.dtype)
        opt.step()
        runs.append(params)
    assert_close(*runs)


# ---- torch's defaults ----------------------------------------------------------------------------


@contextmanager
def default(name: str) -> Iterator[None]:
    """As users set them: a dtype, or ``cuda``, which ``meta`` stands for."""
    if name == "meta":
        with torch.device("meta"):
            yield
    else:
        torch.set_default_dtype(getattr(torch, name))
        yield
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("another", ["float64", "meta"])
@pytest.mark.parametrize("options", [{}, {"master_weights": True}], ids=str)
@pytest.mark.parametrize("name", optimizers())
def test_parameters_alone_say_type_and_device(
    name: str, options: dict[str, Any], another: str
) -> None:
    runs = []
    for chosen in ("float32", another):
        params = parameters(torch.bfloat16)
        params.append(torch.nn.Parameter(torch.ones(4, 6)[:, ::2]))
        set_grads(params, 0)
        with default(chosen):
            opt = getattr(flt, name)(params, lr=0.01, **options)
            opt.step(max_norm=1.0)
            opt.load_state_dict(opt.state_dict())
            opt.step()
        states = [v for own in opt.state.values() for v in own.values() if torch.is_tensor(v)]
        runs.append([*params, *states])
    for a, b in zip(*runs, strict=True):
        assert a.dtype == b.dtype
        assert b.device.type == "cpu"
        assert torch.equal(a, b)


@pytest.mark.parametrize("around", ["nothing", "hook", "scheduler"])
def test_warnings_point_at_the_line_that_steps(around: str) -> None:
    param = torch.nn.Parameter(torch.ones(3))
    opt = flt.AdamW([param])
    if around == "hook":
        opt.register_step_pre_hook(lambda *_: None)
    if around == "scheduler":
        torch.optim.lr_scheduler.StepLR(opt, 1)
    param.grad = torch.full((3,), math.nan)
    line = sys._getframe().f_lineno + 2
    with pytest.warns(RuntimeWarning, match="not finite") as told:
        opt.step()
    assert (told[0].filename, told[0].lineno) == (__file__, line)
