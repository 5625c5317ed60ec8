"""Sums whose order does not matter: carried in pairs of floats, so that parts added in any order round to the same float64."""

import numpy as np


class Sum:
    """A float64 array that much is added to, as the unevaluated sum of two: about 106 bits.

    Each addition's rounding error is kept (TwoSum; Knuth 1969, Moller 1965), so that what order changes lies below 2^-100 of the
    values, far beneath the 2^-53 that `value` has.
    """

    def __init__(self, shape: int | tuple[int, ...]) -> None:
        self._high, self._low = np.zeros(shape), np.zeros(shape)

    def add(self, terms: np.ndarray) -> None:
        """Add float64 `terms` of the same shape."""
        total = self._high + terms
        part = total - self._high
        self._low += (self._high - (total - part)) + (terms - part)
        self._high = total

    def merge(self, other: "Sum") -> None:
        """Add all that was added to another."""
        self.add(other._high)
        self.add(other._low)

    @property
    def value(self) -> np.ndarray:
        """The sum, float64."""
        return np.asarray(self._high + self._low)
