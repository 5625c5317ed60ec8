"""Ctrl-C and SIGTERM as a wish that is granted when the step is done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopWish:
    """Set by the first signal."""

    def __init__(self) -> None:
        self.wished = False


@contextmanager
def stop_wish() -> Iterator[StopWish]:
    """A wish that SIGINT and SIGTERM set; the second signal acts as ever. Other threads than the main one get no signals."""
    wish = StopWish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        wish.wished = True
        signal.signal(number, before[signal.Signals(number)] or signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, handle)
    try:
        yield wish
    finally:
        for number, old in before.items():
            signal.signal(number, old or signal.SIG_DFL)
