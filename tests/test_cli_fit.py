"""``fallline fit`` and ``predict``: every format, every way to go wrong, and the way back."""

from __future__ import annotations

import csv
import ctypes
import gzip
import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.fitting import rates, targets
from fallline.fitting.scaling import Scaling
from fallline.loop import progress
from fallline.objectives import _blas

pytest.importorskip("typer")
pytest.importorskip("safetensors")
from typer.testing import CliRunner

from fallline.cli.app import app

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 3))
SCORES = X @ [1.0, -2.0, 3.0]
SIGNS = (SCORES > 0).astype(np.int64)
NAMES = ["area", "rooms", "age"]
QUICK = ["--epochs", "20", "--lr", "0.1", "--batch-size", "20"]


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, " ".join(result.output.split())


def fit(*arguments: object) -> dict[str, Any]:
    """What a fit that succeeds says as JSON."""
    result = CliRunner().invoke(app, ["fit", "--json", *(str(a) for a in arguments)])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


# ---- data in every format ----------------------------------------------------------------------


def table(path: Path, columns: dict[str, Any], delimiter: str = ",") -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def features(where: Any = slice(None)) -> dict[str, Any]:
    return dict(zip(NAMES, X[where].T, strict=True))


def words_csv(folder: Path) -> Path:
    return table(folder / "signs.csv", features() | {"sign": np.where(SIGNS, "up", "down")})


def numbers_tsv(folder: Path) -> Path:
    return table(folder / "signs.tsv", features() | {"sign": SIGNS}, "\t")


def archive(folder: Path) -> Path:
    np.savez(folder / "signs.npz", X=X.reshape(120, 1, 3), y=SIGNS.astype(bool))
    return folder / "signs.npz"


def sparse_text(folder: Path) -> Path:
    path = folder / "signs.svm"
    path.write_text(
        "".join(
            f"{2 * sign - 1:+d} 1:{a} 2:{b} 3:{c}\n"
            for sign, (a, b, c) in zip(SIGNS, X, strict=True)
        )
    )
    return path


def idx_bytes(array: np.ndarray) -> bytes:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def images(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Squares of 4 × 4, lit in one of three rows."""
    labels = np.arange(n) % 3
    pixels = RNG.integers(0, 60, (n, 4, 4))
    pixels[np.arange(n), labels] += 190
    return pixels, labels


def mnist_folder(folder: Path, suffix: str = ".gz") -> Path:
    for split, n in (("train", 90), ("t10k", 30)):
        pixels, labels = images(n)
        for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            data = idx_bytes(array)
            (folder / f"{split}-{kind}-ubyte{suffix}").write_bytes(
                gzip.compress(data) if suffix else data
            )
    return folder


def cifar_folder(folder: Path) -> Path:
    for name, n in (("data_batch_1", 40), ("data_batch_2", 40), ("test_batch", 20)):
        labels = np.arange(n) % 2
        pixels = RNG.integers(0, 100, (n, 3072)) + 100 * labels[:, None]
        records = np.column_stack([labels, pixels]).astype(np.uint8)
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(f"kind{i}" for i in range(10)))
    return folder


MAKERS: list[tuple[Callable[[Path], Path], str, list[Any]]] = [
    (words_csv, "logistic", ["down", "up"]),
    (numbers_tsv, "logistic", [0, 1]),
    (archive, "logistic", [0, 1]),
    (sparse_text, "logistic", [-1, 1]),
    (mnist_folder, "softmax", [0, 1, 2]),
    (cifar_folder, "softmax", [f"kind{i}" for i in range(10)]),
]


@pytest.mark.parametrize(
    ("make", "kind", "classes"), MAKERS, ids=lambda a: getattr(a, "__name__", "")
)
def test_every_format(
    make: Callable[[Path], Path], kind: str, classes: list[Any], tmp_path: Path
) -> None:
    if make is sparse_text:
        pytest.importorskip("scipy")
    data, model = make(tmp_path), tmp_path / "model.safetensors"
    options = ["--standardize", "--lr", "0.01"] if make is cifar_folder else []
    found = fit(data, *QUICK, "--val", "0.25", "--out", model, *options)
    assert (found["model"]["kind"], found["model"]["classes"]) == (kind, classes)
    expected = {"train", "validation"} | ({"test"} if data.is_dir() else set())
    assert set(found["scores"]) == expected
    assert min(score["accuracy"] for score in found["scores"].values()) > 0.9
    assert [epoch["epoch"] for epoch in found["epochs"]] == list(range(1, 21))
    assert found["epochs"][-1]["validation"] == found["scores"]["validation"]
    code, output = call("predict", model, data)
    assert code == 0
    share = found["scores"]["test"]["accuracy"] if data.is_dir() else None
    if share is not None:
        assert output.endswith(f"accuracy {share:.2%}")
    printed = set(output.split()) & set(map(str, classes))
    assert len(printed) > 1


def test_an_images_file_and_no_test_part(tmp_path: Path) -> None:
    folder = mnist_folder(tmp_path, "")
    for path in folder.glob("t10k*"):
        path.unlink()
    assert set(fit(folder, *QUICK)["scores"]) == {"train"}
    assert set(fit(folder / "train-images-idx3-ubyte", *QUICK)["scores"]) == {"train"}


def test_a_second_file_to_test_on(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    train, test = tmp_path / "a9a", tmp_path / "a9a.t"
    text = sparse_text(tmp_path).read_text().splitlines(keepends=True)
    train.write_text("".join(text[:90]))
    test.write_text("".join(line.rpartition(" 3:")[0] + "\n" for line in text[90:]))
    found = fit(train, "--format", "svmlight", "--test", test, *QUICK)
    assert found["scores"]["test"]["accuracy"] < found["scores"]["train"]["accuracy"]


def test_a_regression_in_the_targets_units(tmp_path: Path) -> None:
    price = 1000 + 300 * SCORES
    data = table(tmp_path / "h.csv", {"price": price} | features())
    model, out = tmp_path / "m", tmp_path / "p.npy"
    found = fit(
        data,
        "--target",
        "price",
        "--standardize",
        "--val",
        0.2,
        *QUICK,
        "--epochs",
        60,
        "--out",
        model,
    )
    assert found["model"]["kind"] == "linear"
    assert found["scores"]["validation"]["r2"] > 0.999
    # At first all is left to be explained, and in the end little, in squares of the price.
    assert found["epochs"][0]["loss"] > 0.05 * price.var()
    assert found["scores"]["train"]["loss"] == pytest.approx(found["scores"]["train"]["rmse"] ** 2)
    code, output = call("predict", model, data, "--out", out)
    assert code == 0
    assert "120 predictions written" in output
    np.testing.assert_allclose(np.load(out), price, atol=20)
    rmse = np.sqrt(np.mean((np.load(out) - price) ** 2))
    assert f"RMSE {rmse:.5g}" in output
    assert "--proba: the model is of a regression" in call("predict", model, data, "--proba")[1]


def test_several_targets(tmp_path: Path) -> None:
    both = np.column_stack([SCORES, 5 - SCORES])
    np.savez(tmp_path / "a.npz", X=X, y=both)
    model = tmp_path / "m"
    found = fit(tmp_path / "a.npz", *QUICK, "--epochs", 60, "--standardize", "--out", model)
    assert found["scores"]["train"]["r2"] > 0.99
    np.testing.assert_allclose(fl.load_model(model).predict(X), both, atol=0.5)
    output = call("predict", model, tmp_path / "a.npz")[1]
    assert output.startswith("prediction 0,prediction 1")
    np.savez(tmp_path / "b.npz", X=X, y=SCORES)
    assert "not scored" in call("predict", model, tmp_path / "b.npz")[1]


def test_an_mlp_bends(tmp_path: Path) -> None:
    ring = (np.square(X).sum(axis=1) > 2).astype(int)
    np.savez(tmp_path / "ring.npz", X=X, y=ring)
    options = [tmp_path / "ring.npz", *QUICK, "--lr", 0.02, "--epochs", 60]
    straight = fit(*options)["scores"]["train"]["accuracy"]
    found = fit(*options, "--model", "mlp", "--hidden", "16,8", "--activation", "TANH")
    assert found["model"]["widths"] == [3, 16, 8, 1]
    assert found["scores"]["train"]["accuracy"] > max(0.95, straight + 0.1)
    found = fit(*options, "--model", "mlp", "--task", "regression", "--epochs", 2)
    assert "rmse" in found["scores"]["train"]


def test_digits(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    digits, labels = fl.datasets.digits()
    np.savez(tmp_path / "digits.npz", X=digits, y=labels)
    found = fit(
        tmp_path / "digits.npz", "--val", 0.2, "--optimizer", "adamw", "--lr", 0.01, "--epochs", 20
    )
    assert found["scores"]["validation"]["accuracy"] > 0.94


# ---- what the options do -----------------------------------------------------------------------


def test_a_fit_repeats_minimize(tmp_path: Path) -> None:
    model = tmp_path / "m"
    fit(words_csv(tmp_path), "--optimizer", "nadam", "--lr", 0.02, "--set", "betas=0.8,0.99",
        "--schedule", "cosine", "--batch-size", 32, "--epochs", 3, "--l2", 0.01, "--max-norm", 0.5,
        "--seed", 5, "--out", model)  # fmt: skip
    f = fl.objectives.LogisticRegression(X, SIGNS, l2=0.01)
    lr = fl.schedules.Cosine(0.02, steps=12)
    res = fl.minimize(
        f,
        optimizer=fl.NAdam,
        lr=lr,
        batch_size=32,
        epochs=3,
        seed=5,
        max_norm=0.5,
        betas=(0.8, 0.99),
    )
    np.testing.assert_array_equal(fl.load_model(model).phi, res.x)


@pytest.mark.parametrize("backend", fl.backends())
def test_where_it_is_computed(backend: str, tmp_path: Path) -> None:
    threads = fl.get_num_threads()
    data = archive(tmp_path)
    found = fit(data, "--backend", backend, "--threads", 1, "--dtype", "float32", "--epochs", 2)
    assert found["model"]["dtype"] == "float32"
    assert found["settings"]["backend"] == backend
    assert fl.get_num_threads() == threads


def test_full_batches_are_a_step_an_epoch(tmp_path: Path) -> None:
    found = fit(archive(tmp_path), "--batch-size", "full", "--epochs", 7)
    assert (found["steps"], len(found["epochs"])) == (7, 7)


@pytest.mark.parametrize(
    ("text", "lr"),
    [
        ("cosine", [0.1, 0.1, 0.05, 0.05]),
        ("linear:end=0.05", [0.1, 0.1, 0.075, 0.075]),
        ("step:every=1,factor=0.5", [0.1, 0.1, 0.05, 0.05]),
        ("step", [0.1, 0.1, 0.01, 0.01]),
        ("exponential:factor=0.5", [0.1, 0.1, 0.05, 0.05]),
        ("plateau:patience=0", [0.1, 0.1, 0.1, 0.1]),
    ],
)
def test_schedules_count_epochs(text: str, lr: list[float]) -> None:
    made = rates.schedule(*rates.parse(text), 0.1, 2, 10)
    assert [made(0), made(0), made(10), made(10)] == pytest.approx(lr)


def test_a_plateau_hears_the_losses(tmp_path: Path) -> None:
    data = archive(tmp_path)
    quick = fit(data, "--schedule", "plateau:patience=0,threshold=0.9", "--epochs", 8)
    assert quick["epochs"][-1]["loss"] > fit(data, "--epochs", 8)["epochs"][-1]["loss"]


def test_resumed_with_the_same_bits(tmp_path: Path) -> None:
    data, whole, parts = archive(tmp_path), tmp_path / "whole", tmp_path / "parts"
    checkpoint = tmp_path / "run.safetensors"
    options = [data, "--val", 0.2, "--lr", 0.01, "--batch-size", 30, "--checkpoint", checkpoint]
    fit(*options, "--epochs", 9, "--out", whole)
    checkpoint.unlink()
    first = fit(*options, "--epochs", 4, "--resume")
    second = fit(*options, "--epochs", 9, "--resume", "--out", parts, "--plot", tmp_path / "p.png")
    assert (first["steps"], second["steps"]) == (16, 20)
    assert [epoch["epoch"] for epoch in second["epochs"]] == [5, 6, 7, 8, 9]
    np.testing.assert_array_equal(fl.load_model(parts).phi, fl.load_model(whole).phi)
    code, output = call("fit", *options, "--epochs", 9, "--resume", "--seed", 1)
    assert code == 1
    assert "is of a fit with seed=0; this one has 1" in output


def test_the_screen(tmp_path: Path) -> None:
    data, model, plot = words_csv(tmp_path), tmp_path / "m", tmp_path / "loss.png"
    code, output = call("fit", data, "--val", 0.25, *QUICK, "--out", model, "--plot", plot)
    assert code == 0
    for words in (
        "samples 90 train, 30 validation",
        "model logistic 3-1, 2 classes, 4 parameters",
        "optimizer Adam(lr=0.1), batches of 20",
        "epoch train loss val loss val accuracy seconds 1 ",
        "loss accuracy train 0.",
        "20 epochs done, 100 steps in ",
        f"model written to {model} losses drawn in {plot}",
    ):
        assert words in output
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_fit_worse_than_the_mean_says_what_to_try(tmp_path: Path) -> None:
    data = table(tmp_path / "far.csv", {"a": X[:, 0], "y": 1000 + X[:, 0] / 3})
    assert "mean: try --standardize, another --lr" in call("fit", data, "--epochs", 2)[1]
    wild = call("fit", data, "--epochs", 1, "--lr", 5, "--standardize")[1]
    assert "mean: try another --lr or more --epochs" in wild
    assert "mean: try" not in call("fit", data, *QUICK, "--standardize")[1]


def test_many_epochs_take_few_lines(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["fit", str(archive(tmp_path)), "--epochs", "1000", "--lr", "0"]
    )
    rows = [line.split() for line in result.output.splitlines()]
    shown = [int(row[0]) for row in rows if row and row[0].isdecimal()]
    assert shown == list(range(40, 1001, 40))


# ---- predictions -------------------------------------------------------------------------------


def test_predictions_of_new_samples(tmp_path: Path) -> None:
    model, out = tmp_path / "m", tmp_path / "p.csv"
    data = table(tmp_path / "s.csv", {"sign": np.where(SIGNS, "up", "down")} | features())
    fit(data, "--target", "sign", *QUICK, "--out", model)
    new = table(tmp_path / "new.csv", features(slice(7)))
    code, output = call("predict", model, new, "--out", out, "--proba")
    assert (code, output) == (0, f"7 predictions written to {out} no targets to compare with")
    with open(out) as file:
        rows = list(csv.DictReader(file))
    fitted = fl.load_model(model)
    assert [row["prediction"] for row in rows] == fitted.predict(X[:7]).tolist()
    np.testing.assert_allclose(
        [[float(row["down"]), float(row["up"])] for row in rows], fitted.predict_proba(X[:7])
    )
    np.savez(tmp_path / "new.npz", X=X[:7])
    assert "no targets" in call("predict", model, tmp_path / "new.npz")[1]
    other = table(tmp_path / "o.csv", features(slice(2)) | {"sign": ["up", "sideways"]})
    code, output = call("predict", model, other)
    assert code == 0
    assert "1 labels are none of the model's and count as missed" in output


def test_one_feature_without_a_target(tmp_path: Path) -> None:
    line = table(tmp_path / "line.csv", {"x": X[:, 0], "y": 2 * X[:, 0] + 0.5})
    fit(line, *QUICK, "--out", tmp_path / "m")
    new = table(tmp_path / "new.csv", {"x": [1.0, 2.0]})
    assert call("predict", tmp_path / "m", new)[1].startswith("prediction 2.")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_on_a_terminal_a_few_predictions_and_a_bar(tmp_path: Path) -> None:
    data, model = archive(tmp_path), tmp_path / "m"

    def on_terminal(*arguments: object) -> str:
        ours, theirs = os.openpty()
        run = [sys.executable, "-c", "from fallline.loop import progress; progress.AFTER = 0;"
               "from fallline.cli import main; main()", *map(str, arguments)]  # fmt: skip
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        with subprocess.Popen(
            run, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        ) as p:
            os.close(theirs)
            output = b""
            try:
                while chunk := os.read(ours, 4096):
                    output += chunk
            except OSError:  # Linux: the other side has closed
                pass
        os.close(ours)
        assert p.returncode == 0, output
        return output.decode()

    shown = on_terminal("fit", data, "--epochs", 40, "--batch-size", 1, "--out", model)
    assert re.search(r"epoch \d+, loss 0\.\d+.*/4800", shown)  # the bar
    assert re.search(r"(\n|\x1b\[2K) {4}2 +0\.\d+ +\d\.\d\r", shown)  # a row of its own above it
    assert "model written" in shown
    shown = on_terminal("predict", model, data)
    assert "110 more: --out FILE writes all" in shown


def test_prints_go_where_they_are_sent_while_a_bar_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setattr(progress, "AFTER", 0.0)
    bar = progress.Bar(True, 10)
    bar.update(1, "going")
    print("a result")
    bar.close()
    assert capsys.readouterr().out == "a result\n"


# ---- Ctrl-C ------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_writes_what_was_reached(tmp_path: Path) -> None:
    data, model, plot = archive(tmp_path), tmp_path / "m", tmp_path / "loss.png"
    # A shell's background job, in which tests may run, hands down that SIGINT is ignored.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from fallline.cli import main; main()"
    )
    run = [sys.executable, "-uc", code, "fit", data, "--epochs", "100000", "--val", "0.2"]
    with subprocess.Popen(
        [*map(str, run), "--out", str(model), "--plot", str(plot)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("epoch"):
                    break
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, errors) == (130, "")
    assert "interrupted after" in output
    assert f"model written to {model}" in output
    assert plot.exists()
    assert fl.load_model(model).classes == (0, 1)


# ---- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere.csv"], "nowhere.csv' does not exist"),
        (["signs.csv", "--model", "forest"], "is not one of auto, linear, logistic, softmax, mlp"),
        (["signs.csv", "--optimizer", "adma"], "is not one of SGD, Momentum"),
        (["signs.csv", "--activation", "step"], "is not one of identity, relu"),
        (["signs.csv", "--dtype", "float16"], "is not one of float32, float64"),
        (["signs.csv", "--backend", "abacus"], "is not one of native, numba, numpy"),
        (["signs.csv", "--format", "xlsx"], "is not one of npz, csv"),
        (["signs.csv", "--schedule", "cosin"], "is not one of cosine, linear, onecycle"),
        (["signs.csv", "--schedule", "step:often=1"], "step takes every=…, factor=…"),
        (["signs.csv", "--schedule", "step:every=x"], "must be an integer >= 1"),
        (["signs.csv", "--hidden", "3,x"], "no list of positive whole numbers"),
        (["signs.csv", "--hidden", "0"], "no list of positive whole numbers"),
        (["signs.csv", "--batch-size", "some"], "neither a number of samples nor 'full'"),
        (["signs.csv", "--val", "1"], "--val: 1.0 is not in [0, 1)"),
        (["signs.csv", "--val", "nan"], "--val: nan is not in [0, 1)"),
        (["signs.csv", "--lr", "-1"], "--lr"),
        (["signs.csv", "--lr", "inf"], "--lr"),
        (["signs.csv", "--l2", "inf"], "--l2"),
        (["signs.csv", "--epochs", "0"], "--epochs"),
        (["signs.csv", "--max-norm", "0"], "--max-norm: 0.0 is not positive"),
        (["signs.csv", "--set", "beta1=0.9"], "is neither an argument of minimize"),
        (["signs.csv", "--set", "betas=7"], "betas must be 2 numbers"),
        (["signs.csv", "--set", "betas"], "not of the form NAME=VALUE"),
        (["signs.csv", "--resume"], "needs --checkpoint"),
        (["signs.csv", "--out", "no/model"], "there is no folder 'no'"),
        (["signs.csv", "--out", "."], "is a folder"),
        (["signs.csv", "--plot", "loss.xyz"], "must end in one of"),
        (["signs.csv", "--checkpoint", "no/run"], "there is no folder 'no'"),
    ],
)
def test_wrong_usage(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    words_csv(tmp_path)
    code, output = call("fit", *arguments)
    assert code == 2
    assert expected in output


@pytest.mark.parametrize(
    ("name", "content", "options", "expected"),
    [
        ("a.txt", "1,2\n", [], "the name of a.txt does not tell its format"),
        ("a.csv", "1,2\n3\n", [], "line 2 has 1 columns; expected 2"),
        ("a.csv", "", [], "a.csv is empty"),
        (
            "a.csv",
            "x,y\n1,2\n2,3\n",
            ["--target", "z"],
            "expected one of the 2 columns of a.csv: x, y",
        ),
        ("a.csv", "1,2\n2,2\n", [], "all labels are 2; expected at least 2 classes"),
        ("a.csv", "1,u\n2,v\n", ["--model", "linear"], "the targets are words (u, v)"),
        ("a.csv", "1,u\n2,v\n", ["--task", "regression"], "the targets are words (u, v)"),
        ("a.csv", "1,.5\n2,1\n", ["--model", "softmax"], "target 0 is 0.5; softmax takes whole"),
        ("a.csv", "1,0\n2,1\n3,2\n", ["--model", "logistic"], "the data has 3. Try softmax"),
        ("a.csv", "1,0\n2,1\n", ["--model", "linear", "--task", "classification"], "not for class"),
        ("a.csv", "1,0\n", ["--val", "0.5", "--model", "linear"], "expected at least 2 to split"),
        ("a.npz", "PK", [], "a.npz cannot be read as a .npz archive"),
        ("a.csv.xz", "1,2\n,1\n", [], "line 2, column 1 is empty"),
        (
            "a.csv",
            "1,1.5\n-1,0.5\n",
            ["--optimizer", "sgd", "--lr", "1e200", "--epochs", "1", "--batch-size", "full"],
            "diverged at the last of 1 steps: the loss is inf",
        ),
        ("a.csv", "1,1.5e9\n-1,0.5\n", ["--optimizer", "sgd", "--lr", "1e9"], "diverged after"),
    ],
)
def test_failures_take_one_line(
    name: str,
    content: str,
    options: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(content)
    result = CliRunner().invoke(app, ["fit", name, *options, "--json", "--out", "model"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("fallline: ")
    assert result.stderr.count("\n") == 1
    assert expected in result.stderr
    assert not (tmp_path / "model").exists()


def test_a_truncated_folder(tmp_path: Path) -> None:
    path = mnist_folder(tmp_path) / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    code, output = call("fit", tmp_path)
    assert code == 1
    assert "train-images-idx3-ubyte.gz is a damaged or truncated gzip file" in output
    folder = tmp_path / "cifar"
    folder.mkdir()
    path = cifar_folder(folder) / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    assert "expected a multiple of 3,073" in call("fit", folder)[1]


def test_labels_that_training_lacks(tmp_path: Path) -> None:
    data = words_csv(tmp_path)
    other = table(tmp_path / "o.csv", features(slice(2)) | {"sign": ["up", "sideways"]})
    code, output = call("fit", data, "--test", other)
    assert code == 1
    assert "label sideways of the test part is none of the training part's" in output


@pytest.mark.parametrize(
    ("module", "options", "extra"),
    [
        ("safetensors.numpy", ["--out", "m"], "checkpoint"),
        ("safetensors.numpy", ["--checkpoint", "m"], "checkpoint"),
        ("matplotlib.figure", ["--plot", "a.png"], "plot"),
        ("scipy.sparse", [], "sparse"),
    ],
)
def test_without_an_extra(
    module: str, options: list[str], extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    data = sparse_text(tmp_path) if extra == "sparse" else archive(tmp_path)
    code, output = call("fit", data, *options)
    assert code == 1
    assert output.endswith(f"pip install 'fallline[{extra}]'")
    assert "epoch" not in output


@pytest.mark.parametrize(
    ("name", "expected"),
    [("p.txt", "must end in .csv or .npy"), ("no/p.csv", "there is no folder")],
)
def test_predict_checks_its_file(
    name: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = archive(tmp_path)
    fit(data, "--epochs", 1, "--out", tmp_path / "m")
    monkeypatch.setenv("COLUMNS", "400")
    code, output = call("predict", tmp_path / "m", data, "--out", tmp_path / name)
    assert code == 2
    assert expected in output


def test_data_that_does_not_suit_the_model(tmp_path: Path) -> None:
    model = tmp_path / "m"
    fit(words_csv(tmp_path), "--epochs", 1, "--out", model)
    np.savez(tmp_path / "a.npz", X=X[:, :2], y=SIGNS)
    code, output = call("predict", model, tmp_path / "a.npz")
    assert (code, "has 2 features; the model has 3" in output) == (1, True)
    swapped = dict(reversed(features().items()))
    code, output = call("predict", model, table(tmp_path / "b.csv", swapped))
    assert code == 1
    assert "feature 1 is 'age'; the model has 'area' there" in output


def test_foreign_and_damaged_models(tmp_path: Path) -> None:
    data, model = archive(tmp_path), tmp_path / "m"
    fit(data, "--epochs", 1, "--out", model, "--checkpoint", tmp_path / "run")
    code, output = call("predict", tmp_path / "run", data)
    assert (code, "was not written by" in output) == (1, True)
    code, output = call("predict", data, data)
    assert (code, "is damaged or no safetensors file" in output) == (1, True)
    whole = model.read_bytes()
    for end in range(0, len(whole), 7):
        model.write_bytes(whole[:end])
        code, output = call("predict", model, data)
        assert code == 1
        assert output.startswith("fallline: ")


# ---- models in files ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "objective",
    [
        lambda: fl.objectives.LinearRegression(X, SCORES),
        lambda: fl.objectives.LinearRegression(X, X[:, :2], intercept=False),
        lambda: fl.objectives.LogisticRegression(X.astype(np.float32), SIGNS),
        lambda: fl.objectives.SoftmaxRegression(X, SIGNS, n_classes=3),
        lambda: fl.objectives.MLP(X, SIGNS, hidden=(5, 4), activation="gelu", n_classes=3),
        lambda: fl.objectives.MLP(X, SIGNS, hidden=(5,), loss="logistic"),
        lambda: fl.objectives.MLP(X, SCORES, hidden=(), loss="squared"),
        lambda: fl.objectives.MLP(X, X[:, :1], hidden=(2,), loss="squared"),
    ],
)
def test_any_model_comes_back(objective: Callable[[], Any], tmp_path: Path) -> None:
    f = objective()
    phi = np.random.default_rng(1).standard_normal(f.n_params).astype(f.dtype)
    fl.save_model(tmp_path / "m", f, phi)
    model = fl.load_model(tmp_path / "m")
    np.testing.assert_array_equal(model.phi, phi)
    assert model.phi.dtype == f.dtype
    np.testing.assert_array_equal(model.predict(X), f.predict(phi, X.astype(f.dtype)))
    if model.classes is not None:
        expected = f.predict_proba(phi, X.astype(f.dtype))
        found = model.predict_proba(X)
        np.testing.assert_allclose(
            found[:, 1] if expected.ndim == 1 else found, expected, rtol=1e-6
        )
    else:
        with pytest.raises(TypeError, match="gives no probabilities"):
            model.predict_proba(X)


def test_models_with_names(tmp_path: Path) -> None:
    f = fl.objectives.LogisticRegression(X, SIGNS)
    fl.save_model(tmp_path / "m", f, np.ones(4), classes=["down", "up"], feature_names=NAMES)
    model = fl.load_model(tmp_path / "m")
    assert (model.classes, model.feature_names) == (("down", "up"), tuple(NAMES))
    assert set(model.predict(X)) == {"down", "up"}
    with pytest.raises(ValueError, match=r"X has shape \(120, 2\); expected \(samples, 3\)"):
        model.predict(X[:, :2])


def test_models_that_cannot_be_saved(tmp_path: Path) -> None:
    f, g = fl.objectives.LogisticRegression(X, SIGNS), fl.objectives.LinearRegression(X, SCORES)
    for objective, x, options, expected in [
        (f, np.ones(3), {}, r"x has shape \(3,\); expected \(4,\)"),
        (f, [1, 2, np.nan, 4], {}, r"x\[2\] is nan"),
        (f, np.ones(4), {"classes": ["a"]}, "classes has 1 entries; expected 2"),
        (f, np.ones(4), {"feature_names": ["a"]}, "feature_names has 1 entries; expected 3"),
        (g, np.ones(4), {"classes": ["a", "b"]}, "for a regression"),
        (fl.objectives.Objective(n_samples=1, shapes={}, dtype="f8"), [], {}, "not of Objective"),
    ]:
        with pytest.raises((ValueError, TypeError), match=expected):
            fl.save_model(tmp_path / "m", objective, x, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"version": 2}, "has version 2; this fallline reads 1"),
        ({"form": {}}, "does not fit together"),
        ({"classes": ["a", "b", "c"]}, "3 classes for 2 outputs"),
        ({"classes": None}, "classes are None with loss 'logistic'"),
        ({"settings": []}, "settings are"),
    ],
)
def test_models_that_do_not_fit_together(
    change: dict[str, Any], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = fl.serialization.write
    monkeypatch.setattr(
        fl.serialization, "write", lambda path, arrays, config: write(path, arrays, config | change)
    )
    fl.save_model(tmp_path / "m", fl.objectives.LogisticRegression(X, SIGNS), np.ones(4))
    with pytest.raises(ValueError, match=expected):
        fl.load_model(tmp_path / "m")


# ---- parts -------------------------------------------------------------------------------------


def test_scaling() -> None:
    Z = np.column_stack([5 + 3 * X[:, 0], np.full(120, 0.1), X[:, 1]]).astype(np.float32)
    scaling = Scaling.of(Z, 7 + 2 * SCORES)
    scaled = scaling.features(Z)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 0, 1], atol=1e-5)
    y = scaling.targets(7 + 2 * SCORES)
    assert (y.mean(), y.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
    np.testing.assert_allclose(scaling.restored(y), 7 + 2 * SCORES)


def test_what_targets_ask_for() -> None:
    def chosen(y: Any, **data: Any) -> tuple[str, str]:
        y = np.asarray(y)
        return targets.losses_of(fl.datasets.Dataset(np.zeros((len(y), 1)), y, **data), None, None)

    assert chosen([0, 1, 1]) == ("logistic", "logistic")
    assert chosen([True, False]) == ("logistic", "logistic")
    assert chosen([3, 5, 9]) == ("softmax", "softmax")
    assert chosen(np.arange(21)) == ("linear", "squared")
    assert chosen([0.5, 1.5]) == ("linear", "squared")
    assert chosen([0.0, 1.0]) == ("linear", "squared")  # numbers, as far as the file says
    assert chosen([[0, 1], [1, 0]]) == ("linear", "squared")
    assert chosen([0, 0], classes=("a", "b")) == ("logistic", "logistic")


def test_products_are_threaded_again_afterwards() -> None:
    blas = _blas.find()
    if blas is None or not blas.get_threads:
        pytest.skip("needs a BLAS that says how many threads it takes")
    count = ctypes.CFUNCTYPE(ctypes.c_int)(blas.get_threads)
    before = count()
    with _blas.unthreaded():
        assert count() == 1
    assert count() == before


def test_callbacks_see_the_losses() -> None:
    f = fl.objectives.LogisticRegression(X, SIGNS)
    seen: list[np.ndarray] = []

    def look(now: fl.Result) -> None:
        seen.append(now.history.copy())
        with pytest.raises(ValueError, match="read-only"):
            now.history[0] = 0

    res = fl.minimize(f, lr=0.1, batch_size=50, epochs=2, callback=look)
    assert [len(losses) for losses in seen] == [3, 6]
    np.testing.assert_array_equal(seen[-1], res.history)
