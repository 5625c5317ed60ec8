"""The wire structures of a file as pairs of pure functions: prefix, record frame, index, end (normative: FORMAT.md)."""

import json
import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import xxhash

from aecodec.errors import ChecksumError, FormatError, NotAecodecError, TruncatedError, VersionError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.packing.lossless import decode_bytes, encode_bytes
from aecodec.packing.varint import Cursor, put_varint

MAGIC = b"\x89AEC\r\n\x1a\n"
VERSION = (1, 1)
ARRAY_FILE, MODEL_FILE = b"Z", b"M"
PREFIX_SIZE = 12

SYNC = b"\xe7REC"
_FRAME = struct.Struct("<4sBBHIQQ")
FRAME_SIZE = _FRAME.size + 4

END_MAGIC = b"AECEND\r\n"
_END = struct.Struct("<QQ8s")
END_SIZE = FRAME_SIZE + _END.size

_INDEX_LEVEL = 3


class Kind(IntEnum):
    """What a record holds."""

    HEADER = 1
    MODEL = 2
    CHUNK = 3
    METADATA = 4
    INDEX = 5
    END = 6
    PART = 7


# Which limit a kind of record is under, and what a writer can do about it.
LIMITED_BY = {
    Kind.HEADER: ("header_bytes", "use fewer channels"),
    Kind.MODEL: ("model_bytes", "use a smaller model, or embed_model=False"),
    Kind.CHUNK: ("payload_bytes", "use smaller steps along the stream axis"),
    Kind.METADATA: ("metadata_bytes", "keep large metadata in a file of its own"),
    Kind.INDEX: ("index_bytes", "write several files, or larger chunks"),
    Kind.END: ("metadata_bytes", "an end has 24"),
    Kind.PART: ("model_bytes", "use a smaller model"),
}


@dataclass(frozen=True)
class Frame:
    """The fixed part before a record's payload."""

    kind: int
    sequence: int
    length: int
    checksum: int


def create_prefix(file_kind: bytes) -> bytes:
    """First bytes of a file of `file_kind` (ARRAY_FILE or MODEL_FILE)."""
    return MAGIC + bytes(VERSION) + file_kind + b"\0"


def parse_prefix(data: bytes, file_kind: bytes) -> None:
    """Check the first bytes of a file."""
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        hint = " (line ends were converted on the way: transfer it as binary)" if data[:4] == MAGIC[:4] else ""
        raise NotAecodecError(f"not an aecodec file: it begins with {data[:8].hex(' ') or 'nothing'}, not {MAGIC.hex(' ')}{hint}")
    if len(data) < PREFIX_SIZE:
        raise TruncatedError(f"the file ends after {len(data)} bytes, inside its first {PREFIX_SIZE}")
    if data[8] > VERSION[0]:
        raise VersionError(
            f"format version {data[8]}.{data[9]} is newer than {VERSION[0]}.{VERSION[1]}; upgrade aecodec to read it"
        )
    if data[8] < 1 or data[11]:
        raise FormatError(f"malformed file prefix {data[8:12].hex(' ')}")
    if data[10:11] != file_kind:
        names = {ARRAY_FILE: "an array (.aecz)", MODEL_FILE: "a model (.aecm)"}
        found = names.get(data[10:11], f"a file of unknown kind {data[10]}")
        raise FormatError(f"this is {found}, but {names[file_kind]} is expected")


def create_record(kind: Kind, sequence: int, *payload: bytes, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Frame and payload, in pieces; LimitError for what no reader with such limits would take."""
    name, remedy = LIMITED_BY[kind]
    size, checksum = sum(map(len, payload)), xxhash.xxh64()
    limits.check(name, size, f"{kind.name.lower()} record would have {size} bytes", remedy)
    for piece in payload:
        checksum.update(piece)
    frame = _FRAME.pack(SYNC, kind, 0, 0, sequence & 0xFFFFFFFF, size, checksum.intdigest())
    return b"".join((frame, _frame_checksum(frame), *payload))


def parse_frame(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Frame:
    """Check and take apart the FRAME_SIZE bytes before a payload, which is within `limits` if its kind is known."""
    if len(data) < FRAME_SIZE:
        raise TruncatedError(f"the file ends inside a record frame: {len(data)} of {FRAME_SIZE} bytes")
    if data[:4] != SYNC:
        raise FormatError(f"no record here: found {data[:4].hex(' ')}, a record begins with {SYNC.hex(' ')}")
    if not has_frame_checksum(data):
        raise ChecksumError("record frame is damaged: its checksum does not match")
    _, kind, flags, reserved, sequence, length, checksum = _FRAME.unpack(data[: _FRAME.size])
    if flags or reserved:
        raise VersionError(f"record uses reserved bits (flags {flags}, reserved {reserved}); upgrade aecodec to read it")
    if kind in LIMITED_BY:
        limits.check(LIMITED_BY[Kind(kind)][0], length, f"{Kind(kind).name.lower()} record declares {length} bytes")
    return Frame(kind, sequence, length, checksum)


def has_frame_checksum(data: bytes) -> bool:
    """True if the FRAME_SIZE bytes of a frame end in the checksum of the others."""
    return _frame_checksum(data[: _FRAME.size]) == data[_FRAME.size : FRAME_SIZE]


def check_payload(frame: Frame, payload: bytes) -> None:
    """Compare a payload with its frame."""
    if len(payload) < frame.length:
        raise TruncatedError(f"record {frame.sequence} has {len(payload)} of its {frame.length} bytes; the file was cut off")
    if xxhash.xxh64_intdigest(payload) != frame.checksum:
        raise ChecksumError(f"record {frame.sequence} is damaged: its checksum does not match")


def _frame_checksum(frame: bytes) -> bytes:
    return struct.pack("<I", xxhash.xxh64_intdigest(frame) & 0xFFFFFFFF)


@dataclass(frozen=True)
class Index:
    """Where chunks lie: int64 arrays of equal length. Offsets count from the part's first byte."""

    offsets: np.ndarray
    starts: np.ndarray
    counts: np.ndarray


def create_index(index: Index, previous: int = 0) -> bytes:
    """Payload of an index record; `previous` is the offset of the one that lists the chunks before these, or 0."""
    out = bytearray()
    put_varint(out, index.offsets.size)
    for column in (index.offsets, index.starts, index.counts):
        packed = encode_bytes(column.astype("<i8"), _INDEX_LEVEL)
        put_varint(out, len(packed))
        out += packed
    if previous:
        put_varint(out, previous)
    return bytes(out)


def parse_index(payload: bytes, most: int = DEFAULT_LIMITS.index_bytes // 8) -> tuple[Index, int]:
    """The inverse of `create_index`; `most` is the number of chunks that the file has room for."""
    cursor = Cursor(payload)
    size = cursor.varint(most)
    columns = [decode_bytes(cursor.section(), np.dtype("<i8"), size) for _ in range(3)]
    previous = cursor.varint() if cursor.remaining else 0
    cursor.end()
    if any(column.size and int(column.min()) < 0 for column in columns):
        raise FormatError("index holds negative numbers")
    return Index(*columns), previous


def create_end(index_offset: int, length: int) -> bytes:
    """Payload of the end record: where the index lies, how long the file is with this record."""
    return _END.pack(index_offset, length, END_MAGIC)


def parse_end(payload: bytes) -> tuple[int, int]:
    """(offset of the index record, length of the file)."""
    if len(payload) != _END.size:
        raise FormatError(f"end record has {len(payload)} bytes, not {_END.size}")
    index_offset, length, magic = _END.unpack(payload)
    if magic != END_MAGIC:
        raise FormatError("end record lacks its magic")
    return index_offset, length


def create_json(record: dict[str, Any]) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def parse_json(payload: bytes, limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """A JSON object in UTF-8 without duplicate keys, non-finite numbers or halves of characters."""
    values = sum(payload.count(sign) for sign in (b",", b":", b"[", b"{"))
    limits.check("json_values", values, f"JSON of {len(payload)} bytes declares {values} values")
    try:
        record: Any = json.loads(payload.decode(), object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
        if b"\\ud" in payload.lower():
            create_json(record)  # half a surrogate pair parses, but has no UTF-8
    except (ValueError, RecursionError) as error:
        raise FormatError(f"malformed JSON: {error}") from None
    if not isinstance(record, dict):
        raise FormatError(f"JSON object expected, found {type(record).__name__}")
    return record


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("duplicate key")
    return record


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is beyond the range of numbers")
    return value


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not allowed")
