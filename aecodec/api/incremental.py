"""Compressor and Decompressor: the codec without files, for sockets, queues and other people's containers."""

import math
from typing import Any, Unpack

import numpy as np

from aecodec.api.encoder import StreamEncoder
from aecodec.api.header import Header
from aecodec.api.options import FidelityOptions, ModelLike, make_options
from aecodec.api.reader import decode_chunk
from aecodec.api.trust import Trust
from aecodec.codec.chunk import ChunkCoder
from aecodec.codec.effort import DEFAULT_LEVEL
from aecodec.codec.model import Model
from aecodec.container.layout import Kind, parse_json
from aecodec.container.reader import RecordSplitter, parse_chunk
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
    """Bytes in, in any portions; slabs out as soon as their chunks are whole. Arguments as for `aecodec.decompress`."""

    def __init__(
        self,
        model: ModelLike = None,
        *,
        provider: str = "auto",
        limits: Limits | None = None,
        allow_embedded_model: bool = True,
    ) -> None:
        self._given, self._provider = model, provider
        self._trust = Trust(limits or DEFAULT_LIMITS, allow_embedded_model)
        self._splitter = RecordSplitter(self._trust.limits)
        self._embedded: bytes | None = None
        self._coder: ChunkCoder | None = None
        self._length = 0
        self.header: Header | None = None
        self.metadata: dict[str, Any] = {}
        self.model: Model | None = None
        self.eof = False

    def decompress(self, data: bytes) -> list[np.ndarray]:
        """Arrays of the chunks that `data` completes, in order, each a slab along the stream axis."""
        slabs: list[np.ndarray] = []
        for kind, payload in self._splitter.feed(data):
            if kind == Kind.HEADER:
                self.header = Header.from_json(parse_json(payload, self._trust.limits), self._trust.limits)
            elif self.header is None:
                raise FormatError(f"the first record must be the header, found kind {kind}")
            elif kind == Kind.MODEL:
                self._embedded = payload
            elif kind == Kind.METADATA:
                self.metadata = parse_json(payload, self._trust.limits)
            elif kind == Kind.CHUNK:
                self.eof = False
                slabs.append(self._decode(payload, sum(slab.nbytes for slab in slabs)))
            elif kind == Kind.END:
                self.eof = True
        return slabs

    def finish(self) -> None:
        """Check that nothing is missing: TruncatedError unless the end record was the last thing seen."""
        if not self.eof or self._splitter.pending:
            raise TruncatedError(f"the stream ended early, with {self._splitter.pending} bytes of an unfinished record")

    def _decode(self, payload: bytes, before: int) -> np.ndarray:
        """The slab of a chunk, `before` being the bytes of those that the same portion has made."""
        assert self.header is not None
        if self._coder is None:
            self.model = self._trust.find_model(self.header, self._embedded, self._given, self._provider)
            self._coder = ChunkCoder(self.header.spec.real_dtype, self.header.fidelity, self.model)
        chunk = parse_chunk(payload)
        if chunk.start != self._length:
            raise FormatError(f"chunk starts at {chunk.start}, {self._length} is next: chunks are missing or out of order")
        shape = self.header.spec.with_length(chunk.count).shape
        self._trust.check_portion(before + math.prod(shape) * self.header.spec.dtype.itemsize)
        self._length += chunk.count
        return decode_chunk(chunk, self.header.spec, self._coder, self._trust)
