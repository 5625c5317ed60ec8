"""Single records of a source by their offset, checked; and what a chunk record and the records before it hold."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import xxhash

from aecodec.container.layout import FRAME_SIZE, Frame, Kind, check_payload, parse_frame
from aecodec.container.source import Source
from aecodec.errors import ChecksumError, FormatError, TruncatedError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.packing.varint import Cursor

CHUNK_HEAD = 18  # two varints at their longest
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Preamble:
    """What comes before the first chunk. `damaged`: what is wrong with records here, by their kind; their content is empty."""

    header: dict[str, Any]
    model: bytes | None
    metadata: dict[str, Any]
    damaged: dict[Kind, FormatError] = field(default_factory=dict)


@dataclass(frozen=True)
class Chunk:
    """A chunk record: `count` steps of the stream axis from `start` on."""

    start: int
    count: int
    body: memoryview


def parse_chunk(payload: bytes) -> Chunk:
    """Take apart the payload of a chunk record."""
    cursor = Cursor(payload)
    start, count = cursor.varint(), cursor.varint()
    return Chunk(start, count, cursor.take(cursor.remaining))


def parse_chunk_head(head: bytes) -> tuple[int, int]:
    """Start and count at the beginning of a chunk's payload: `parse_chunk` without the body, and fast, as scanning needs."""
    numbers, at = [], 0
    for _ in range(2):
        value, shift = 0, 0
        while True:
            if at == len(head) or shift == 63:
                raise FormatError("a chunk begins with no start and count")
            byte = head[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
        numbers.append(value)
    return numbers[0], numbers[1]


class Records:
    """Records of a source up to byte `end`."""

    def __init__(self, source: Source, end: int, limits: Limits = DEFAULT_LIMITS) -> None:
        self.source, self.end, self.limits = source, end, limits

    def frame(self, offset: int) -> Frame:
        """The frame at `offset`."""
        return parse_frame(self.source.read(offset, min(FRAME_SIZE, max(0, self.end - offset))), self.limits)

    def payload(self, offset: int, frame: Frame) -> bytes:
        """The payload behind the frame at `offset`, which must match its checksum."""
        self._check_room(offset, frame)
        payload = self.source.read(offset + FRAME_SIZE, frame.length)
        check_payload(frame, payload)
        return payload

    def expect(self, offset: int, kind: Kind) -> bytes:
        """The payload of the record of `kind` at `offset`."""
        frame = self.frame(offset)
        if frame.kind != kind:
            raise FormatError(f"record of kind {frame.kind} at offset {offset}, {kind.name.lower()} expected")
        return self.payload(offset, frame)

    def check(self, offset: int, frame: Frame) -> None:
        """Compare the payload with its checksum, block by block."""
        self._check_room(offset, frame)
        digest = xxhash.xxh64()
        for block in self._blocks(offset + FRAME_SIZE, frame.length):
            digest.update(block)
        if digest.intdigest() != frame.checksum:
            raise ChecksumError(f"record {frame.sequence} is damaged: its checksum does not match")

    def is_sound(self, offset: int, frame: Frame) -> bool:
        """True if `check` passes."""
        try:
            self.check(offset, frame)
        except FormatError:
            return False
        return True

    def _blocks(self, offset: int, size: int) -> Iterator[bytes]:
        while size > 0 and (block := self.source.read(offset, min(_BLOCK, size))):
            yield block
            offset, size = offset + len(block), size - len(block)

    def _check_room(self, offset: int, frame: Frame) -> None:
        if frame.length > self.end - offset - FRAME_SIZE:
            raise TruncatedError(f"record {frame.sequence} of {frame.length} bytes goes past the end; the file was cut off")
