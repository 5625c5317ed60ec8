"""One stream of unsigned integers as a tree of byte layouts, each leaf a zstd frame (normative: FORMAT.md, "Streams")."""

import numpy as np

from aecodec.errors import FormatError
from aecodec.packing import zstd
from aecodec.packing.digits import pack_digits, packed_size, unpack_digits
from aecodec.packing.plan import BYTES, CONSTANT, GAPS, JOINT, JOINT_FIRST, LOW_BITS, plan_for_histogram, plan_for_mean
from aecodec.packing.varint import Cursor, put_varint

MAX_DEPTH = 16
_SAMPLE = 1 << 14
_STORED = 0


def zigzag(values: np.ndarray) -> np.ndarray:
    """Signed integers -> unsigned of the same width: 0, -1, 1, -2, ... become 0, 1, 2, 3, ..."""
    bits = 8 * values.dtype.itemsize
    return ((values << 1) ^ (values >> (bits - 1))).view(f"u{values.dtype.itemsize}")


def unzigzag(values: np.ndarray) -> np.ndarray:
    """The inverse of `zigzag`."""
    signed = f"i{values.dtype.itemsize}"
    return np.asarray((values >> 1).view(signed) ^ -(values & 1).view(signed))


def encode_stream(values: np.ndarray, *, signed: bool = False, thorough: bool = False, gaps: bool = False) -> bytes:
    """Unsigned integers below 2**32 (1-D) -> bytes. The count is not stored; `signed` says that they are zigzagged.

    The layout comes from the mean of the values, or, if `thorough`, from their histogram; with `gaps` the
    first is that of sparse streams.
    """
    out = bytearray()
    if gaps and values.any():
        _encode_gaps(out, values, thorough, 0)
    else:
        _encode(out, values, signed, thorough, 0)
    return bytes(out)


def encode_repeats(values: np.ndarray, level: int) -> bytes:
    """As `encode_stream` of zigzagged values, but one byte a value and zstd at `level`: finds repeats, not only frequencies."""
    out = bytearray()
    base, _ = JOINT[-1]
    maximum = int(values.max(initial=0))
    if maximum < 256:
        out.append(BYTES)
        _put_frame(out, values.astype(np.uint8).tobytes(), level)
        return bytes(out)
    out.append(JOINT_FIRST + len(JOINT) - 1)
    digits = np.minimum(values, base - 1).astype(np.uint8)
    _put_frame(out, digits.tobytes(), level)
    _encode(out, values.compress(digits == base - 1) - values.dtype.type(base - 1), False, False, 1)
    return bytes(out)


def decode_stream(cursor: Cursor, count: int) -> np.ndarray:
    """The next stream of `count` values; uint8, uint16 or uint32, whichever the stream needs."""
    return _decode(cursor, count, 0)


def _encode(out: bytearray, values: np.ndarray, signed: bool, thorough: bool, depth: int) -> None:
    maximum = int(values.max()) if values.size else 0
    values = _narrow(values, maximum)
    op = _plan(values, maximum, signed, thorough) if depth < MAX_DEPTH - 4 else (BYTES if maximum < 256 else 7)
    if op == GAPS:
        _encode_gaps(out, values, thorough, depth)
        return
    out.append(op)
    if op == BYTES:
        _put_leaf(out, values)
    elif op in LOW_BITS:
        bits = LOW_BITS[op]
        low = (values & values.dtype.type((1 << bits) - 1)).astype(np.uint8)
        out += pack_digits(low, 1 << bits, 8 // bits).tobytes()
        _encode(out, values >> bits, False, thorough, depth + 1)
    elif op >= JOINT_FIRST:
        base, per_byte = JOINT[op - JOINT_FIRST]
        digits = np.minimum(values, base - 1).astype(np.uint8, copy=False)
        _put_leaf(out, pack_digits(digits, base, per_byte))
        if maximum >= base - 1:
            escaped = values.compress(digits == base - 1) - values.dtype.type(base - 1)
            _encode(out, escaped, False, thorough, depth + 1)


def _encode_gaps(out: bytearray, values: np.ndarray, thorough: bool, depth: int) -> None:
    where = np.flatnonzero(values)
    out.append(GAPS)
    put_varint(out, where.size)
    gaps = np.diff(where, prepend=-1) - 1
    _encode(out, gaps.astype(np.uint32), False, thorough, depth + 1)
    _encode(out, values[where] - values.dtype.type(1), False, thorough, depth + 1)


def _plan(values: np.ndarray, maximum: int, signed: bool, thorough: bool) -> int:
    if maximum == 0:
        return CONSTANT
    if thorough and maximum < 4096 and values.size >= 256:
        stride = max(1, values.size // _SAMPLE)
        sampled = values[::stride]
        histogram = np.bincount(sampled, minlength=maximum + 1).astype(np.float64)
        if histogram[-1] == 0:
            histogram[-1] = 0.5 / stride
        return plan_for_histogram(histogram, values.size)
    return plan_for_mean(float(values.mean()), maximum, values.size, signed)


def _decode(cursor: Cursor, count: int, depth: int) -> np.ndarray:
    if depth > MAX_DEPTH:
        raise FormatError(f"stream nested deeper than {MAX_DEPTH} layouts")
    op = cursor.byte()
    if op == CONSTANT:
        return np.zeros(count, np.uint8)
    if op == BYTES:
        return _leaf(cursor, count)
    if op in LOW_BITS:
        bits = LOW_BITS[op]
        packed = np.frombuffer(cursor.take(packed_size(count, 8 // bits)), np.uint8)
        low = unpack_digits(packed, 1 << bits, 8 // bits, count)
        high = _decode(cursor, count, depth + 1).astype(np.uint32)
        return _narrowed(high << np.uint32(bits) | low)
    if op == GAPS:
        return _decode_gaps(cursor, count, depth)
    if JOINT_FIRST <= op < JOINT_FIRST + len(JOINT):
        base, per_byte = JOINT[op - JOINT_FIRST]
        digits = unpack_digits(_leaf(cursor, packed_size(count, per_byte)), base, per_byte, count)
        where = np.flatnonzero(digits == base - 1)
        if not where.size:
            return digits
        escaped = _decode(cursor, where.size, depth + 1).astype(np.uint32) + np.uint32(base - 1)
        values = digits.astype(np.min_scalar_type(int(escaped.max())), copy=False)
        values[where] = escaped
        return values
    raise FormatError(f"unknown stream layout {op}")


def _decode_gaps(cursor: Cursor, count: int, depth: int) -> np.ndarray:
    filled = cursor.varint(limit=count)
    gaps = _decode(cursor, filled, depth + 1)
    others = _decode(cursor, filled, depth + 1).astype(np.uint32) + np.uint32(1)
    where = np.cumsum(gaps, dtype=np.int64) + np.arange(filled)
    if filled and int(where[-1]) >= count:
        raise FormatError(f"stream of {count} values has one at position {int(where[-1])}")
    values = np.zeros(count, np.min_scalar_type(int(others.max(initial=0))))
    values[where] = others
    return values


def _put_leaf(out: bytearray, packed: np.ndarray) -> None:
    _put_frame(out, packed.tobytes(), None)


def _put_frame(out: bytearray, data: bytes, level: int | None) -> None:
    frame = zstd.huffman(data) if level is None else zstd.compress(data, level)
    if len(frame) >= len(data):
        put_varint(out, _STORED)
        out += data
    else:
        put_varint(out, len(frame))
        out += frame


def _leaf(cursor: Cursor, size: int) -> np.ndarray:
    length = cursor.varint()
    if length == _STORED:
        return np.frombuffer(cursor.take(size), np.uint8)
    return np.frombuffer(zstd.decompress(cursor.take(length), size), np.uint8)


def _narrow(values: np.ndarray, maximum: int) -> np.ndarray:
    return values.astype(np.min_scalar_type(maximum), copy=False)


def _narrowed(values: np.ndarray) -> np.ndarray:
    return _narrow(values, int(values.max(initial=0)))
