"""Learning-rate schedules: against torch, and what must hold for any arguments."""

import copy
import dataclasses
import doctest
import importlib
import inspect
import itertools
import json
import math
import pickle
import pkgutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline import schedules
from fallline.schedules import _config

LR = 0.3


def values(schedule, n):
    return [schedule(step) for step in range(n)]


def plain(step):
    """Stand for any function that a user may nest; module level, so that it can be pickled."""
    return 0.25 / (step + 1)


EXAMPLES = [
    schedules.Constant(0.1),
    schedules.StepDecay(0.1, every=3, factor=0.5),
    schedules.MultiStep(0.1, milestones=[2, 5, 9], factor=0.3),
    schedules.Piecewise(boundaries=[1, 7], values=[0.1, 0.5, 0.2]),
    schedules.Exponential(0.1, factor=0.9),
    schedules.Polynomial(0.1, steps=10, power=2.0, end=0.01),
    schedules.InverseSqrt(0.1, warmup=4),
    schedules.Cosine(0.1, steps=10, end=0.001),
    schedules.CosineRestarts(0.1, period=3, multiplier=2, end=0.001),
    schedules.OneCycle(0.1, steps=20),
    schedules.OneCycle(0.1, steps=20, anneal="linear", three_phase=True),
    schedules.WarmupStableDecay(0.1, warmup=3, stable=4, decay=5, end=0.01, shape="sqrt"),
    schedules.LinearWarmup(schedules.Cosine(0.1, steps=10), steps=4, start=0.01),
    schedules.Chained(
        [schedules.LinearWarmup(schedules.Constant(0.1), 3), schedules.Exponential(0.1, 0.5)], [5]
    ),
    schedules.PerEpoch(schedules.StepDecay(0.1, every=2, factor=0.5), steps_per_epoch=4),
    schedules.Scaled(schedules.Cosine(0.1, steps=10), factor=3.0),
]
every_example = pytest.mark.parametrize("schedule", EXAMPLES, ids=lambda s: type(s).__name__)


# -- Against torch --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def torch_lr(torch):
    """Return torch's learning rates: of the group, or of the scheduler's closed form."""

    def rates(make, n, closed_form=False):
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=LR)
        scheduler = make(torch.optim.lr_scheduler, optimizer)
        found = []
        for step in range(n):
            if step:
                optimizer.step()
                scheduler.step()
            closed = scheduler._get_closed_form_lr()[0] if closed_form else None
            found.append(closed if closed_form else optimizer.param_groups[0]["lr"])
        return found

    return rates


def assert_same(schedule, expected, slack=0.0):
    assert values(schedule, len(expected)) == pytest.approx(expected, rel=1e-12, abs=slack)


def test_constant_is_torchs(torch_lr):
    assert_same(schedules.Constant(LR), torch_lr(lambda t, o: t.ConstantLR(o, factor=1.0), 10))


@pytest.mark.parametrize("every", [1, 2, 7])
@pytest.mark.parametrize("factor", [0.1, 0.97, 1.0, 1.1])
def test_step_decay_is_torchs(torch_lr, every, factor):
    expected = torch_lr(lambda t, o: t.StepLR(o, every, gamma=factor), 40)
    assert_same(schedules.StepDecay(LR, every, factor), expected)


@pytest.mark.parametrize("milestones", [[], [1], [2, 3], [5, 10, 30], [100]])
@pytest.mark.parametrize("factor", [0.1, 0.97])
def test_multi_step_is_torchs(torch_lr, milestones, factor):
    expected = torch_lr(lambda t, o: t.MultiStepLR(o, milestones, gamma=factor), 40)
    assert_same(schedules.MultiStep(LR, milestones, factor), expected)


@pytest.mark.parametrize("factor", [0.1, 0.5, 0.99, 1.0, 1.05])
def test_exponential_is_torchs(torch_lr, factor):
    expected = torch_lr(lambda t, o: t.ExponentialLR(o, gamma=factor), 60)
    assert_same(schedules.Exponential(LR, factor), expected)


@pytest.mark.parametrize("steps", [1, 2, 7, 50])
@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 3.5])
def test_polynomial_is_torchs(torch_lr, steps, power):
    expected = torch_lr(lambda t, o: t.PolynomialLR(o, total_iters=steps, power=power), 60)
    assert_same(schedules.Polynomial(LR, steps, power), expected)


@pytest.mark.parametrize("steps", [1, 2, 7, 50, 100])
@pytest.mark.parametrize("end", [0.0, 1e-5, 0.1, 0.5])
def test_cosine_is_torchs(torch_lr, steps, end):
    expected = torch_lr(
        lambda t, o: t.CosineAnnealingLR(o, T_max=steps, eta_min=end), steps + 1, closed_form=True
    )
    assert_same(schedules.Cosine(LR, steps, end), expected)


@pytest.mark.parametrize("period", [1, 2, 7, 30])
@pytest.mark.parametrize("multiplier", [1, 2, 3])
@pytest.mark.parametrize("end", [0.0, 1e-5, 0.1])
def test_cosine_restarts_is_torchs(torch_lr, period, multiplier, end):
    expected = torch_lr(
        lambda t, o: t.CosineAnnealingWarmRestarts(o, period, T_mult=multiplier, eta_min=end), 100
    )
    assert_same(schedules.CosineRestarts(LR, period, multiplier, end), expected)


CYCLES = [
    (steps, warmup, three_phase)
    for steps in (2, 3, 10, 97)
    for warmup in (0.0, 0.1, 0.3, 0.45, 0.5, 0.9, 1.0)
    for three_phase in (False, True)
    # Not where the phases do not fit, nor where torch divides by zero (tested further down).
    if not (three_phase and warmup > 0.5) and warmup * steps != 1.0
]


@pytest.mark.parametrize(("steps", "warmup", "three_phase"), CYCLES)
@pytest.mark.parametrize("divs", [(25.0, 1e4), (4.0, 2.0), (1.0, 0.5)])
@pytest.mark.parametrize("anneal", ["cosine", "linear"])
def test_one_cycle_is_torchs(torch_lr, steps, warmup, divs, anneal, three_phase):
    div, final_div = divs

    def make(t, optimizer):
        return t.OneCycleLR(
            optimizer,
            max_lr=LR,
            total_steps=steps,
            pct_start=warmup,
            div_factor=div,
            final_div_factor=final_div,
            anneal_strategy=anneal[:3] if anneal == "cosine" else anneal,
            three_phase=three_phase,
            cycle_momentum=False,
        )

    schedule = schedules.OneCycle(LR, steps, warmup, div, final_div, anneal, three_phase)
    # torch's linear phase ends at start + (end - start): off by a rounding of start.
    slack = 1e-15 * LR if anneal == "linear" else 0.0
    assert_same(schedule, torch_lr(make, steps), slack)


@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.parametrize("start", [0.001, 1 / 3, 1.0])
def test_linear_warmup_is_torchs(torch_lr, steps, start):
    expected = torch_lr(lambda t, o: t.LinearLR(o, start_factor=start, total_iters=steps), 20)
    assert_same(schedules.LinearWarmup(schedules.Constant(LR), steps, start * LR), expected)


AFTER = {
    "StepLR": (
        lambda t, o: t.StepLR(o, 3, gamma=0.5),
        schedules.StepDecay(LR, 3, 0.5),
    ),
    "ExponentialLR": (
        lambda t, o: t.ExponentialLR(o, gamma=0.9),
        schedules.Exponential(LR, 0.9),
    ),
    "PolynomialLR": (
        lambda t, o: t.PolynomialLR(o, total_iters=12, power=2.0),
        schedules.Polynomial(LR, 12, 2.0),
    ),
    "CosineAnnealingWarmRestarts": (
        lambda t, o: t.CosineAnnealingWarmRestarts(o, 5, T_mult=2),
        schedules.CosineRestarts(LR, 5, 2),
    ),
}


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("steps", [1, 4])
def test_warmup_in_front_is_torchs_sequence(torch_lr, after, steps):
    make, schedule = AFTER[after]

    def sequence(t, o):
        warmup = t.LinearLR(o, start_factor=0.1, total_iters=steps)
        return t.SequentialLR(o, [warmup, make(t, o)], milestones=[steps])

    expected = torch_lr(sequence, 30)
    assert_same(schedules.LinearWarmup(schedule, steps, start=0.1 * LR), expected)


@pytest.mark.parametrize(("first", "second"), [*itertools.permutations(AFTER, 2)])
def test_chained_is_torchs_sequence(torch_lr, first, second):
    (make_a, a), (make_b, b) = AFTER[first], AFTER[second]

    def sequence(t, o):
        parts = [make_a(t, o), make_b(t, o), t.ConstantLR(o, factor=1.0)]
        return t.SequentialLR(o, parts, milestones=[7, 20])

    schedule = schedules.Chained([a, b, schedules.Constant(LR)], milestones=[7, 20])
    assert_same(schedule, torch_lr(sequence, 30))


# Few distinct losses, so that runs without improvement and ties are common.
losses = st.lists(
    st.sampled_from([0.0, 0.5, 0.99995, 1.0, 1.00005, 1.2, 2.0, -1.0, math.nan, math.inf])
    | st.floats(-10, 10),
    max_size=60,
)


@given(
    losses=losses,
    mode=st.sampled_from(["min", "max"]),
    options=st.fixed_dictionaries(
        {
            "factor": st.sampled_from([0.0, 0.1, 0.5, 0.9]),
            "patience": st.integers(0, 4),
            "threshold": st.sampled_from([0.0, 1e-4, 0.1]),
            "threshold_mode": st.sampled_from(["rel", "abs"]),
            "cooldown": st.integers(0, 3),
            "min_lr": st.sampled_from([0.0, 1e-3, 1.0]),
            "eps": st.sampled_from([0.0, 1e-8, 0.1]),
        }
    ),
)
def test_plateau_decides_as_torch_does(torch, losses, mode, options):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=LR)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode=mode, **options)
    ours = schedules.ReduceOnPlateau(LR, mode=mode, **options)
    for loss in losses:
        # With mode "max" the infinity that is no improvement is the negative one.
        loss = -loss if mode == "max" else loss
        theirs.step(loss)
        assert ours.update(loss) == optimizer.param_groups[0]["lr"]
        assert ours.state_dict()["bad_epochs"] == theirs.num_bad_epochs
        assert ours.state_dict()["cooldown_left"] == theirs.cooldown_counter


# -- Closed forms without a twin in torch ---------------------------------------------------------


def test_inverse_sqrt_is_vaswanis_formula():
    width, warmup = 512, 40
    schedule = schedules.InverseSqrt((width * warmup) ** -0.5, warmup)
    expected = [width**-0.5 * min(t**-0.5, t * warmup**-1.5) for t in range(1, 200)]
    assert [schedule(t) for t in range(1, 200)] == pytest.approx(expected, rel=1e-12)
    assert schedule(0) == 0.0


@pytest.mark.parametrize(
    ("shape", "halfway"), [("linear", 0.5), ("cosine", 0.5), ("sqrt", 1 - math.sqrt(0.5))]
)
@pytest.mark.parametrize("end", [0.0, 0.25])
def test_warmup_stable_decay(shape, halfway, end):
    schedule = schedules.WarmupStableDecay(1.0, warmup=4, stable=3, decay=2, end=end, shape=shape)
    expected = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, end + (1 - end) * halfway, end, end]
    assert values(schedule, 11) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("shape", ["linear", "cosine", "sqrt"])
def test_warmup_stable_decay_without_some_phases(shape):
    assert values(schedules.WarmupStableDecay(1.0, 0, 0, 0, 0.5, shape), 3) == [0.5] * 3
    assert values(schedules.WarmupStableDecay(1.0, 0, 2, 0, 0.5, shape), 4) == [1, 1, 0.5, 0.5]
    assert values(schedules.WarmupStableDecay(1.0, 2, 0, 0, 0.5, shape), 4) == [0, 0.5, 0.5, 0.5]
    assert schedules.WarmupStableDecay(1.0, 0, 0, 2, 0.5, shape)(0) == 1.0


def test_piecewise_takes_the_new_value_at_the_boundary():
    schedule = schedules.Piecewise([2, 4], [1.0, 2.0, 3.0])
    assert values(schedule, 6) == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert schedules.Piecewise([], [1.0])(100) == 1.0


@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("anneal", ["cosine", "linear"])
def test_one_cycle_may_begin_at_its_peak(anneal, three_phase):
    schedule = schedules.OneCycle(1.0, 10, 0.1, 4.0, 2.0, anneal, three_phase)
    assert schedule(0) == 1.0
    assert schedule(9) == schedule(10) == 0.125
    for final_div in (3.0, 1e4):
        assert schedules.OneCycle(0.3, 97, final_div=final_div, anneal=anneal)(96) == (
            0.3 / 25.0 / final_div
        )


@pytest.mark.parametrize("warmup", [0.0, 0.3, 1.0])
def test_one_cycle_of_one_step(warmup):
    assert 0.0 < schedules.OneCycle(1.0, 1, warmup)(0) <= 1.0


# -- What holds for any arguments -----------------------------------------------------------------

rates = st.floats(1e-8, 10.0)
ends = st.just(0.0) | rates
counts = st.integers(1, 200)
wholes = st.integers(0, 200)
finite_schedules = st.one_of(
    st.builds(schedules.Polynomial, rates, counts, st.floats(0.1, 4.0), ends),
    st.builds(schedules.Cosine, rates, counts, ends),
    st.builds(
        schedules.WarmupStableDecay,
        rates,
        st.just(0),
        wholes,
        counts,
        ends,
        st.sampled_from(["linear", "cosine", "sqrt"]),
    ),
)


def length(schedule):
    return getattr(schedule, "steps", None) or schedule.stable + schedule.decay


def is_monotone(sequence, falling):
    """Say whether a sequence goes one way, to within a few units in the last place."""
    pairs = itertools.pairwise(sequence if falling else sequence[::-1])
    return all(b <= a * (1 + 1e-14) for a, b in pairs)


@given(finite_schedules)
def test_finite_schedules_go_from_lr_to_end_and_stay(schedule):
    n = length(schedule)
    found = values(schedule, n + 3)
    assert found[0] == schedule.lr
    assert found[n:] == [schedule.end] * 3
    assert schedule(10**12) == schedule.end
    assert is_monotone(found, falling=schedule.end <= schedule.lr)
    low, high = sorted([schedule.lr, schedule.end])
    assert all(low * (1 - 1e-14) <= value <= high * (1 + 1e-14) for value in found)


@given(
    lr=rates,
    steps=counts,
    warmup=st.floats(0.0, 0.5),
    div=st.floats(1.0, 100.0),
    final_div=st.floats(1.0, 1e5),
    anneal=st.sampled_from(["cosine", "linear"]),
    three_phase=st.booleans(),
)
def test_one_cycle_rises_then_falls(lr, steps, warmup, div, final_div, anneal, three_phase):
    schedule = schedules.OneCycle(lr, steps, warmup, div, final_div, anneal, three_phase)
    found = values(schedule, steps)
    top = found.index(max(found))
    assert is_monotone(found[: top + 1], falling=False)
    assert is_monotone(found[top:], falling=True)
    assert max(found) <= lr * (1 + 1e-14)
    assert found[-1] == pytest.approx(lr / div / final_div, rel=1e-9) or steps * warmup >= steps - 1
    assert schedule(steps) == schedule(10**12) == found[-1]


@given(lr=rates, end=ends, period=st.integers(1, 50), multiplier=st.integers(1, 4))
def test_each_cycle_of_the_restarts_is_a_cosine(lr, end, period, multiplier):
    schedule = schedules.CosineRestarts(lr, period, multiplier, end)
    begin = 0
    for cycle in range(3):
        span = period * multiplier**cycle
        single = schedules.Cosine(lr, span, end)
        assert [schedule(begin + t) for t in range(span)] == values(single, span)
        begin += span
    assert schedule(begin) == lr


def test_restarts_are_exact_far_out():
    schedule = schedules.CosineRestarts(1.0, period=10, multiplier=3)
    restart = 10 * (3**30 - 1) // 2
    assert schedule(restart - 1) < 1e-9
    assert schedule(restart) == 1.0


@given(finite_schedules, counts, ends)
def test_warmup_is_linear_and_meets_the_inner_schedule(inner, steps, start):
    schedule = schedules.LinearWarmup(inner, steps, start)
    found = values(schedule, steps)
    slope = (inner(0) - start) / steps
    assert schedule(0) == start
    assert found == pytest.approx([start + slope * t for t in range(steps)], rel=1e-9)
    assert schedule(steps) == inner(0)
    assert [schedule(steps + t) for t in range(5)] == values(inner, 5)


@given(lr=rates, warmup=counts)
def test_inverse_sqrt_peaks_at_the_end_of_warmup(lr, warmup):
    schedule = schedules.InverseSqrt(lr, warmup)
    found = values(schedule, 3 * warmup)
    assert found[warmup] == lr == max(found)
    assert is_monotone(found[: warmup + 1], falling=False)
    assert is_monotone(found[warmup:], falling=True)


@given(finite_schedules, st.lists(counts, min_size=1, max_size=4, unique=True).map(sorted))
def test_chained_parts_start_at_their_own_step_0(part, milestones):
    schedule = schedules.Chained([part] * (len(milestones) + 1), milestones)
    for begin, end in itertools.pairwise([0, *milestones, milestones[-1] + 10]):
        assert [schedule(t) for t in range(begin, end)] == values(part, end - begin)


@given(finite_schedules, st.integers(1, 7), st.floats(0.0, 10.0))
def test_per_epoch_and_scaled(inner, steps_per_epoch, factor):
    per_epoch = schedules.PerEpoch(inner, steps_per_epoch)
    scaled = schedules.Scaled(inner, factor)
    for step in range(30):
        assert per_epoch(step) == inner(step // steps_per_epoch)
        assert scaled(step) == factor * inner(step)


def test_warmup_of_no_steps_is_the_inner_schedule():
    assert values(schedules.LinearWarmup(plain, 0, start=7.0), 5) == values(plain, 5)


def test_plain_callables_nest():
    assert values(schedules.LinearWarmup(plain, 2), 4) == [0.0, 0.125, 0.25, 0.125]
    assert values(schedules.Chained([plain, lambda step: 0.5], [2]), 3) == [0.25, 0.125, 0.5]
    assert schedules.PerEpoch(plain, 10)(19) == 0.125
    assert schedules.Scaled(plain, 4.0)(0) == 1.0


# -- Values: equal, hashed, copied, pickled, shown -------------------------------------------------


@every_example
def test_schedules_are_values(schedule):
    assert isinstance(schedule, schedules.Schedule)
    assert not hasattr(schedule, "__dict__")
    rebuilt = eval(repr(schedule), vars(schedules))
    pickled = pickle.loads(pickle.dumps(schedule))
    for twin in (rebuilt, pickled, copy.copy(schedule), copy.deepcopy(schedule)):
        assert twin == schedule
        assert hash(twin) == hash(schedule)
        assert values(twin, 25) == values(schedule, 25)
    name = dataclasses.fields(schedule)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(schedule, name, 1.0)


def test_schedules_differ():
    assert len({*EXAMPLES}) == len(EXAMPLES)
    assert schedules.Constant(0.1) != schedules.Constant(0.2)


def test_nested_plain_callables_pickle():
    schedule = schedules.LinearWarmup(plain, 2)
    assert pickle.loads(pickle.dumps(schedule)) == schedule


def test_arguments_become_python_numbers():
    schedule = schedules.MultiStep(np.float32(0.5), np.array([2, 4]), 1)
    assert schedule == schedules.MultiStep(0.5, (2, 4), 1.0)
    assert [type(value) for value in (schedule.lr, schedule.factor)] == [float, float]
    assert [type(value) for value in schedule.milestones] == [int, int]


# -- Bad input ------------------------------------------------------------------------------------


class Index:
    def __index__(self):
        return 3


@every_example
def test_steps(schedule):
    for step in (np.int64(3), np.uint8(3), np.array(3), Index()):
        assert schedule(step) == schedule(3)
    for bad in (1.0, np.float64(1), "1", None):
        with pytest.raises(TypeError, match=r"step must be an integer >= 0"):
            schedule(bad)
    for bad in (-1, np.int64(-5)):
        with pytest.raises(ValueError, match=r"step must be an integer >= 0, got"):
            schedule(bad)


RANGES = {  # for each kind of argument: what is refused as a value, and what as a type
    "rate": ([-0.1, math.nan, math.inf, -math.inf, 10**400], ["0.1", None, True, 1j, [0.1]]),
    "positive": ([0.0, -1.0, math.nan, math.inf], ["1", None, True]),
    "fraction": ([-0.1, 1.1, math.nan], ["0.3", None, False]),
    "shrink": ([-0.1, 1.0, math.nan], ["0.3", None]),
    "whole": ([-1], [1.0, "1", None, True]),
    "count": ([0, -1], [1.0, "1", None, True]),
    "milestones": ([[0], [-1, 2], [2, 2], [3, 1]], [5, None, [1.0], "12"]),
    "rates": ([[0.1, -0.1], [math.nan, 0.1], [0.1], [0.1] * 3], [0.1, None, "ab"]),
    "nested": ([], [0.1, None, "Cosine", schedules.Cosine]),
    "nested_many": ([[], [plain], [plain] * 3], [plain, [plain, 0.1], [plain, schedules.Cosine]]),
    "option": (["cubic", "COSINE", None, 1], []),
    "flag": ([], [0, 1, "yes", None]),
}
ARGUMENTS = {  # valid arguments of every class, and the kind of each
    "Constant": {"lr": (0.1, "rate")},
    "StepDecay": {"lr": (0.1, "rate"), "every": (3, "count"), "factor": (0.5, "rate")},
    "MultiStep": {"lr": (0.1, "rate"), "milestones": ([3], "milestones"), "factor": (0.5, "rate")},
    "Piecewise": {"boundaries": ([3], "milestones"), "values": ([0.1, 0.2], "rates")},
    "Exponential": {"lr": (0.1, "rate"), "factor": (0.5, "rate")},
    "Polynomial": {
        "lr": (0.1, "rate"),
        "steps": (9, "count"),
        "power": (2.0, "positive"),
        "end": (0.0, "rate"),
    },
    "InverseSqrt": {"lr": (0.1, "rate"), "warmup": (3, "count")},
    "Cosine": {"lr": (0.1, "rate"), "steps": (9, "count"), "end": (0.0, "rate")},
    "CosineRestarts": {
        "lr": (0.1, "rate"),
        "period": (9, "count"),
        "multiplier": (2, "count"),
        "end": (0.0, "rate"),
    },
    "OneCycle": {
        "lr": (0.1, "rate"),
        "steps": (9, "count"),
        "warmup": (0.3, "fraction"),
        "div": (25.0, "positive"),
        "final_div": (1e4, "positive"),
        "anneal": ("linear", "option"),
        "three_phase": (True, "flag"),
    },
    "WarmupStableDecay": {
        "lr": (0.1, "rate"),
        "warmup": (1, "whole"),
        "stable": (1, "whole"),
        "decay": (1, "whole"),
        "end": (0.0, "rate"),
        "shape": ("sqrt", "option"),
    },
    "LinearWarmup": {"schedule": (plain, "nested"), "steps": (3, "whole"), "start": (0.0, "rate")},
    "Chained": {"schedules": ([plain, plain], "nested_many"), "milestones": ([3], "milestones")},
    "PerEpoch": {"schedule": (plain, "nested"), "steps_per_epoch": (3, "count")},
    "Scaled": {"schedule": (plain, "nested"), "factor": (2.0, "rate")},
    "ReduceOnPlateau": {
        "lr": (0.1, "rate"),
        "factor": (0.5, "shrink"),
        "patience": (2, "whole"),
        "threshold": (0.1, "rate"),
        "threshold_mode": ("abs", "option"),
        "mode": ("max", "option"),
        "cooldown": (2, "whole"),
        "min_lr": (0.0, "rate"),
        "eps": (0.0, "rate"),
    },
}


def bad_arguments():
    for kind, arguments in ARGUMENTS.items():
        for name, (_, range_name) in arguments.items():
            for error, refused in zip((ValueError, TypeError), RANGES[range_name], strict=True):
                for value in refused:
                    yield pytest.param(kind, name, value, error, id=f"{kind}-{name}-{value!r:.20}")


def test_the_table_of_arguments_is_complete():
    assert ARGUMENTS.keys() == _config.KINDS.keys()
    for name, arguments in ARGUMENTS.items():
        kind = getattr(schedules, name)
        assert list(inspect.signature(kind).parameters) == list(arguments)
        kind(**{key: value for key, (value, _) in arguments.items()})


@pytest.mark.parametrize(("kind", "name", "value", "error"), [*bad_arguments()])
def test_bad_arguments_are_named(kind, name, value, error):
    arguments = {key: good for key, (good, _) in ARGUMENTS[kind].items()}
    with pytest.raises(error, match=rf"^{kind}\.{name} must (be|have) .*, got "):
        getattr(schedules, kind)(**arguments | {name: value})


def test_three_phases_must_fit():
    schedules.OneCycle(0.1, 10, warmup=0.5, three_phase=True)
    with pytest.raises(ValueError, match=r"OneCycle\.warmup must be at most 0\.5 .* got 0\.6"):
        schedules.OneCycle(0.1, 10, warmup=0.6, three_phase=True)


def test_overflow_is_not_silent():
    with pytest.raises(OverflowError):
        schedules.Exponential(0.1, factor=2.0)(10**6)
    assert schedules.Exponential(0.1, factor=0.5)(10**6) == 0.0


# -- ReduceOnPlateau ------------------------------------------------------------------------------


def test_plateau_returns_the_current_rate_whatever_the_step():
    plateau = schedules.ReduceOnPlateau(1.0, factor=0.5, patience=0)
    assert plateau(0) == plateau(1000) == 1.0
    assert [plateau.update(1.0), plateau.update(1.0)] == [1.0, 0.5]
    assert plateau(0) == plateau(1000) == 0.5


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_losses_that_are_not_finite_are_bad(mode, bad):
    plateau = schedules.ReduceOnPlateau(1.0, factor=0.5, patience=1, mode=mode)
    assert [plateau.update(bad) for _ in range(3)] == [1.0, 0.5, 0.5]
    assert plateau.state_dict()["best"] is None
    plateau.update(3.0)
    assert plateau.state_dict() == {"lr": 0.5, "best": 3.0, "bad_epochs": 0, "cooldown_left": 0}
    plateau.update(bad)
    assert plateau.state_dict() == {"lr": 0.5, "best": 3.0, "bad_epochs": 1, "cooldown_left": 0}


def test_reductions_stop_at_min_lr_and_below_eps():
    lowest = schedules.ReduceOnPlateau(1.0, factor=0.5, patience=0, min_lr=0.2)
    assert [lowest.update(1.0) for _ in range(5)] == [1.0, 0.5, 0.25, 0.2, 0.2]
    coarse = schedules.ReduceOnPlateau(1.0, factor=0.5, patience=0, eps=0.25)
    assert [coarse.update(1.0) for _ in range(4)] == [1.0, 0.5, 0.5, 0.5]


def test_plateau_takes_what_is_a_number():
    plateau = schedules.ReduceOnPlateau(1.0)
    plateau.update(np.float32(0.5))
    plateau.update(1)
    assert type(plateau.state_dict()["best"]) is float
    for bad in ("0.5", None, True):
        with pytest.raises(TypeError, match="loss must be a number, got"):
            plateau.update(bad)


def used_plateau():
    plateau = schedules.ReduceOnPlateau(1.0, factor=0.5, patience=1, cooldown=2)
    for loss in (1.0, 2.0, 2.0, 2.0):
        plateau.update(loss)
    return plateau


@pytest.mark.parametrize(
    "twin",
    [
        lambda plateau: pickle.loads(pickle.dumps(plateau)),
        copy.deepcopy,
        lambda plateau: schedules.from_config(json.loads(json.dumps(schedules.to_config(plateau)))),
    ],
    ids=["pickle", "deepcopy", "config"],
)
def test_plateau_goes_on_where_it_was(twin):
    plateau = used_plateau()
    other = twin(plateau)
    assert other is not plateau
    assert other.state_dict() == plateau.state_dict()
    for loss in (2.0, 2.0, 2.0, 0.5, 2.0, 2.0):
        assert other.update(loss) == plateau.update(loss)


def test_plateau_loads_a_state():
    plateau = schedules.ReduceOnPlateau(1.0, factor=0.5, patience=1, cooldown=2)
    state = used_plateau().state_dict()
    plateau.load_state_dict(state)
    plateau.update(2.0)
    assert state == used_plateau().state_dict(), "the dict is not shared"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"lr": -1.0}, ValueError),
        ({"lr": "1"}, TypeError),
        ({"best": math.inf}, ValueError),
        ({"best": "1"}, TypeError),
        ({"bad_epochs": -1}, ValueError),
        ({"cooldown_left": 1.5}, TypeError),
        ({"more": 1}, ValueError),
    ],
)
def test_a_bad_state_changes_nothing(change, error):
    plateau = used_plateau()
    before = plateau.state_dict()
    with pytest.raises(error, match=next(iter(change))):
        plateau.load_state_dict(before | {"lr": 0.125} | change)
    with pytest.raises(ValueError, match="state must have the keys"):
        plateau.load_state_dict({"lr": 0.125})
    with pytest.raises(TypeError, match="state must be a mapping"):
        plateau.load_state_dict([0.125])
    assert plateau.state_dict() == before


def test_plateaus_nest_and_are_equal_only_to_themselves():
    plateau = schedules.ReduceOnPlateau(1.0, factor=0.5, patience=0)
    assert plateau != schedules.ReduceOnPlateau(1.0, factor=0.5, patience=0)
    warm = schedules.LinearWarmup(plateau, 2)
    assert warm == schedules.LinearWarmup(plateau, 2)
    plateau.update(math.nan)
    assert values(warm, 4) == [0.0, 0.25, 0.5, 0.5]


# -- Config ---------------------------------------------------------------------------------------


@every_example
def test_config_round_trip(schedule):
    config = schedules.to_config(schedule)
    text = json.dumps(config, allow_nan=False)
    assert json.loads(text) == config
    assert schedules.from_config(json.loads(text)) == schedule


@given(finite_schedules, wholes, ends)
def test_config_keeps_every_bit(inner, steps, start):
    schedule = schedules.LinearWarmup(inner, steps, start)
    assert schedules.from_config(json.loads(json.dumps(schedules.to_config(schedule)))) == schedule


def test_config_layout():
    schedule = schedules.Chained([schedules.Constant(0.5), schedules.Exponential(0.5, 0.9)], [3])
    assert schedules.to_config(schedule) == {
        "type": "Chained",
        "schedules": [
            {"type": "Constant", "lr": 0.5},
            {"type": "Exponential", "lr": 0.5, "factor": 0.9},
        ],
        "milestones": [3],
    }


def test_config_of_a_nested_plateau_has_its_state():
    config = schedules.to_config(schedules.LinearWarmup(used_plateau(), 3))
    assert config["schedule"]["state"] == used_plateau().state_dict()
    assert schedules.to_config(schedules.from_config(config)) == config
    del config["schedule"]["state"]
    assert schedules.from_config(config)(1000) == 1.0


class Custom(schedules.Schedule):
    def _at(self, step):
        return 0.1


@pytest.mark.parametrize(
    "schedule", [plain, Custom(), schedules.LinearWarmup(plain, 2), schedules.Chained([plain], [])]
)
def test_plain_callables_cannot_be_serialised(schedule):
    with pytest.raises(TypeError, match=r"only the schedules of fallline.* plain callable"):
        schedules.to_config(schedule)


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ([], TypeError, "config must be a mapping"),
        ({}, ValueError, "config type must be one of .*, got None"),
        ({"type": "Cosinus"}, ValueError, "config type must be one of .*, got 'Cosinus'"),
        ({"type": "Schedule"}, ValueError, "config type must be one of"),
        ({"type": ["Cosine"]}, ValueError, "config type must be one of"),
        ({"type": "Cosine", "lr": 0.1}, ValueError, "Cosine: .*missing.*'steps'"),
        ({"type": "Constant", "lr": 0.1, "to": 1}, ValueError, "Constant: .*unexpected.*'to'"),
        ({"type": "Constant", "lr": 0.1, "state": {}}, ValueError, "Constant: .*'state'"),
        ({"type": "Constant", "lr": 0.1, 3: 1}, ValueError, "config of Constant"),
        ({"type": "Constant", "lr": -0.1}, ValueError, "Constant.lr must be"),
        ({"type": "LinearWarmup", "schedule": 0.1, "steps": 2}, TypeError, "LinearWarmup.schedule"),
        ({"type": "PerEpoch", "schedule": {}, "steps_per_epoch": 2}, ValueError, "config type"),
        ({"type": "ReduceOnPlateau", "lr": 0.1, "state": {}}, ValueError, "state must have"),
    ],
)
def test_bad_configs(config, error, message):
    with pytest.raises(error, match=message):
        schedules.from_config(config)


# -- Documentation --------------------------------------------------------------------------------

MODULES = ["fallline.schedules"] + [
    f"fallline.schedules.{module.name}" for module in pkgutil.iter_modules(schedules.__path__)
]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_run(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_public_names():
    assert set(schedules.__all__) == {*_config.KINDS, "Schedule", "from_config", "to_config"}
    for name in schedules.__all__:
        text = getattr(schedules, name).__doc__
        assert "Examples\n" in text, name
        assert name in ("Schedule", "from_config", "to_config") or ".. math::" in text, name
