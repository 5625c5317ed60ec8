"""Records out to any object with `write`: one file, front to back, never seeking."""

import errno
import io
from collections.abc import Callable
from typing import Any, Protocol

from aecodec.container.chain import RECORD_CHUNKS, IndexChain
from aecodec.container.layout import (
    ARRAY_FILE,
    END_SIZE,
    Kind,
    create_end,
    create_index,
    create_json,
    create_prefix,
    create_record,
)
from aecodec.container.tail import Tail
from aecodec.limits import DEFAULT_LIMITS
from aecodec.packing.varint import varint


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object:
        """Take `data`; what returns a smaller number has taken only so many bytes, and is called again with the rest."""


def _nothing() -> None:
    """Sinks that are not files need no syncing."""


class ContainerWriter:
    """Writes one array file. After `continue_from`, writes the rest of one that exists already.

    `settle` is called before the end record is written: once it returns, all that went to the sink is to be durable.
    """

    def __init__(self, sink: Sink, settle: Callable[[], None] = _nothing) -> None:
        self._sink, self._settle = sink, settle
        self.limits = DEFAULT_LIMITS
        self._sequence = 0
        self._chain = IndexChain()
        self._complete = False
        self.offset = 0
        self.chunks = 0
        self.steps = 0

    def begin(self, header: dict[str, Any], model: bytes | None, metadata: dict[str, Any] | None) -> None:
        """Prefix, header, embedded model and metadata."""
        self._put(create_prefix(ARRAY_FILE))
        self._record(Kind.HEADER, create_json(header))
        if model is not None:
            self._record(Kind.MODEL, model)
        if metadata:
            self._record(Kind.METADATA, create_json(metadata))

    def continue_from(self, tail: Tail) -> None:
        """Go on after what exists already, of which the sink is at the end; `chunks` counts new ones only."""
        self._chain.resume(tail.last_index, tail.short_indexes, tail.unlisted)
        self._sequence, self.offset, self.steps, self._complete = tail.sequence, tail.length, tail.steps, tail.complete

    def chunk(self, start: int, count: int, body: bytes) -> None:
        """One chunk of `count` steps of the stream axis from `start` on."""
        if len(self._chain) >= RECORD_CHUNKS:
            self._put_indexes(RECORD_CHUNKS)
        offset = self.offset
        self._complete = False
        self._record(Kind.CHUNK, varint(start), varint(count), body)
        self._chain.add(offset, start, count)
        self.chunks += 1
        self.steps = start + count

    def finish(self) -> None:
        """Index and end; nothing if the file has them and nothing came after."""
        if self._complete:
            return
        self._put_indexes(1)
        self._settle()
        self._record(Kind.END, create_end(self._chain.last, self.offset + END_SIZE))
        self._complete = True

    def _put_indexes(self, least: int) -> None:
        """Index records for as long as `least` chunks or more wait for one; one in any case if the file has none."""
        self._chain.merge()
        while len(self._chain) >= least or not self._chain.last:
            offset = self.offset
            self._record(Kind.INDEX, create_index(*self._chain.take()))
            self._chain.listed(offset)

    def _record(self, kind: Kind, *payload: bytes) -> None:
        self._put(create_record(kind, self._sequence, *payload, limits=self.limits))
        self._sequence += 1

    def _put(self, data: bytes) -> None:
        put_all(self._sink, data)
        self.offset += len(data)


def put_all(sink: Sink, data: bytes) -> None:
    """Write all of `data`, also where the sink takes it in portions, as raw files, pipes and sockets do."""
    taken = sink.write(data)
    if taken is None and isinstance(sink, io.RawIOBase):
        taken = 0
    if not isinstance(taken, int) or taken >= len(data):
        return
    rest = memoryview(data)
    while taken < len(rest):
        if taken <= 0:
            raise BlockingIOError(errno.EAGAIN, f"the output took {len(data) - len(rest)} of {len(data)} bytes; use a blocking one")
        rest = rest[taken:]
        again = sink.write(bytes(rest))
        taken = again if isinstance(again, int) else 0 if isinstance(sink, io.RawIOBase) else len(rest)
