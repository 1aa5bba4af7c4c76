"""State dicts and files: exact resumption, and errors that change nothing."""

from __future__ import annotations

import copy
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from cases import CASES, Case

pytest.importorskip("safetensors")

SHAPES = ((3, 4), (5,), ())


def start() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal(s).astype(np.float32) for s in SHAPES]


def gradients(steps: int) -> list[list[Any]]:
    rng = np.random.default_rng(2)
    grads: list[list[Any]] = [
        [rng.standard_normal(s).astype(np.float32) for s in SHAPES] for _ in range(steps)
    ]
    grads[1][1] = None  # tensors may be at different steps
    return grads


def train(opt: fl.Optimizer, grads: list[list[Any]]) -> None:
    for g in grads:
        opt.step(g)


@pytest.mark.parametrize("backend", fl.backends())
@pytest.mark.parametrize("case", CASES, ids=str)
def test_resumption_is_exact(case: Case, backend: str, tmp_path: Path) -> None:
    grads = gradients(8)
    whole = start()
    train(case.make(whole), grads)

    halves = start()
    first = case.make(halves)
    train(first, grads[:4])
    fl.save(tmp_path / "opt.safetensors", first)
    resumed = case.make(halves, backend=backend)
    fl.load(tmp_path / "opt.safetensors", resumed)
    train(resumed, grads[4:])
    for a, b in zip(halves, whole, strict=True):
        np.testing.assert_array_equal(a, b)

    again = start()
    first = case.make(again)
    train(first, grads[:4])
    saved = copy.deepcopy(first.state_dict())
    resumed = case.make(again, backend=backend)
    resumed.load_state_dict(saved)
    train(resumed, grads[4:])
    for a, b in zip(again, whole, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_step_alike_and_apart(clone: Any) -> None:
    x = np.ones(4)
    opt = fl.Adam(x, lr=0.1)
    opt.step(np.ones(4))
    other = clone(opt)
    other.step(np.ones(4))
    assert x[0] == pytest.approx(0.9)
    opt.step(np.ones(4))
    np.testing.assert_array_equal(other.param_groups[0]["params"][0], x)


def test_state_dict_is_a_copy_and_state_is_live() -> None:
    opt = fl.Adam(np.ones(2))
    opt.step(np.ones(2))
    saved = opt.state_dict()
    before = saved["state"][0]["exp_avg"].copy()
    live = opt.state[0]["exp_avg"]
    opt.step(np.ones(2))
    np.testing.assert_array_equal(saved["state"][0]["exp_avg"], before)
    assert (live != before).all()


def test_structure_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    p = torch.ones(3, requires_grad=True)
    p.grad = torch.ones(3)
    theirs = torch.optim.Adam([p], amsgrad=True)
    theirs.step()
    opt = fl.Adam([np.ones(3, np.float32)], amsgrad=True)
    opt.step([np.ones(3, np.float32)])
    expected, got = theirs.state_dict(), opt.state_dict()
    assert set(expected) <= set(got)
    assert set(expected["state"][0]) == set(got["state"][0])
    assert got["param_groups"][0]["params"] == expected["param_groups"][0]["params"]
    numpy_state = {
        k: {n: v.numpy() for n, v in own.items()} for k, own in expected["state"].items()
    }
    opt.load_state_dict({"state": numpy_state, "param_groups": expected["param_groups"]})
    assert opt.state[0]["step"] == 1


@pytest.mark.parametrize("name", ["NAdam", "RAdam"])
def test_options_that_torch_names_otherwise(name: str) -> None:
    torch = pytest.importorskip("torch")
    p = torch.ones(3, requires_grad=True)
    theirs = getattr(torch.optim, name)([p], decoupled_weight_decay=True, weight_decay=0.1)
    opt = fl.optimizers()[name]([np.ones(3, np.float32)])
    opt.load_state_dict(theirs.state_dict())
    assert opt.param_groups[0]["decoupled"] is True
    assert opt.param_groups[0]["weight_decay"] == 0.1


def test_schedules_are_saved(tmp_path: Path) -> None:
    schedule = fl.schedules.LinearWarmup(fl.schedules.Cosine(0.1, 10), 3)
    x = np.ones(2)
    opt = fl.SGD(x, lr=schedule)
    opt.step(x.copy())
    fl.save(tmp_path / "s", opt)
    again = fl.SGD(x, lr=0.5)
    fl.load(tmp_path / "s", again)
    assert again.param_groups[0]["lr"] == schedule
    assert again.state_dict()["fallline"]["steps"] == 1

    opt = fl.SGD(x, lr=lambda step: 0.1)
    fl.save(tmp_path / "c", opt)
    with pytest.raises(ValueError, match="callable"):
        fl.load(tmp_path / "c", fl.SGD(x, lr=0.1))
    fl.load(tmp_path / "c", opt)


def unchanged(opt: fl.Optimizer, before: dict[str, Any]) -> None:
    after = opt.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert after["fallline"] == before["fallline"]
    for index, own in before["state"].items():
        for key, value in own.items():
            np.testing.assert_array_equal(after["state"][index][key], value)


def stepped(params: Any = None, **options: Any) -> fl.Optimizer:
    params = [np.ones(3, np.float32), np.ones(2, np.float32)] if params is None else params
    opt = fl.Adam(params, **options)
    opt.step([np.ones_like(p) for p in params])
    return opt


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        (lambda: fl.SGD([np.ones(3, np.float32), np.ones(2, np.float32)]), ValueError, "SGD"),
        (lambda: stepped([np.ones(3, np.float32)]), ValueError, "1 parameters"),
        (
            lambda: stepped([np.ones(3, np.float32), np.ones(4, np.float32)]),
            ValueError,
            r"exp_avg of params\[1\] has shape \(4,\)",
        ),
        (lambda: stepped([np.ones(3), np.ones(2)]), TypeError, "dtype float64"),
        (
            lambda: fl.Adam(
                [{"params": np.ones(3, np.float32)}, {"params": np.ones(2, np.float32)}]
            ),
            ValueError,
            "2 parameter groups",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    other: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    opt = stepped()
    before = opt.state_dict()
    fl.save(tmp_path / "other", other())
    with pytest.raises(error, match=message):
        fl.load(tmp_path / "other", opt)
    unchanged(opt, before)


def test_bad_state_dicts_change_nothing() -> None:
    opt = stepped()
    before = opt.state_dict()
    for spoil, error in [
        (lambda d: d.pop("state"), TypeError),
        (lambda d: d["state"][1].pop("exp_avg_sq"), ValueError),
        (lambda d: d["state"][1].update(step=-1), ValueError),
        (lambda d: d["param_groups"][0].update(lr=float("nan")), ValueError),
        (lambda d: d["param_groups"][0].update(betas=(0.9, 1.5)), ValueError),
        (lambda d: d["fallline"].update(version=99), ValueError),
    ]:
        bad = copy.deepcopy(before)
        spoil(bad)
        with pytest.raises(error):
            opt.load_state_dict(bad)
        unchanged(opt, before)


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    opt = stepped()
    before = opt.state_dict()
    path = tmp_path / "opt.safetensors"
    fl.save(path, opt)
    whole = path.read_bytes()
    header_size = struct.unpack("<Q", whole[:8])[0]
    header = json.loads(whole[8 : 8 + header_size])
    header["__metadata__"]["fallline"] = "{}"
    foreign = json.dumps(header).encode()
    damaged = [
        b"",
        b"not a file of ours",
        whole[: len(whole) // 2],
        whole[:-1],
        bytes([255]) * 8 + whole[8:],
        struct.pack("<Q", len(foreign)) + foreign + whole[8 + header_size :],
    ]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"opt\.safetensors"):
            fl.load(path, opt)
        unchanged(opt, before)
    with pytest.raises(FileNotFoundError, match="no file"):
        fl.load(tmp_path / "missing", opt)


def test_a_failing_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "opt.safetensors"
    opt = stepped()
    fl.save(path, opt)
    whole = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        fl.save(path, opt)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]
