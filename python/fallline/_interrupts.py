"""Ctrl-C must not tear a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def shielded() -> Iterator[None]:
    """Hold back SIGINT until the block has run. Only the main thread ever receives it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):  # ignored, the default action, or set outside Python
        yield
        return
    signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held:
            handler(*held[0])


class Noticed:
    """Whether Ctrl-C has been pressed."""

    asked = False


class _Local(threading.local):
    request: Noticed | None = None


_local = _Local()


@contextmanager
def following(request: Noticed) -> Iterator[None]:
    """In a worker's thread: have :func:`noticed` give the request that the main thread takes."""
    _local.request = request
    try:
        yield
    finally:
        _local.request = None


@contextmanager
def noticed() -> Iterator[Noticed]:
    """Take the first SIGINT as a request, to be met between steps; a second one interrupts."""
    request = _local.request or Noticed()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        if request.asked:
            handler(number, frame)
        request.asked = True

    signal.signal(signal.SIGINT, note)
    try:
        yield request
    finally:
        signal.signal(signal.SIGINT, handler)
