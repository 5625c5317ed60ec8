"""From record to record without an index, past damage to the next record or part (normative: FORMAT.md, "Scanning")."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aecodec.container.layout import (
    ARRAY_FILE,
    FRAME_SIZE,
    MAGIC,
    PREFIX_SIZE,
    SYNC,
    Frame,
    has_frame_checksum,
    parse_frame,
    parse_prefix,
)
from aecodec.container.records import CHUNK_HEAD, Records
from aecodec.container.source import Source, Window
from aecodec.errors import AecodecError, ChecksumError
from aecodec.limits import DEFAULT_LIMITS, Limits

_NEAR = 1 << 12  # read at once where records are followed
_BLOCK = 1 << 20  # read at once where records are looked for
# All that can be told by looking: a sync marker before a frame without reserved bits, or the magic.
_MARKER = re.compile(re.escape(SYNC) + rb"[^\0]\0\0\0|" + re.escape(MAGIC), re.DOTALL)
_RECHECKS = 4


@dataclass(frozen=True)
class Found:
    """A record whose frame is sound; its payload has not been looked at."""

    offset: int
    frame: Frame


@dataclass(frozen=True)
class Beginning:
    """A file prefix: a part begins."""

    offset: int


@dataclass(frozen=True)
class Damage:
    """Bytes from `start` to `stop` that hold nothing sound; takes back records found from `start` on."""

    start: int
    stop: int


@dataclass(frozen=True)
class Cut:
    """The source ends inside what begins at `offset`."""

    offset: int


Event = Found | Beginning | Damage | Cut


class Walk:
    """What lies in a source from `start` to `end`, in order. Payloads are skipped; memory stays at a block."""

    def __init__(self, source: Source, start: int, end: int, limits: Limits = DEFAULT_LIMITS) -> None:
        self._records = Records(source, end, limits)
        self._start, self._end = start, end
        self._window, self._search_window = Window(source, _NEAR), Window(source, _BLOCK + FRAME_SIZE)
        # A hostile file could have long records one inside the other; what is read again to tell them apart is bounded.
        self._rechecks = _RECHECKS * (end - start)

    def head(self, found: Found) -> bytes:
        """The first bytes of a record's payload: start and count, if it is a chunk."""
        return self._window.read(found.offset + FRAME_SIZE, min(CHUNK_HEAD, found.frame.length))

    def __iter__(self) -> Iterator[Event]:
        at, last = self._start, None
        while at < self._end:
            event = self._event_at(at)
            if event is None:
                start, search_from = at, at + 1
                if last is not None and self._is_false(last):
                    start, search_from = last.offset, last.offset + FRAME_SIZE
                at = self._search(search_from)
                last = None
                yield Damage(start, at)
                continue
            yield event
            if isinstance(event, Cut):
                return
            if isinstance(event, Found):
                last, at = event, at + FRAME_SIZE + event.frame.length
            else:
                last, at = None, at + PREFIX_SIZE

    def _event_at(self, at: int) -> Event | None:
        """What lies at `at`; None if it is nothing sound. VersionError and LimitError for what must be refused."""
        data = self._window.read(at, min(FRAME_SIZE + CHUNK_HEAD, self._end - at))
        if data[: len(MAGIC)] == MAGIC[: len(data)]:
            if len(data) < PREFIX_SIZE:
                return Cut(at)
            parse_prefix(data[:PREFIX_SIZE], ARRAY_FILE)
            return Beginning(at)
        if data[: len(SYNC)] != SYNC[: len(data)]:
            return None
        if len(data) < FRAME_SIZE:
            return Cut(at)
        try:
            frame = parse_frame(data[:FRAME_SIZE], self._records.limits)
        except ChecksumError:
            return None
        return Cut(at) if frame.length > self._end - at - FRAME_SIZE else Found(at, frame)

    def _is_false(self, last: Found) -> bool:
        """True if the record before damage is damaged itself, so that others may begin inside its declared length."""
        self._rechecks -= last.frame.length
        return self._rechecks >= 0 and not self._records.is_sound(last.offset, last.frame)

    def _search(self, at: int) -> int:
        """Offset of the next sound frame or prefix from `at` on; the end if there is none."""
        while at < self._end:
            size = min(_BLOCK + FRAME_SIZE, self._end - at)
            block = self._search_window.read(at, size)
            # Most blocks have neither, and looking for a fixed text is ten times as fast.
            for match in _MARKER.finditer(block) if SYNC in block or MAGIC in block else ():
                place = match.start()
                if place >= _BLOCK:
                    break
                if _is_sound(block[place : place + FRAME_SIZE]):
                    return at + place
            at += _BLOCK
        return self._end


def _is_sound(data: bytes) -> bool:
    if data[: len(SYNC)] == SYNC and not has_frame_checksum(data):  # fast: a hostile file may be full of markers
        return False
    try:
        parse_frame(data) if data[: len(SYNC)] == SYNC else parse_prefix(data[:PREFIX_SIZE], ARRAY_FILE)
    except AecodecError:
        return False
    return True
