"""Logarithms of whole numbers in whole numbers: estimates that are made of them are the same on every machine."""

from functools import lru_cache

import numpy as np

FRACTION = 16  # bits
_TABLE_BITS = 12


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    """Of 2**12 to 2**13 - 1, without the 12: a bit for each squaring of the number, as 1.31 bits, that leaves 2 or more."""
    x = np.arange(1 << _TABLE_BITS, 2 << _TABLE_BITS, dtype=np.uint64) << np.uint64(31 - _TABLE_BITS)
    found = np.zeros(x.size, np.int64)
    for _ in range(FRACTION):
        x = x * x >> np.uint64(31)
        bit = x >> np.uint64(32)
        x >>= bit
        found = 2 * found + bit.astype(np.int64)
    return found


def logarithms(numbers: np.ndarray) -> np.ndarray:
    """Of int64 `numbers` from 1 to 2**52, to the base 2 and times 2**16; int64. Of their first 13 bits, that is."""
    numbers = np.asarray(numbers, np.int64)
    bits = np.frexp(numbers.astype(np.float64))[1].astype(np.int64) - 1
    shifted = (numbers << np.maximum(_TABLE_BITS - bits, 0)) >> np.maximum(bits - _TABLE_BITS, 0)
    return (bits << FRACTION) + _table()[shifted - (1 << _TABLE_BITS)]


def information(counts: np.ndarray) -> np.ndarray:
    """Each of int64 `counts` from 0 on times its logarithm; of 0 it is 0."""
    return counts * logarithms(np.maximum(counts, 1))
