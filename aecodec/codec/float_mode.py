"""Lossless floats: each value as a whole number of a coarse step, which is predicted, and the bits below it, which are noise.

Two ways to split. Fixed point: n = trunc(value / 2**q), and the bits of the value's own significand below 2**q, whose number
follows from the exponent of n * 2**q; where n is 0 all bits are kept in a stream of their own. Ordered: the IEEE bits as
a monotone integer, shifted right by q; it serves values of many magnitudes.

Body: way byte (flags with it); q as a zigzagged varint; section of integers; section of low bits; then of fixed point: section
of the bits where n is 0; classes and exceptions as flagged.
"""

from dataclasses import dataclass

import numpy as np

from aecodec.canonical import fill_missing
from aecodec.codec.effort import Effort
from aecodec.codec.integers import IntegerPlan, Shape, decode_integers, encode_integers, plan_integers
from aecodec.codec.sections import apply_exceptions, decode_classes, encode_classes, encode_exceptions, non_finite_classes, put_back
from aecodec.errors import FormatError
from aecodec.ladder import NAN
from aecodec.packing.plan import GAPS
from aecodec.packing.refinement import Widths, decode_low_bits, encode_low_bits
from aecodec.packing.stream import decode_stream, encode_stream
from aecodec.packing.varint import Cursor, put_section, put_varint

FIXED, ORDERED, CLASSES, EXCEPTIONS = 0, 1, 2, 4
_INDEX_BITS = 30
_SMALL_SHARE = 0.85
_MIXED = 0.5  # bits a value that are lost where zero bits share bytes with others
_TARGETS = (0.0, 2.0, 4.0, 6.0, 8.0)  # log2 of the mean magnitude of a residual that is left to the entropy coder


@dataclass(frozen=True)
class FloatFormat:
    """An IEEE binary format: width, significand bits stored, exponent of the smallest subnormal."""

    bits: int
    mantissa: int
    lowest: int

    @property
    def unsigned(self) -> np.dtype:
        """Unsigned integers of the same width."""
        return np.dtype(f"u{self.bits // 8}")

    @property
    def signed(self) -> np.dtype:
        """Signed integers of the same width."""
        return np.dtype(f"i{self.bits // 8}")


FORMATS = {2: FloatFormat(16, 10, -24), 4: FloatFormat(32, 23, -149), 8: FloatFormat(64, 52, -1074)}


@dataclass(frozen=True)
class FloatPlan:
    """Way, exponent or shift, and how the integers are coded; estimated bits a value."""

    bits: float
    way: int
    q: int
    integers: IntegerPlan


def to_ordered(array: np.ndarray) -> np.ndarray:
    """IEEE bits -> signed integers of the same width in the order of the values; -0.0 is just below 0.0."""
    f = FORMATS[array.itemsize]
    bits = array.view(f.signed)
    return bits ^ ((bits >> (f.bits - 1)) & f.signed.type((1 << (f.bits - 1)) - 1))


def from_ordered(ordered: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The inverse of `to_ordered`."""
    return to_ordered(ordered).view(dtype)


def split_fixed(array: np.ndarray, q: int) -> np.ndarray:
    """trunc(value / 2**q), int32, of finite values below 2**(q + 31)."""
    if array.itemsize == 8:
        return (array * np.ldexp(1.0, -q)).astype(np.int32)
    if array.itemsize == 4 and -100 < q < 100:
        return (array * np.float32(2.0**-q)).astype(np.int32)
    return (array.astype(np.float64) * np.ldexp(1.0, -q)).astype(np.int32)


def fixed_widths(coarse: np.ndarray, q: int) -> np.ndarray:
    """How many bits of its significand lie below 2**q, of each value whose coarse part n * 2**q has the bits `coarse`."""
    f = FORMATS[coarse.itemsize]
    exponent = (coarse >> coarse.dtype.type(f.mantissa)) & coarse.dtype.type((1 << (f.bits - 1 - f.mantissa)) - 1)
    top = q - f.lowest + 1  # the width of a value with exponent field 1 is one less
    table = np.clip(top - np.maximum(np.arange(1 << (f.bits - 1 - f.mantissa)), 1), 0, f.mantissa).astype(np.uint8)
    return table[exponent]


def coarse_fixed(indices: np.ndarray, q: int, dtype: np.dtype) -> np.ndarray:
    """n * 2**q as bits of `dtype`."""
    with np.errstate(over="ignore"):
        if dtype.itemsize == 4 and -100 < q < 100:
            values = indices.astype(np.float32) * np.float32(2.0**q)
        else:
            values = (indices * np.ldexp(1.0, q)).astype(dtype)
    return values.view(FORMATS[dtype.itemsize].unsigned)


def _uniform(widths: np.ndarray) -> Widths:
    """One number where all are the same."""
    return int(widths[0]) if widths.size and (widths == widths[0]).all() else widths


def q_limits(dtype: np.dtype) -> tuple[int, int]:
    """Least and greatest q of fixed point: 2**q and its inverse are normal float64."""
    f = FORMATS[dtype.itemsize]
    return max(f.lowest - 31, -1022), min(1 << (f.bits - 2 - f.mantissa), 1022)


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


def plan_floats(array: np.ndarray, sample: np.ndarray, effort: Effort) -> list[FloatPlan]:
    """Plans for `array` by what they make of a `sample` of it."""
    f = FORMATS[array.itemsize]
    plans = []
    peak = _peak(array)
    integers: IntegerPlan | None = None
    if peak > 0:
        low, high = q_limits(array.dtype)
        finest = int(np.clip(np.frexp(peak)[1] - _INDEX_BITS, low, high))
        values = np.clip(sample if np.isfinite(sample).all() else fill_missing(sample), -peak, peak)
        place = _lowest_place(values, f)
        for q in _steps(values, finest, high, place):
            indices = split_fixed(values, q)
            integers = plan_integers(indices, effort, None if effort.thorough else integers)
            plans.append(FloatPlan(integers.bits + _low_bits(values, indices, q, place), FIXED, q, integers))
    ordered = to_ordered(sample)
    for q in _shifts(ordered, f):
        indices = (ordered >> f.signed.type(q)).astype(np.int32)
        integers = plan_integers(indices, effort, None if effort.thorough else integers)
        plans.append(FloatPlan(integers.bits + q * float((indices != 0).mean()), ORDERED, q, integers))
    return plans


def _peak(array: np.ndarray) -> float:
    """Largest finite magnitude, 0 where there is none."""
    low, high = float(array.min()), float(array.max())
    if not np.isfinite(low + high) or max(-low, high) == np.inf:
        finite = array[np.isfinite(array)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return max(-low, high)


def _low_bits(values: np.ndarray, indices: np.ndarray, q: int, place: int) -> float:
    """Bits a value below 2**q, those below 2**place being zero."""
    bits = values.view(FORMATS[values.itemsize].unsigned)
    widths = fixed_widths(bits[indices != 0], q)
    stored = np.minimum(widths, min(max(0, q - place), 64)).sum(dtype=np.float64)
    small = np.count_nonzero((indices == 0) & (values != 0))
    mixed = _MIXED * values.size if place < q and stored < widths.sum(dtype=np.float64) else 0.0
    return float(stored + mixed + small * _SMALL_SHARE * 8 * values.itemsize) / max(1, values.size)


def _lowest_place(values: np.ndarray, f: FloatFormat) -> int:
    """Exponent of the lowest bit that is set in any of `values`, all finite."""
    bits = values.view(f.unsigned).reshape(-1)
    bits = bits[(bits << f.unsigned.type(1)) != 0]
    if not bits.size:
        return f.lowest
    field = (bits >> f.unsigned.type(f.mantissa)) & f.unsigned.type((1 << (f.bits - 1 - f.mantissa)) - 1)
    marked = bits | f.unsigned.type(1 << f.mantissa)
    lowest = marked & (~marked + f.unsigned.type(1))
    return int((np.frexp(lowest.astype(np.float64))[1] - 2 + np.maximum(field, 1).astype(np.int64)).min()) + f.lowest


def _steps(values: np.ndarray, finest: int, high: int, place: int) -> list[int]:
    """Exponents to try: where the residual is of a few bits, and the lowest bit that any value has."""
    indices = split_fixed(values, finest)
    spread = min((_spread(indices, axis) for axis in range(4) if indices.shape[axis] > 1), default=0.0)
    found = {int(np.clip(max(place, finest + round(spread - target)), finest, high)) for target in _TARGETS}
    return sorted(found | {place} if finest <= place <= high else found)


def _shifts(ordered: np.ndarray, f: FloatFormat) -> list[int]:
    least = max(0, f.bits - 32)
    indices = (ordered >> least).astype(np.int32)
    spread = [_spread(indices, axis) for axis in range(4) if indices.shape[axis] > 1]
    return [int(np.clip(least + round(min(spread, default=0.0) - t), least, f.bits - 1)) for t in _TARGETS[1:3]]


def _spread(indices: np.ndarray, axis: int) -> float:
    """log2 of the median nonzero difference along an axis."""
    steps = np.abs(np.diff(indices.astype(np.int64), axis=axis))
    steps = steps[steps > 0]
    return float(np.log2(np.median(steps))) if steps.size else 0.0
