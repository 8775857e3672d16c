"""Interrupts of the program: one line, whatever is under way."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LINE = "Interrupted; files that were finished are whole, no other was written."
STATUS = 130


def leave(number: int, frame: FrameType | None) -> None:
    """End the program at once: nothing is under way that would have to be undone."""
    os.write(2, f"{LINE}\n".encode())
    os._exit(STATUS)


@contextmanager
def taken_down() -> Iterator[list[int]]:
    """Raise KeyboardInterrupt at an interrupt and list it: modules that are being loaded turn the
    error into others.
    """
    seen: list[int] = []

    def take(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    before = signal.signal(signal.SIGINT, take)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
