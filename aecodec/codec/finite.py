"""A chunk's values as a lattice takes them, all finite, with what every mode asks of them: worked out once."""

from dataclasses import dataclass

import numpy as np

from aecodec.canonical import fill_missing
from aecodec.codec.sections import non_finite_classes
from aecodec.compiled.values import channel_ranges


@dataclass(frozen=True)
class FiniteValues:
    """Canonical `array`, its `values`, each that is not finite replaced by one before it, and the `classes` of those (None: there
    are none); `low` and `high`: the smallest and largest value of each channel, float64 (channels,)."""

    array: np.ndarray
    values: np.ndarray
    classes: np.ndarray | None
    low: np.ndarray
    high: np.ndarray

    @property
    def peaks(self) -> np.ndarray:
        """Largest magnitude of each channel, float64 (channels,)."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def finite_values(array: np.ndarray) -> FiniteValues:
    """Look through canonical `array` (steps, channels, rows, columns), which is not empty."""
    low, high = channel_ranges(array)
    if array.dtype.kind != "f" or (np.isfinite(low).all() and np.isfinite(high).all()):
        return FiniteValues(array, array, None, low, high)
    values = fill_missing(array)
    return FiniteValues(array, values, non_finite_classes(array), *channel_ranges(values))
