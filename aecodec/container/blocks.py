"""Blocks of a remote file held in memory, and ranges joined into few requests."""

import threading
from collections import OrderedDict

_HELD = 1 << 26  # bytes
_GAP = 1 << 14  # bytes that are cheaper to read than another request: about a millisecond at 100 Mbit/s


def coalesced(ranges: list[tuple[int, int]], gap: int = _GAP) -> list[tuple[int, int]]:
    """Ranges (start, stop) in order, those at most `gap` bytes apart as one, empty ones left out."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(ranges):
        if start >= stop:
            continue
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


class Blocks:
    """The blocks used last, up to `most` bytes together (one in any case). Safe to share between threads."""

    def __init__(self, most: int = _HELD) -> None:
        self._most, self._held = most, 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, start: int, data: bytes) -> None:
        """Hold `data`, which begins at byte `start`."""
        with self._lock:
            if len(self._blocks.get(start, b"")) >= len(data):
                return
            self._held += len(data) - len(self._blocks.pop(start, b""))
            self._blocks[start] = data
            while self._held > self._most and len(self._blocks) > 1:
                self._held -= len(self._blocks.popitem(last=False)[1])

    def find(self, start: int, stop: int) -> bytes | None:
        """The bytes from `start` to `stop`, if one block has them all."""
        with self._lock:
            for begin, data in reversed(self._blocks.items()):
                if begin <= start and stop <= begin + len(data):
                    self._blocks.move_to_end(begin)
                    return data[start - begin : stop - begin]
        return None
