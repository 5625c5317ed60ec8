"""Checking a file: the checksum of every record, the index, every chunk by decoding it, and every bound against the original."""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO

import numpy as np

from aecodec.api.arrayfile import ArrayFile, Ranges
from aecodec.api.compare import Comparison, overall_psnr
from aecodec.api.decoding import ahead
from aecodec.api.options import ModelLike
from aecodec.api.reader import Reader
from aecodec.api.trust import Trust
from aecodec.container.layout import PREFIX_SIZE, Kind
from aecodec.container.parts import Part
from aecodec.container.reader import ContainerReader
from aecodec.container.records import Records
from aecodec.container.walk import Beginning, Cut, Damage, Walk
from aecodec.errors import AecodecError, FormatError, UsageError
from aecodec.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True)
class BadChunk:
    """A chunk that fails: its steps from `start` to `stop` of the stream axis. `number` None: a part as a whole."""

    number: int | None
    start: int
    stop: int
    reason: str


@dataclass(frozen=True)
class BadRecord:
    """Something else in the file that is not sound, at byte `offset`."""

    offset: int
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What verification found. `missing`: ranges that no chunk holds. `worst_error`, `psnr`: None without the original."""

    chunks: int
    bad: list[BadChunk]
    worst_error: float | None = None
    psnr: float | None = None
    records: list[BadRecord] = field(default_factory=list)
    missing: Ranges = field(default_factory=list)
    complete: bool = True

    @property
    def sound(self) -> bool:
        """True if nothing failed and nothing is missing."""
        return self.complete and not (self.bad or self.records or self.missing)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {"sound": self.sound, **asdict(self)}


def verify(
    source: Reader | str | os.PathLike[str] | bytes | BinaryIO,
    original: np.ndarray | None = None,
    *,
    model: ModelLike = None,
    provider: str = "auto",
    threads: int | None = None,
    limits: Limits | None = None,
    allow_embedded_model: bool = True,
) -> Verdict:
    """Check every record and decode every chunk; with `original` (same shape and dtype), hold each value against its promise.

    The keyword arguments are those of `open`; a Reader brings its own.

    Damage is in the verdict and does not stop the search for more. Raises what opening raises: NotAecodecError, ModelError,
    ChecksumError where the only header is damaged; UsageError if the original is of another kind.
    """
    if not isinstance(source, Reader):
        with Reader(source, model, provider, threads, Trust(limits or DEFAULT_LIMITS, allow_embedded_model)) as reader:
            return verify(reader, original)
    reader = source
    file = reader.array_file
    if original is not None and (original.shape != reader.shape or original.dtype != reader.dtype):
        raise UsageError(
            f"the original has shape {original.shape} and dtype {original.dtype}, the file {reader.shape} and {reader.dtype}"
        )
    records = [bad for number in range(len(file.headers)) for bad in _bad_records(file.container, number)]
    bad, comparisons = _bad_chunks(reader, file, original)
    found = [comparison for comparison in comparisons if comparison is not None]
    return Verdict(
        chunks=file.chunks,
        bad=bad,
        worst_error=max(c.worst for c in found) if found else None,
        psnr=overall_psnr(found) if found else None,
        records=records,
        missing=file.missing,
        complete=file.container.complete,
    )


def _bad_chunks(reader: Reader, file: ArrayFile, original: np.ndarray | None) -> tuple[list[BadChunk], list[Comparison | None]]:
    bad: list[BadChunk] = []
    compared = [Comparison(header) if header is not None and original is not None else None for header in file.headers]
    stream = file.spec.axes.stream
    for number, result in ahead(reader.chunk_array, range(file.chunks), reader.threads):
        start, stop = file.span(number)
        try:
            slab = result()
        except AecodecError as error:
            bad.append(BadChunk(number, start, stop, str(error.__cause__ or error)))
            continue
        part = file.container.part_number(number)
        comparison = compared[part]
        if comparison is not None and original is not None:
            there = original if stream is None else original[(slice(None),) * stream + (slice(start, stop),)]
            if wrong := comparison.compare(there, slab):
                header = file.headers[part]
                kind = header.fidelity.kind if header is not None else ""
                bad.append(BadChunk(number, start, stop, f"{wrong} value(s) outside {kind}"))
    starts = file.container.part_starts.tolist()
    for part, comparison in enumerate(compared):
        if comparison is not None and (whole := comparison.whole_part_failure()):
            bad.append(BadChunk(None, starts[part], starts[part + 1], whole))
    return bad, compared


def _bad_records(container: ContainerReader, number: int) -> Iterator[BadRecord]:
    """What is not sound between the bytes of a part, chunks that its index names left out: they are decoded anyway."""
    part = container.parts[number]
    end = container.parts[number + 1].base if number + 1 < len(container.parts) else container.size
    records, walk = Records(container.source, end), Walk(container.source, part.base + PREFIX_SIZE, end)
    for event in walk:
        if isinstance(event, Cut):
            yield BadRecord(event.offset, "the file ends inside the record here: it was cut off, or is still being written")
        elif isinstance(event, Damage):
            if not _between(part, event.start, event.stop):
                yield BadRecord(event.start, f"nothing sound up to byte {event.stop}")
        elif not isinstance(event, Beginning):
            is_chunk = event.frame.kind == Kind.CHUNK
            if is_chunk and _between(part, event.offset, event.offset + 1):
                continue
            try:
                records.check(event.offset, event.frame)
            except FormatError as error:
                yield BadRecord(event.offset, str(error))
            else:
                if is_chunk:
                    yield BadRecord(event.offset, "a chunk that the index does not name")


def _between(part: Part, start: int, stop: int) -> bool:
    """True if the index of a part names a chunk record that begins in these bytes."""
    low, high = np.searchsorted(part.index.offsets, [start - part.base, stop - part.base])
    return bool(low < high)
