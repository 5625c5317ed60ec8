"""Small digits packed several to a byte, planar, so that numpy does it at memory speed.

Byte j holds digits j, m + j, 2 m + j, ... of the stream (m bytes in all), the first the least significant.
"""

import numpy as np


def packed_size(count: int, per_byte: int) -> int:
    """Bytes that `count` digits take."""
    return -(-count // per_byte)


def pack_digits(digits: np.ndarray, base: int, per_byte: int) -> np.ndarray:
    """uint8 digits below `base` -> uint8 bytes of `per_byte` digits each."""
    if per_byte == 1:
        return digits
    size = packed_size(digits.size, per_byte)
    if digits.size < size * per_byte:
        digits = np.concatenate([digits, np.zeros(size * per_byte - digits.size, np.uint8)])
    planes = digits.reshape(per_byte, size)
    packed = planes[per_byte - 1].copy()
    for plane in planes[per_byte - 2 :: -1]:
        packed *= np.uint8(base)
        packed += plane
    return packed


def unpack_digits(packed: np.ndarray, base: int, per_byte: int, count: int) -> np.ndarray:
    """The inverse of `pack_digits`. The last digit of a byte is not reduced, so hostile bytes give digits above base."""
    if per_byte == 1:
        return packed.copy()
    planes = np.empty((per_byte, packed.size), np.uint8)
    divisor = np.uint8(base)
    for plane in planes[:-1]:
        quotient = packed // divisor
        np.subtract(packed, quotient * divisor, out=plane)
        packed = quotient
    planes[-1] = packed
    return planes.reshape(-1)[:count]
