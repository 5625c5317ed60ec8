"""One part of an array file: the records before its chunks, and where its chunks lie by its index."""

from dataclasses import dataclass

import numpy as np

from aecodec.container.layout import (
    ARRAY_FILE,
    END_SIZE,
    FRAME_SIZE,
    PREFIX_SIZE,
    Index,
    Kind,
    parse_end,
    parse_index,
    parse_json,
    parse_prefix,
)
from aecodec.container.records import Preamble, Records
from aecodec.container.source import Source
from aecodec.container.walk import Cut, Damage, Found, Walk
from aecodec.errors import ChecksumError, FormatError, LimitError, TruncatedError
from aecodec.limits import DEFAULT_LIMITS, Limits

MAX_STEPS = 2**62
_SMALLEST_CHUNK = FRAME_SIZE + 2
_LONGEST_CHAIN = 1 << 16
_EMPTY = np.empty(0, np.int64)
NO_CHUNKS = Index(_EMPTY, _EMPTY, _EMPTY)


@dataclass(frozen=True)
class Part:
    """A part as far as it is known.

    `base`: its first byte; offsets in `index` count from there. `end`: the byte behind its last whole record. `complete`: its
    end and its index are sound. `finished`: its end shows that no chunk follows those in `index`. `doubtful`: it was found
    behind damage, so it may be bytes inside a damaged record that look like a part.
    """

    base: int
    end: int
    preamble: Preamble
    index: Index
    next_sequence: int
    complete: bool
    finished: bool
    doubtful: bool = False

    @property
    def length(self) -> int:
        """Steps along the stream axis, missing ones before the last chunk included."""
        return int(self.index.starts[-1]) + int(self.index.counts[-1]) if self.index.starts.size else 0


def indexed_part(source: Source, end: int, limits: Limits = DEFAULT_LIMITS) -> Part | None:
    """The part whose sound end record ends at byte `end`, by its index; None if there is none or its index is not sound."""
    records = Records(source, end, limits)
    try:
        frame = records.frame(end - END_SIZE) if end >= END_SIZE + PREFIX_SIZE else None
        if frame is None or frame.kind != Kind.END:
            return None
        index_offset, length = parse_end(records.payload(end - END_SIZE, frame))
        if not PREFIX_SIZE + END_SIZE <= length <= end:
            return None
        base = end - length
        parse_prefix(source.read(base, PREFIX_SIZE), ARRAY_FILE)
        index = read_index(records, base, index_offset)
    except (FormatError, LimitError):
        return None
    return Part(base, end, read_preamble(source, base, end, limits), index, frame.sequence + 1, complete=True, finished=True)


def read_index(records: Records, base: int, offset: int) -> Index:
    """The chunks that the index record at `offset` and those it leads to list; FormatError unless they can be true."""
    pieces: list[Index] = []
    room = (records.end - base) // _SMALLEST_CHUNK
    behind = records.end - base
    first_record = offset
    while offset or not pieces:
        if offset >= behind:
            raise FormatError(f"index record at {behind} names an earlier one at {offset}, which does not lie before it")
        if len(pieces) == _LONGEST_CHAIN:
            raise LimitError(f"more than {_LONGEST_CHAIN} index records in a chain")
        index, previous = parse_index(records.expect(base + offset, Kind.INDEX), room)
        room -= index.offsets.size
        pieces.append(index)
        offset, behind = previous, offset
    if len(pieces) == 1:
        joined = pieces[0]
    else:
        pieces.reverse()
        joined = Index(
            np.concatenate([piece.offsets for piece in pieces]),
            np.concatenate([piece.starts for piece in pieces]),
            np.concatenate([piece.counts for piece in pieces]),
        )
    check_index(joined, first_record)
    return joined


def check_index(index: Index, end: int) -> None:
    """FormatError unless records lie one behind the other before byte `end`, and steps follow each other, gaps allowed."""
    offsets, starts, counts = index.offsets, index.starts, index.counts
    if not offsets.size:
        return
    ends = starts.astype(np.uint64) + counts.astype(np.uint64)
    if int(ends[-1]) > MAX_STEPS or (ends[:-1] > starts[1:].astype(np.uint64)).any():
        raise FormatError("chunks are out of order: they do not follow each other along the stream axis")
    if offsets[0] < PREFIX_SIZE or int(offsets[-1]) + _SMALLEST_CHUNK > end or (np.diff(offsets) < _SMALLEST_CHUNK).any():
        raise FormatError("the index names chunk records that overlap or lie outside the file")


def read_preamble(source: Source, base: int, end: int, limits: Limits = DEFAULT_LIMITS) -> Preamble:
    """Header, model and metadata of the part at `base`; TruncatedError if it ends before its header does.

    Damaged records are named in the result, for chunks may be read without a metadata record or with a model from elsewhere.
    """
    records, walk = Records(source, end, limits), Walk(source, base + PREFIX_SIZE, end, limits)
    header: dict[str, object] | None = None
    model: bytes | None = None
    metadata: dict[str, object] = {}
    damaged: dict[Kind, FormatError] = {}
    for event in walk:
        if isinstance(event, Cut):
            break
        if isinstance(event, Damage):
            kind = Kind.HEADER if header is None else Kind.MODEL if header.get("model") and model is None else Kind.METADATA
            damaged[kind] = ChecksumError(f"nothing sound from byte {event.start} to {event.stop}")
            header = header if header is not None else {}
            continue
        if not isinstance(event, Found) or event.frame.kind in (Kind.CHUNK, Kind.INDEX, Kind.END):
            break
        found = event.frame.kind
        if header is None and found != Kind.HEADER:
            raise FormatError(f"the first record must be the header, found kind {found} at offset {event.offset}")
        if found not in (Kind.HEADER, Kind.MODEL, Kind.METADATA):
            continue
        try:
            payload = records.payload(event.offset, event.frame)
        except ChecksumError as error:
            damaged[Kind(found)] = error
            header = header if header is not None else {}
            continue
        if found == Kind.HEADER and header is None:
            header = parse_json(payload, limits)
        elif found == Kind.MODEL and model is None and Kind.MODEL not in damaged:
            model = payload
        elif found == Kind.METADATA:
            metadata = parse_json(payload, limits)
    if header is None:
        raise TruncatedError(f"the file ends inside its header, which begins at byte {base + PREFIX_SIZE}")
    return Preamble(header, model, metadata, damaged)
