"""The lattice of relative bounds: a geometric ladder of magnitudes, the same bits on every machine.

Rung 0 is 1; each rung is the one before times (1 + e) / (1 - e), built by IEEE multiplications only (no log, no exp), and
the ladder starts again at every power of two. Zero, sign and non-finite values travel as classes beside the rungs.
"""

from functools import lru_cache

import numpy as np

POSITIVE, NAN, POSITIVE_INFINITY, NEGATIVE_INFINITY, ZERO, NEGATIVE = range(6)
SMALLEST_ERROR = 1e-6
_GUARD = 1.0 - 2.0**-40


@lru_cache(maxsize=16)
def rungs(error: float) -> np.ndarray:
    """Representatives in [1, 2) so that each value there is within relative `error` of one; float64, ascending."""
    ratio = (1.0 + error) / (1.0 - error)
    factors = np.full(int(0.35 / error) + 3, ratio)  # more than enough: log(ratio) is at least 2 * error
    factors[0] = 1.0
    low = np.multiply.accumulate(factors, out=factors)
    found = low[: np.searchsorted(low, 2.0)]
    found *= 1.0 + error
    return np.minimum(found, 2.0, out=found)


def lattice_error(error: float, dtype: np.dtype) -> float:
    """The relative error to build rungs with, so that the cast to `dtype` stays inside `error`; 0 if none serves."""
    reduced = (error - float(np.finfo(dtype).eps) / 2) * _GUARD
    return reduced if reduced >= SMALLEST_ERROR else 0.0


def classify(array: np.ndarray) -> np.ndarray:
    """Class of each value, uint8."""
    classes = np.where(np.signbit(array), np.uint8(NEGATIVE), np.uint8(POSITIVE))
    classes[array == 0] = ZERO
    classes[np.isnan(array)] = NAN
    classes[np.isposinf(array)] = POSITIVE_INFINITY
    classes[np.isneginf(array)] = NEGATIVE_INFINITY
    return classes


def to_ladder(magnitudes: np.ndarray, error: float) -> np.ndarray:
    """Ladder index of each positive finite magnitude, int32."""
    table = rungs(error)
    mantissa, exponent = np.frexp(magnitudes.astype(np.float64))
    bounds = table[:-1] + (table[1:] - table[:-1]) / 2
    return (exponent.astype(np.int32) * np.int32(table.size) + np.searchsorted(bounds, 2.0 * mantissa)).astype(np.int32)


def from_ladder(indices: np.ndarray, classes: np.ndarray, error: float, dtype: np.dtype) -> np.ndarray:
    """Values of `dtype` at ladder indices, with the classes put back."""
    table = rungs(error)
    exponent, rung = np.divmod(indices, np.int32(table.size))
    with np.errstate(over="ignore", under="ignore"):
        values = np.ldexp(table[rung], np.clip(exponent - 1, -2000, 2000))
        values[classes == NEGATIVE] *= -1.0
        for kind, value in ((NAN, np.nan), (POSITIVE_INFINITY, np.inf), (NEGATIVE_INFINITY, -np.inf), (ZERO, 0.0)):
            values[classes == kind] = value
        return values.astype(dtype)
