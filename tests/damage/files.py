"""Files taken apart and put together again with sound checksums: what an attacker who has read FORMAT.md can do."""

import hashlib
import json
import struct
from dataclasses import dataclass, replace

import numpy as np
import xxhash

from aecodec.container.layout import Index, create_end, create_index
from aecodec.models.manifest import PARTS
from aecodec.packing import zstd
from aecodec.packing.varint import Cursor, put_varint

HEADER, MODEL, CHUNK, METADATA, INDEX, END, MODEL_PARTS = range(1, 8)
PREFIX_SIZE = 12
_FRAME = struct.Struct("<4sBBHIQQ")
_FRAME_SIZE = 32


@dataclass(frozen=True)
class Record:
    """A record without its frame."""

    kind: int
    payload: bytes


def split(data: bytes) -> tuple[bytes, list[Record]]:
    """Prefix and records of a sound file."""
    records, at = [], PREFIX_SIZE
    while at < len(data):
        _, kind, _, _, _, length, _ = _FRAME.unpack(data[at : at + _FRAME.size])
        records.append(Record(kind, data[at + _FRAME_SIZE : at + _FRAME_SIZE + length]))
        at += _FRAME_SIZE + length
    return data[:PREFIX_SIZE], records


def framed(kind: int, sequence: int, payload: bytes) -> bytes:
    """A record whose checksums are right, whatever is in it."""
    head = _FRAME.pack(b"\xe7REC", kind, 0, 0, sequence, len(payload), xxhash.xxh64_intdigest(payload))
    return head + struct.pack("<I", xxhash.xxh64_intdigest(head) & 0xFFFFFFFF) + payload


def joined(prefix: bytes, records: list[Record], index: bool = True) -> bytes:
    """A file of these records; with `index`, the last index and end are made anew so that they point where chunks now lie."""
    out, chunks, index_at = bytearray(prefix), [], 0
    last_index, last_end = (_last(records, kind) for kind in (INDEX, END))
    for number, record in enumerate(records):
        payload = record.payload
        if record.kind == CHUNK:
            chunks.append((len(out), *_start_and_count(payload)))
        if record.kind == INDEX and number == last_index:
            index_at = len(out)
            if index:
                columns = np.array(chunks, np.int64).reshape(-1, 3)
                payload = create_index(Index(columns[:, 0], columns[:, 1], columns[:, 2]))
        if record.kind == END and number == last_end and index:
            payload = create_end(index_at, len(out) + _FRAME_SIZE + 24)
        out += framed(record.kind, number, payload)
    return bytes(out)


def _last(records: list[Record], kind: int) -> int:
    return max((i for i, record in enumerate(records) if record.kind == kind), default=-1)


def _start_and_count(payload: bytes) -> tuple[int, int]:
    try:
        cursor = Cursor(payload)
        return cursor.varint(2**62), cursor.varint(2**62)
    except Exception:  # noqa: BLE001  # an attacker's chunk may be anything
        return 0, 0


@dataclass(frozen=True)
class ModelFile:
    """A model file taken apart: manifest as text, parts by number."""

    manifest: bytes
    parts: dict[int, bytes]

    @classmethod
    def parse(cls, data: bytes) -> "ModelFile":
        """Take a sound .aecm file apart."""
        _, records = split(data)
        cursor = Cursor(records[1].payload)
        size = cursor.varint()
        inner = Cursor(zstd.decompress(cursor.take(cursor.remaining), size))
        parts = {}
        while inner.remaining:
            number = inner.varint()
            parts[number] = bytes(inner.take(inner.varint()))
        return cls(records[0].payload, parts)

    def with_part(self, number: int, part: bytes) -> "ModelFile":
        """The same with another part, its hash in the manifest."""
        record = json.loads(self.manifest)
        record["parts"][PARTS[number]] = hashlib.sha256(part).hexdigest()
        return ModelFile(canonical(record), {**self.parts, number: part})

    def to_bytes(self) -> bytes:
        """The .aecm file, its frames sound."""
        inner = bytearray()
        for number, part in self.parts.items():
            put_varint(inner, number)
            put_varint(inner, len(part))
            inner += part
        payload = bytearray()
        put_varint(payload, len(inner))
        payload += zstd.compress(bytes(inner), 1)
        prefix = b"\x89AEC\r\n\x1a\n\x01\x01M\0"
        return prefix + framed(HEADER, 0, self.manifest) + framed(MODEL_PARTS, 1, bytes(payload))

    @property
    def id(self) -> str:
        """SHA-256 of the manifest as it is."""
        return hashlib.sha256(self.manifest).hexdigest()


def canonical(record: object) -> bytes:
    """Canonical JSON; numbers that are not finite and half surrogates are written all the same, as escapes."""
    try:
        return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def with_model(data: bytes, model: bytes, model_id: str) -> bytes:
    """An array file with another model embedded, its id in the header."""
    prefix, records = split(data)
    header = json.loads(records[0].payload)
    header["model"] = model_id
    changed = [replace(r, payload={HEADER: canonical(header), MODEL: model}.get(r.kind, r.payload)) for r in records]
    return joined(prefix, changed)
