"""The benchmarks measure what they say: no time is asserted here."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.bench import compare as comparing
from fallline.bench import fits, gradients, peers, register, show, training
from fallline.bench.check import WrongResultError, check
from fallline.bench.contestants import BOUND, OURS, ours
from fallline.bench.gradients import GradientWork, gradient_works
from fallline.bench.measure import race
from fallline.bench.report import Entry, Report, machine
from fallline.bench.run import run
from fallline.bench.works import Data, Training, Work, works

MODULES = {
    "torch": "torch",
    "scipy": "scipy",
    "optax": "optax",
    "deepspeed": "deepspeed",
    "fallline numba": "numba",
}
TINY = 1500  # more than a tile


def needs(peer: str) -> str:
    return next((MODULES[start] for start in MODULES if peer.startswith(start)), "numpy")


@pytest.mark.parametrize("name", works())
def test_every_work_runs_with_every_peer_and_is_right(name: str) -> None:
    work = works()[name]
    if isinstance(work, Training) or work.tensors:
        pytest.importorskip("torch")
    entry = run(work.shrunk(TINY if isinstance(work, Work) else 16), rounds=2, turn=0.0)
    assert OURS in entry.seconds
    assert (BOUND in entry.seconds) == (isinstance(work, Work) and "native" in fl.backends())
    for peer in work.peers:
        if find_spec(needs(peer)) is None:
            assert "not installed" in entry.skipped[peer]
        elif "torch.optim does not" not in entry.skipped.get(peer, ""):
            assert peer in entry.seconds, entry.skipped
    assert all(len(times) == 2 and min(times) > 0 for times in entry.seconds.values())


@pytest.mark.parametrize("name", gradient_works())
def test_every_gradient_work_runs_with_every_peer_and_is_right(name: str) -> None:
    work = gradient_works()[name].shrunk(100)
    if name == "logistic-csr":
        pytest.importorskip("scipy")
    entry = run(work, rounds=2, turn=0.0)
    assert entry.bytes > 0
    for peer in (OURS, BOUND, *work.peers):
        if find_spec(needs(peer)) is None:
            assert "not installed" in entry.skipped[peer]
        else:
            assert len(entry.seconds[peer]) == 2


@pytest.mark.parametrize("name", gradient_works())
def test_a_wrong_gradient_is_found(name: str) -> None:
    pytest.importorskip("scipy")
    work: GradientWork = gradient_works()[name].shrunk(100)
    problem = work.problem(work)
    ours = gradients.contestant(OURS, problem)
    ours.run(1)
    gradients.check(work, problem, [ours])
    ours.params()[0][-1] += 1
    with pytest.raises(WrongResultError, match=r"fallline is off by .* in "):
        gradients.check(work, problem, [ours])


@pytest.mark.parametrize("name", fits.fit_works())
def test_every_fit_runs_with_every_peer_and_is_right(name: str) -> None:
    work = fits.fit_works()[name].shrunk(100)
    entry = run(work, rounds=2, turn=0.0)
    for peer in (OURS, *work.peers):
        if peer in entry.skipped or OURS in entry.skipped:  # the digits are scikit-learn's
            assert "not installed" in entry.skipped[peer]
        else:
            assert len(entry.seconds[peer]) == 2


@pytest.mark.parametrize("spoil", [np.nan, 1.0])
def test_a_fit_that_comes_to_another_loss_is_found(spoil: float) -> None:
    work = fits.fit_works()["gabor"].shrunk(100)
    f = work.objective(work)
    ours = fits.contestant(OURS, work, f)
    ours.run(1)
    fits.check(work, f, [ours])
    ours.params()[0][0] += spoil
    with pytest.raises(WrongResultError, match="fallline is off in Adam, Gabor"):
        fits.check(work, f, [ours])


def test_there_is_a_work_for_every_optimizer() -> None:
    rules = {work.rule for work in works().values() if isinstance(work, Work)}
    assert rules == set(fl.optimizers())


@pytest.mark.parametrize("spoil", ["skips a step", "wrong gradient", "one element"])
def test_a_wrong_result_is_found(spoil: str) -> None:
    work = Work("w", "a work", (TINY, 7))
    data = Data.of(work)
    contestant = ours(work, data)
    contestant.run(5)
    check(work, data, [contestant])
    if spoil == "skips a step":
        contestant.steps += 1
    elif spoil == "wrong gradient":
        data.grads[1][:] *= -1
    else:
        contestant.params()[0][-1] += 1e-4
    with pytest.raises(WrongResultError, match=r"fallline is off by .* of a work"):
        check(work, data, [contestant])


@pytest.mark.parametrize("spoil", ["another start", "nothing learnt"])
def test_a_wrong_training_is_found(spoil: str) -> None:
    pytest.importorskip("torch")
    work: Any = works()["flt-transformer"].shrunk(16)
    problem = training.problem(work)
    ours, torchs = (training.contestant(name, work, problem) for name in (OURS, "torch fused"))
    training.check(work, problem, [ours, torchs])
    if spoil == "another start":
        torchs.early[0] += 1e-3
    else:
        torchs.first_loss = torchs.loss()
    with pytest.raises(WrongResultError, match=r"parameters differ|torch fused: no lower loss"):
        training.check(work, problem, [ours, torchs])


def test_where_only_the_backward_pass_is_timed_the_step_is_taken() -> None:
    pytest.importorskip("torch")
    iteration, backward = (works()[f"flt-mlp{part}"].shrunk(8) for part in ("", "-backward"))
    one, other = (
        training.contestant(OURS, work, training.problem(work)) for work in (iteration, backward)
    )
    assert one.untimed == 0 < other.untimed
    for a, b in zip(one.early, other.early, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_untimed_seconds_do_not_count() -> None:
    work = Work("w", "a work", (8,))
    one = ours(work, Data.of(work))

    def step() -> None:
        one.untimed += 1e3

    one.step = step
    assert max(race([one], rounds=2, turn=0.0)[OURS]) < 0


def test_resnet50_has_its_sizes() -> None:
    work: Any = works()["flt-resnet50"]
    assert len(work.sizes) == 161
    assert work.elements == 25_557_032  # torchvision's count


def test_turns_are_interleaved() -> None:
    work = Work("w", "a work", (8,))
    order: list[str] = []

    def contestant(name: str) -> Any:
        one = ours(work, Data.of(work))
        return replace(one, name=name, step=lambda: order.append(name))

    race([contestant("a"), contestant("b")], rounds=3, turn=0.0)
    timed = "".join(order)
    assert timed.endswith("aabbaabbaabb")  # a warm-up and a timed step each


def test_a_missing_peer_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda module: None)
    entry = run(works()["adamw-10k"].shrunk(8), rounds=1, turn=0.0)
    assert entry.skipped["torch fused"] == "torch is not installed"
    assert entry.skipped["optax"] == "jax is not installed"
    report = Report(machine(1), [entry])
    assert "torch fused: torch is not installed (adamw-10k)" in show.missing(report)


def test_threads_are_set_for_all_and_restored() -> None:
    before = fl.get_num_threads()
    with peers.thread_count(3):
        assert fl.get_num_threads() == 3
        if find_spec("torch") is not None:
            import torch

            assert torch.get_num_threads() == 3
    assert fl.get_num_threads() == before


# ---- saved reports -----------------------------------------------------------------------------


def entry(work: str = "w", **seconds: float) -> Entry:
    times = {name.replace("_", " "): [s, 1.1 * s, 0.9 * s] for name, s in seconds.items()}
    return Entry(work, f"work {work}", 1e6, times)


def report(*entries: Entry) -> Report:
    return Report(machine(3), list(entries))


def test_json_round_trip(tmp_path: Path) -> None:
    saved = report(run(works()["adamw-10k"].shrunk(8), rounds=3, turn=0.0), entry(fallline=1.0))
    saved.save(tmp_path / "a.json")
    assert Report.load(tmp_path / "a.json") == saved


@pytest.mark.parametrize("text", ["", "{}", '{"format": 99}', '{"format": 1, "entries": [{}]}'])
def test_a_foreign_file_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json is not a file of 'fallline bench --json'"):
        Report.load(tmp_path / "a.json")


def test_ratios_are_taken_round_by_round() -> None:
    drifting = Entry("w", "w", 8e9, {OURS: [1.0, 10.0, 4.0], "torch fused": [2.0, 20.0, 8.0]})
    assert drifting.ratio("torch fused") == drifting.ratio("torch fused", to=OURS)
    assert drifting.ratio("torch fused").low == drifting.ratio("torch fused").high == 2.0
    assert drifting.gigabytes_per_second == 2.0


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        ({"fallline": 1.3, "memory_bound": 0.8, "torch_fused": 1.5}, "slower"),
        ({"fallline": 0.7, "memory_bound": 0.8, "torch_fused": 1.5}, "faster"),
        # The machine is three times as slow, the library is not.
        ({"fallline": 3.0, "memory_bound": 2.4, "torch_fused": 4.5}, "same"),
        ({"fallline": 1.05, "memory_bound": 0.8, "torch_fused": 1.5}, "same"),
        # Nothing to hold it against but the clock.
        ({"fallline": 1.3}, "slower"),
    ],
)
def test_compare(new: dict[str, float], verdict: str) -> None:
    old = entry(fallline=1.0, memory_bound=0.8, torch_fused=1.5)
    (change,) = comparing.compare(report(old), report(entry(**new), entry("other", fallline=1.0)))
    assert change.verdict(0.1) == verdict
    assert change.yardsticks == tuple(name.replace("_", " ") for name in list(new)[1:])


def test_compare_looks_at_every_backend() -> None:
    old = entry(fallline=1.0, fallline_numba=1.0, memory_bound=0.8)
    new = entry(fallline=1.0, fallline_numba=2.0, memory_bound=0.8)
    changes = comparing.compare(report(old), report(new))
    verdicts = {change.subject: change.verdict(0.1) for change in changes}
    assert verdicts == {"fallline": "same", "fallline numba": "slower"}


# ---- on the command line -----------------------------------------------------------------------


def invoke(*arguments: object) -> Any:
    typer = pytest.importorskip("typer")
    testing = pytest.importorskip("typer.testing")
    app = typer.Typer()
    register(app)
    app.command()(lambda: None)  # a second command: with one alone, typer drops its name
    return testing.CliRunner().invoke(app, ["bench", *map(str, arguments)])


def test_list() -> None:
    found = invoke("--list")
    assert found.exit_code == 0
    assert all(name in found.output for name in works())


def test_gradients_are_listed_and_unknown_ones_named() -> None:
    found = invoke("gradients", "--list")
    assert found.exit_code == 0
    assert all(name in found.output for name in {**gradient_works(), **fits.fit_works()})
    assert "'adamw-10k' is not a work" in invoke("gradients", "--only", "adamw-10k").output


def test_bench_saves_and_plots(tmp_path: Path) -> None:
    json, plot = tmp_path / "a.json", tmp_path / "a.png"
    found = invoke("--only", "adamw-10k", "--rounds", 1, "--json", json, "--plot", plot)
    assert found.exit_code == 0, found.output
    assert "AdamW, 10,000" in found.output
    assert [e.work for e in Report.load(json).entries] == ["adamw-10k"]
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_works_are_chosen_by_pattern() -> None:
    pytest.importorskip("typer")
    from fallline.bench import commands

    chosen = commands._chosen(works(), ["adamw-1?k", "flt-*k,adamw-10k"])
    assert [work.name for work in chosen] == ["adamw-10k", "flt-1000x1k", "flt-200x5k"]


def test_an_unknown_work_is_named() -> None:
    found = invoke("--only", "adamw-10k,nothing")
    assert found.exit_code == 2
    assert "'nothing' is not a work" in found.output


@pytest.mark.parametrize(("slow", "code"), [(1.0, 0), (1.3, 1)])
def test_compare_exits_with_1_where_something_is_slower(
    tmp_path: Path, slow: float, code: int
) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    report(entry(fallline=1.0, memory_bound=0.8)).save(old)
    report(entry(fallline=slow, memory_bound=0.8)).save(new)
    found = invoke("compare", old, new)
    assert found.exit_code == code
    assert ("slower" in found.output) == bool(code)
    assert invoke("compare", old, new, "--threshold", 0.5).exit_code == 0


def test_compare_of_nothing_common_is_an_error(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    report(entry("a", fallline=1.0)).save(old)
    report(entry("b", fallline=1.0)).save(new)
    assert invoke("compare", old, new).exit_code == 2
