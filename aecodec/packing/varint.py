"""Little-endian base-128 integers and length-prefixed sections, with a cursor that never reads past its end."""

import numpy as np

from aecodec.errors import FormatError, TruncatedError


def put_varint(out: bytearray, value: int) -> None:
    """Append `value` (0 or more) to `out`, seven bits a byte, the lowest first."""
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def varint(value: int) -> bytes:
    """`value` (0 or more) as `put_varint` appends it."""
    out = bytearray()
    put_varint(out, value)
    return bytes(out)


def put_section(out: bytearray, section: bytes | bytearray) -> None:
    """Append a varint length and the bytes."""
    put_varint(out, len(section))
    out += section


class Cursor:
    """A read position in untrusted bytes."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self._size = len(self._data)
        self._at = 0

    @property
    def remaining(self) -> int:
        """Bytes not yet read."""
        return self._size - self._at

    def take(self, size: int) -> memoryview:
        """The next `size` bytes."""
        at, end = self._at, self._at + size
        if end > self._size:
            raise TruncatedError(f"{size} bytes were declared at offset {at}, {self.remaining} are left")
        self._at = end
        return self._data[at:end]

    def byte(self) -> int:
        """The next byte."""
        at = self._at
        if at == self._size:
            raise TruncatedError(f"1 bytes were declared at offset {at}, 0 are left")
        self._at = at + 1
        return self._data[at]

    def varint(self, limit: int = 2**63 - 1) -> int:
        """The next varint, at most `limit`."""
        value = self.byte()
        if value < 128 and value <= limit:  # nearly all are
            return value
        self._at -= 1
        value = 0
        for shift in range(0, 63, 7):
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                if value > limit:
                    raise FormatError(f"value {value} at offset {self._at} is above its limit {limit}")
                return value
        raise FormatError(f"varint at offset {self._at} is longer than 9 bytes")

    def section(self) -> "Cursor":
        """A cursor over the next length-prefixed section."""
        return Cursor(self.take(self.varint()))

    def array(self, dtype: np.dtype, count: int) -> np.ndarray:
        """The next `count` items, copied into a native-endian array."""
        stored = np.frombuffer(self.take(dtype.itemsize * count), dtype=dtype.newbyteorder("<"))
        return stored.astype(dtype.newbyteorder("="))

    def end(self) -> None:
        """Refuse bytes left over."""
        if self.remaining:
            raise FormatError(f"{self.remaining} unexpected bytes after the end at offset {self._at}")
