"""Streams on their way: their leaves are coded all at once, of many streams together."""

from collections.abc import Sequence

import numpy as np

from aecodec.compiled.kernels import kernels
from aecodec.packing import zstd
from aecodec.packing.plan_table import plans
from aecodec.packing.varint import put_varint

STORED = 0
_ALWAYS_STORED = 5  # bytes of a leaf, which no frame is smaller than


class Draft:
    """A stream whose leaves are not coded yet.

    `out`: the bytes around them; `leaves`: where in `out` each is missing, and its own, uint8.
    """

    def __init__(self, out: bytes | memoryview = b"") -> None:
        self.out = bytearray(out)
        self.leaves: list[tuple[int, np.ndarray]] = []

    def add(self, packed: np.ndarray) -> None:
        """The next leaf."""
        self.leaves.append((len(self.out), np.ascontiguousarray(packed)))


def drafts_by_means(values: np.ndarray, ends: np.ndarray, signed: bool, hasty: bool) -> list[Draft] | None:
    """Streams of unsigned 1-D `values`, each up to its end of `ends`, int64, laid out by means as stream.py does; None without the
    compiled module."""
    if kernels is None:
        return None
    (roots, means), (others, _) = plans(hasty, signed), plans(hasty, False)
    out_ends = np.empty(ends.size, np.int64)
    around, leaves, listed = kernels.draft_streams(
        np.ascontiguousarray(values), values.itemsize, ends, roots, others, means, out_ends
    )
    packed, rows = np.frombuffer(leaves, np.uint8), iter(np.frombuffer(listed, np.int64).reshape(-1, 3).tolist())
    drafts, start, row = [], 0, next(rows, None)
    for end in out_ends.tolist():
        draft = Draft(memoryview(around)[start:end])
        while row is not None and row[0] <= end:
            place, first, size = row
            draft.leaves.append((place - start, packed[first : first + size]))
            row = next(rows, None)
        drafts.append(draft)
        start = end
    return drafts


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
