"""Tables of numbers as text."""

from __future__ import annotations

import csv as text_table
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from .._types import Array
from ._dataset import DataError, Dataset, encode, first_nonfinite, float_type, plain_target
from ._files import PathLike, read_text


def csv(
    path: PathLike,
    target: int | str | None = -1,
    *,
    delimiter: str = ",",
    header: bool | Literal["auto"] = "auto",
    dtype: npt.DTypeLike = np.float64,
    allow_nonfinite: bool = False,
) -> Dataset:
    r"""A table of numbers, one sample a line, with the target in one of the columns.

    Parameters
    ----------
    path : path
        A UTF-8 text, plain or compressed (gzip, bzip2, xz). Fields may be quoted with ``"``.
    target : int, str or None, default -1
        The target's column: its index (negative: from the end) or its name in the header. None
        where there is none; `y` is then of shape (n, 0).
    delimiter : str, default ","
        The character between fields.
    header : bool or "auto", default "auto"
        Whether the first line names the columns; "auto": if none of its fields is a number.
    dtype : float type, default float64
        Of `X`.
    allow_nonfinite : bool, default False
        Let fields pass that say ``nan`` or ``inf``. An empty field is an error in any case.

    Returns
    -------
    Dataset
        `X` of shape (n, columns - 1); `y` of shape (n,): int64 if all targets are whole numbers,
        float64 if they are numbers, else indices into `classes`, the sorted words.

    Raises
    ------
    DataError
        A field is missing or not a number, or a line is longer or shorter than the first one.
    ValueError
        The table has no such target.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fallline as fl
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "irises.csv")
    ...     _ = path.write_text("length,species,width\n5.1,setosa,3.5\n6.3,virginica,3.3\n")
    ...     irises = fl.datasets.csv(path, target="species")
    >>> irises.X, irises.y
    (array([[5.1, 3.5], [6.3, 3.3]]), array([0, 1]))
    >>> irises.feature_names, irises.classes
    (('length', 'width'), ('setosa', 'virginica'))
    """
    dtype = float_type(dtype)
    table = opened_table(path, delimiter, header)
    table = table._replace(target=table.width if target is None else _column(table, target))
    X, labels = _parse(table)
    with np.errstate(over="ignore"):  # a number too large for the dtype is found below
        X = X.astype(dtype, copy=False)
    at = None if allow_nonfinite else first_nonfinite(X)
    if at is not None:
        column = at[1] + (at[1] >= table.target)
        row = next(islice(table.rows(), at[0], None))
        raise DataError(
            f"{table.place(row.line, column)} is {row.fields[column]!r}, {X[at]} as {dtype}; "
            "expected a finite number"
        )
    y, classes = (
        _target(table, labels, allow_nonfinite) if labels else (np.empty((len(X), 0)), None)
    )
    features = table.names and table.names[: table.target] + table.names[table.target + 1 :]
    return Dataset(X, y, features, classes)


class Row(NamedTuple):
    """One record and the line that it ends on, counted from 1."""

    line: int
    fields: list[str]


class Table(NamedTuple):
    """A text and how it is laid out."""

    path: PathLike
    text: str
    delimiter: str
    names: tuple[str, ...] | None
    width: int
    target: int  # the width, where no column is one

    def place(self, line: int, column: int) -> str:
        """Words for a field's place."""
        name = f" ({self.names[column]})" if self.names and column < len(self.names) else ""
        return f"{self.path}, line {line}, column {column + 1}{name}"

    def rows(self) -> Iterator[Row]:
        """The records below the header."""
        return islice(_rows(self.path, self.text, self.delimiter), bool(self.names), None)


def opened_table(
    path: PathLike, delimiter: str = ",", header: bool | Literal["auto"] = "auto"
) -> Table:
    """The text and its columns; none of them is a target yet."""
    if len(delimiter) != 1:
        raise ValueError(f"delimiter is {delimiter!r}; expected one character")
    text = read_text(path)
    first = next(_rows(path, text, delimiter), None)
    if first is None:
        raise DataError(f"{path} holds no rows")
    named = not any(map(_is_number, first.fields)) if header == "auto" else bool(header)
    names = tuple(field.strip() for field in first.fields) if named else None
    return Table(path, text, delimiter, names, len(first.fields), len(first.fields))


def _rows(path: PathLike, text: str, delimiter: str) -> Iterator[Row]:
    reader = text_table.reader(StringIO(text, newline=""), delimiter=delimiter)
    try:
        for fields in reader:
            if fields:
                yield Row(reader.line_num, fields)
    except text_table.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return "_" not in field  # 1_000 is Python's, not a table's


def _column(table: Table, target: int | str) -> int:
    """The index of the target's column."""
    if table.width < 2:
        raise DataError(
            f"{table.path} has a single column; expected features and a target "
            f"between delimiters {table.delimiter!r}"
        )
    where = f"the {table.width} columns of {table.path}"
    if isinstance(target, str):
        if table.names is None:
            raise ValueError(f"target is {target!r}, but {table.path} has no header to find it in")
        if table.names.count(target) != 1:
            raise ValueError(
                f"target is {target!r}; expected one of {where}: {', '.join(table.names)}"
            )
        return table.names.index(target)
    if not -table.width <= target < table.width:
        raise ValueError(f"target is {target}; expected an index into {where}")
    return target % table.width


def _parse(table: Table) -> tuple[Array, list[str]]:
    """All columns but the target as float64, and the target's fields."""
    after = max(0, table.width - 1 - table.target)
    layout: Any = [("before", np.float64, (table.target,))]
    layout += [("target", object)] if table.target < table.width else []
    layout += [("after", np.float64, (after,))]
    if next(table.rows(), None) is None:
        raise DataError(f"{table.path} holds a header and no rows")
    stream = StringIO(table.text, newline="")
    if table.names is not None:
        next(row for row in text_table.reader(stream, delimiter=table.delimiter) if row)
    try:
        found = np.loadtxt(
            stream,
            dtype=[field for field in layout if field[0] == "target" or field[2][0]],
            delimiter=table.delimiter,
            quotechar='"',
            comments=None,
            ndmin=1,
        )
    except ValueError as error:
        _explain(table, error)
    names = found.dtype.names or ()
    sides = [found[side] for side in ("before", "after") if side in names]
    labels = found["target"].tolist() if "target" in names else []
    return np.concatenate(sides, axis=1), labels


def _explain(table: Table, error: ValueError) -> NoReturn:
    """Walk the table to the field that stopped the parser, and raise with its place."""
    for line, fields in table.rows():
        if len(fields) != table.width:
            raise DataError(
                f"{table.path}, line {line} has {len(fields)} columns; expected {table.width} "
                "as in the first one"
            ) from error
        for column, field in enumerate(fields):
            if column != table.target and not _is_number(field):
                found = repr(field) if field.strip() else "empty"
                hint = " (header=True, if the line names the columns)" if line == 1 else ""
                raise DataError(
                    f"{table.place(line, column)} is {found}; expected a number{hint}"
                ) from error
    raise DataError(f"{table.path}: {error}") from error


def _target(
    table: Table, labels: list[str], allow_nonfinite: bool
) -> tuple[Array, tuple[str, ...] | None]:
    """Numbers if all labels are, classes if none is."""
    labels = [label.strip() for label in labels]
    numeric = [_is_number(label) for label in labels]

    def wrong(at: int, found: str, expected: str) -> DataError:
        line = next(islice(table.rows(), at, None)).line
        return DataError(f"{table.place(line, table.target)} is {found}; expected {expected}")

    if "" in labels:
        raise wrong(labels.index(""), "empty", "a target")
    if not any(numeric):
        return encode(labels)
    if not all(numeric):
        at = numeric.index(False)
        raise wrong(at, repr(labels[at]), "a number, as other targets are")
    y = np.array(labels, dtype=np.float64)
    at_nonfinite = None if allow_nonfinite else first_nonfinite(y)
    if at_nonfinite is not None:
        raise wrong(at_nonfinite[0], repr(labels[at_nonfinite[0]]), "a finite number")
    return plain_target(y), None
