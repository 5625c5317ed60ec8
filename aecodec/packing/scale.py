"""Scale indices: half-octave classes of mean magnitude, found with exact operations only.

A decoder must find the same index as the encoder on any machine, so there is no log: frexp and one comparison.
"""

import numpy as np

INDICES = 48
_LOWEST = -14  # half-octaves below 1 where index 0 lies
_ROOT_HALF = 0.7071067811865476
SMALLEST = 2.0**-8  # mean magnitude that is told from none


def scale_index(scale: np.ndarray) -> np.ndarray:
    """Index in [0, INDICES) of each positive float64 scale, uint8."""
    mantissa, exponent = np.frexp(scale)
    index = 2 * exponent + (mantissa >= _ROOT_HALF) - _LOWEST
    return np.clip(index, 0, INDICES - 1).astype(np.uint8)


def magnitude(values: np.ndarray) -> np.ndarray:
    """|values| of signed integers as the unsigned type of the same width."""
    return np.abs(values).view(f"u{values.dtype.itemsize}")
