"""Bytes of a file, plain or compressed."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import IO, TypeAlias

from ._dataset import DataError

PathLike: TypeAlias = str | os.PathLike[str]

COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "lzma"}
SUFFIXES = (".gz", ".bz2", ".xz")
CHUNK = 1 << 22


@contextmanager
def opened(path: PathLike) -> Iterator[IO[bytes]]:
    """A stream of the file's bytes; damage that shows while reading becomes a DataError.

    The first bytes say how a file is compressed: names are often wrong, since browsers unpack
    a .gz on the way and keep its name.
    """
    with open(path, "rb") as file:
        head = file.read(6)
        file.seek(0)
        if not head:
            raise DataError(f"{path} is empty")
        name = next((m for magic, m in COMPRESSIONS.items() if head.startswith(magic)), None)
        if name is None:
            yield file
            return
        module = import_module(name)
        try:
            with module.open(file, "rb") as stream:
                yield stream
        except (EOFError, zlib.error, OSError, getattr(module, "LZMAError", EOFError)) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's error, not the data's
            raise DataError(f"{path} is a damaged or truncated {name} file: {error}") from error


def read(stream: IO[bytes], limit: int | None = None) -> bytearray:
    """The rest of a stream, or its next `limit` bytes.

    By chunks: what a header promises is allocated only as far as the file keeps it.
    """
    data = bytearray()
    while limit is None or len(data) < limit:
        chunk = stream.read(CHUNK if limit is None else min(CHUNK, limit - len(data)))
        if not chunk:
            break
        data += chunk
    return data


def read_text(path: PathLike) -> str:
    """A UTF-8 text, without the mark that some programs put in front."""
    with opened(path) as stream:
        data = read(stream)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: found byte {data[error.start]:#04x}; expected UTF-8 text"
        ) from error
