"""Readers of data files: what was written comes back, and damage is told with its place."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import lzma
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline.datasets import DataError, Dataset, _files, _svmlight

SAMPLES = Path(__file__).parents[2] / "shared" / "data"
CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def idx_bytes(array: np.ndarray) -> bytes:
    head = struct.pack(
        f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.str[1:]], array.ndim, *array.shape
    )
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def same(a: Any, b: Any) -> None:
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)


# ---- the dataset and its split -----------------------------------------------------------------


def test_a_dataset_unpacks_and_is_frozen() -> None:
    data = Dataset(np.eye(3), np.arange(3), ("a", "b", "c"))
    X, y = data
    assert X is data.X
    assert y is data.y
    with pytest.raises(AttributeError):
        data.X = y  # type: ignore[misc]


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="lengths differ"):
        Dataset(np.eye(3), np.arange(2))


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 5), st.booleans())
def test_a_split_is_a_partition(n: int, fraction: float, seed: int, stratify: bool) -> None:
    X, y = np.arange(2 * n).reshape(n, 2), np.arange(n) % 3
    X_train, X_test, y_train, y_test = fl.datasets.train_test_split(
        X, y, fraction, seed, stratify=stratify
    )
    assert len(X_test) == min(max(round(fraction * n), 1), n - 1)
    assert sorted([*X_train[:, 0], *X_test[:, 0]]) == sorted(X[:, 0])
    same(y_train, X_train[:, 0] // 2 % 3)
    same(y_test, X_test[:, 0] // 2 % 3)
    if stratify:
        exact = np.bincount(y) * len(y_test) / n
        assert np.abs(np.bincount(y_test, minlength=len(exact)) - exact).max() < 1


def test_a_seed_draws_the_same_samples_from_dense_and_sparse() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20)
    dense = fl.datasets.train_test_split(X, y, 0.25, 7)
    for a, b in zip(
        dense, fl.datasets.train_test_split(sparse.csr_array(X), y, 0.25, 7), strict=True
    ):
        same(a, b.toarray() if sparse.issparse(b) else b)
    assert not np.array_equal(dense[3], fl.datasets.train_test_split(X, y, 0.25, 8)[3])


@pytest.mark.parametrize(
    ("n", "y", "fraction", "message"),
    [
        (4, np.zeros(3), 0.5, "X has 4 rows, but y has 3"),
        (1, np.zeros(1), 0.5, "at least 2"),
        (4, np.zeros(4), 0.0, "fraction is 0.0"),
        (4, np.zeros(4), 1.0, "fraction is 1.0"),
        (4, np.zeros(4), float("nan"), "fraction is nan"),
        (4, np.zeros((4, 2)), 0.5, "to stratify by"),
    ],
)
def test_bad_splits(n: int, y: np.ndarray, fraction: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fl.datasets.train_test_split(np.zeros((n, 2)), y, fraction, stratify=True)


# ---- files of any kind -------------------------------------------------------------------------

READERS: dict[str, Callable[..., Any]] = {
    "npz": fl.datasets.npz,
    "csv": fl.datasets.csv,
    "svmlight": fl.datasets.svmlight,
    "idx": fl.datasets.idx,
}


@pytest.mark.parametrize("reader", READERS)
def test_missing_and_empty_files(reader: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        READERS[reader](tmp_path / "nowhere")
    with pytest.raises(DataError, match="nothing is empty"):
        READERS[reader](write(tmp_path / "nothing", b""))


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_damaged_compression(suffix: str, damage: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 5000, np.uint8)
    data = bytearray(COMPRESSORS[suffix](idx_bytes(noise)))
    if damage == "truncated":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 0xFF
    path = write(tmp_path / f"noise-idx1-ubyte{suffix}", bytes(data))
    with pytest.raises(DataError, match="damaged or truncated"):
        fl.datasets.idx(path)


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_load_tells_formats_by_name(suffix: str, tmp_path: Path) -> None:
    def put(name: str, content: bytes) -> Path:
        return write(tmp_path / (name + suffix), COMPRESSORS[suffix](content))

    expected = np.array([[1.0, 2.0], [3.0, 4.0]])
    for name, content in [
        ("a.csv", b"1,2,0\n3,4,1\n"),
        ("a.tsv", b"1\t2\t0\n3\t4\t1\n"),
        ("a.svm", b"0 1:1 2:2\n1 1:3 2:4\n"),
        ("a.libsvm", b"0 1:1 2:2\n1 1:3 2:4\n"),
        ("A.SVMLIGHT", b"0 1:1 2:2\n1 1:3 2:4\n"),
    ]:
        X, y = fl.datasets.load(put(name, content))
        same(X if isinstance(X, np.ndarray) else X.toarray(), expected)
        same(y, np.array([0, 1]))


def test_load_reads_archives_images_and_folders(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.eye(2), y=[0, 1], t=[5, 6])
    same(fl.datasets.load(tmp_path / "a.npz", target="t").y, np.array([5, 6]))
    pixels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    images = write(tmp_path / "train-images-idx3-ubyte", idx_bytes(pixels))
    labels = idx_bytes(np.array([3, 4], np.uint8))
    write(tmp_path / "train-labels-idx1-ubyte.gz", gzip.compress(labels))
    for path, options in [(images, {}), (tmp_path, {"split": "train"})]:
        X, y = fl.datasets.load(path, **options)
        same(X, pixels.reshape(2, 4).astype(np.float32) / np.float32(255))
        same(y, np.array([3, 4]))
    with pytest.raises(FileNotFoundError, match="t10k-images"):
        fl.datasets.load(tmp_path, split="test")
    write(tmp_path / "test_batch.bin", bytes(3073))
    assert fl.datasets.load(tmp_path, split="test", flatten=True).X.shape == (1, 3072)


def test_load_says_what_it_cannot_tell(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fl.datasets.load(tmp_path / "nowhere.csv")
    with pytest.raises(ValueError, match="neither MNIST's"):
        fl.datasets.load(tmp_path)
    path = write(tmp_path / "a9a", "1 1:1\n")
    with pytest.raises(ValueError, match="a9a does not tell its format"):
        fl.datasets.load(path)
    with pytest.raises(ValueError, match="format is 'arff'; expected one of npz, csv"):
        fl.datasets.load(path, format="arff")
    with pytest.raises(TypeError, match="a svmlight file takes no target; its options: n_feat"):
        fl.datasets.load(path, format="svmlight", target=0)
    assert fl.datasets.load(path, format="svmlight", n_features=4).X.shape == (1, 4)


@pytest.mark.parametrize("reader", ["csv", "svmlight"])
def test_integer_dtypes_are_refused(reader: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="dtype is int32"):
        READERS[reader](write(tmp_path / "a", "1 1:2\n"), dtype=np.int32)


# ---- NPZ ---------------------------------------------------------------------------------------


def test_npz(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    X = np.random.default_rng(0).standard_normal((5, 3))
    words = np.array(["b", "a", "b", "c", "a"])
    np.savez_compressed(path, X=X, y=words, feature_names=["u", "v", "w"], other=X[:, 0])
    data = fl.datasets.npz(path)
    same(data.X, X)
    same(data.y, np.array([1, 0, 1, 2, 0]))
    assert (data.classes, data.feature_names) == (("a", "b", "c"), ("u", "v", "w"))
    data = fl.datasets.npz(path, "other", dtype=np.float32)
    same(data.X, X.astype(np.float32))
    same(data.y, X[:, 0])
    np.savez(path, X=X)
    assert fl.datasets.npz(path, None).y.shape == (5, 0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.eye(2)}, "holds X; expected an array named y"),
        ({"y": np.eye(2)}, "holds y; expected an array named X"),
        ({"X": np.eye(2), "y": np.array([None, 1])}, "Object arrays cannot be loaded"),
        ({"X": np.eye(2), "y": np.zeros(3)}, "X has 2 rows, but y has 3"),
        ({"X": np.array([[1, np.nan]]), "y": np.zeros(1)}, r"X\[0, 1\] is nan"),
        ({"X": np.eye(2), "y": np.array([0, np.inf])}, r"y\[1\] is inf"),
        ({"X": np.array(["a"]), "y": np.zeros(1)}, "X is <U1 of shape"),
        ({"X": np.zeros((0, 2)), "y": np.zeros(0)}, r"X is float64 of shape \(0, 2\)"),
        ({"X": np.eye(2) * 1j, "y": np.zeros(2)}, "X is complex128"),
    ],
)
def test_bad_archives(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        fl.datasets.npz(tmp_path / "a.npz")


def test_damaged_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, X=np.arange(1000.0), y=np.arange(1000))
    data = path.read_bytes()
    for damaged in (data[: len(data) // 2], data[:400] + b"\xff" + data[401:], b"PK\3\4", b"text"):
        with pytest.raises(DataError, match="cannot be read as a"):
            fl.datasets.npz(write(path, damaged))
    buffer = io.BytesIO()
    np.save(buffer, np.eye(2))
    with pytest.raises(DataError, match="a single array"):
        fl.datasets.npz(write(path, buffer.getvalue()))


# ---- CSV ---------------------------------------------------------------------------------------

finite = st.floats(allow_nan=False, allow_infinity=False)


@one_folder
@given(data=st.data(), header=st.booleans(), newline=st.sampled_from(["\n", "\r\n"]))
def test_csv_round_trip(tmp_path: Path, data: Any, header: bool, newline: str) -> None:
    columns = data.draw(st.integers(2, 5))
    target = data.draw(st.integers(-columns, columns - 1))
    row = st.lists(finite, min_size=columns, max_size=columns)
    rows = data.draw(st.lists(row, min_size=1, max_size=5))
    names = tuple(f'c "{i}", x' for i in range(columns))
    with open(tmp_path / "a.csv", "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, lineterminator=newline)
        writer.writerows(([names] if header else []) + rows)
    found = fl.datasets.csv(tmp_path / "a.csv", target)
    same(found.X, np.delete(np.array(rows), target, axis=1))
    np.testing.assert_array_equal(found.y, np.array(rows)[:, target])
    left = tuple(name for i, name in enumerate(names) if i != target % columns)
    assert found.feature_names == (left if header else None)
    if header:
        same(fl.datasets.csv(tmp_path / "a.csv", names[target]).X, found.X)


@one_folder
@given(st.text('01.-e,"n\na \r', max_size=30), st.sampled_from([-1, 0, "a", None]))
def test_any_text_is_a_table_or_an_error(
    tmp_path: Path, text: str, target: int | str | None
) -> None:
    try:
        X, y = fl.datasets.csv(write(tmp_path / "a.csv", text), target)
    except ValueError as error:
        message = str(error)
    else:
        assert np.isfinite(X).all()
        assert X.shape == (len(y), X.shape[1])
        return
    assert "a.csv" in message


def test_csv_targets(tmp_path: Path) -> None:
    def y(*labels: str) -> Dataset:
        text = "".join(f"1,{label}\n" for label in labels)
        return fl.datasets.csv(write(tmp_path / "a.csv", text))

    same(y("1", "0.0", "-3").y, np.array([1, 0, -3]))
    same(y("1", "0.5").y, np.array([1, 0.5]))
    words = y("no", '"yes, sir"', " no ")
    same(words.y, np.array([0, 1, 0]))
    assert words.classes == ("no", "yes, sir")


def test_csv_options(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "1;2;0\n\n3;inf;1\n")
    data = fl.datasets.csv(path, 0, delimiter=";", header=True, allow_nonfinite=True, dtype="f4")
    same(data.X, np.array([[np.inf, 1]], np.float32))
    assert data.feature_names == ("2", "0")
    same(data.y, np.array([3]))


def test_csv_without_a_target(tmp_path: Path) -> None:
    data = fl.datasets.csv(write(tmp_path / "a.csv", "u,v\n1,2\n3,4\n"), None)
    same(data.X, np.array([[1.0, 2], [3, 4]]))
    assert (data.y.shape, data.feature_names) == ((2, 0), ("u", "v"))
    same(fl.datasets.csv(write(tmp_path / "a.csv", "1\n2\n"), None).X, np.array([[1.0], [2]]))
    with pytest.raises(DataError, match="line 2, column 2 is 'x'; expected a number"):
        fl.datasets.csv(write(tmp_path / "a.csv", "1,2\n3,x\n"), None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,y\n1,2,0\n\n1,2\n", "line 4 has 2 columns; expected 3"),
        ("1,2,0\n1,2,3,4\n", "line 2 has 4 columns; expected 3"),
        ("a,b,y\n1,2,0\n1,,0\n", r"line 3, column 2 \(b\) is empty; expected a number"),
        ("a,b,y\n1,NA,0\n", r"line 2, column 2 \(b\) is 'NA'; expected a number"),
        ("1,2,0\n1,nan,0\n", "line 2, column 2 is 'nan'.*expected a finite"),
        ("y,b\n1,2\n1,-inf\n", r"line 3, column 2 \(b\) is '-inf'"),
        ("1,1e999,0\n", "line 1, column 2 is '1e999', inf as float64"),
        ("1,1_0,0\n", "line 1, column 2 is '1_0'"),
        ("1,2,0\n1,2,\n", "line 2, column 3 is empty; expected a target"),
        ("1,2,0\n1,2,NA\n", "line 2, column 3 is 'NA'; expected a number, as other"),
        ("1,2,0\n1,2,nan\n", "line 2, column 3 is 'nan'; expected a finite"),
        ("a,b,2020\n1,2,0\n", "line 1, column 1 is 'a'.*header=True"),
        ("a,b,y\n", "a header and no rows"),
        ("\n\n", "no rows"),
        ("1\n2\n", "a single column"),
        ("y\n2\n", "a single column"),
        ("1,2\n1,\xff\n".encode("latin-1"), "line 2: found byte 0xff; expected UTF-8"),
        ('1,2\n"3,4\n', "line 2 has 1 columns"),
    ],
)
def test_bad_tables(text: bytes | str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        fl.datasets.csv(write(tmp_path / "a.csv", text))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,y\n1,2\n", {"target": "z"}, "target is 'z'; expected one of the 2 columns of .*: a, y"),
        ("a,a\n1,2\n", {"target": "a"}, "target is 'a'"),
        ("1,2\n", {"target": "z"}, "has no header"),
        ("1,2\n", {"target": 2}, "target is 2"),
        ("1,2\n", {"target": -3}, "target is -3"),
        ("1,2\n", {"delimiter": "::"}, "delimiter is '::'"),
    ],
)
def test_bad_csv_options(text: str, options: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        fl.datasets.csv(write(tmp_path / "a.csv", text), **options)


# ---- svmlight ----------------------------------------------------------------------------------


@st.composite
def samples(draw: Any) -> list[tuple[float, dict[int, float]]]:
    pairs = st.dictionaries(st.integers(1, 50), finite, max_size=6)
    return draw(st.lists(st.tuples(finite, pairs), min_size=1, max_size=8))


@one_folder
@given(samples(), st.sampled_from([1, 7, 64, 1 << 23]), st.booleans())
def test_svmlight_round_trip(
    tmp_path: Path, rows: list[tuple[float, dict[int, float]]], block: int, decorated: bool
) -> None:
    pytest.importorskip("scipy")
    lines, expected = [], np.zeros((len(rows), 51))
    for i, (label, pairs) in enumerate(rows):
        words = [repr(label), *(f"{j}:{v!r}" for j, v in sorted(pairs.items()))]
        if decorated:
            words.insert(1, "qid:3")
            lines += ["# a comment: 1:2", "", "\t".join(words) + " # 5:5\r"]
        else:
            lines.append(" ".join(words))
        for j, v in pairs.items():
            expected[i, j] = v
    path = write(tmp_path / "a.svm", "\n".join(lines) + "\n" * decorated)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_svmlight, "BLOCK", block)
        X, y = fl.datasets.svmlight(path, 51, zero_based=True)
        one_based, _ = fl.datasets.svmlight(path, 50, zero_based=False)
    same(X.toarray(), expected)
    same(one_based.toarray(), expected[:, 1:])
    assert X.nnz == sum(len(pairs) for _, pairs in rows)
    np.testing.assert_array_equal(y, [label for label, _ in rows])


words = st.sampled_from(
    ["1", "-2", "0.5", "1:2", "2:-3", "7:1e3", "9:1", "1:", ":", "3:4:5", "x:1"]
)
gaps = st.sampled_from([" ", " ", "\n", "\t", "  ", "", " # 1:1\n", "\r\n"])


@settings(one_folder, max_examples=300)
@given(st.lists(st.tuples(words, gaps), max_size=12))
def test_svmlight_reads_no_line_in_another_way(
    tmp_path: Path, pieces: list[tuple[str, str]]
) -> None:
    """What is accepted is what a plain line-by-line parser finds."""
    pytest.importorskip("scipy")
    text = "".join(map("".join, pieces))
    try:
        X, y = fl.datasets.svmlight(write(tmp_path / "a.svm", text), 10, zero_based=True)
    except DataError:
        return
    lines = [line.partition("#")[0].split() for line in text.split("\n")]
    rows = [line for line in lines if line]
    assert y.tolist() == [float(row[0]) for row in rows]
    pairs = [tuple(map(float, word.split(":"))) for row in rows for word in row[1:]]
    assert list(zip(X.indices.tolist(), X.data.tolist(), strict=True)) == pairs


@pytest.mark.parametrize("zero_based", [True, False])
def test_svmlight_agrees_with_sklearn(zero_based: bool, tmp_path: Path) -> None:
    sklearn = pytest.importorskip("sklearn.datasets")
    rng = np.random.default_rng(3)
    X = rng.standard_normal((200, 40)) * (rng.random((200, 40)) < 0.2)
    X[0, 0] = 1
    y = rng.integers(-1, 2, 200)
    path = str(tmp_path / "a.svm")
    sklearn.dump_svmlight_file(X, y, path, zero_based=zero_based, comment="made: by hand")
    expected, labels = sklearn.load_svmlight_file(path)
    found, y_found = fl.datasets.svmlight(path)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))
    assert found.shape == expected.shape
    np.testing.assert_array_equal(y_found, labels)
    assert y_found.dtype == np.int64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 1:2\n1 2\n", "line 2: found '2'; expected index:value"),
        ("1 1:2\n1 2:\n", "line 2: found '2:'"),
        ("1 :2\n", "line 1: found ':2'"),
        ("1 1:2:3 4\n", "line 1: found '1:2:3'"),
        ("1 1:2 3: 4\n", "line 1: found '3:'"),
        ("1 1:x\n", "line 1: found '1:x'"),
        ("1 1:2-3\n", "line 1: found '1:2-3'"),
        ("1 1.5:2\n", "line 1: index 1.5; expected an integer"),
        ("1 1e300:2\n", "line 1: index 1e300"),
        ("1 nan:2\n", "line 1: index nan"),
        ("# x\n\n1:2 3:4\n", "line 3: label '1:2'; expected a number"),
        ("yes 1:2\n", "line 1: label 'yes'"),
        ("1,2 1:2\n", "line 1: label '1,2'"),
        ("1 1:2\n\n1 3:1 2:1\n", "line 3: index 2 follows 3; expected ascending"),
        ("1 1:2 1:2\n", "line 1: index 1 follows 1"),
        ("1\n1 -1:2\n", "line 2: index -1 is negative"),
        ("1 1:2\n1 4:nan\n", "line 2: the value of index 4 is nan"),
        ("1 1:1e999\n", "line 1: the value of index 1 is inf"),
        ("1 1:1\ninf 1:1\n", "line 2: label inf"),
        ("1 1:1\n1 1:1\x00 2:3\n", "line 2: found '1:1.x00'|characters that are not text"),
        ("1 1:1\n1 1:\xff\n", "line 2: found"),
        ("\n# nothing\n", "no samples"),
        ("1\n2\n", "no features; give n_features"),
    ],
)
@pytest.mark.parametrize("block", [5, 1 << 23])
def test_bad_svmlight(
    text: str, message: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("scipy")
    monkeypatch.setattr(_svmlight, "BLOCK", block)
    with pytest.raises(DataError, match=message):
        fl.datasets.svmlight(write(tmp_path / "a.svm", text))


def test_svmlight_ranges(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    path = write(tmp_path / "a.svm", "1 0:1\n2\n2.5 3:4\n")
    with pytest.raises(DataError, match="line 3: index 3; expected at most 2, as n_features is 3"):
        fl.datasets.svmlight(path, 3)
    with pytest.raises(DataError, match="line 1: index 0, but zero_based is False"):
        fl.datasets.svmlight(path, zero_based=False)
    one = write(tmp_path / "b.svm", "1 1:1 4:2\n")
    with pytest.raises(DataError, match="index 4; expected at most 3"):
        fl.datasets.svmlight(one, 3)
    assert fl.datasets.svmlight(one).X.shape == (1, 4)
    assert fl.datasets.svmlight(one, zero_based=True).X.shape == (1, 5)
    same(fl.datasets.svmlight(path, dtype=np.float32).y, np.array([1, 2, 2.5]))
    bad = write(tmp_path / "c.svm", "1 1:nan\n")
    assert np.isnan(fl.datasets.svmlight(bad, allow_nonfinite=True).X.toarray()).all()


def test_svmlight_needs_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ImportError, match=r"pip install 'fallline\[sparse\]'"):
        fl.datasets.svmlight(write(tmp_path / "a.svm", "1 1:1\n"))


# ---- IDX and MNIST -----------------------------------------------------------------------------


@one_folder
@given(data=st.data(), suffix=st.sampled_from(list(COMPRESSORS)), code=st.sampled_from(list(CODES)))
def test_idx_round_trip(tmp_path: Path, data: Any, suffix: str, code: str) -> None:
    shape = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    size = int(np.prod(shape))
    raw = data.draw(st.binary(min_size=8 * size, max_size=8 * size))
    array = np.frombuffer(raw, code)[:size].reshape(shape)
    path = write(tmp_path / "a.idx", COMPRESSORS[suffix](idx_bytes(array)))
    found = fl.datasets.idx(path)
    assert found.dtype.isnative
    assert found.flags.writeable
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    assert found.tobytes() == array.tobytes()


def idx_header(*words: int, code: int = 8) -> bytes:
    return struct.pack(f">BBBB{len(words)}I", 0, 0, code, len(words), *words)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\x08", "starts with 00 00 08; expected IDX's"),
        (b"\x08\0\0\1" + bytes(9), "starts with 08 00 00 01"),
        (b"\0\0\x0a\1" + bytes(4), "starts with 00 00 0a 01"),
        (b"\0\0\x08\0" + bytes(4), "promises 0 dimensions"),
        (b"\0\0\x08\xff" + bytes(2000), "promises 255 dimensions"),
        (b"\0\0\x08\2" + bytes(5), "ends in its header: 5 of 8 bytes"),
        (idx_header(5) + bytes(4), r"uint8 of shape \(5,\), 5 bytes; found 4"),
        (idx_header(5) + bytes(6), "5 bytes; found more than that"),
        (idx_header(5, code=14) + bytes(39), "40 bytes; found 39"),
        (idx_header(1 << 20, 1 << 20) + bytes(9), "1,099,511,627,776 bytes; found 9"),
        (idx_header(*[2**32 - 1] * 9) + bytes(9), "bytes; found 9"),
        (idx_header(0, *[2**32 - 1] * 9), "promises shape"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_bad_idx(content: bytes, message: str, suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.idx", COMPRESSORS[suffix](content))
    with pytest.raises(DataError, match=message):
        fl.datasets.idx(path)


def test_a_promise_is_not_allocated() -> None:
    asked = []

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            asked.append(size)
            return super().read(size)

    assert _files.read(Stream(b"1234"), 1 << 40) == b"1234"
    assert max(asked) <= _files.CHUNK


@one_folder
@given(st.binary(max_size=40))
def test_any_bytes_are_an_array_or_an_error(tmp_path: Path, content: bytes) -> None:
    for reader in READERS.values():
        with contextlib.suppress(DataError):
            reader(write(tmp_path / "a", content))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((3, 2, 2), "u1"), np.zeros(2, "u1"), "holds 3 images, but .* 2 labels"),
        (np.zeros((3, 2), "u1"), np.zeros(3, "u1"), r"holds uint8 of shape \(3, 2\)"),
        (np.zeros((3, 2, 2), "f4"), np.zeros(3, "u1"), "holds float32 of shape"),
        (np.zeros((0, 2, 2), "u1"), np.zeros(0, "u1"), r"shape \(0, 2, 2\)"),
        (np.zeros((3, 2, 2), "u1"), np.zeros((3, 1), "u1"), r"holds uint8 of shape \(3, 1\)"),
        (np.zeros((3, 2, 2), "u1"), np.zeros(3, "f4"), "expected integers"),
        (np.zeros((3, 2, 2), "u1"), np.array([0, 10, 11], "u1"), "label 1 is 10; expected 0 to 9"),
        (np.zeros((3, 2, 2), "u1"), np.array([0, 1, -1], "i1"), "label 2 is -1; expected 0 to 9"),
    ],
)
def test_bad_mnist(images: np.ndarray, labels: np.ndarray, message: str, tmp_path: Path) -> None:
    write(tmp_path / "t10k-images.idx3-ubyte", idx_bytes(images))
    write(tmp_path / "t10k-labels.idx1-ubyte", idx_bytes(labels))
    with pytest.raises(DataError, match=message):
        fl.datasets.mnist(tmp_path, "test")


def test_missing_labels(tmp_path: Path) -> None:
    write(tmp_path / "train-images-idx3-ubyte", idx_bytes(np.zeros((1, 2, 2), "u1")))
    for path in (tmp_path, tmp_path / "train-images-idx3-ubyte"):
        with pytest.raises(FileNotFoundError, match="holds no train-labels-idx1-ubyte"):
            fl.datasets.load(path)
    with pytest.raises(ValueError, match="has no 'images' in its name"):
        fl.datasets.load(write(tmp_path / "a.idx", b"x"))
    with pytest.raises(ValueError, match="split is 'val'"):
        fl.datasets.mnist(tmp_path, "val")  # type: ignore[arg-type]


@pytest.mark.skipif(not (SAMPLES / "mnist").is_dir(), reason="needs MNIST's files")
def test_mnist() -> None:
    X, y = fl.datasets.mnist(SAMPLES / "mnist", "test")
    assert (X.shape, X.dtype, X.min(), X.max()) == ((10_000, 784), np.float32, 0, 1)
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(y).tolist() == counts
    pixels = fl.datasets.idx(SAMPLES / "mnist" / "t10k-images-idx3-ubyte.gz")
    same(X[:100].reshape(-1, 28, 28), pixels[:100] / np.float32(255))


# ---- CIFAR-10 ----------------------------------------------------------------------------------


def test_cifar10(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels, pixels = np.array([3, 9, 0]), rng.integers(0, 256, (3, 3, 32, 32), np.uint8)
    records = [
        bytes([label]) + image.tobytes() for label, image in zip(labels, pixels, strict=True)
    ]
    write(tmp_path / "data_batch_2.bin", records[2])
    write(tmp_path / "data_batch_1.bin", records[0] + records[1])
    write(tmp_path / "test_batch.bin", records[1])
    data = fl.datasets.cifar10(tmp_path)
    same(data.X, pixels / np.float32(255))
    same(data.y, labels)
    assert data.classes is None
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    write(tmp_path / "batches.meta.txt", names.replace(" ", "\n") + "\n\n")
    X, y = test = fl.datasets.cifar10(tmp_path, "test", flatten=True, dtype=np.float64)
    same(X, pixels[1:2].reshape(1, -1) / 255)
    assert test.classes is not None
    assert test.classes[y[0]] == "truck"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(3072), "3,072 bytes; expected a multiple of 3,073"),
        (bytes(3074), "3,074 bytes"),
        (bytes(3073) + b"\x0a" + bytes(3072), "the label of image 1 is 10; expected 0 to 9"),
        (b"", "is empty"),
    ],
)
def test_bad_cifar10(content: bytes, message: str, tmp_path: Path) -> None:
    write(tmp_path / "test_batch.bin", content)
    with pytest.raises(DataError, match=message):
        fl.datasets.cifar10(tmp_path, "test")


def test_missing_cifar10(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no data_batch"):
        fl.datasets.cifar10(tmp_path)
    with pytest.raises(ValueError, match="split is 'val'"):
        fl.datasets.cifar10(tmp_path, "val")  # type: ignore[arg-type]
    write(tmp_path / "test_batch.bin", bytes(3073))
    write(tmp_path / "batches.meta.txt", "cat\ndog\n")
    with pytest.raises(DataError, match="holds 2 names; expected 10"):
        fl.datasets.cifar10(tmp_path, "test")


@pytest.mark.skipif(
    not (SAMPLES / "cifar-10-batches-bin").is_dir(), reason="needs CIFAR-10's files"
)
def test_cifar10_as_published() -> None:
    data = fl.datasets.cifar10(SAMPLES / "cifar-10-batches-bin", "test")
    assert np.bincount(data.y).tolist() == [1000] * 10
    assert data.classes is not None
    assert data.classes[-1] == "truck"
    # The training set's means, over all its images.
    np.testing.assert_allclose(data.X.mean(axis=(0, 2, 3)), [0.4914, 0.4822, 0.4465], atol=0.005)
