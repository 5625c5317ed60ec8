"""Memory that a thread keeps from one chunk to the next, so that it is not asked of the system, page by page, each time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import DTypeLike

_MOST = 1 << 26  # bytes that a thread keeps
_ALIGNED = 64


class Room:
    """A stack of uninitialised arrays in one piece of memory."""

    def __init__(self) -> None:
        self.memory = np.empty(0, np.uint8)
        self.used = self.needed = 0

    def empty(self, shape: tuple[int, ...] | int, dtype: DTypeLike) -> np.ndarray:
        """Like numpy's, and numpy's own beyond the memory that there is."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        start, self.used = self.used, self.used + -(-size // _ALIGNED) * _ALIGNED
        self.needed = max(self.needed, self.used)
        if self.used > self.memory.size:
            return np.empty(shape, dtype)
        return self.memory[start : start + size].view(dtype).reshape(shape)


_local = threading.local()


@contextmanager
def room() -> Iterator[Room]:
    """The thread's room: arrays taken from it within the context are void after it. Next time it has what was needed this time."""
    found: Room = getattr(_local, "room", None) or Room()
    _local.room, before = found, found.used
    try:
        yield found
    finally:
        found.used = before
        if not before:
            if found.memory.size < found.needed <= _MOST:
                found.memory = np.empty(found.needed, np.uint8)
            found.needed = 0  # or one large chunk would keep all later ones from their memory
