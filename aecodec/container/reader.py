"""Random access to the chunks of an array file, of one part or several, by its indexes or, without them, by scanning."""

import copy
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import BinaryIO

import numpy as np

from aecodec.container.layout import ARRAY_FILE, FRAME_SIZE, PREFIX_SIZE, Frame, Index, Kind, parse_prefix
from aecodec.container.parts import MAX_STEPS, NO_CHUNKS, Part, indexed_part
from aecodec.container.records import Chunk, Preamble, Records, parse_chunk
from aecodec.container.scan import scan
from aecodec.container.source import Source, open_source
from aecodec.errors import FormatError, TruncatedError
from aecodec.limits import DEFAULT_LIMITS, Limits

_PREPARED = 1 << 24  # bytes of chunks fetched at once


class ContainerReader:
    """The file as it was when this was made. Safe to share between threads; pickles as its source does.

    `index` joins those of all parts: offsets count from the file's first byte, starts along all parts.
    """

    def __init__(
        self,
        source: Source | BinaryIO | bytes | str | os.PathLike[str],
        limits: Limits = DEFAULT_LIMITS,
        known: "ContainerReader | None" = None,
    ) -> None:
        self.limits = limits
        self.source = open_source(source)
        self.size = self.source.size()
        parse_prefix(self.source.read(0, PREFIX_SIZE), ARRAY_FILE)
        kept = known.parts if known is not None and self.size >= known.parts[-1].end else []
        self._join(find_parts(self.source, self.size, kept, limits))

    def _join(self, parts: list[Part]) -> None:
        self.parts = parts
        if sum(part.length for part in self.parts) > MAX_STEPS:
            raise FormatError("the parts together are longer than any array")
        self.firsts = np.cumsum([0, *(part.index.starts.size for part in self.parts)])  # number of each part's first chunk
        self.part_starts = np.cumsum([0, *(part.length for part in self.parts)])  # of each part along the stream axis
        self.index = _joined(self.parts, self.part_starts)

    def refreshed(self) -> "ContainerReader":
        """The file as it is now; what is known of it is not read again."""
        return ContainerReader(self.source, self.limits, self)

    def without(self, parts: set[int]) -> "ContainerReader":
        """The same file with some parts left out."""
        other = copy.copy(self)
        other.__dict__.pop("ends", None)
        other._join([part for number, part in enumerate(self.parts) if number not in parts])
        return other

    @property
    def preamble(self) -> Preamble:
        """What comes before the first part's chunks."""
        return self.parts[0].preamble

    @property
    def complete(self) -> bool:
        """True if every part has a sound end and index and nothing follows the last."""
        return all(part.complete for part in self.parts) and self.parts[-1].end == self.size

    @property
    def finished(self) -> bool:
        """True if it is known that no part goes on after its last chunk, even if an index is damaged."""
        return all(part.finished for part in self.parts) and self.parts[-1].end == self.size

    @property
    def end(self) -> int:
        """The byte behind the last whole record."""
        return self.parts[-1].end

    @property
    def next_sequence(self) -> int:
        """Number of the record that would follow the last one of the last part."""
        return self.parts[-1].next_sequence

    @cached_property
    def ends(self) -> np.ndarray:
        """End of each chunk along the stream axis, int64."""
        return self.index.starts + self.index.counts

    def part_number(self, chunk: int) -> int:
        """The part that a chunk is in."""
        return int(np.searchsorted(self.firsts, chunk, side="right")) - 1

    def frame(self, number: int) -> Frame:
        """The frame of chunk `number` of the index, which must lie before the next chunk."""
        offset = int(self.index.offsets[number])
        last = number + 1 == self.index.offsets.size
        records = Records(self.source, self.parts[-1].end if last else int(self.index.offsets[number + 1]), self.limits)
        frame = records.frame(offset)
        if frame.kind != Kind.CHUNK:
            raise FormatError(f"record of kind {frame.kind} at offset {offset}, chunk expected")
        if frame.length > records.end - offset - FRAME_SIZE:
            raise TruncatedError(f"record {frame.sequence} of {frame.length} bytes goes past the {'end' if last else 'next chunk'}")
        return frame

    def payload(self, number: int) -> bytes:
        """The payload of chunk `number`, checked against its frame and against the index."""
        self.source.prepare([self._extent(number)])
        frame = self.frame(number)
        payload = Records(self.source, self.size).payload(int(self.index.offsets[number]), frame)
        chunk = parse_chunk(payload)
        start = int(self.index.starts[number]) - int(self.part_starts[self.part_number(number)])
        if (chunk.start, chunk.count) != (start, int(self.index.counts[number])):
            raise FormatError(f"chunk {number} holds steps {chunk.start}+{chunk.count}, not what the index says")
        return payload

    def chunk(self, number: int) -> Chunk:
        """Chunk `number` of the index; its start counts from its part's."""
        return parse_chunk(self.payload(number))

    def _extent(self, number: int) -> tuple[int, int]:
        """From the first byte of chunk `number` to that of the record behind it; nothing if that is far, as behind damage."""
        last = number + 1 == self.index.offsets.size
        start = int(self.index.offsets[number])
        stop = self.parts[-1].end if last else int(self.index.offsets[number + 1])
        return start, stop if start <= stop <= start + _PREPARED else start

    def prepared(self, numbers: Sequence[int]) -> Iterator[int]:
        """The `numbers` of chunks one by one, their records fetched together ahead, some megabytes at a time."""
        ready = 0
        for place, number in enumerate(numbers):
            if place == ready:
                group: list[tuple[int, int]] = []
                room = _PREPARED
                while ready < len(numbers) and (room > 0 or not group):
                    group.append(self._extent(numbers[ready]))
                    room -= group[-1][1] - group[-1][0]
                    ready += 1
                self.source.prepare(group)
            yield number

    def gaps(self) -> np.ndarray:
        """Ranges of the stream axis that no chunk covers, int64 (gaps, 2), before the last chunk of each part."""
        before = np.concatenate([self.part_starts[:1], self.ends[:-1]]) if self.index.starts.size else self.index.starts
        holes = np.flatnonzero(self.index.starts != before)
        return np.stack([before[holes], self.index.starts[holes]], axis=1)


def find_parts(source: Source, size: int, known: list[Part], limits: Limits = DEFAULT_LIMITS) -> list[Part]:
    """All parts of a source of `size` bytes; those `known` from before are taken over where they still hold."""
    found: list[Part] = []
    end = size
    while end > 0 and not (known and known[-1].end == end and known[-1].complete):
        part = indexed_part(source, end, limits)
        if part is None:
            break
        found.append(part)
        end = part.base
        known = [part for part in known if part.end <= end]
    found.reverse()
    if not known:
        return [*(scan(source, 0, end, limits=limits) if end else []), *found]
    if known[-1].end < end:
        scanned = scan(source, known[-1].end, end, known[-1], limits)
        if len(scanned) > 1 and scanned[1].base == known[-1].end and not known[-1].finished:
            # What was cut off behind its end was no chunk of it, as it now turns out, but where the next part begins.
            last = indexed_part(source, known[-1].end, limits)
            scanned[:1] = [last] if last is not None else scan(source, known[-1].base, known[-1].end, limits=limits)
        known = [*known[:-1], *scanned]
    return [*known, *found]


def _joined(parts: list[Part], part_starts: np.ndarray) -> Index:
    if len(parts) == 1 and not parts[0].base:
        return parts[0].index
    if not parts:
        return NO_CHUNKS
    return Index(
        np.concatenate([part.index.offsets + part.base for part in parts]),
        np.concatenate([part.index.starts + start for part, start in zip(parts, part_starts, strict=False)]),
        np.concatenate([part.index.counts for part in parts]),
    )
