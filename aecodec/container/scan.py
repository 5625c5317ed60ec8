"""Parts without a sound end or index: their chunks found record by record, damaged ones left out."""

from array import array

import numpy as np

from aecodec.container.layout import FRAME_SIZE, PREFIX_SIZE, Index, Kind, parse_end
from aecodec.container.parts import MAX_STEPS, Part, read_preamble
from aecodec.container.records import Preamble, Records, parse_chunk_head
from aecodec.container.source import Source
from aecodec.container.walk import Beginning, Cut, Damage, Found, Walk
from aecodec.errors import FormatError, TruncatedError
from aecodec.limits import DEFAULT_LIMITS, Limits


def scan(source: Source, start: int, end: int, resume: Part | None = None, limits: Limits = DEFAULT_LIMITS) -> list[Part]:
    """The parts from byte `start` to `end`. `resume`: the part before, whose end is `start`; it comes first in the result.

    Payloads are read only where the starts and counts of chunks leave a doubt, and the last chunk's.
    """
    records, walk = Records(source, end, limits), Walk(source, start, end, limits)
    done: list[_Growing] = []
    current = _Growing(records, resume.base, resume.preamble, resume) if resume is not None else None
    behind_damage = False
    for event in walk:
        if isinstance(event, Beginning):
            try:
                preamble = read_preamble(source, event.offset, end, limits)
            except TruncatedError:
                if not done and current is None:
                    raise
                break  # a part of which only the first bytes are there
            parent = current if behind_damage else None
            if current is not None and parent is None:
                done += current.lineage()
            current = _Growing(records, event.offset, preamble, parent=parent)
        elif current is None:
            raise FormatError(f"a part should begin at byte {start}, and does not")
        elif isinstance(event, Damage):
            current.damage(event)
        elif isinstance(event, Found):
            current = current.owner(event.frame.sequence)
            current.take(event, walk.head(event) if event.frame.kind == Kind.CHUNK else b"")
        elif isinstance(event, Cut):
            current.cut = True
        behind_damage = isinstance(event, Damage)
    done += current.lineage() if current is not None else []
    return [growing.part() for growing in done]


class _Growing:
    """A part while it is scanned."""

    def __init__(
        self, records: Records, base: int, preamble: Preamble, resume: Part | None = None, parent: "_Growing | None" = None
    ) -> None:
        self._records, self._base, self._preamble, self._parent, self._resumed = records, base, preamble, parent, resume
        index = resume.index if resume is not None else None
        columns = (index.offsets, index.starts, index.counts) if index is not None else ()
        self._columns = tuple(array("q", column.astype(np.int64).tobytes()) for column in columns) or tuple(
            array("q") for _ in range(3)
        )
        self._end = resume.end if resume is not None else base + PREFIX_SIZE
        self._sequence = resume.next_sequence if resume is not None else 0
        self._checked = len(self._columns[0])  # chunks before this one need not be read to be believed
        self._tail: list[Damage] = []  # since the last chunk
        self._last: Found | None = None
        self.cut = False

    def owner(self, sequence: int) -> "_Growing":
        """Which part a record of this number belongs to: this one, or one that had it inside a damaged record."""
        growing = self
        while growing._parent is not None and sequence != growing._sequence and sequence >= growing._parent._sequence:
            inside, growing = growing, growing._parent
            growing._tail.append(Damage(inside._base, inside._end))
        return growing

    def lineage(self) -> "list[_Growing]":
        """This part and those before it that were left at damage, in order."""
        found, growing = [self], self._parent
        while growing is not None:  # a hostile file may have any number
            found.append(growing)
            growing = growing._parent
        return found[::-1]

    def damage(self, event: Damage) -> None:
        """Nothing sound in some bytes; take back what was found there."""
        while self._columns[0] and self._base + self._columns[0][-1] >= event.start:
            self._drop_last()
        self._tail.append(event)
        self._last = None

    def take(self, found: Found, head: bytes) -> None:
        """One more record."""
        self._end = found.offset + FRAME_SIZE + found.frame.length
        self._sequence = found.frame.sequence + 1 & 0xFFFFFFFF
        self._last = found
        if found.frame.kind == Kind.CHUNK:
            self._take_chunk(found, head)

    def _take_chunk(self, found: Found, head: bytes) -> None:
        try:
            start, count = parse_chunk_head(head)
        except FormatError:
            start, count = -1, 0
        if start != self._next_start or count > MAX_STEPS - start:
            if not self._records.is_sound(found.offset, found.frame):
                self._tail.append(Damage(found.offset, self._end))
                return
            if len(self._columns[0]) and not self._is_sound(-1):
                self._drop_last()
            if start < self._next_start or count > MAX_STEPS - start:
                raise FormatError(
                    f"chunks are out of order: the one at byte {found.offset} starts at {start}, {self._next_start} is next"
                )
        for column, value in zip(self._columns, (found.offset - self._base, start, count), strict=True):
            column.append(value)
        self._tail.clear()

    @property
    def _next_start(self) -> int:
        _, starts, counts = self._columns
        return starts[-1] + counts[-1] if starts else 0

    def _is_sound(self, number: int) -> bool:
        offset = self._base + self._columns[0][number]
        return self._records.is_sound(offset, self._records.frame(offset))

    def _drop_last(self) -> None:
        offset = self._base + self._columns[0][-1]
        for column in self._columns:
            column.pop()
        self._tail.append(Damage(offset, offset + FRAME_SIZE))

    def part(self) -> Part:
        """The part as it was found."""
        if self._resumed is not None and self._resumed.end == self._end:
            return self._resumed
        if len(self._columns[0]) > self._checked and not self._is_sound(-1):
            self._drop_last()
        index = Index(*(np.array(column, np.int64) for column in self._columns))
        doubtful = self._parent is not None
        return Part(self._base, self._end, self._preamble, index, self._sequence, False, self._is_finished(), doubtful)

    def _is_finished(self) -> bool:
        """True if the last record is a sound end, and all that may be damaged since the last chunk is the index."""
        if self.cut or self._last is None or self._last.frame.kind != Kind.END:
            return False
        try:
            index_offset, length = parse_end(self._records.payload(self._last.offset, self._last.frame))
        except FormatError:
            return False
        if length != self._end - self._base:
            return False
        return not self._tail or [damage.start for damage in self._tail] == [self._base + index_offset]
