"""What packing a stream takes of its numbers, by compiled functions or by numpy: the largest, their sum, digits and escaped ones.

Numbers are unsigned, of up to 32 bits, 1-D and contiguous.
"""

import numpy as np

from aecodec.compiled.kernels import kernels
from aecodec.packing.digits import pack_digits, packed_size


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
