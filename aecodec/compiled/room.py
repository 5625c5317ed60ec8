"""Memory that threads keep from one chunk to the next, and leave to each other, so that it is not asked of the system, page by
page, each time.
"""

import math
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import DTypeLike

_MOST = 1 << 26  # bytes that a thread keeps
_LEFT = 4  # rooms of threads that ended which are kept for those that begin
_ALIGNED = 64


class Room:
    """A stack of uninitialised arrays in one piece of memory."""

    def __init__(self) -> None:
        self.memory = np.empty(0, np.uint8)
        self.used = self.needed = 0

    def empty(self, shape: tuple[int, ...] | int, dtype: DTypeLike) -> np.ndarray:
        """Like numpy's, and numpy's own beyond the memory that there is."""
        size = (math.prod(shape) if isinstance(shape, tuple) else shape) * np.dtype(dtype).itemsize
        start, self.used = self.used, self.used + -(-size // _ALIGNED) * _ALIGNED
        self.needed = max(self.needed, self.used)
        if self.used > self.memory.size:
            return np.empty(shape, dtype)
        return self.memory[start : start + size].view(dtype).reshape(shape)


class _Tenancy:
    """A thread's hold of a room, which ends with the thread: then the room is left to others, if there are not enough already."""

    def __init__(self) -> None:
        self._left = _left  # the module's names may be gone when the last threads end
        try:
            self.room = _left.pop()
        except IndexError:
            self.room = Room()

    def __del__(self) -> None:
        if not self.room.used:
            self._left.append(self.room)


_left: deque[Room] = deque(maxlen=_LEFT)
_local = threading.local()


@contextmanager
def room() -> Iterator[Room]:
    """The thread's room: arrays taken from it within the context are void after it. Next time it has what was needed this time."""
    if not hasattr(_local, "tenancy"):
        _local.tenancy = _Tenancy()
    found: Room = _local.tenancy.room
    before = found.used
    try:
        yield found
    finally:
        found.used = before
        if not before:
            if found.memory.size < found.needed <= _MOST:
                found.memory = np.empty(found.needed, np.uint8)
            found.needed = 0  # or one large chunk would keep all later ones from their memory
