"""What packing a stream takes of its numbers, and unpacking, by compiled functions or by numpy: sums, digits and escaped numbers.

Numbers are unsigned, of up to 32 bits, 1-D and contiguous.
"""

import numpy as np

from aecodec.compiled.kernels import kernels
from aecodec.packing.digits import pack_digits, packed_size, unpack_digits


def largest_and_sum(values: np.ndarray) -> tuple[int, int]:
    """Of no values, 0 and 0."""
    if kernels is not None:
        return kernels.statistics(values, values.itemsize)
    maximum = int(values.max()) if values.size else 0
    # The narrowest type that surely holds the sum is the fastest.
    return maximum, int(np.add.reduce(values, dtype=np.uint32 if maximum * values.size < 2**32 else np.uint64))


def joint_digits(values: np.ndarray, base: int, per_byte: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits below `base`, packed as digits.py does, uint8; and, less `base` - 1, the values for which that stands."""
    if kernels is None:
        digits = np.minimum(values, base - 1).astype(np.uint8, copy=False)
        escaped = values.compress(digits == base - 1)
        escaped -= values.dtype.type(base - 1)
        return pack_digits(digits, base, per_byte), escaped
    packed = np.empty(packed_size(values.size, per_byte), np.uint8)
    escaped = np.empty(kernels.pack_joint(values, values.itemsize, base, per_byte, packed), values.dtype)
    if escaped.size:
        kernels.take_from(values, values.itemsize, base - 1, escaped)
    return packed, escaped


def joint_values(packed: np.ndarray, base: int, per_byte: int, count: int) -> tuple[np.ndarray, int]:
    """`count` digits below `base` out of uint8 `packed`, as digits.py has them, uint8; and how many are `base` - 1."""
    if kernels is None:
        digits = unpack_digits(packed, base, per_byte, count)
        return digits, int(np.count_nonzero(digits == base - 1))
    digits = np.empty(count, np.uint8)
    return digits, kernels.unpack_joint(packed, base, per_byte, digits)


def with_escaped(digits: np.ndarray, escape: int, others: np.ndarray) -> np.ndarray:
    """`digits`, uint8, and where they are `escape` the next of `others`, which are as many; of the type of these."""
    if kernels is None:
        values = digits.astype(others.dtype)
        values[np.flatnonzero(digits == escape)] = others
        return values
    values = np.empty(digits.size, others.dtype)
    kernels.put_escaped(digits, escape, others, others.itemsize, values)
    return values


def unzigzag_into(values: np.ndarray, out: np.ndarray) -> None:
    """Write into `out`, int32, or int16 if `values` are of up to 16 bits, what these unsigned ones are the zigzag of."""
    if kernels is None:
        np.bitwise_xor(values >> 1, np.negative((values & 1).astype(np.int32)), out=out, casting="unsafe")  # ~0 is -1
    else:
        kernels.unzigzag(values, values.itemsize, out, out.itemsize)
