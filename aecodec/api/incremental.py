"""Compressor and Decompressor: the codec without files, for sockets, queues and other people's containers."""

import math
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from aecodec.api.decoding import decode_chunk
from aecodec.api.encoder import StreamEncoder
from aecodec.api.header import Header, check_alike
from aecodec.api.options import FidelityOptions, ModelLike, as_model, make_options
from aecodec.api.trust import Trust
from aecodec.codec.chunk import ChunkCoder
from aecodec.codec.effort import DEFAULT_LEVEL
from aecodec.codec.model import Model
from aecodec.container.layout import Kind, parse_json
from aecodec.container.records import parse_chunk
from aecodec.container.splitter import PART, RecordSplitter
from aecodec.container.writer import ContainerWriter
from aecodec.errors import FormatError, TruncatedError, UsageError
from aecodec.limits import DEFAULT_LIMITS, Limits


class _Buffer:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> None:
        self.data += data

    def take(self) -> bytes:
        taken = bytes(self.data)
        self.data.clear()
        return taken


class Compressor:
    """Slabs in, bytes out. The bytes of all calls together are an .aecz file. Arguments as for `aecodec.compress`."""

    def __init__(
        self,
        model: ModelLike = None,
        axes: str | None = None,
        *,
        level: int = DEFAULT_LEVEL,
        embed_model: bool | None = None,
        provider: str = "auto",
        threads: int | None = 1,
        metadata: dict[str, Any] | None = None,
        limits: Limits | None = None,
        **fidelity: Unpack[FidelityOptions],
    ) -> None:
        options = make_options(model, axes, level, embed_model, provider, threads, metadata, fidelity, limits)
        self._buffer = _Buffer()
        self._encoder = StreamEncoder(ContainerWriter(self._buffer), options)
        self._finished = False

    def compress(self, slab: Any) -> bytes:
        """Take a slab along the stream axis; the bytes that are ready, often none."""
        if self._finished:
            raise UsageError("the compressor was flushed; make a new one for another array")
        self._encoder.write(slab)
        return self._buffer.take()

    def flush(self) -> bytes:
        """The rest of the bytes. The compressor takes no more slabs."""
        if not self._finished:
            self._finished = True
            self._encoder.finish()
        return self._buffer.take()


class Decompressor:
    """Bytes in, in any portions; slabs out as soon as their chunks are whole.

    `header` and `metadata` are those of the first part of the stream, `model` that of the present one. Damage raises and ends
    the stream: what is behind it can only be read from a file, by `aecodec.open(path, on_error="skip")`.
    """

    def __init__(
        self,
        model: ModelLike = None,
        *,
        provider: str = "auto",
        limits: Limits | None = None,
        allow_embedded_model: bool = True,
    ) -> None:
        self._trust = Trust(limits or DEFAULT_LIMITS, allow_embedded_model)
        self._given, self._provider = model, provider
        self._splitter = RecordSplitter(self._trust.limits)
        self._part = _StreamPart()
        self._parts = 1
        self.header: Header | None = None
        self.metadata: dict[str, Any] = {}
        self.model: Model | None = None
        self.eof = False

    def decompress(self, data: bytes) -> list[np.ndarray]:
        """Arrays of the chunks that `data` completes, in order, each a slab along the stream axis."""
        slabs: list[np.ndarray] = []
        size = 0
        for kind, payload in self._splitter.feed(data):
            if kind == PART:
                self._begin_part()
            elif kind == Kind.HEADER:
                self._take_header(payload)
            elif self._part.header is None:
                raise FormatError(f"the first record must be the header, found kind {kind}")
            elif kind == Kind.MODEL:
                self._part.embedded = payload
            elif kind == Kind.METADATA and self._parts == 1:
                self.metadata = parse_json(payload, self._trust.limits)
            elif kind == Kind.CHUNK:
                self.eof = False
                slabs.append(self._decode(self._part.header, payload, size))
                size += slabs[-1].nbytes
            elif kind == Kind.END:
                self.eof = True
        return slabs

    def finish(self) -> None:
        """Check that nothing is missing: TruncatedError unless the end record was the last thing seen."""
        if not self.eof or self._splitter.pending:
            raise TruncatedError(f"the stream ended early, with {self._splitter.pending} bytes of an unfinished record")

    def _begin_part(self) -> None:
        if not self.eof:
            raise TruncatedError(f"part {self._parts} of the stream has no end: it was cut off before the next one")
        if self.header is not None and self.header.spec.axes.stream is None:
            raise FormatError(f"arrays with axes={self.header.spec.axes.letters!r} have no axis to be joined along")
        self._parts += 1
        self._part, self.eof = _StreamPart(), False

    def _take_header(self, payload: bytes) -> None:
        if self._part.header is not None:
            raise FormatError("a second header record in one part")
        header = Header.from_json(parse_json(payload, self._trust.limits), self._trust.limits)
        if self.header is None:
            self.header = header
        check_alike(self.header, header, f"part {self._parts} of the stream")
        self._part.header = header

    def _decode(self, header: Header, payload: bytes, before: int) -> np.ndarray:
        """The slab of a chunk, `before` being the bytes of those that the same portion has made."""
        part = self._part
        if part.coder is None:
            given = as_model(self._given, self._provider, self._trust.limits)
            if self._parts > 1 and given is not None and given.id != header.model_id:
                given = None  # parts may each have their own
            self.model = self._trust.find_model(header, part.embedded, given, self._provider)
            part.coder = ChunkCoder(header.spec.real_dtype, header.fidelity, self.model)
        chunk = parse_chunk(payload)
        if chunk.start != part.length:
            raise FormatError(f"chunk starts at {chunk.start}, {part.length} is next: chunks are missing or out of order")
        size = math.prod(header.spec.with_length(chunk.count).shape) * header.spec.dtype.itemsize
        self._trust.check_portion(before + size)
        part.length += chunk.count
        assert self.header is not None
        return decode_chunk(chunk, header.spec, part.coder, self._trust).astype(self.header.spec.dtype, copy=False)


@dataclass
class _StreamPart:
    """What is known of the part of a stream that is being read."""

    header: Header | None = None
    embedded: bytes | None = None
    coder: ChunkCoder | None = None
    length: int = 0
