"""What the chunks of a zarr array say of how they were coded: modes, sizes, and how many their model could not take."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aecodec.errors import UsageError, require_extra
from aecodec.integrations.stored_chunk import HEAD, chunk_facts

try:
    from zarr.abc.store import RangeByteRequest, SuffixByteRequest
    from zarr.codecs import ShardingCodec
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync
except ImportError:
    raise require_extra("zarr 3", "zarr", "aecodec.integrations.zarr_summary") from None

_ENTRY = np.dtype([("offset", "<u8"), ("size", "<u8")])
_NONE = 2**64 - 1
_CRC = 4


@dataclass
class Summary:
    """`chunks` that hold something (inner ones, of shards), how many of them are `unfit`, the `modes` of all, bytes in and out."""

    chunks: int = 0
    unfit: int = 0
    array_bytes: int = 0
    stored_bytes: int = 0
    modes: Counter[str] = field(default_factory=Counter)

    @property
    def ratio(self) -> float:
        """How many times smaller the chunks are than the array; the array's metadata, where a model may be, are not counted."""
        return self.array_bytes / self.stored_bytes if self.stored_bytes else math.inf


def summarise(array: Any) -> Summary:
    """Of a zarr array (v3, sharded or not, or v2) with this library's codec; only the beginnings of its chunks are read.

    UsageError if its chunks were not coded by it, or by something else after it.
    """
    from aecodec.integrations.numcodecs import Aecodec
    from aecodec.integrations.zarr import AecodecCodec

    metadata, shards = array.metadata, None
    if metadata.zarr_format == 2:
        codecs: tuple[Any, ...] = (metadata.compressor,)
    else:
        codecs = metadata.codecs
        if len(codecs) == 1 and isinstance(codecs[0], ShardingCodec):
            shards, codecs = codecs[0], codecs[0].codecs
    if not codecs or not isinstance(codecs[-1], (AecodecCodec, Aecodec)):
        raise UsageError(f"array {array.path or '/'!r} is not coded by aecodec last: its codecs are {_names(codecs)}")
    summary = Summary(array_bytes=array.nbytes)
    for size, head in _heads(array, shards):
        facts = chunk_facts(head, array.ndim, array.dtype.itemsize)
        summary.chunks += 1
        summary.unfit += facts.unfit
        summary.stored_bytes += size
        summary.modes[facts.mode] += 1
    return summary


def _heads(array: Any, shards: Any) -> Iterator[tuple[int, bytes]]:
    """(bytes stored, first bytes) of each chunk that there is."""
    grid = array.shards if shards is not None else array.chunks
    for place in itertools.product(*(range(-(-size // step)) for size, step in zip(array.shape, grid, strict=True))):
        path = array.store_path / array.metadata.encode_chunk_key(place)
        if shards is not None:
            yield from _shard_heads(path, shards, math.prod(g // c for g, c in zip(grid, array.chunks, strict=True)))
            continue
        head = _read(path, RangeByteRequest(0, HEAD + 32 * array.ndim))
        if head is not None:
            yield sync(path.store.getsize(path.path)), head


def _shard_heads(path: Any, shards: Any, chunks: int) -> Iterator[tuple[int, bytes]]:
    if [type(codec).__name__ for codec in shards.index_codecs] != ["BytesCodec", "Crc32cCodec"]:
        raise UsageError("the index of the shards is coded in an unusual way; a summary reads the usual one only")
    size = chunks * _ENTRY.itemsize + _CRC
    at_end = shards.index_location.value == "end"
    index = _read(path, SuffixByteRequest(size) if at_end else RangeByteRequest(0, size))
    if index is None:
        return
    for entry in np.frombuffer(index[:-_CRC], _ENTRY):
        offset, length = int(entry["offset"]), int(entry["size"])
        if offset != _NONE:
            head = _read(path, RangeByteRequest(offset, offset + min(length, HEAD)))
            assert head is not None
            yield length, head


def _read(path: Any, part: Any) -> bytes | None:
    found = sync(path.get(default_buffer_prototype(), part))
    return None if found is None else found.to_bytes()


def _names(codecs: Any) -> str:
    return ", ".join(type(codec).__name__ for codec in codecs) or "none"
