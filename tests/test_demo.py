"""What the demo computes, the data it learns from, and the plot it saves."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import fallline as fl
from fallline import demo
from fallline._memory import available_memory
from fallline.threads import _cgroup_quota

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

# ---- data and network --------------------------------------------------------------------------


def test_digits() -> None:
    X, y = fl.datasets.digits()
    assert X.shape == (1797, 64)
    assert (X.dtype, y.dtype) == (np.float32, np.int64)
    assert (X.min(), X.max()) == (0, 1)
    assert np.bincount(y).min() > 170  # ten digits, about as many of each


def test_digits_are_split_without_overlap() -> None:
    data = demo.Data.digits(seed=3)
    X, y = fl.datasets.digits()
    both = np.concatenate([data.X, data.X_test])
    assert len(data.y_test) == 359
    assert sorted(map(bytes, both)) == sorted(map(bytes, X))
    assert np.bincount(data.y).sum() + np.bincount(data.y_test).sum() == len(y)
    assert not (demo.Data.digits(seed=4).y_test == data.y_test).all()


def test_gradient_is_that_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    params = {k: v.astype(np.float64) for k, v in demo.initial(rng).items()}
    X, y = rng.random((5, 64)), rng.integers(0, 10, 5)
    for name, slope in demo.gradient(params, X, y).items():
        direction = rng.standard_normal(params[name].shape)
        sides = [
            demo.loss({**params, name: params[name] + h * direction}, X, y) for h in (1e-6, -1e-6)
        ]
        assert (sides[0] - sides[1]) / 2e-6 == pytest.approx((slope * direction).sum(), rel=1e-6)


@pytest.mark.parametrize("recipe", demo.RECIPES, ids=lambda recipe: recipe.label)
def test_every_recipe_learns(recipe: demo.Recipe) -> None:
    told: list[None] = []
    fit = demo.fit(recipe, demo.Data.digits(0), 12, 0, lambda: told.append(None))
    assert len(fit.losses) == 13
    assert len(told) == 12
    assert fit.losses[0] > 2
    assert fit.losses[-1] < 0.15
    assert fit.accuracy > 0.93
    assert fit.seconds > 0


def test_a_seed_fixes_everything() -> None:
    runs = [demo.fit(demo.RECIPES[0], demo.Data.digits(1), 2, 1).losses for _ in range(2)]
    assert runs[0] == runs[1]
    assert demo.fit(demo.RECIPES[0], demo.Data.digits(1), 2, 2).losses != runs[0]


# ---- the large update --------------------------------------------------------------------------


def test_large_update_agrees_everywhere() -> None:
    large = demo.LargeUpdate(10_001, seed=0)
    places = demo.places()
    assert {backend for backend, _ in places} == set(fl.backends())
    assert [isa for backend, isa in places if backend == "native"] == list(fl.isas())
    for place in places:
        update = large.run(*place)
        assert (update.backend, update.isa) == place
        assert update.different == 0
        assert update.gigabytes_per_second == pytest.approx(28 * 10_001 / update.seconds / 1e9)


def test_large_update_takes_adamw_steps() -> None:
    large = demo.LargeUpdate(1000, seed=5)
    large.run("numpy", None)
    rng = np.random.default_rng
    x = rng(5).random(1000, np.float32)
    gradients = rng(5).standard_normal(1000 + demo.SHIFT * demo.STEPS, np.float32)
    opt = fl.AdamW(x)
    for k in range(demo.STEPS):
        opt.step(gradients[demo.SHIFT * k : demo.SHIFT * k + 1000].copy())
    np.testing.assert_array_equal(large._params, x)


def test_large_update_counts_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    large = demo.LargeUpdate(100, seed=0)
    large.run("numpy", None)
    assert large._expected is not None
    large._expected[:3] = np.nextafter(large._expected[:3], np.float32(9))
    assert large.run("numpy", None).different == 3


# ---- memory and CPUs that a container leaves ---------------------------------------------------


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal:  9000 kB\nMemAvailable:  8000 kB\nHugePages_Total: 0\n"}
STAT = "anon 7\ninactive_file 1000\ntotal_inactive_file 2000\n"


def test_memory_of_the_machine(tmp_path: Path) -> None:
    assert available_memory(tmp_path) is None
    assert available_memory(tree(tmp_path, MEMINFO)) == 8000 * 1024


def test_memory_left_by_a_cgroup_of_version_2(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            **MEMINFO,
            "proc/self/cgroup": "0::/slice/unit\n",
            "sys/fs/cgroup/slice/unit/memory.max": "max\n",
            "sys/fs/cgroup/slice/unit/memory.current": "1\n",
            "sys/fs/cgroup/slice/memory.max": "500000\n",
            "sys/fs/cgroup/slice/memory.current": "300000\n",
            "sys/fs/cgroup/slice/memory.stat": STAT,
        },
    )
    assert available_memory(root) == 500_000 - 300_000 + 1000


def test_memory_left_by_a_cgroup_of_version_1(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            **MEMINFO,
            "proc/self/cgroup": "5:cpu,cpuacct:/b\n4:memory:/box\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "600000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "100000\n",
            "sys/fs/cgroup/memory/memory.stat": STAT,
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": f"{1 << 62}\n",
            "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "100000\n",
            "sys/fs/cgroup/memory/box/memory.stat": STAT,
        },
    )
    assert available_memory(root) == 600_000 - 100_000 + 2000


def test_cpus_left_by_a_cgroup(tmp_path: Path) -> None:
    assert _cgroup_quota(tmp_path) is None
    two = {
        "proc/self/cgroup": "0::/slice/unit\n",
        "sys/fs/cgroup/slice/unit/cpu.max": "max 100000\n",
        "sys/fs/cgroup/slice/cpu.max": "250000 100000\n",
    }
    assert _cgroup_quota(tree(tmp_path / "v2", two)) == 2.5
    one = {
        "proc/self/cgroup": "5:cpu,cpuacct:/box\n4:memory:/\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "150000\n",
        "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000\n",
    }
    assert _cgroup_quota(tree(tmp_path / "v1", one)) == 1.5


def test_affordable(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, expected in ((None, 1000), (10**9, 1000), (4000, 100), (0, 1)):
        monkeypatch.setattr(demo, "available_memory", lambda free=free: free)
        assert demo.affordable(1000) == expected


# ---- the plot ----------------------------------------------------------------------------------


def axes() -> object:
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_history_draws_what_it_is_given() -> None:
    runs = {f"run {i}": np.exp(-np.arange(5.0) * i) for i in range(9)}
    runs["run 1"][2] = np.inf
    ax = fl.plot.history(runs, ax=axes(), xlabel="epoch", ylabel="error")
    lines = ax.get_lines()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(runs)
    for line, losses in zip(lines, runs.values(), strict=True):
        expected = np.where(np.isfinite(losses), losses, np.nan)
        np.testing.assert_array_equal(line.get_xydata(), np.c_[np.arange(5), expected])
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 9
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("epoch", "error", "log")


def test_history_of_one_run_on_a_figure_of_its_own() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    ax = fl.plot.history([3.0, 2.0, 1.5])
    assert ax.figure.axes == [ax]
    assert pyplot.get_fignums() == []  # which would keep it alive
    assert ax.get_legend() is None
    assert ax.get_yscale() == "linear"


@pytest.mark.parametrize(
    ("losses", "log", "expected"),
    [
        ([100.0, 1.0], None, "log"),
        ([100.0, 1.0], False, "linear"),
        ([2.0, 1.0], True, "log"),
        ([100.0, -1.0], None, "linear"),
        ([np.nan, np.nan], None, "linear"),
    ],
)
def test_history_chooses_its_scale(losses: list[float], log: bool | None, expected: str) -> None:
    assert fl.plot.history(losses, ax=axes(), log=log).get_yscale() == expected


@pytest.mark.parametrize(
    ("histories", "expected"),
    [
        ({}, "histories is empty"),
        ([], r"histories has shape \(0,\)"),
        ({"a": [1.0], "b": [[1.0]]}, r"histories\['b'\] has shape \(1, 1\)"),
        (1.0, r"histories has shape \(\)"),
    ],
)
def test_history_refuses_what_is_no_row(histories: object, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        fl.plot.history(histories)


def test_saved_plot_needs_no_display(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "MPLBACKEND", "TkAgg")
    fits = [demo.Fit(recipe, [2.0, 1.0, 0.01], 0.9, 1.0) for recipe in demo.RECIPES]
    demo.save_plot(fits, tmp_path / "losses.png")
    pixels = matplotlib.image.imread(tmp_path / "losses.png")
    assert pixels.shape[:2] == (675, 1050)
    from matplotlib.colors import to_rgb

    for color in fl.plot.COLORS[: len(fits)]:  # every curve is there
        assert (np.abs(pixels[..., :3] - to_rgb(color)).max(axis=2) < 0.01).sum() > 100
