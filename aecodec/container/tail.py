"""Where an array file ends and what a writer has to know to go on there: by its index or, without one, by its records."""

from array import array
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from aecodec.container.chain import RECORD_CHUNKS
from aecodec.container.layout import (
    ARRAY_FILE,
    END_SIZE,
    FRAME_SIZE,
    MAGIC,
    PREFIX_SIZE,
    SYNC,
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
from aecodec.errors import AecodecError, ChecksumError, FormatError, LimitError, TruncatedError, VersionError
from aecodec.packing.varint import Cursor

_BLOCK = 1 << 20
_REMEDY = "nothing is appended to a damaged file: take out what is sound with `aecodec recover`, and append to that"
_EMPTY = np.empty(0, np.int64)
NO_CHUNKS = Index(_EMPTY, _EMPTY, _EMPTY)


@dataclass(frozen=True)
class Tail:
    """The last part of a file as its next writer finds it. Offsets count from the part's first byte, `base`."""

    header: dict[str, Any]
    model: bytes | None
    base: int
    length: int  # of the part, up to its last whole record
    sequence: int  # of the next record
    steps: int  # along the stream axis, in this part
    earlier_steps: int  # in the parts before
    complete: bool
    last_index: int = 0
    short_indexes: list[tuple[int, Index]] = field(default_factory=list)  # after `last_index`: a new record may list these again
    unlisted: Index = NO_CHUNKS


def find_tail(source: BinaryIO) -> Tail:
    """The end of a seekable array file: its sound end record or, failing that, its last whole record.

    What follows the last whole record was not finished. Raises ChecksumError if it holds whole records nevertheless, for then
    it was not cut off but damaged; other FormatErrors for what is no array file.
    """
    return _Records(source).tail()


class _Records:
    """Checked reading of the records of one file."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.size = source.seek(0, 2)

    def tail(self) -> Tail:
        parse_prefix(self._bytes(0, PREFIX_SIZE), ARRAY_FILE)
        try:
            return self._by_index()
        except FormatError:
            return self._by_records()

    def _by_index(self) -> Tail:
        """The tail by the end record at the end; FormatError unless that and the index are sound, in each part."""
        base, sequence, steps, anchor, short = self._part_before(self.size)
        frame, header = self._record(base + PREFIX_SIZE, self.size, Kind.HEADER)
        model = self._model(base + PREFIX_SIZE + FRAME_SIZE + frame.length)
        earlier, at = 0, base
        while at:
            at, _, more, _, _ = self._part_before(at)
            earlier += more
        return Tail(parse_json(header), model, base, self.size - base, sequence, steps, earlier, True, anchor, short)

    def _part_before(self, end: int) -> tuple[int, int, int, int, list[tuple[int, Index]]]:
        """Of the part that ends at `end`: base, next sequence number, and what `_chain` tells."""
        frame, payload = self._record(end - END_SIZE, end, Kind.END)
        last, length = parse_end(payload)
        if not PREFIX_SIZE < length <= end:
            raise FormatError(f"end record names {length} bytes, the file has {end}")
        base = end - length
        parse_prefix(self._bytes(base, PREFIX_SIZE), ARRAY_FILE)
        return base, frame.sequence + 1, *self._chain(base, last, end)

    def _chain(self, base: int, last: int, end: int) -> tuple[int, int, list[tuple[int, Index]]]:
        """Steps in the part, the last record that stays as it is, and those after it, short ones."""
        steps, total, anchor, offset, limit = 0, 0, 0, last, end - base
        short: list[tuple[int, Index]] = []
        while offset:
            if offset >= limit:
                raise FormatError(f"index at {offset} names an earlier one that does not lie before it")
            index, previous = parse_index(self._record(base + offset, end, Kind.INDEX)[1])
            if offset == last and index.starts.size:
                steps = int(index.starts[-1]) + int(index.counts[-1])
            total += index.starts.size
            if index.starts.size >= RECORD_CHUNKS or total > 2 * RECORD_CHUNKS:
                anchor = anchor or offset
            if not anchor:
                short.append((offset, index))
            offset, limit = previous, offset
        return steps, anchor, short[::-1]

    def _by_records(self) -> Tail:
        """Record by record from the first part on."""
        part, earlier, at = _Part(0), 0, PREFIX_SIZE
        while at < self.size:
            if self._bytes(at, len(MAGIC)) == MAGIC and part.header is not None and self.size - at >= PREFIX_SIZE:
                parse_prefix(self._bytes(at, PREFIX_SIZE), ARRAY_FILE)
                earlier += part.steps
                part = _Part(at)
                at += PREFIX_SIZE
                continue
            try:
                frame = parse_frame(self._bytes(at, FRAME_SIZE))
                payload = self._payload(at, frame, self.size)
            except TruncatedError:
                break
            except (VersionError, LimitError):
                raise
            except FormatError as error:
                self._refuse_damage(at, error)
                break
            part.take(at - part.base, frame, payload)
            at += FRAME_SIZE + frame.length
        if part.header is None:
            raise TruncatedError("the file ends before its header does")
        unlisted = Index(*(np.array(column, np.int64) for column in part.columns))
        return Tail(
            part.header, part.model, part.base, at - part.base, part.sequence, part.steps, earlier, False, unlisted=unlisted
        )

    def _refuse_damage(self, at: int, error: FormatError) -> None:
        """ChecksumError if whole records follow what was found at `at`."""
        behind = self._next_sound(at + 1)
        if behind is not None:
            raise ChecksumError(f"the file is damaged at offset {at} ({error}) and goes on at {behind}; {_REMEDY}") from None

    def _next_sound(self, at: int) -> int | None:
        """Offset of the next sound frame or prefix from `at` on."""
        while at < self.size:
            block = self._bytes(at, _BLOCK + FRAME_SIZE)
            for marker, size in ((SYNC, FRAME_SIZE), (MAGIC, PREFIX_SIZE)):
                place = block.find(marker)
                while 0 <= place < _BLOCK:
                    if _sound(block[place : place + size]):
                        return at + place
                    place = block.find(marker, place + 1)
            at += _BLOCK
        return None

    def _model(self, at: int) -> bytes | None:
        frame = parse_frame(self._bytes(at, FRAME_SIZE))
        return self._payload(at, frame, self.size) if frame.kind == Kind.MODEL else None

    def _record(self, at: int, end: int, kind: Kind) -> tuple[Frame, bytes]:
        if not 0 <= at < end:
            raise TruncatedError(f"no {kind.name.lower()} record at offset {at}: the file has {end} bytes")
        frame = parse_frame(self._bytes(at, FRAME_SIZE))
        if frame.kind != kind:
            raise FormatError(f"record of kind {frame.kind} at offset {at}, {kind.name.lower()} expected")
        return frame, self._payload(at, frame, end)

    def _payload(self, at: int, frame: Frame, end: int) -> bytes:
        if frame.length > end - at - FRAME_SIZE:
            raise TruncatedError(f"record {frame.sequence} of {frame.length} bytes goes past the end; the file was cut off")
        payload = self._bytes(at + FRAME_SIZE, frame.length)
        check_payload(frame, payload)
        return payload

    def _bytes(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at` on, as many as the file has."""
        self._source.seek(at)
        found = self._source.read(size)
        while 0 < len(found) < min(size, self.size - at) and (more := self._source.read(size - len(found))):
            found += more
        return found


class _Part:
    """What the records of a part add up to."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.header: dict[str, Any] | None = None
        self.model: bytes | None = None
        self.sequence = self.steps = 0
        self.columns = (array("q"), array("q"), array("q"))

    def take(self, offset: int, frame: Frame, payload: bytes) -> None:
        """One more record."""
        if frame.kind == Kind.HEADER and self.header is None:
            self.header = parse_json(payload)
        elif self.header is None:
            raise FormatError(f"the first record must be the header, found kind {frame.kind}")
        elif frame.kind == Kind.MODEL:
            self.model = payload
        elif frame.kind == Kind.CHUNK:
            cursor = Cursor(payload)
            start, count = cursor.varint(), cursor.varint()
            if start != self.steps:
                raise FormatError(f"chunk starts at {start}, {self.steps} is next: chunks are missing or out of order; {_REMEDY}")
            for column, value in zip(self.columns, (offset, start, count), strict=True):
                column.append(value)
            self.steps += count
        self.sequence = frame.sequence + 1


def _sound(data: bytes) -> bool:
    """True for a record frame or a file prefix."""
    try:
        parse_frame(data) if data[:4] == SYNC else parse_prefix(data, ARRAY_FILE)
    except AecodecError:
        return False
    return True
