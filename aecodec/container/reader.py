"""Records in: from a seekable file by its index or, without one, by scanning; from a stream as they come."""

from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from aecodec.container.layout import (
    ARRAY_FILE,
    END_SIZE,
    FRAME_SIZE,
    PREFIX_SIZE,
    Frame,
    Index,
    Kind,
    check_payload,
    parse_end,
    parse_frame,
    parse_index,
    parse_json,
    parse_prefix,
)
from aecodec.errors import FormatError, TruncatedError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.packing.varint import Cursor


@dataclass(frozen=True)
class Preamble:
    """What comes before the first chunk."""

    header: dict[str, Any]
    model: bytes | None
    metadata: dict[str, Any]


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


class ContainerReader:
    """Random access to the chunks of one seekable file. Not for simultaneous use by threads."""

    def __init__(self, source: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> None:
        self._source, self._limits = source, limits
        source.seek(0)
        parse_prefix(source.read(PREFIX_SIZE), ARRAY_FILE)
        self._records = 0
        self.complete = False
        self.size = source.seek(0, 2)
        self.preamble, body = self._read_preamble()
        self.end = self.size
        self.index = self._read_index() or self._scan(body)

    @property
    def next_sequence(self) -> int:
        """Number of the record that would follow the last one read while opening."""
        return self._records

    def chunk(self, number: int) -> Chunk:
        """Chunk `number` of the index."""
        chunk = parse_chunk(self._expect(int(self.index.offsets[number]), Kind.CHUNK))
        if (chunk.start, chunk.count) != (int(self.index.starts[number]), int(self.index.counts[number])):
            raise FormatError(f"chunk {number} holds steps {chunk.start}+{chunk.count}, not what the index says")
        return chunk

    def _read_preamble(self) -> tuple[Preamble, int]:
        offset = PREFIX_SIZE
        header = parse_json(self._expect(offset, Kind.HEADER), self._limits)
        model, metadata = None, {}
        while True:
            offset += FRAME_SIZE + self._frame(offset).length
            if offset >= self.size:
                break
            try:
                frame = self._frame(offset)
            except TruncatedError:
                break
            if frame.kind == Kind.MODEL and model is None:
                model = self._payload(offset, frame)
            elif frame.kind == Kind.METADATA:
                metadata = parse_json(self._payload(offset, frame), self._limits)
            else:
                break
        return Preamble(header, model, metadata), offset

    def _read_index(self) -> Index | None:
        """The index that the end record points to; None if the file has no sound end."""
        try:
            frame = self._frame(self.size - END_SIZE) if self.size >= END_SIZE + PREFIX_SIZE else None
            if frame is None or frame.kind != Kind.END:
                return None
            index_offset, length = parse_end(self._payload(self.size - END_SIZE, frame))
            if length != self.size:
                return None
            index = self._chain(index_offset)
        except FormatError:
            return None
        self._records = frame.sequence + 1
        self.complete = True
        return index

    def _chain(self, offset: int) -> Index:
        """The records of the chain that ends at `offset`, as one index."""
        found, limit = [], self.size
        while offset:
            if offset >= limit:
                raise FormatError(f"index at {limit} names an earlier one at {offset}, which does not lie before it")
            index, previous = parse_index(self._expect(offset, Kind.INDEX), self.size // FRAME_SIZE)
            found.append(index)
            offset, limit = previous, offset
        columns = [(i.offsets, i.starts, i.counts) for i in reversed(found)]
        return Index(*(np.concatenate(column) for column in zip(*columns, strict=True)))

    def _scan(self, offset: int) -> Index:
        """Index of all whole chunks from `offset` to where the file ends or was cut off."""
        found: list[tuple[int, int, int]] = []
        while offset < self.size:
            try:
                frame = self._frame(offset)
                if offset + FRAME_SIZE + frame.length > self.size:
                    break
                self._records = frame.sequence + 1
                if frame.kind == Kind.CHUNK:
                    chunk = parse_chunk(self._payload(offset, frame))
                    found.append((offset, chunk.start, chunk.count))
            except TruncatedError:
                break
            offset += FRAME_SIZE + frame.length
        self.end = offset
        columns = np.array(found, np.int64).reshape(-1, 3)
        return Index(columns[:, 0], columns[:, 1], columns[:, 2])

    def _frame(self, offset: int) -> Frame:
        self._source.seek(offset)
        return parse_frame(self._source.read(FRAME_SIZE), self._limits)

    def _payload(self, offset: int, frame: Frame) -> bytes:
        if frame.length > self.size - offset - FRAME_SIZE:
            raise TruncatedError(f"record {frame.sequence} of {frame.length} bytes goes past the end; the file was cut off")
        self._source.seek(offset + FRAME_SIZE)
        payload = self._source.read(frame.length)
        check_payload(frame, payload)
        return payload

    def _expect(self, offset: int, kind: Kind) -> bytes:
        frame = self._frame(offset)
        if frame.kind != kind:
            raise FormatError(f"record of kind {frame.kind} at offset {offset}, {kind.name.lower()} expected")
        return self._payload(offset, frame)


class RecordSplitter:
    """Incremental parsing: bytes in, in any portions; records out as soon as they are whole."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._started = False

    @property
    def pending(self) -> int:
        """Bytes received that do not make a whole record yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(kind, payload) of each record that `data` completes."""
        self._buffer += data
        records = []
        if not self._started:
            head = bytes(self._buffer[:PREFIX_SIZE])
            if len(head) < PREFIX_SIZE:
                return []
            parse_prefix(head, ARRAY_FILE)
            del self._buffer[:PREFIX_SIZE]
            self._started = True
        while len(self._buffer) >= FRAME_SIZE:
            frame = parse_frame(bytes(self._buffer[:FRAME_SIZE]), self._limits)
            if len(self._buffer) < FRAME_SIZE + frame.length:
                break
            payload = bytes(memoryview(self._buffer)[FRAME_SIZE : FRAME_SIZE + frame.length])
            check_payload(frame, payload)
            del self._buffer[: FRAME_SIZE + frame.length]
            records.append((frame.kind, payload))
        return records
