"""A sink that becomes one byte string in the end."""

import numpy as np

from aecodec.compiled.kernels import kernels

_SEGMENT, _PAGE = 1 << 23, 1 << 21  # bytes; numpy asks for large pages from 4 MiB on


class Collected:
    """What is written, of which long pieces are copied, so that their memory serves those that come after them."""

    def __init__(self) -> None:
        self._pieces: list[bytes | memoryview] = []
        self._size = 0
        self._segment, self._used = np.empty(0, np.uint8), 0

    def write(self, data: bytes, /) -> None:
        """Take `data`."""
        self._size += len(data)
        if self._size < _SEGMENT or kernels is None:
            self._pieces.append(data)
            return
        rest = np.frombuffer(data, np.uint8)
        while rest.size:
            if self._used == self._segment.size:
                self._segment, self._used = _aligned(_SEGMENT), 0
            part = rest[: self._segment.size - self._used]
            piece = self._segment[self._used : self._used + part.size]
            piece[...] = part
            self._pieces.append(piece.data)
            self._used, rest = self._used + part.size, rest[part.size :]

    def joined(self) -> bytes:
        """All of it."""
        if self._size < _SEGMENT or kernels is None:
            return b"".join(self._pieces)
        return kernels.join_pieces(tuple(self._pieces))


def _aligned(size: int) -> np.ndarray:
    """So many bytes from where a large page begins."""
    memory = np.empty(size + _PAGE, np.uint8)
    start = -memory.ctypes.data % _PAGE
    return memory[start : start + size]
