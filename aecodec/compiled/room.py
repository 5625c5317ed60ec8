"""Memory that a thread keeps from one chunk to the next, so that it is not asked of the system, page by page, each time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_MOST = 1 << 26  # bytes that a thread keeps
_ALIGNED = 64
_local = threading.local()


class Room:
    """Uninitialised arrays out of the thread's memory, all of them void when the `room` ends."""

    def __init__(self, memory: np.ndarray) -> None:
        self._memory = memory
        self.used = 0

    def empty(self, shape: tuple[int, ...] | int, dtype: type[np.generic]) -> np.ndarray:
        """Like numpy's; beyond the memory that there is, numpy's own."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        start, self.used = self.used, self.used + -(-size // _ALIGNED) * _ALIGNED
        if self.used > self._memory.size:
            return np.empty(shape, dtype)
        return self._memory[start : start + size].view(dtype).reshape(shape)


@contextmanager
def room() -> Iterator[Room]:
    """The thread's memory, which grows to what was asked for; of one task at a time: within another, there is none."""
    memory: np.ndarray = getattr(_local, "memory", np.empty(0, np.uint8))
    _local.memory = np.empty(0, np.uint8)
    found = Room(memory)
    try:
        yield found
    finally:
        _local.memory = memory if found.used <= memory.size or found.used > _MOST else np.empty(found.used, np.uint8)
