"""Lossless floats: each value as a whole number of a coarse step, which is predicted, and the bits below it, which are noise.

Two ways to split. Fixed point: n = trunc(value / 2**q), and the bits of the value's own significand below 2**q, whose number
follows from the exponent of n * 2**q; where n is 0 all bits are kept in a stream of their own. Ordered: the IEEE bits as
a monotone integer, shifted right by q; it serves values of many magnitudes.

Body: way byte (flags with it); q as a zigzagged varint; section of integers; section of low bits; then of fixed point: section
of the bits where n is 0; classes and exceptions as flagged.
"""

import numpy as np

from aecodec.canonical import fill_missing
from aecodec.codec.float_format import (
    FORMATS,
    FloatFormat,
    coarse_fixed,
    fixed_widths,
    from_ordered,
    q_limits,
    split_fixed,
    to_ordered,
)
from aecodec.codec.float_plan import ORDERED, FloatPlan
from aecodec.codec.integers import Shape, decode_integers, encode_integers
from aecodec.codec.sections import apply_exceptions, decode_classes, encode_classes, encode_exceptions, non_finite_classes, put_back
from aecodec.errors import FormatError
from aecodec.ladder import NAN
from aecodec.packing.plan import GAPS
from aecodec.packing.refinement import Widths, decode_low_bits, encode_low_bits
from aecodec.packing.stream import decode_stream, encode_stream
from aecodec.packing.varint import Cursor, put_section, put_varint

CLASSES, EXCEPTIONS = 2, 4


def _uniform(widths: np.ndarray) -> Widths:
    """One number where all are the same."""
    return int(widths[0]) if widths.size and (widths == widths[0]).all() else widths


def encode_floats(array: np.ndarray, plan: FloatPlan, thorough: bool) -> bytes:
    """Canonical float `array` -> body."""
    flags, f = plan.way, FORMATS[array.itemsize]
    out = bytearray()
    put_varint(out, 2 * plan.q if plan.q >= 0 else -2 * plan.q - 1)
    if plan.way == ORDERED:
        ordered = to_ordered(array)
        indices = (ordered >> f.signed.type(plan.q)).astype(np.int32)
        put_section(out, encode_integers(indices, plan.integers, thorough))
        zeros = indices.reshape(-1) == 0
        flat = ordered.reshape(-1).view(f.unsigned)
        put_section(out, encode_low_bits(flat[~zeros] if zeros.any() else flat, plan.q))
        put_section(out, _encode_small(flat[zeros]))
        return bytes([flags]) + bytes(out)
    values = array if np.isfinite(array).all() else fill_missing(array)
    indices = split_fixed(values, plan.q)
    put_section(out, encode_integers(indices, plan.integers, thorough))
    flat = indices.reshape(-1)
    bits = values.reshape(-1).view(f.unsigned)
    zeros = flat == 0
    some = bool(zeros.any())
    kept = ~zeros
    of_kept = bits[kept] if some else bits
    put_section(out, encode_low_bits(of_kept, _uniform(fixed_widths(of_kept, plan.q))))
    put_section(out, _encode_small(bits[zeros]))
    flags |= put_odd_values(out, array, np.zeros(array.size, bool), CLASSES, EXCEPTIONS)
    return bytes([flags]) + bytes(out)


def decode_floats(cursor: Cursor, shape: Shape, dtype: np.dtype) -> np.ndarray:
    """Body -> canonical array."""
    flags = cursor.byte()
    if flags & ~7 or (flags & ORDERED and flags != ORDERED) or dtype.kind != "f":
        raise FormatError(f"floats of way and flags {flags:#x} in an array of {dtype}")
    f = FORMATS[dtype.itemsize]
    coded = cursor.varint(1 << 14)
    q = coded >> 1 if not coded & 1 else -(coded >> 1) - 1
    indices = decode_integers(cursor.section(), shape)
    section = cursor.section()
    zeros = np.flatnonzero(indices.reshape(-1) == 0)
    kept = np.flatnonzero(indices.reshape(-1) != 0) if zeros.size else slice(None)
    if flags & ORDERED:
        if not max(0, f.bits - 32) <= q < f.bits:
            raise FormatError(f"ordered floats of {f.bits} bits are shifted by {q}")
        bits = (indices.reshape(-1).astype(f.signed) << f.signed.type(q)).view(f.unsigned)
        widths: Widths = q
    else:
        low, high = q_limits(dtype)
        if not low <= q <= high:
            raise FormatError(f"floats are split at 2**{q}, outside 2**{low} to 2**{high}")
        bits = coarse_fixed(indices, q, dtype).reshape(-1)
        widths = _uniform(fixed_widths(bits[kept], q))
    target = bits[kept]
    decode_low_bits(section, target, widths)
    section.end()
    if zeros.size:
        bits[kept] = target
    section = cursor.section()
    bits[zeros] = _decode_small(section, zeros.size, f)
    section.end()
    array = (from_ordered(bits, dtype) if flags & ORDERED else bits.view(dtype)).reshape(shape)
    take_odd_values(cursor, array, bool(flags & CLASSES), bool(flags & EXCEPTIONS))
    cursor.end()
    return array


def put_odd_values(out: bytearray, array: np.ndarray, others: np.ndarray, classes_flag: int, exceptions_flag: int) -> int:
    """Append classes, and as exceptions NaNs of other bits than the usual and the `others` (flat, bool); the flags of both."""
    classes, flags = non_finite_classes(array), 0
    if classes is not None:
        flags |= classes_flag
        put_section(out, encode_classes(classes))
        f = FORMATS[array.itemsize]
        usual = np.array(np.nan, array.dtype).view(f.unsigned)
        others = others | ((classes == NAN) & (array.view(f.unsigned) != usual)).reshape(-1)
    if others.any():
        flags |= exceptions_flag
        put_section(out, encode_exceptions(array, np.flatnonzero(others)))
    return flags


def take_odd_values(cursor: Cursor, array: np.ndarray, classes: bool, exceptions: bool) -> None:
    """Write what `put_odd_values` kept into `array`."""
    if classes:
        put_back(array, decode_classes(cursor.section(), array.shape))
    if exceptions:
        apply_exceptions(cursor.section(), array)


def _encode_small(bits: np.ndarray) -> bytes:
    """Bits of the values that the coarse step takes for 0, the sign moved last: a stream, of 64 bits two."""
    top = bits.dtype.type(8 * bits.itemsize - 1)
    turned = (bits << bits.dtype.type(1)) | (bits >> top)
    if bits.itemsize < 8:
        return encode_stream(turned.astype(np.uint32), layout=GAPS)
    return b"".join(encode_stream(half.astype(np.uint32), layout=GAPS) for half in (turned >> np.uint64(32), turned))


def _decode_small(cursor: Cursor, count: int, f: FloatFormat) -> np.ndarray:
    turned = decode_stream(cursor, count).astype(np.uint64)
    if f.bits == 64:
        turned = turned << np.uint64(32) | decode_stream(cursor, count)
    if int(turned.max(initial=0)) >> f.bits:
        raise FormatError(f"bits of a small value beyond the {f.bits} of its format")
    narrow = turned.astype(f.unsigned)
    return (narrow >> f.unsigned.type(1)) | (narrow << f.unsigned.type(f.bits - 1))
