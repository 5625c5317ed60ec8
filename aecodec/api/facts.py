"""What a file says of itself, without decoding it and without needing its model: all that `aecodec info` shows."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aecodec.api.arrayfile import ArrayFile
from aecodec.codec.chunk import Mode
from aecodec.container.layout import FRAME_SIZE, Kind, parse_frame
from aecodec.container.parts import Part
from aecodec.container.reader import ContainerReader
from aecodec.container.records import CHUNK_HEAD
from aecodec.container.source import Source, Window
from aecodec.errors import AecodecError, FormatError
from aecodec.models.bundle import Bundle
from aecodec.models.registry import find_by_id
from aecodec.packing.varint import Cursor

_BLOCK = 1 << 12
_DAMAGED = "damaged"


@dataclass(frozen=True)
class ChunkFacts:
    """A chunk as its record's first bytes have it: steps from `start` to `stop`, and the bytes of its record."""

    number: int
    start: int
    stop: int
    mode: str
    bytes: int


def file_facts(source: Source, chunks: bool = False) -> dict[str, Any]:
    """JSON values; with `chunks`, one entry for each of them. Payloads are not checked: that is what `verify` does."""
    file = ArrayFile(ContainerReader(source))
    container, spec = file.container, file.spec
    found = list(chunk_facts(file)) if chunks else None
    modes = Counter(chunk.mode for chunk in (found if found is not None else chunk_facts(file)))
    raw = spec.dtype.itemsize
    for size in spec.shape:
        raw *= size
    values = raw // spec.dtype.itemsize
    facts = {
        "shape": list(spec.shape),
        "dtype": str(spec.dtype),
        "axes": spec.axes.letters,
        "fidelity": file.header.fidelity.to_json(),
        "array_bytes": raw,
        "file_bytes": container.size,
        "ratio": raw / container.size,
        "bits_per_value": 8 * container.size / values if values else None,
        "model": _model_facts(container.parts[file.headers.index(file.header)]),
        "modes": dict(modes),
        "chunks": file.chunks,
        "missing": [list(gap) for gap in file.missing],
        "complete": container.complete,
        "parts": [_part_facts(file, number) for number in range(len(file.headers))],
        "writer": str(container.preamble.header.get("writer", "")),
        "metadata": container.preamble.metadata,
    }
    return {**facts, "each_chunk": [chunk.__dict__ for chunk in found]} if found is not None else facts


def chunk_facts(file: ArrayFile) -> Iterator[ChunkFacts]:
    """Every chunk that the index names."""
    container = file.container
    window = Window(container.source, _BLOCK)
    columns = (container.index.offsets, container.index.starts, container.ends)
    for number, (offset, start, stop) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        mode, size = _DAMAGED, 0
        data = window.read(offset, FRAME_SIZE + CHUNK_HEAD + 1)
        try:
            frame = parse_frame(data[:FRAME_SIZE])
            cursor = Cursor(data[FRAME_SIZE:])
            if frame.kind == Kind.CHUNK:
                size = FRAME_SIZE + frame.length
                cursor.varint()
                cursor.varint()
                number_of_mode = cursor.byte()
                known = number_of_mode in set(Mode)
                mode = Mode(number_of_mode).name.lower() if known else f"unknown mode {number_of_mode}"
        except FormatError:
            pass
        yield ChunkFacts(number, start, stop, mode, size)


def _part_facts(file: ArrayFile, number: int) -> dict[str, Any]:
    part, header, starts = file.container.parts[number], file.headers[number], file.container.part_starts
    return {
        "offset": part.base,
        "bytes": part.end - part.base,
        "start": int(starts[number]),
        "stop": int(starts[number + 1]),
        "chunks": int(part.index.starts.size),
        "complete": part.complete,
        "fidelity": header.fidelity.to_json() if header is not None else None,
        "model": header.model_id if header is not None else None,
        "damaged": {kind.name.lower(): str(error) for kind, error in part.preamble.damaged.items()},
    }


def _model_facts(part: Part) -> dict[str, Any] | None:
    """Id and place of the model (embedded, damaged, installed or missing) and, if it is there, what its manifest says."""
    model_id, embedded = part.preamble.header.get("model"), part.preamble.model
    if model_id is None:
        return None
    bundle, place = None, "missing"
    try:
        if embedded is not None:
            bundle, place = Bundle.from_bytes(embedded), "embedded"
        elif (bundle := find_by_id(str(model_id))) is not None:
            place = "installed"
        elif Kind.MODEL in part.preamble.damaged:
            place = _DAMAGED
    except AecodecError:
        place = _DAMAGED
    facts: dict[str, Any] = {"id": model_id, "place": place, "bytes": len(embedded or b"")}
    if bundle is not None:
        manifest = bundle.manifest
        facts |= {"family": manifest.family, "tile": list(manifest.tile), "exact": manifest.exact}
    return facts
