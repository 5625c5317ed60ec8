"""The index of a file as it grows: what is not listed yet, and how new records go on the chain of those before."""

from array import array

import numpy as np

from aecodec.container.layout import Index

RECORD_CHUNKS = 1 << 16


class IndexChain:
    """Chunks to be listed by the next index records, and the records that list the others.

    Holds a record's worth of chunks whatever the length of the file. Records that are short are listed again by one that is
    more than half as long, as in a log-structured merge tree, so that a chain has a record per RECORD_CHUNKS chunks and some
    16 more, and a chunk is listed a few times at most.
    """

    def __init__(self) -> None:
        self._columns = (array("q"), array("q"), array("q"))
        self._short: list[tuple[int, Index]] = []
        self._last = 0

    def __len__(self) -> int:
        """Chunks that no record lists yet."""
        return len(self._columns[0])

    @property
    def last(self) -> int:
        """Offset of the newest index record, 0 if there is none."""
        return self._short[-1][0] if self._short else self._last

    def add(self, offset: int, start: int, count: int) -> None:
        """A chunk whose record lies at `offset`."""
        for column, value in zip(self._columns, (offset, start, count), strict=True):
            column.append(value)

    def resume(self, last: int, short: list[tuple[int, Index]], unlisted: Index) -> None:
        """Go on after the record at `last`, then those of `short` (offset and content), then chunks that none lists."""
        self._last, self._short = last, list(short)
        for column, values in zip(self._columns, (unlisted.offsets, unlisted.starts, unlisted.counts), strict=True):
            column.frombytes(np.ascontiguousarray(values, np.int64).tobytes())

    def merge(self) -> None:
        """Take back short records less than twice as long as what is to be listed."""
        while self._short and self._short[-1][1].offsets.size < min(RECORD_CHUNKS, 2 * len(self)):
            _, index = self._short.pop()
            for column, values in zip(self._columns, (index.offsets, index.starts, index.counts), strict=True):
                column[:0] = array("q", values.astype(np.int64).tobytes())

    def take(self) -> tuple[Index, int]:
        """The oldest chunks to be listed, at most RECORD_CHUNKS, and the offset of the record before; then call `listed`."""
        parts = [np.array(column[:RECORD_CHUNKS], np.int64) for column in self._columns]
        for column in self._columns:
            del column[:RECORD_CHUNKS]
        return Index(*parts), self.last

    def listed(self, offset: int) -> None:
        """What was taken is in a record at `offset`."""
        self._short, self._last = [], offset
