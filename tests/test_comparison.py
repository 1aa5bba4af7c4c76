"""The optimizer comparison among the examples: small runs of its command line, resumed ones too."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from importlib.util import find_spec
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
        for split, n in (("train", 192), ("test", 64)):
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
    table = run(data, tmp_path, "--quick", "--model", "mlp")
    assert [row["optimizer"] for row in table] == list(OPTIMIZERS)
    assert {row["epochs"] for row in table} == {"2"}
    assert max(float(row["accuracy"]) for row in table) > 60  # in four steps; by chance 10
    for name in ("curves.svg", "table.svg"):
        assert (tmp_path / name).read_text().count("<path") > 50
    assert len(json.loads((tmp_path / "results.json").read_text())) == 6


def test_a_run_goes_on_to_the_same_result(data: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    run(data, once, "--model", "mlp", "--epochs", "2")
    run(data, twice, "--model", "mlp", "--epochs", "1")
    assert all(row["epochs"] == "1" for row in read(twice / "table.csv"))
    run(data, twice, "--model", "mlp", "--epochs", "2")
    assert (once / "losses.csv").read_bytes() == (twice / "losses.csv").read_bytes()
    forget_an_epoch(twice / "runs" / "mlp-adam.json")
    run(data, twice, "--model", "mlp", "--epochs", "2")
    assert (once / "losses.csv").read_bytes() == (twice / "losses.csv").read_bytes()
    assert read(once / "table.csv") == read(twice / "table.csv")
    other = call("run", "--data", data, "--out", once, "--model", "mlp", "--seed", "1")
    assert other.returncode == 1
    assert "'seed': 1" in other.stderr


def forget_an_epoch(path: Path) -> None:
    """As if it had been stopped after the checkpoint was written, and before the record was."""
    record = json.loads(path.read_text())
    del record["epochs"][-1]
    path.write_text(json.dumps(record))


@TORCH
def test_networks_go_on_to_the_same_result(data: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    models = ("--model", "cnn", "--model", "vgg13")
    table = run(data, once, "--quick", *models)
    assert [row["optimizer"] for row in table] == 2 * list(OPTIMIZERS)
    assert {row["task"]: row["epochs"] for row in table} == {"cnn": "2", "vgg13": "1"}
    assert max(float(row["accuracy"]) for row in table if row["task"] == "cnn") > 60
    run(data, twice, "--model", "cnn", "--epochs", "1")
    run(data, twice, "--model", "cnn", "--epochs", "2")
    forget_an_epoch(twice / "runs" / "cnn-adam.json")
    run(data, twice, "--model", "cnn", "--epochs", "2")
    assert read(twice / "losses.csv") == [
        row for row in read(once / "losses.csv") if row["task"] == "cnn"
    ]


def test_search_and_time(data: Path, tmp_path: Path) -> None:
    done = call("search", "--data", data, "--out", tmp_path, "--model", "mlp")
    assert done.returncode == 0, done.stderr
    tried = read(tmp_path / "search-mlp.csv")
    assert {row["optimizer"] for row in tried} == set(OPTIMIZERS)
    assert all(float(row["loss"]) > 0 for row in tried)
    done = call("time", "--data", data, "--model", "mlp", "--steps", "3")
    assert done.returncode == 0, done.stderr
    assert "MLP, MNIST" in done.stdout


def test_a_model_that_is_none(data: Path) -> None:
    done = call("run", "--data", data, "--model", "gpt")
    assert done.returncode == 2
    assert "'gpt' is none of mlp, cnn, vgg13" in done.stderr
