"""Floats as integers: the ordered integers of their bits, and their fixed-point parts (FORMAT.md, "Mode 5, floats")."""

from dataclasses import dataclass

import numpy as np


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


def q_limits(dtype: np.dtype) -> tuple[int, int]:
    """Least and greatest q of fixed point: 2**q and its inverse are normal float64."""
    f = FORMATS[dtype.itemsize]
    return max(f.lowest - 31, -1022), min(1 << (f.bits - 2 - f.mantissa), 1022)
