"""The models and bounds that benches give a field."""

import math

import numpy as np
from fields import FieldSet

import aecodec


def absolute_bound(test: np.ndarray, fraction: float) -> float | None:
    """The bound as a number, whole for integers; None where that would be below 1."""
    bound = fraction * value_range(test)
    if test.dtype.kind not in "iu":
        return bound
    return float(math.floor(bound)) or None


def value_range(array: np.ndarray) -> float:
    """Largest value minus smallest."""
    return float(array.max()) - float(array.min())


def fit(field: FieldSet, bound: float) -> aecodec.Model:
    """A model of the train split; where rows are the stream, in pieces that `fit` takes as equals, and no mean field."""
    if "t" in field.axes:
        return aecodec.fit(field.train, axes=field.axes, max_error=bound)
    half = len(field.train) // 2
    return aecodec.fit([field.train[:half], field.train[half : 2 * half]], axes=field.axes, reference=False, max_error=bound)
