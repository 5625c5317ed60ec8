"""What is sound in a damaged or cut off file into a new one, chunk bodies byte for byte, and what is lost by its steps."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from aecodec.api.arrayfile import ArrayFile, Ranges, merged, steps_text
from aecodec.api.decoding import decode_chunk, part_coder
from aecodec.api.header import Header
from aecodec.api.trust import Trust
from aecodec.codec.chunk import ChunkCoder, Mode
from aecodec.container.durable import is_stream, replace_durably, resolved, unwritten
from aecodec.container.layout import ARRAY_FILE, PREFIX_SIZE, Kind, create_prefix
from aecodec.container.parts import Part
from aecodec.container.reader import ContainerReader
from aecodec.container.records import Chunk, Records
from aecodec.container.source import Source, open_source
from aecodec.container.stores import created, is_url, local_path
from aecodec.container.writer import ContainerWriter, Sink
from aecodec.errors import FormatError, MissingError, NotAecodecError, OutputExistsError, UsageError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.packing.lossless import encode_bytes

_NAMED_RANGES = 10_000  # in the new file's metadata, whose record is bounded
_LEVEL = 9


@dataclass(frozen=True)
class Recovery:
    """What was saved. Ranges are (start, stop) along the stream axis of the damaged file, all its parts together.

    `kept`: steps that are in the new file, there one after the other. `lost`: steps that are not. `end_unknown`: more may have
    been lost behind the last chunk of a part, which no sound end vouches for. `notes`: other records that were lost.
    """

    parts: int
    chunks: int
    kept: Ranges
    lost: Ranges
    end_unknown: bool
    notes: list[str] = field(default_factory=list)

    @property
    def everything(self) -> bool:
        """True if nothing was lost."""
        return not (self.lost or self.end_unknown or self.notes)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {"everything": self.everything, **asdict(self)}


def recover(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    overwrite: bool = False,
    limits: Limits | None = None,
    allow_embedded_model: bool = True,
) -> Recovery:
    """Write all that is sound in `source` to a new file `target`; nothing is decoded, and no model is needed.

    Chunks behind a gap are renumbered, so that the new file has none. What is missing is in the result and, by the steps of
    the damaged file, in the new one's metadata as `recovered`. Parts stay parts. Only where chunks depend on their place (a
    model, and a stream of rows or columns) those behind a gap are decoded, and stored as plain bytes.

    `limits` and `allow_embedded_model` are as in `open`.

    Raises MissingError if no chunk is sound, ChecksumError if the header is damaged, OutputExistsError if the target exists
    and `overwrite` is not set, LockedError if it is being written.
    """
    trust = Trust(limits or DEFAULT_LIMITS, allow_embedded_model)
    opened = open_source(source)
    try:
        file = ArrayFile(_opened(opened, trust.limits), trust)
        name = Path(os.fsdecode(source)).name if isinstance(source, (str, os.PathLike)) else None
        plans = [_Plan(file, number, name) for number in range(len(file.headers))]
        kept = merged((start, stop) for plan in plans for start, stop in plan.kept)
        length = file.spec.length
        lost = merged(zip([0, *(stop for _, stop in kept)], [*(start for start, _ in kept), length], strict=True))
        if lost and not kept:
            raise MissingError(f"nothing can be recovered: none of {file.chunks} chunk(s) is sound", 0, length)
        written = [plan for plan in plans if plan.chunks] or [plan for plan in plans if plan.header is not None][:1]
        with _target(target, source, overwrite) as sink:
            for plan in written:
                plan.write(sink)
    finally:
        opened.close()
    notes = [note for plan in plans for note in plan.notes]
    return Recovery(len(written), sum(len(p.chunks) for p in plans), kept, lost, not file.container.finished, notes)


class _Plan:
    """What of one part can be written again."""

    def __init__(self, file: ArrayFile, number: int, name: str | None) -> None:
        self._file, self._number, self._name = file, number, name
        self.part: Part = file.container.parts[number]
        self.header: Header | None = file.headers[number]
        first, last = int(file.container.firsts[number]), int(file.container.firsts[number + 1])
        self.chunks = [] if self.header is None else [chunk for chunk in range(first, last) if self._is_sound(chunk)]
        self.kept = merged(file.span(chunk) for chunk in self.chunks)
        self.notes = [f"the {kind.name.lower()} record is damaged: {why}" for kind, why in self.part.preamble.damaged.items()]

    def _is_sound(self, chunk: int) -> bool:
        try:
            self._file.container.payload(chunk)
        except FormatError:
            return False
        return True

    def write(self, sink: Sink) -> None:
        """The part again, as far as it is sound."""
        preamble = self.part.preamble
        writer = ContainerWriter(sink)
        writer.limits = self._file.trust.limits
        writer.begin(preamble.header, preamble.model, self._metadata())
        at = 0
        coder: ChunkCoder | None = None
        for number in self.chunks:
            chunk = self._file.container.chunk(number)
            body = bytes(chunk.body)
            assert self.header is not None
            if at != chunk.start and self.header.model_id is not None and self.header.spec.stream_axis != 0:
                coder = coder or part_coder(self.header, preamble, None, "auto", self._file.trust)
                body = _placeless(chunk, self.header, coder)
            writer.chunk(at, chunk.count, body)
            at += chunk.count
        writer.finish()

    def _metadata(self) -> dict[str, Any]:
        """The user's, with what was lost, in steps of this part."""
        metadata = self.part.preamble.metadata
        starts = self._file.container.part_starts.tolist()
        begin, end = starts[self._number], starts[self._number + 1]
        edges = [begin, *(edge for span in self.kept for edge in span), end]
        lost = [[a - begin, b - begin] for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
        if not lost and self.part.finished and not self.notes:
            return metadata
        record: dict[str, Any] = {"lost": lost[:_NAMED_RANGES], "end_unknown": not self.part.finished, "from": self._name}
        if len(lost) > _NAMED_RANGES:
            record["more_lost_ranges"] = len(lost) - _NAMED_RANGES
        if "recovered" in metadata:
            record["before"] = metadata["recovered"]
        return {**metadata, "recovered": record}


def _placeless(chunk: Chunk, header: Header, coder: ChunkCoder) -> bytes:
    """The body of a chunk that decodes to the same values wherever along the stream axis it lies."""
    canonical = header.spec.with_length(chunk.count).to_canonical(decode_chunk(chunk, header.spec, coder))
    return bytes([Mode.BYTES]) + encode_bytes(canonical, _LEVEL)


def _opened(source: Source, limits: Limits) -> ContainerReader:
    """The file; if only its magic is damaged, as if that were not."""
    try:
        return ContainerReader(source, limits)
    except NotAecodecError:
        try:
            Records(source, source.size(), limits).expect(PREFIX_SIZE, Kind.HEADER)
        except FormatError:
            pass
        else:
            return ContainerReader(_Mended(source), limits)
        raise


class _Mended(Source):
    """A source whose first bytes are a sound prefix."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, offset: int, size: int) -> bytes:
        """As of `Source`."""
        found = self._source.read(offset, size)
        return create_prefix(ARRAY_FILE)[offset : offset + len(found)] + found[max(0, PREFIX_SIZE - offset) :]

    def size(self) -> int:
        """As of `Source`."""
        return self._source.size()

    def close(self) -> None:
        """As of `Source`."""
        self._source.close()


@contextmanager
def _target(target: str | os.PathLike[str] | BinaryIO, source: object, overwrite: bool) -> Iterator[Sink]:
    """Where to write: a file gets its name only when it is whole."""
    if not isinstance(target, (str, os.PathLike)):
        yield target
        return
    if isinstance(target, str) and is_url(target) and local_path(target) is None:
        with created(target, overwrite) as stored:
            yield stored
        return
    path = resolved((local_path(target) if isinstance(target, str) and is_url(target) else None) or target)
    if is_stream(path):
        with path.open("wb") as file:
            yield file
        return
    if isinstance(source, (str, os.PathLike)) and path.exists() and path.samefile(source):
        raise UsageError(f"{path} is the damaged file itself, which is kept: name another output")
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists; choose another name, or overwrite it on purpose")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with unwritten(path):
            with partial.open("wb") as file:
                yield file
            replace_durably(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def lost_text(recovery: Recovery) -> str:
    """What was lost, for people."""
    texts = [f"lost: {steps_text(recovery.lost)}"] if recovery.lost else []
    texts += ["whatever was behind the last sound chunk is lost too: there is no sound end"] if recovery.end_unknown else []
    return "; ".join([*texts, *recovery.notes]) or "nothing was lost"
