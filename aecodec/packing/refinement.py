"""Low bits of numbers, their widths known to both sides, as byte planes and packed digits (normative: FORMAT.md, "Low bits")."""

import numpy as np

from aecodec.packing import zstd
from aecodec.packing.digits import pack_digits, packed_size, unpack_digits
from aecodec.packing.draft import framed
from aecodec.packing.stream import _leaf, odd_stride
from aecodec.packing.varint import Cursor, put_varint

_SAMPLE = 1 << 14
_RANDOM_BITS = 7.9  # entropy of a sampled byte plane from which on it is stored as it is
_FEW = 256
_DIGITS = (4, 2, 1)

Widths = np.ndarray | int


def encode_low_bits(values: np.ndarray, widths: Widths) -> bytes:
    """The low `widths` bits (one number, or uint8 per value) of each of `values`, unsigned, 1-D."""
    if _all_zero(values, widths):
        return b""
    out = bytearray()
    planes = values.astype(values.dtype.newbyteorder("<"), copy=False).view(np.uint8).reshape(values.size, values.itemsize)
    least, most = int(np.min(widths, initial=64)), int(np.max(widths, initial=0))
    for k in range(most // 8):
        plane = planes[:, k]
        _put_plane(out, np.ascontiguousarray(plane) if 8 * (k + 1) <= least else plane.compress(widths >= 8 * (k + 1)))
    for bits in _DIGITS:
        part, shift = values, _shift(widths, bits)
        if not isinstance(widths, int):
            chosen = (widths & bits) != 0
            if not chosen.any():
                continue
            part, shift = values.compress(chosen), np.asarray(shift).compress(chosen)
        elif not widths & bits:
            continue
        digits = (part >> np.asarray(shift, values.dtype)).astype(np.uint8) & np.uint8((1 << bits) - 1)
        _put_plane(out, pack_digits(digits, 1 << bits, 8 // bits))
    return bytes(out)


def decode_low_bits(cursor: Cursor, into: np.ndarray, widths: Widths) -> None:
    """Or the bits that `encode_low_bits` kept into `into`, unsigned, 1-D, whose low bits are zero."""
    if not cursor.remaining:
        return
    least, most = int(np.min(widths, initial=64)), int(np.max(widths, initial=0))
    for k in range(most // 8):
        if 8 * (k + 1) <= least:
            plane = _leaf(cursor, into.size)
        else:
            where = np.flatnonzero(widths >= 8 * (k + 1))
            plane = np.zeros(into.size, np.uint8)
            plane[where] = _leaf(cursor, where.size)
        into |= plane.astype(into.dtype) << into.dtype.type(8 * k)
    for bits in _DIGITS:
        if isinstance(widths, int):
            if widths & bits:
                into |= _digits(cursor, bits, into.size).astype(into.dtype) << into.dtype.type(_shift(widths, bits))
        else:
            where = np.flatnonzero((widths & bits) != 0)
            if not where.size:
                continue
            digits = np.zeros(into.size, np.uint8)
            digits[where] = _digits(cursor, bits, where.size)
            into |= digits.astype(into.dtype) << np.asarray(_shift(widths, bits), into.dtype)


def _all_zero(values: np.ndarray, widths: Widths) -> bool:
    """Whether no bit below the widths is set; a few values settle that mostly."""
    for part in (slice(0, _FEW), slice(_FEW, None)):
        of_part = widths if isinstance(widths, int) else widths[part]
        if (values[part] & ((values.dtype.type(1) << np.asarray(of_part, values.dtype)) - values.dtype.type(1))).any():
            return False
    return True


def _shift(widths: Widths, bits: int) -> Widths:
    """Where the digit of `bits` bits lies: above the whole bytes and the wider digits."""
    return widths & (256 - 2 * bits)


def _digits(cursor: Cursor, bits: int, count: int) -> np.ndarray:
    packed = _leaf(cursor, packed_size(count, 8 // bits))
    return unpack_digits(packed, 1 << bits, 8 // bits, count)


def _put_plane(out: bytearray, data: np.ndarray) -> None:
    """A leaf, stored as it is where a sample of it looks random."""
    sample = data[:: odd_stride(data.size, _SAMPLE)]
    counts = np.bincount(sample, minlength=1).astype(np.float64)
    p = counts[counts > 0] / max(1, sample.size)
    if data.size and -float((p * np.log2(p)).sum()) > min(_RANDOM_BITS, np.log2(sample.size) - 0.1 - 180 / sample.size):
        put_varint(out, 0)
        out += data.tobytes()
    else:
        for piece in framed(data, zstd.huffman(data.data)):
            out += piece
