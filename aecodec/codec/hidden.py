"""Hidden lattices: the forms that values which were whole numbers once can have, computed the same on every machine.

Each form is a fixed sequence of single IEEE operations (or of integer ones) from an int32 index to the value; what it misses by
is stored as a correction in steps of the dtype's own precision.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from aecodec.errors import FormatError
from aecodec.packing.plan import GAPS
from aecodec.packing.stream import decode_stream, encode_stream
from aecodec.packing.varint import Cursor

LARGEST_POWER = 22  # 10**22 is the last power of ten that float64 holds exactly
LARGEST_DIGITS = 9
POWERS = np.array([10.0**k for k in range(LARGEST_POWER + 1)])
_WHOLE_POWERS = np.array([10**k for k in range(LARGEST_DIGITS + 1)], np.int64)


class Form(IntEnum):
    """How a value follows from its index n."""

    DECIMAL = 0  # n / 10**d
    AFFINE = 1  # n * step + offset in float64
    NARROW = 2  # the same in the arithmetic of the dtype
    DIGITS = 3  # n / 10**d, with further decimal digits where n has fewer than `digits`
    INTEGER = 4  # n * step + offset in 64-bit integers with wrap-around
    WIDE = 5  # the low and the high 32 bits each an array of integers


@dataclass(frozen=True)
class Lattice:
    """A form with its numbers: `places` (DECIMAL, DIGITS), or `steps` and `offsets`, one each or one per channel."""

    form: Form
    places: np.ndarray | None = None
    steps: np.ndarray | None = None
    offsets: np.ndarray | None = None
    digits: int = 0

    def values(self, indices: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Values at int32 `indices` (steps, channels, rows, columns), without further digits and corrections."""
        if self.places is not None:
            divisor = POWERS[self.places].reshape(1, -1, 1, 1)
            with np.errstate(over="ignore"):
                return (indices / divisor).astype(dtype)
        assert self.steps is not None
        assert self.offsets is not None
        steps, offsets = self.steps.reshape(1, -1, 1, 1), self.offsets.reshape(1, -1, 1, 1)
        with np.errstate(over="ignore", invalid="ignore"):
            if self.form == Form.INTEGER:
                return (indices.astype(np.int64) * steps + offsets).astype(dtype)
            if self.form == Form.NARROW:
                return indices.astype(dtype) * steps.astype(dtype) + offsets.astype(dtype)
            return (indices * steps + offsets).astype(dtype)

    def pack(self, out: bytearray) -> None:
        """Append the numbers."""
        if self.form == Form.DIGITS:
            out.append(self.digits)
        if self.places is not None:
            out += self.places.astype(np.uint8).tobytes()
        if self.steps is not None and self.offsets is not None:
            out += self.steps.astype(self.steps.dtype.newbyteorder("<")).tobytes()
            out += self.offsets.astype(self.offsets.dtype.newbyteorder("<")).tobytes()


def read_lattice(cursor: Cursor, form: int, count: int) -> Lattice:
    """The inverse of `Lattice.pack` for `count` channels or 1."""
    digits = 0
    if form == Form.DIGITS:
        digits = cursor.byte()
        if not 1 <= digits <= LARGEST_DIGITS:
            raise FormatError(f"lattice of {digits} significant digits, 1 to {LARGEST_DIGITS} are known")
    if form in (Form.DECIMAL, Form.DIGITS):
        places = cursor.array(np.dtype(np.uint8), count)
        if places.max(initial=0) > LARGEST_POWER - digits:
            raise FormatError(f"lattice of {int(places.max())} decimal places, at most {LARGEST_POWER - digits} are exact")
        return Lattice(Form(form), places, digits=digits)
    if form == Form.INTEGER:
        return Lattice(Form.INTEGER, None, cursor.array(np.dtype(np.int64), count), cursor.array(np.dtype(np.int64), count))
    if form in (Form.AFFINE, Form.NARROW):
        steps, offsets = (cursor.array(np.dtype(np.float64), count) for _ in range(2))
        if not (np.isfinite(steps) & (steps > 0) & np.isfinite(offsets)).all():
            raise FormatError("hidden lattice has a step that is not positive or an offset that is not finite")
        return Lattice(Form(form), None, steps, offsets)
    raise FormatError(f"hidden lattice of unknown form {form}")


def digit_counts(indices: np.ndarray) -> np.ndarray:
    """Number of decimal digits of each int32 index, 0 for 0."""
    return np.searchsorted(_WHOLE_POWERS, np.abs(indices.astype(np.int64)), side="right").astype(np.uint8)


@dataclass(frozen=True)
class Decimals:
    """Values as significand / 10**power, flat; significands unsigned with `digits` digits or 0."""

    significands: np.ndarray
    powers: np.ndarray
    negative: np.ndarray


def to_decimals(array: np.ndarray, digits: int) -> Decimals:
    """The nearest decimals of `digits` digits of finite floats, any shape; powers are clipped to 0..22."""
    magnitudes = np.abs(array.astype(np.float64))
    with np.errstate(divide="ignore"):
        leading = np.floor(np.log10(magnitudes))
    powers = np.clip(digits - 1 - np.nan_to_num(leading, neginf=0.0), 0, LARGEST_POWER).astype(np.int64)
    significands = np.rint(np.minimum(magnitudes * POWERS[powers], 2.0**62)).astype(np.int64)
    # 0.99996 is 1.000 in four digits: a power less.
    over = (significands >= 10**digits) & (powers > 0)
    powers -= over
    again = np.rint(np.minimum(magnitudes * POWERS[powers], 2.0**62)).astype(np.int64)
    return Decimals(np.where(over, again, significands), powers, np.signbit(array))


def from_decimals(significands: np.ndarray, powers: np.ndarray, negative: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """significand / 10**power with its sign, rounded to `dtype`."""
    values = significands / POWERS[powers]
    with np.errstate(over="ignore"):
        return np.where(negative, -values, values).astype(dtype)


def encode_digits(decimals: Decimals, places: np.ndarray, digits: int) -> tuple[np.ndarray, bytes] | None:
    """(int32 indices of the shape of `decimals`, section of the further digits); None if an index does not fit.

    `places` (broadcastable): decimal places of the indices. Streams by number of further digits, 1 to digits - 1, each signless;
    then, where the index is 0, significands with the sign last, and powers less the places.
    """
    extra = decimals.powers - places
    unit = _WHOLE_POWERS[np.clip(extra, 0, LARGEST_DIGITS)]
    scaled = decimals.significands * _WHOLE_POWERS[np.clip(-extra, 0, LARGEST_DIGITS)]
    whole = np.where(extra >= digits, 0, scaled // unit)
    if (extra < -LARGEST_DIGITS).any() or decimals.significands.max(initial=0) >= 2**31 or whole.max(initial=0) >= 2**31:
        return None
    rest = scaled - whole * unit
    out = bytearray()
    counts = digit_counts(whole)
    for more in range(1, digits):
        out += encode_stream(rest[counts == digits - more].astype(np.uint32), thorough=True)
    small = whole == 0
    out += encode_stream((2 * decimals.significands[small] + decimals.negative[small]).astype(np.uint32), layout=GAPS)
    powers = np.where(decimals.significands > 0, np.maximum(extra, 0), 0)[small]
    out += encode_stream(powers.astype(np.uint32), thorough=True)
    return np.where(decimals.negative, -whole, whole).astype(np.int32), bytes(out)


def decode_digits(cursor: Cursor, indices: np.ndarray, lattice: Lattice, dtype: np.dtype) -> np.ndarray:
    """Values of the DIGITS form at `indices` (steps, channels, rows, columns)."""
    assert lattice.places is not None
    places = np.broadcast_to(lattice.places.reshape(1, -1, 1, 1), indices.shape).reshape(-1).astype(np.int64)
    flat = indices.reshape(-1)
    significands, powers, negative = np.abs(flat.astype(np.int64)), places.copy(), flat < 0
    counts = digit_counts(flat)
    for more in range(1, lattice.digits):
        where = np.flatnonzero(counts == lattice.digits - more)
        rest = decode_stream(cursor, where.size)
        significands[where] = significands[where] * _WHOLE_POWERS[more] + rest
        powers[where] += more
    where = np.flatnonzero(flat == 0)
    turned = decode_stream(cursor, where.size).astype(np.int64)
    extra = decode_stream(cursor, where.size)
    if int(extra.max(initial=0)) + int(lattice.places.max(initial=0)) > LARGEST_POWER:
        raise FormatError(f"a value has {int(extra.max())} further decimal places, beyond 10**-{LARGEST_POWER}")
    significands[where], negative[where] = turned >> 1, turned & 1 == 1
    powers[where] += extra
    return from_decimals(significands, powers, negative, dtype).reshape(indices.shape)
