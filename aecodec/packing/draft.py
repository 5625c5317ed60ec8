"""Streams on their way: their leaves are coded all at once, of many streams together."""

from collections.abc import Sequence

import numpy as np

from aecodec.packing import zstd
from aecodec.packing.varint import put_varint

STORED = 0
_ALWAYS_STORED = 5  # bytes of a leaf, which no frame is smaller than


class Draft:
    """A stream whose leaves are not coded yet.

    `out`: the bytes around them; `leaves`: where in `out` each is missing, and its own, uint8.
    """

    def __init__(self) -> None:
        self.out = bytearray()
        self.leaves: list[tuple[int, np.ndarray]] = []

    def add(self, packed: np.ndarray) -> None:
        """The next leaf."""
        self.leaves.append((len(self.out), np.ascontiguousarray(packed)))


def finished(drafts: Sequence[Draft]) -> list[bytes]:
    """The streams."""
    leaves = [packed for draft in drafts for _, packed in draft.leaves]
    frames = iter(zstd.huffman_each([packed.data for packed in leaves if packed.size > _ALWAYS_STORED]))
    streams = []
    for draft in drafts:
        out, at = bytearray(), 0
        for place, packed in draft.leaves:
            out += draft.out[at:place]
            put_frame(out, packed, next(frames) if packed.size > _ALWAYS_STORED else None)
            at = place
        out += draft.out[at:]
        streams.append(bytes(out))
    return streams


def put_frame(out: bytearray, packed: np.ndarray, frame: bytes | None) -> None:
    """The frame, or, where there is none or it is not smaller, the bytes themselves."""
    if frame is None or len(frame) >= packed.size:
        put_varint(out, STORED)
        out += packed.data
    else:
        put_varint(out, len(frame))
        out += frame
