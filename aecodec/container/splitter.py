"""Records out of a stream of bytes that come in any portions."""

from aecodec.container.layout import ARRAY_FILE, FRAME_SIZE, MAGIC, PREFIX_SIZE, Kind, check_payload, parse_frame, parse_prefix
from aecodec.limits import DEFAULT_LIMITS, Limits

PART = 0  # stands for the kind of a record where another part begins
_KNOWN = frozenset(Kind)


class RecordSplitter:
    """Incremental parsing: bytes in, in any portions; records out as soon as they are whole."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._started = False
        self._skip = 0  # bytes to come that belong to a record of unknown kind

    @property
    def pending(self) -> int:
        """Bytes received that do not make a whole record yet."""
        return len(self._buffer) + bool(self._skip)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(kind, payload) of each record that `data` completes; (PART, b"") where another part begins."""
        self._buffer += data
        records: list[tuple[int, bytes]] = []
        while True:
            self._drop(self._skip)
            if self._skip or not self._buffer:
                return records
            if not self._started or self._buffer.startswith(MAGIC[: len(self._buffer)]):
                if len(self._buffer) < PREFIX_SIZE:
                    return records
                parse_prefix(bytes(self._buffer[:PREFIX_SIZE]), ARRAY_FILE)
                del self._buffer[:PREFIX_SIZE]
                records += [(PART, b"")] if self._started else []
                self._started = True
                continue
            record = self._record()
            if record is None:
                return records
            if record[0] in _KNOWN:
                records.append(record)

    def _record(self) -> tuple[int, bytes] | None:
        """The record at the front, if it is whole; one of unknown kind is skipped as far as it is there."""
        if len(self._buffer) < FRAME_SIZE:
            return None
        frame = parse_frame(bytes(self._buffer[:FRAME_SIZE]), self._limits)
        size = FRAME_SIZE + frame.length
        if frame.kind not in _KNOWN:
            self._skip = size
            return frame.kind, b""
        if len(self._buffer) < size:
            return None
        payload = bytes(memoryview(self._buffer)[FRAME_SIZE:size])
        check_payload(frame, payload)
        del self._buffer[:size]
        return frame.kind, payload

    def _drop(self, size: int) -> None:
        dropped = min(size, len(self._buffer))
        del self._buffer[:dropped]
        self._skip -= dropped
