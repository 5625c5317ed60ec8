"""Streams on their way: their leaves are coded all at once, of many streams together."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from aecodec.compiled.kernels import kernels
from aecodec.compiled.room import room
from aecodec.packing import zstd
from aecodec.packing.plan_table import plans
from aecodec.packing.varint import varint

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


class FixedDraft(NamedTuple):
    """The same as compiled functions give it."""

    out: memoryview
    leaves: list[tuple[int, np.ndarray]]


def coded_by_means(values: np.ndarray, ends: np.ndarray, signed: bool, hasty: bool) -> list[bytes] | None:
    """Streams of unsigned 1-D `values`, each up to its end of `ends`, int64, laid out by means as stream.py does; None without the
    compiled module."""
    if kernels is None:
        return None
    values = np.ascontiguousarray(values)
    (roots, means), (others, _) = plans(hasty, signed), plans(hasty, False)
    stops, size = np.empty(ends.size, np.int64), values.size + 64 * ends.size
    for spare in range(8):  # of many levels, each of which is as long as the one before, rooms are too small at first
        with room() as mine:
            out, leaves = (mine.empty(size << spare, np.uint8) for _ in range(2))
            listed = mine.empty((32 * ends.size << spare, 3), np.int64)
            scratch = mine.empty(2 * values.nbytes + 64 << spare, np.uint8)
            number = kernels.draft_streams(values, values.itemsize, ends, roots, others, means, out, leaves, listed, scratch, stops)
            if number >= 0:
                return finished(list(_parted(out, leaves, listed[:number], stops)))
    raise MemoryError(f"no memory for the layouts of {values.size} values")


def _parted(out: np.ndarray, leaves: np.ndarray, listed: np.ndarray, stops: np.ndarray) -> Iterator[FixedDraft]:
    """The draft of each stream, whose bytes end at its stop; `listed`: each leaf's place there, start and size."""
    rows, start = iter([*listed.tolist(), (np.inf, 0, 0)]), 0
    place, first, size = next(rows)
    for end in stops.tolist():
        draft = FixedDraft(out.data[start:end], [])
        while place <= end:
            draft.leaves.append((place - start, leaves[first : first + size]))
            place, first, size = next(rows)
        yield draft
        start = end


def finished(drafts: Sequence[Draft | FixedDraft]) -> list[bytes]:
    """The streams."""
    leaves = [packed for draft in drafts for _, packed in draft.leaves]
    frames = iter(zstd.huffman_each([packed.data for packed in leaves if packed.size > _ALWAYS_STORED]))
    streams = []
    for draft in drafts:
        out, at = memoryview(draft.out), 0
        pieces: list[bytes | memoryview] = []
        for place, packed in draft.leaves:
            pieces += (out[at:place], *framed(packed, next(frames) if packed.size > _ALWAYS_STORED else None))
            at = place
        streams.append(b"".join((*pieces, out[at:])))
    return streams


def framed(packed: np.ndarray, frame: bytes | memoryview | None) -> tuple[bytes, bytes | memoryview]:
    """A length and the frame, or, where there is none or it is not smaller, the bytes themselves."""
    if frame is None or len(frame) >= packed.size:
        return varint(STORED), packed.data
    return varint(len(frame)), frame
