"""Lossless values on a hidden lattice: the lattice, its indices as integers, and corrections where a value is off it.

Body: flags byte (form in its low bits); the lattice's numbers; section of integers; of the DIGITS form a section of digits, of
WIDE a second section of integers; floats: section of corrections; then classes and exceptions as flagged.
"""

from dataclasses import dataclass

import numpy as np

from aecodec.canonical import fill_missing
from aecodec.codec.effort import Effort
from aecodec.codec.float_format import FORMATS, from_ordered, to_ordered
from aecodec.codec.float_mode import put_odd_values, take_odd_values
from aecodec.codec.hidden import Form, Lattice, decode_digits, encode_digits, read_lattice, to_decimals
from aecodec.codec.integers import IntegerPlan, Shape, decode_integers, encode_integers, plan_integers
from aecodec.errors import FormatError
from aecodec.packing.plan import GAPS
from aecodec.packing.stream import decode_stream, encode_stream, unzigzag, zigzag
from aecodec.packing.varint import Cursor, put_section

PER_CHANNEL, CLASSES, EXCEPTIONS = 8, 16, 32
_FORM = 7
_LARGEST_CORRECTION = 2**30


@dataclass(frozen=True)
class HiddenPlan:
    """A lattice, how its integers are coded, and estimated bits a value."""

    bits: float
    lattice: Lattice
    integers: IntegerPlan


def encode_hidden(array: np.ndarray, plan: HiddenPlan, thorough: bool) -> bytes | None:
    """Canonical `array` -> body; None if the lattice does not serve after all."""
    lattice = plan.lattice
    numbers = lattice.places if lattice.places is not None else lattice.steps
    flags = lattice.form | (PER_CHANNEL if numbers is not None and numbers.size > 1 else 0)
    out = bytearray()
    lattice.pack(out)
    if lattice.form == Form.WIDE:
        bits = array.view(np.uint64)
        for half in (bits, bits >> np.uint64(32)):
            put_section(out, encode_integers(half.astype(np.uint32).view(np.int32), plan.integers, thorough))
        return bytes([flags]) + bytes(out)
    values = array if array.dtype.kind != "f" or np.isfinite(array).all() else fill_missing(array)
    found = indices_on(values, lattice)
    if found is None:
        return None
    indices, digits = found
    put_section(out, encode_integers(indices, plan.integers, thorough))
    if digits is not None:
        put_section(out, digits)
    if array.dtype.kind != "f":
        return bytes([flags]) + bytes(out)
    restored = _restored(indices, digits, lattice, array.dtype)
    corrections = (to_ordered(values) - to_ordered(restored)).reshape(-1)
    far = (corrections.astype(np.int64) > _LARGEST_CORRECTION) | (corrections.astype(np.int64) < -_LARGEST_CORRECTION)
    corrections[far] = 0
    put_section(out, encode_stream(zigzag(corrections.astype(np.int32)), layout=GAPS, thorough=True))
    flags |= put_odd_values(out, array, far, CLASSES, EXCEPTIONS)
    return bytes([flags]) + bytes(out)


def decode_hidden(cursor: Cursor, shape: Shape, dtype: np.dtype) -> np.ndarray:
    """Body -> canonical array."""
    flags = cursor.byte()
    form = flags & _FORM
    whole = form in (Form.INTEGER, Form.WIDE)
    if flags & ~(_FORM | PER_CHANNEL | CLASSES | EXCEPTIONS) or whole != (dtype.kind in "iu") or dtype.kind not in "iuf":
        raise FormatError(f"hidden lattice of form and flags {flags:#x} in an array of {dtype}")
    if form == Form.WIDE:
        if dtype.itemsize != 8 or flags != form:
            raise FormatError(f"integers in halves, with flags {flags:#x}, in an array of {dtype}")
        low, high = (decode_integers(cursor.section(), shape).view(np.uint32).astype(np.uint64) for _ in range(2))
        cursor.end()
        return (low | high << np.uint64(32)).view(dtype)
    lattice = read_lattice(cursor, form, shape[1] if flags & PER_CHANNEL else 1)
    indices = decode_integers(cursor.section(), shape)
    if form == Form.DIGITS:
        section = cursor.section()
        array = decode_digits(section, indices, lattice, dtype)
        section.end()
    else:
        array = lattice.values(indices, dtype)
    if dtype.kind == "f":
        section = cursor.section()
        corrections = unzigzag(decode_stream(section, array.size).astype(np.uint32)).reshape(shape)
        section.end()
        if corrections.any():
            array = from_ordered(to_ordered(array) + corrections.astype(FORMATS[dtype.itemsize].signed), dtype)
    take_odd_values(cursor, array, bool(flags & CLASSES), bool(flags & EXCEPTIONS))
    cursor.end()
    return array


def indices_on(values: np.ndarray, lattice: Lattice) -> tuple[np.ndarray, bytes | None] | None:
    """(int32 indices, section of further digits or None) nearest to `values`; None if they do not fit."""
    if lattice.form == Form.INTEGER:
        assert lattice.steps is not None
        assert lattice.offsets is not None
        distance = values.astype(np.int64) - lattice.offsets.reshape(1, -1, 1, 1)
        steps = lattice.steps.reshape(1, -1, 1, 1)
        return (distance // steps if lattice.steps.max() > 1 else distance).astype(np.int32), None
    if lattice.form == Form.DIGITS:
        assert lattice.places is not None
        decimals = to_decimals(values, lattice.digits)
        return encode_digits(decimals, lattice.places.reshape(1, -1, 1, 1).astype(np.int64), lattice.digits)
    reals = values.astype(np.float64)
    if lattice.places is not None:
        reals *= (10.0**lattice.places).reshape(1, -1, 1, 1)
    else:
        assert lattice.steps is not None
        assert lattice.offsets is not None
        reals -= lattice.offsets.reshape(1, -1, 1, 1)
        reals /= lattice.steps.reshape(1, -1, 1, 1)
    np.rint(reals, out=reals)
    limit = 2.0**31 - 1
    if not (reals.min() >= -limit and reals.max() <= limit):
        return None
    return reals.astype(np.int32), None


def _restored(indices: np.ndarray, digits: bytes | None, lattice: Lattice, dtype: np.dtype) -> np.ndarray:
    """Values without corrections."""
    return lattice.values(indices, dtype) if digits is None else decode_digits(Cursor(digits), indices, lattice, dtype)


def corrections_bits(values: np.ndarray, restored: np.ndarray) -> float:
    """Bits a value that corrections take, roughly."""
    wrong = values.view(FORMATS[values.itemsize].unsigned) != restored.view(FORMATS[values.itemsize].unsigned)
    share = float(wrong.mean())
    return share * (2.0 - np.log2(max(share, 1e-9))) if share else 0.0


def plan_on(sample: np.ndarray, lattice: Lattice, effort: Effort) -> HiddenPlan | None:
    """Plan of a lattice by what it makes of a finite `sample`."""
    if lattice.form == Form.WIDE:
        halves = [plan_integers((sample.view(np.uint64) >> np.uint64(s)).astype(np.uint32).view(np.int32), effort) for s in (0, 32)]
        return HiddenPlan(halves[0].bits + halves[1].bits, lattice, halves[0])
    found = indices_on(sample, lattice)
    if found is None:
        return None
    indices, digits = found
    integers = plan_integers(indices, effort)
    bits = integers.bits
    if sample.dtype.kind == "f":
        bits += 8 * len(digits or b"") / sample.size
        bits += corrections_bits(sample, _restored(indices, digits, lattice, sample.dtype))
    return HiddenPlan(bits, lattice, integers)
