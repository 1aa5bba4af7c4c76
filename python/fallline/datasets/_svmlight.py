"""The text format of SVMlight and LIBSVM."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import IO, Literal, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from .._extras import require
from .._types import Array
from ._dataset import DataError, Dataset, first_nonfinite, float_type, plain_target
from ._files import PathLike, opened

BLOCK = 1 << 23  # bytes parsed at a time: the parser's temporaries take about ten times as many
COMMENT = re.compile(rb"#[^\n]*")
QUERY = re.compile(rb"(?<!\S)qid:\d+(?!\S)")
MAX_INDEX = 2**53  # up to here float64 tells integers apart


def svmlight(
    path: PathLike,
    n_features: int | None = None,
    *,
    zero_based: bool | Literal["auto"] = "auto",
    dtype: npt.DTypeLike = np.float64,
    allow_nonfinite: bool = False,
) -> Dataset:
    r"""Sparse samples as text, ``label index:value index:value …`` a line.

    Parameters
    ----------
    path : path
        The file, plain or compressed (gzip, bzip2, xz). ``#`` starts a comment; ``qid:…`` is
        skipped.
    n_features : int, optional
        Columns of `X`; by default as many as the largest index asks for. Give it where a
        training and a test file must have the same.
    zero_based : bool or "auto", default "auto"
        Whether the first feature has index 0; "auto": if the file has an index 0.
    dtype : float type, default float64
        Of the values.
    allow_nonfinite : bool, default False
        Let NaN and infinities pass.

    Returns
    -------
    Dataset
        `X` a scipy.sparse.csr_array of shape (n, n_features); `y` int64 if all labels are whole
        numbers, else float64.

    Raises
    ------
    ImportError
        SciPy is missing (extra ``sparse``).
    DataError
        A label or pair is malformed, or a line's indices do not ascend or are out of range.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fallline as fl
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "points.svm")
    ...     _ = path.write_text("+1 1:0.5 3:2\n-1 2:1.5\n")
    ...     X, y = fl.datasets.svmlight(path)
    >>> X.toarray()
    array([[0.5, 0. , 2. ],
           [0. , 1.5, 0. ]])
    >>> y
    array([ 1, -1])

    References
    ----------
    Joachims (1999), Making large-scale SVM learning practical, Advances in Kernel Methods.
    """
    sparse = require("scipy.sparse", extra="sparse")
    dtype = float_type(dtype)
    with opened(path) as stream:
        parts = [_parse(path, first, text) for first, text in _blocks(stream)]
    data = Samples(*map(np.concatenate, zip(*parts, strict=True)))
    if not len(data.labels):
        raise DataError(f"{path} holds no samples")
    with np.errstate(over="ignore"):  # a number too large for the dtype is found below
        data = data._replace(values=data.values.astype(dtype, copy=False))
    _check(path, data, allow_nonfinite)
    indices, width = _columns(path, data, n_features, zero_based)
    rows = np.concatenate([[0], np.cumsum(data.counts)])
    X = sparse.csr_array((data.values, indices, rows), shape=(len(data.labels), width))
    return Dataset(X, plain_target(data.labels))


class Samples(NamedTuple):
    """The numbers of some lines, and where they came from."""

    lines: Array  # each sample's line in the file, from 1
    labels: Array
    counts: Array  # pairs of each sample
    indices: Array
    values: Array

    def line(self, pair: int) -> int:
        """The line that a pair stands on."""
        return int(self.lines[np.searchsorted(np.cumsum(self.counts), pair, side="right")])


def _blocks(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The text in runs of whole lines, each with the number of its first line."""
    first, rest = 1, b""
    while chunk := stream.read(BLOCK):
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            rest += chunk
            continue
        text, rest = rest + head + newline, tail
        yield first, text
        first += text.count(b"\n")
    yield first, rest + b"\n"


def _parse(path: PathLike, first_line: int, block: bytes) -> Samples:
    """All numbers of a block in one call of NumPy's parser, after a check of its punctuation."""
    text = COMMENT.sub(b"", block) if b"#" in block else block
    text = QUERY.sub(b"", text) if b"qid:" in text else text
    chars = np.frombuffer(text, np.uint8)
    blank = chars <= ord(" ")
    starts = np.flatnonzero(~blank & np.concatenate([[True], blank[:-1]]))
    ends = np.concatenate([starts[1:], [len(chars)]])
    # Words before the end of each line; a line's first word is its label.
    bounds = np.searchsorted(starts, np.flatnonzero(chars == ord("\n")))
    words = np.diff(bounds, prepend=0)
    samples = np.flatnonzero(words)
    labels = bounds[samples] - words[samples]
    is_pair = np.ones(len(starts), dtype=bool)
    is_pair[labels] = False
    colons = np.flatnonzero(chars == ord(":"))
    sound = (
        len(colons) == np.count_nonzero(is_pair)
        and (starts[is_pair] < colons).all()
        and (colons < ends[is_pair]).all()  # so each pair has one colon, and labels have none
        and not blank[colons + 1].any()
    )
    numbers = _numbers(text.replace(b":", b" ")) if sound and len(samples) else np.empty(0)
    if not sound or len(numbers) != len(starts) + len(colons):
        _explain(path, first_line, text)
    # A word's first number stands behind those of the words before it.
    at = np.arange(len(starts)) + np.cumsum(is_pair) - is_pair
    pairs = at[is_pair]
    indices = numbers[pairs]
    wrong = (indices != np.floor(indices)) | (np.abs(indices) >= MAX_INDEX)
    if wrong.any():
        _explain(path, first_line, text)
    return Samples(
        samples + first_line,
        numbers[at[labels]],
        words[samples] - 1,
        indices.astype(np.int64),
        numbers[pairs + 1],
    )


def _numbers(text: bytes) -> Array:
    """All numbers of a text; none where it holds anything else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # what NumPy < 2.4 raises
        try:
            return np.fromstring(text, sep=" ")
        except (ValueError, DeprecationWarning):
            return np.empty(0)


def _explain(path: PathLike, first_line: int, text: bytes) -> NoReturn:
    """Walk the block to the word that stopped the parser, and raise with its line."""

    def is_number(word: str) -> bool:
        return word.isascii() and len(_numbers(word.encode())) == 1

    for line, words in enumerate(text.decode("latin-1").split("\n"), start=first_line):
        for position, word in enumerate(words.split()):
            index, colon, value = word.partition(":")
            if not position and (colon or not is_number(word)):
                raise DataError(f"{path}, line {line}: label {word!r}; expected a number")
            if position and not (is_number(index) and is_number(value)):
                raise DataError(f"{path}, line {line}: found {word!r}; expected index:value")
            if position and (float(index) % 1 or abs(float(index)) >= MAX_INDEX):
                raise DataError(f"{path}, line {line}: index {index}; expected an integer < 2^53")
    raise DataError(f"{path}, from line {first_line}: found characters that are not text")


def _check(path: PathLike, data: Samples, allow_nonfinite: bool) -> None:
    """Raise where numbers that could be read make no sense."""
    indices = data.indices
    if len(indices) and indices.min() < 0:
        at = int(indices.argmin())
        raise DataError(f"{path}, line {data.line(at)}: index {indices[at]} is negative")
    follows = np.ones(len(indices) + 1, dtype=bool)
    follows[np.concatenate([[0], np.cumsum(data.counts)])] = False
    unsorted = follows[1:-1] & (np.diff(indices) <= 0)
    if unsorted.any():
        at = int(unsorted.argmax()) + 1
        raise DataError(
            f"{path}, line {data.line(at)}: index {indices[at]} follows {indices[at - 1]}; "
            "expected ascending indices"
        )
    if allow_nonfinite:
        return
    if (found := first_nonfinite(data.values)) is not None:
        (at,) = found
        raise DataError(
            f"{path}, line {data.line(at)}: the value of index {indices[at]} is "
            f"{data.values[at]} as {data.values.dtype}; expected a finite number"
        )
    if (found := first_nonfinite(data.labels)) is not None:
        raise DataError(
            f"{path}, line {data.lines[found]}: label {data.labels[found]}; "
            "expected a finite number"
        )


def _columns(
    path: PathLike, data: Samples, n_features: int | None, zero_based: bool | Literal["auto"]
) -> tuple[Array, int]:
    """Indices from 0, and the number of columns."""
    indices = data.indices
    lowest = int(indices.min(initial=1))
    if zero_based == "auto":
        zero_based = lowest == 0
    if not zero_based:
        if lowest == 0:
            line = data.line(int(indices.argmin()))
            raise DataError(f"{path}, line {line}: index 0, but zero_based is False")
        indices = indices - 1
    highest = int(indices.max(initial=-1))
    width = highest + 1 if n_features is None else n_features
    if highest >= width:
        at = int(indices.argmax())
        raise DataError(
            f"{path}, line {data.line(at)}: index {data.indices[at]}; expected at most "
            f"{width - bool(zero_based)}, as n_features is {width}"
        )
    if width < 1:
        raise DataError(f"{path} holds no features; give n_features")
    return indices, width
