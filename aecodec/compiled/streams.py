"""What packing a stream takes of its numbers, and unpacking, by compiled functions or by numpy: sums, digits and escaped numbers.

Numbers are unsigned, of up to 32 bits, 1-D and contiguous.
"""

import numpy as np

from aecodec.compiled.kernels import kernels
from aecodec.packing.digits import pack_digits, packed_size, unpack_digits

BINS, _LONG = 288, 255
COLUMNS = 64


def largest_and_sum(values: np.ndarray) -> tuple[int, int]:
    """Of no values, 0 and 0."""
    if kernels is not None:
        return kernels.statistics(values, values.itemsize)
    maximum = int(values.max()) if values.size else 0
    # The narrowest type that surely holds the sum is the fastest.
    return maximum, int(np.add.reduce(values, dtype=np.uint32 if maximum * values.size < 2**32 else np.uint64))


def joint_digits(values: np.ndarray, base: int, per_byte: int) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Digits below `base`, packed as digits.py does, uint8; what `base` - 1 stands for, less it; `largest_and_sum` of that."""
    if kernels is None:
        digits = np.minimum(values, base - 1).astype(np.uint8, copy=False)
        escaped = values.compress(digits == base - 1)
        escaped -= values.dtype.type(base - 1)
        return pack_digits(digits, base, per_byte), escaped, largest_and_sum(escaped)
    packed, escaped = np.empty(packed_size(values.size, per_byte), np.uint8), np.empty(values.size + 1, values.dtype)
    count, maximum, total = kernels.pack_joint(values, values.itemsize, base, per_byte, packed, escaped)
    return packed, escaped[:count], (maximum, total)


def low_digits(values: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """The lowest 1, 2, 4 or 8 bits, packed as digits.py does, uint8; the values without them; `largest_and_sum` of these."""
    per_byte = 8 // bits
    if kernels is None:
        low = values.astype(np.uint8)
        low &= np.uint8((1 << bits) - 1)
        rest = values >> bits if bits < 8 * values.itemsize else np.zeros_like(values)
        return pack_digits(low, 1 << bits, per_byte), rest, largest_and_sum(rest)
    packed, rest = np.empty(packed_size(values.size, per_byte), np.uint8), np.empty_like(values)
    known = kernels.pack_low(values, values.itemsize, bits, packed, rest)
    return packed, rest, known


def histogram(values: np.ndarray, stride: int) -> np.ndarray:
    """How often each value is there, float64 (BINS,), from one of each `stride`; those from 255 on by their length in bits."""
    if kernels is not None:
        counts = np.empty(BINS)
        kernels.count_values(values, values.itemsize, stride, counts)
        return counts
    sampled = values[::stride]
    counts = np.bincount(np.minimum(sampled, _LONG), minlength=BINS).astype(np.float64)
    if counts[_LONG]:
        _, bits = np.frexp(sampled[sampled >= _LONG].astype(np.float64))
        counts[_LONG] = 0
        counts += np.bincount(_LONG - 7 + bits, minlength=BINS)
    return counts * stride


def tabulated(values: np.ndarray, indices: np.ndarray | None, rows: int) -> np.ndarray:
    """How often each value is there with each of its uint8 `indices`, below `rows` (None: all 0), those from 63 on together; int64
    (rows, COLUMNS)."""
    if kernels is not None:
        table = np.zeros((rows, COLUMNS), np.int64)
        kernels.tabulate(values, values.itemsize, b"" if indices is None else indices, table)
        return table
    clipped = np.minimum(values, COLUMNS - 1)
    if indices is not None:
        clipped = clipped.astype(np.uint16)
        clipped += indices.astype(np.uint16) * np.uint16(COLUMNS)
    return np.bincount(clipped, minlength=rows * COLUMNS).reshape(rows, COLUMNS)


def joint_values(packed: np.ndarray, base: int, per_byte: int, count: int) -> tuple[np.ndarray, int]:
    """`count` digits below `base` out of uint8 `packed`, as digits.py has them, uint8; and how many are `base` - 1."""
    if kernels is None:
        digits = unpack_digits(packed, base, per_byte, count)
        return digits, int(np.count_nonzero(digits == base - 1))
    digits = np.empty(count, np.uint8)
    return digits, kernels.unpack_joint(packed, base, per_byte, digits)


def with_escaped(digits: np.ndarray, escape: int, others: np.ndarray) -> np.ndarray:
    """`digits`, uint8, and where they are `escape` that and the next of `others`, which are as many; as wide as it takes."""
    wide = narrowed(others, largest_and_sum(others)[0] + escape)
    values = np.empty(digits.size, wide.dtype)
    if kernels is None:
        values[...] = digits
        values[np.flatnonzero(digits == escape)] += wide
    else:
        kernels.put_escaped(digits, escape, wide, wide.itemsize, values)
    return values


def with_low(high: np.ndarray, packed: np.ndarray, bits: int) -> np.ndarray:
    """The inverse of `low_digits`: numbers of their `high` bits and the lowest ones in `packed`; as wide as it takes."""
    largest = (largest_and_sum(high)[0] + 1 << bits) - 1
    if kernels is None:
        values = np.left_shift(narrowed(high, largest), bits)
        values |= unpack_digits(packed, 1 << bits, 8 // bits, high.size)
        return values
    values = np.empty(high.size, type_for(largest))
    wide = high if values.itemsize in (high.itemsize, 2 * high.itemsize) else high.astype(values.dtype)
    kernels.put_low(packed, bits, wide, wide.itemsize, values, values.itemsize)
    return values


def narrowed(values: np.ndarray, largest: int) -> np.ndarray:
    """`values` in the narrowest type for numbers up to `largest`."""
    return values.astype(type_for(largest), copy=False)


def type_for(largest: int) -> type[np.unsignedinteger]:
    """The narrowest unsigned type for values up to `largest`; beyond 32 bits, which only corrupt streams hold, they wrap."""
    return np.uint8 if largest < 1 << 8 else np.uint16 if largest < 1 << 16 else np.uint32


def unzigzag_into(values: np.ndarray, out: np.ndarray) -> None:
    """Write into `out`, int32, or int16 if `values` are of up to 16 bits, what these unsigned ones are the zigzag of."""
    if kernels is None:
        np.bitwise_xor(values >> 1, np.negative((values & 1).astype(np.int32)), out=out, casting="unsafe")  # ~0 is -1
    else:
        kernels.unzigzag(values, values.itemsize, out, out.itemsize)
