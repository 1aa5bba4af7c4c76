"""The optimizer comparison among the examples: small runs of its command line, resumed ones too."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pytest

for module in ("typer", "rich", "matplotlib", "safetensors"):
    pytest.importorskip(module)

EXAMPLE = Path(__file__).parents[1] / "examples" / "optimizer_comparison"
OPTIMIZERS = ("SGD", "AdaGrad", "RMSProp", "Adam", "Polyak 0.9", "Nesterov 0.9")
TORCH = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten noisy patterns in MNIST's and CIFAR-10's formats."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for size, write in ((28 * 28, write_idx), (3 * 32 * 32, write_cifar)):
        patterns = np.where(rng.random((10, size)) < 0.1, 192, 0).astype(np.uint8)
        for split, n in (("train", 130), ("test", 40)):
            labels = np.arange(n, dtype=np.uint8) % 10
            write(
                folder, split, patterns[labels] + rng.integers(0, 64, (n, size), np.uint8), labels
            )
    return folder


def write_idx(folder: Path, split: str, images: np.ndarray, labels: np.ndarray) -> None:
    prefix = {"train": "train", "test": "t10k"}[split]
    header = np.array([2051, len(labels), 28, 28], ">i4").tobytes()
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + images.tobytes())
    header = np.array([2049, len(labels)], ">i4").tobytes()
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())


def write_cifar(folder: Path, split: str, images: np.ndarray, labels: np.ndarray) -> None:
    name = {"train": "data_batch_1.bin", "test": "test_batch.bin"}[split]
    (folder / name).write_bytes(np.column_stack([labels, images]).tobytes())


def call(command: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "120"}
    arguments = [sys.executable, "-W", "error", EXAMPLE, command, *options]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True)


def run(data: Path, out: Path, *options: str) -> list[dict[str, str]]:
    """The table that a run writes."""
    done = call("run", "--data", data, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    return read(out / "table.csv")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_quick(data: Path, tmp_path: Path) -> None:
    models = ("mlp", "cnn", "vgg13") if find_spec("torch") else ("mlp",)
    table = run(data, tmp_path, "--quick", *(f"--model={model}" for model in models))
    assert [(row["task"], row["optimizer"]) for row in table] == list(product(models, OPTIMIZERS))
    for row in table:
        assert row["epochs"] == ("1" if row["task"] == "vgg13" else "2")
    losses = read(tmp_path / "losses.csv")
    for model in models[:2]:  # two epochs of three steps
        adam = [row for row in losses if (row["task"], row["optimizer"]) == (model, "Adam")]
        assert float(adam[-1]["train_loss"]) < float(adam[0]["train_loss"])
    for name in ("curves.svg", "table.svg"):
        assert (tmp_path / name).read_text().count("<path") > 50
    assert len(json.loads((tmp_path / "results.json").read_text())) == len(table)


@pytest.mark.parametrize("model", ["mlp", pytest.param("cnn", marks=TORCH)])
def test_a_run_goes_on_to_the_same_result(data: Path, tmp_path: Path, model: str) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    options = (f"--model={model}", "--optimizer=Adam")
    run(data, once, *options, "--epochs=2")
    assert run(data, twice, *options, "--epochs=1")[0]["epochs"] == "1"
    forget_an_epoch(twice / "runs" / f"{model}-adam.json")
    assert run(data, twice, *options, "--epochs=2")[0]["epochs"] == "2"
    assert (once / "losses.csv").read_bytes() == (twice / "losses.csv").read_bytes()
    assert read(once / "table.csv") == read(twice / "table.csv")


def forget_an_epoch(path: Path) -> None:
    """As if it had been stopped after the checkpoint was written, and before the record was."""
    record = json.loads(path.read_text())
    del record["epochs"][-1]
    path.write_text(json.dumps(record))


def test_other_settings_are_refused(data: Path, tmp_path: Path) -> None:
    options = ("--model=mlp", "--optimizer=SGD", "--epochs=1")
    run(data, tmp_path, *options)
    before = (tmp_path / "results.json").read_bytes()
    other = call("run", "--data", data, "--out", tmp_path, *options, "--seed=1")
    assert other.returncode == 1
    assert "'seed': 1" in other.stderr
    assert (tmp_path / "results.json").read_bytes() == before


def test_search_and_time(data: Path, tmp_path: Path) -> None:
    options = ("--model=mlp", "--optimizer=Adam")
    done = call("search", "--data", data, "--out", tmp_path, *options)
    assert done.returncode == 0, done.stderr
    tried = read(tmp_path / "search-mlp.csv")
    assert [row["lr"] for row in tried] == ["0.0001", "0.0003", "0.001", "0.003"]
    assert all(float(row["loss"]) > 0 for row in tried)
    done = call("time", "--data", data, "--model=mlp", "--steps=3")
    assert done.returncode == 0, done.stderr
    assert "MLP, MNIST" in done.stdout


def test_nothing_to_draw(tmp_path: Path) -> None:
    done = call("draw", "--out", tmp_path / "none")
    assert done.returncode == 2
    assert "holds no run" in done.stderr


def test_no_data(tmp_path: Path) -> None:
    done = call("run", "--data", tmp_path, "--out", tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("holds no train-images-idx3-ubyte, plain or .gz")
    assert "Traceback" not in done.stderr


def test_a_model_that_is_none(data: Path) -> None:
    done = call("run", "--data", data, "--model=gpt")
    assert done.returncode == 2
    assert "'gpt' is none of mlp, cnn, vgg13" in done.stderr
