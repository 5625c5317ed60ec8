"""Records out to any object with `write`: one file, front to back, never seeking."""

from typing import Any, Protocol

import numpy as np

from aecodec.container.layout import (
    ARRAY_FILE,
    END_SIZE,
    Index,
    Kind,
    create_end,
    create_index,
    create_json,
    create_prefix,
    create_record,
)
from aecodec.packing.varint import put_varint


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


class ContainerWriter:
    """Writes one array file. After `continue_from`, writes the rest of one that exists already."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._sequence = 0
        self._chunks: list[tuple[int, int, int]] = []
        self.offset = 0

    def begin(self, header: dict[str, Any], model: bytes | None, metadata: dict[str, Any] | None) -> None:
        """Prefix, header, embedded model and metadata."""
        self._put(create_prefix(ARRAY_FILE))
        self._record(Kind.HEADER, create_json(header))
        if model is not None:
            self._record(Kind.MODEL, model)
        if metadata:
            self._record(Kind.METADATA, create_json(metadata))

    def continue_from(self, index: Index, sequence: int, offset: int) -> None:
        """Go on after an existing file of `offset` bytes whose last record was number `sequence` - 1."""
        self._chunks = list(zip(index.offsets.tolist(), index.starts.tolist(), index.counts.tolist(), strict=True))
        self._sequence, self.offset = sequence, offset

    def chunk(self, start: int, count: int, body: bytes) -> None:
        """One chunk of `count` steps of the stream axis from `start` on."""
        self._chunks.append((self.offset, start, count))
        payload = bytearray()
        put_varint(payload, start)
        put_varint(payload, count)
        self._record(Kind.CHUNK, bytes(payload) + body)

    def finish(self) -> None:
        """Index and end."""
        index_offset = self.offset
        columns = np.array(self._chunks, np.int64).reshape(-1, 3)
        self._record(Kind.INDEX, create_index(Index(columns[:, 0], columns[:, 1], columns[:, 2])))
        self._record(Kind.END, create_end(index_offset, self.offset + END_SIZE))

    def _record(self, kind: Kind, payload: bytes) -> None:
        self._put(create_record(kind, self._sequence, payload))
        self._sequence += 1

    def _put(self, data: bytes) -> None:
        self._sink.write(data)
        self.offset += len(data)
