"""One stream of unsigned integers as a tree of byte layouts, each leaf a zstd frame (normative: FORMAT.md, "Streams")."""

from typing import NamedTuple

import numpy as np

from aecodec.compiled.streams import (
    joint_digits,
    joint_values,
    largest_and_sum,
    low_digits,
    narrowed,
    type_for,
    with_escaped,
    with_low,
)
from aecodec.errors import FormatError
from aecodec.packing import zstd
from aecodec.packing.digits import packed_size
from aecodec.packing.draft import STORED, Draft, coded_by_means, finished, framed
from aecodec.packing.plan import BYTES, CONSTANT, GAPS, HASTY, JOINT, JOINT_FIRST, LOW_BITS, THRIFTY, plan_for_histogram
from aecodec.packing.plan_table import plan_for_mean
from aecodec.packing.varint import Cursor, put_varint

MAX_DEPTH = 16
_SAMPLE = 1 << 14


class _Effort(NamedTuple):
    """What decides on layouts: see `encode_stream`."""

    thorough: bool = False
    hasty: bool = False


def zigzag(values: np.ndarray) -> np.ndarray:
    """Signed integers -> unsigned of the same width: 0, -1, 1, -2, ... become 0, 1, 2, 3, ..."""
    doubled = np.add(values, values)
    np.bitwise_xor(doubled, values >> (8 * values.dtype.itemsize - 1), out=doubled)
    return doubled.view(f"u{values.dtype.itemsize}")


def unzigzag(values: np.ndarray) -> np.ndarray:
    """The inverse of `zigzag`."""
    signed = f"i{values.dtype.itemsize}"
    sign = np.bitwise_and(values, 1).view(signed)
    np.negative(sign, out=sign)
    np.bitwise_xor(sign, (values >> 1).view(signed), out=sign)
    return sign


def odd_stride(size: int, wanted: int) -> int:
    """How far apart about `wanted` of so many values are: odd, or of rows of 512 values only some columns would be seen."""
    return max(1, size // wanted) | 1


def encode_stream(
    values: np.ndarray, *, signed: bool = False, thorough: bool = False, hasty: bool = False, layout: int | None = None
) -> bytes:
    """Unsigned integers below 2**32 (1-D) -> bytes. The count is not stored; `signed` says that they are zigzagged.

    The layout comes from the mean of the values, or, if `thorough`, from their histogram; with `hasty` it is the fastest
    of those that are nearly as small. `layout` is the op of the root, of one that can hold the values.
    """
    if not thorough and layout is None and (coded := coded_by_means(values, np.array([values.size]), signed, hasty)) is not None:
        return coded[0]
    draft = Draft()
    _encode(draft, values, signed, _Effort(thorough, hasty), 0, layout)
    return finished([draft])[0]


def encode_streams(values: np.ndarray, ends: np.ndarray, *, signed: bool = False, thorough: bool = False) -> list[bytes]:
    """`encode_stream` of each part of 1-D `values` up to its end of `ends`, int64, all together."""
    if not thorough and (coded := coded_by_means(values, ends, signed, hasty=False)) is not None:
        return coded
    drafts = [Draft() for _ in ends]
    for draft, part in zip(drafts, np.split(values, ends[:-1]), strict=True):
        _encode(draft, part, signed, _Effort(thorough), 0)
    return finished(drafts)


def encode_repeats(values: np.ndarray, level: int) -> bytes:
    """As `encode_stream` of zigzagged values, but one byte a value and zstd at `level`: finds repeats, not only frequencies."""
    out = bytearray()
    base, _ = JOINT[-1]
    maximum = int(values.max(initial=0))
    if maximum < 256:
        out.append(BYTES)
        narrow = np.ascontiguousarray(values, np.uint8)
        return b"".join((out, *framed(narrow, zstd.compress(narrow.data, level))))
    out.append(JOINT_FIRST + len(JOINT) - 1)
    digits = np.minimum(values, base - 1).astype(np.uint8)
    rest = Draft()
    _encode(rest, values.compress(digits == base - 1) - values.dtype.type(base - 1), False, _Effort(), 1)
    return b"".join((out, *framed(digits, zstd.compress(digits.data, level)), finished([rest])[0]))


def decode_stream(cursor: Cursor, count: int) -> np.ndarray:
    """The next stream of `count` values; uint8, uint16 or uint32, whichever the stream needs."""
    return _decode(cursor, count, 0)


def _encode(
    draft: Draft,
    values: np.ndarray,
    signed: bool,
    effort: _Effort,
    depth: int,
    layout: int | None = None,
    known: tuple[int, int] | None = None,
) -> None:
    """`known`: largest and sum of the `values`, if these were found before."""
    values = np.ascontiguousarray(values)
    maximum, total = largest_and_sum(values) if known is None else known
    op = _plan(values, maximum, total, signed, effort, depth)
    op = layout if layout is not None and maximum else op
    if op == GAPS:
        _encode_gaps(draft, values, effort, depth)
        return
    draft.out.append(op)
    if op == BYTES:
        draft.add(narrowed(values, maximum))
    elif op in LOW_BITS:
        packed, rest, of_rest = low_digits(values, LOW_BITS[op])
        draft.out += packed.data
        _encode(draft, rest, False, effort, depth + 1, known=of_rest)
    elif op >= JOINT_FIRST:
        base, per_byte = JOINT[op - JOINT_FIRST]
        packed, escaped, of_escaped = joint_digits(values, base, per_byte)
        draft.add(packed)
        if maximum >= base - 1:
            _encode(draft, escaped, False, effort, depth + 1, known=of_escaped)


def _encode_gaps(draft: Draft, values: np.ndarray, effort: _Effort, depth: int) -> None:
    where = np.flatnonzero(values != 0)
    draft.out.append(GAPS)
    put_varint(draft.out, where.size)
    gaps = np.empty(where.size, np.uint32)
    gaps[:1] = where[:1]
    np.subtract(where[1:], where[:-1], out=gaps[1:], casting="unsafe")
    gaps[1:] -= np.uint32(1)
    _encode(draft, gaps, False, effort, depth + 1)
    others = values.take(where)
    others -= values.dtype.type(1)
    _encode(draft, others, False, effort, depth + 1)


def _plan(values: np.ndarray, maximum: int, total: int, signed: bool, effort: _Effort, depth: int) -> int:
    if maximum == 0:
        return CONSTANT
    if depth >= MAX_DEPTH - 4:
        return BYTES if maximum < 256 else 7
    if effort.thorough and maximum < 4096 and values.size >= 256:
        stride = odd_stride(values.size, _SAMPLE)
        sampled = values[::stride]
        histogram = np.bincount(sampled, minlength=maximum + 1).astype(np.float64)
        if histogram[-1] == 0:
            histogram[-1] = 0.5 / stride
        return plan_for_histogram(histogram, values.size, HASTY if effort.hasty else THRIFTY)
    return plan_for_mean(total / values.size, maximum, values.size, signed, effort.hasty)


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
        return with_low(_decode(cursor, count, depth + 1), packed, bits)
    if op == GAPS:
        return _decode_gaps(cursor, count, depth)
    if JOINT_FIRST <= op < JOINT_FIRST + len(JOINT):
        base, per_byte = JOINT[op - JOINT_FIRST]
        digits, number = joint_values(_leaf(cursor, packed_size(count, per_byte)), base, per_byte, count)
        if not number:
            return digits
        # Wide values are made after the nodes below, not one for each of them.
        return with_escaped(digits, base - 1, _decode(cursor, number, depth + 1))
    raise FormatError(f"unknown stream layout {op}")


def _decode_gaps(cursor: Cursor, count: int, depth: int) -> np.ndarray:
    filled = cursor.varint(limit=count)
    gaps = _decode(cursor, filled, depth + 1)
    # Checked before the values are decoded: gaps that fit leave less and less room below, or trees could double at every depth.
    last = int(np.add.reduce(gaps, dtype=np.int64)) + filled - 1
    if last >= count:
        raise FormatError(f"stream of {count} values has one at position {last}")
    others = _decode(cursor, filled, depth + 1)
    values = np.zeros(count, type_for(largest_and_sum(others)[0] + 1))
    others = others.astype(values.dtype, copy=False)
    values[positions(gaps)] = others + others.dtype.type(1)
    return values


def positions(gaps: np.ndarray) -> np.ndarray:
    """Where values are that have these many others before each of them; int64, rising."""
    where = np.cumsum(gaps, dtype=np.int64)
    where += np.arange(gaps.size)
    return where


def _leaf(cursor: Cursor, size: int) -> np.ndarray:
    length = cursor.varint()
    if length == STORED:
        return np.frombuffer(cursor.take(size), np.uint8)
    return np.frombuffer(zstd.decompress(cursor.take(length), size), np.uint8)
