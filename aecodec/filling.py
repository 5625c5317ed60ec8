"""A first guess of missing values, from which a restorer goes on: the mean of known ones around, nearer ones weighing more.

Normalised convolution (Knutsson and Westin 1993). What a value becomes depends on those within REACH rows and columns.
"""

import numpy as np

__all__ = ["REACH", "fill_gaps"]

REACH = 24
_NEAR = 2.0  # rows or columns in which a weight falls by a factor of e
_MIDDLE = 0.5  # of the range, where nothing is known around
_LEAST = 1e-12


def fill_gaps(x: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Float32 `x` (..., rows, columns) in units of the range, filled in where `missing`, bool (rows, columns), is true."""
    known = (~missing).astype(np.float32)
    sums, weights = _spread(np.where(missing, np.float32(0), x)), _spread(known)
    guess = np.where(weights > _LEAST, sums / np.maximum(weights, np.float32(_LEAST)), np.float32(_MIDDLE))
    return np.where(missing, guess, x).astype(np.float32, copy=False)


def _spread(x: np.ndarray) -> np.ndarray:
    """Weighted sums along rows and columns."""
    taps = np.exp(-np.abs(np.arange(-REACH, REACH + 1)) / _NEAR).astype(np.float32)
    for axis in (-2, -1):
        n = x.shape[axis]
        if n == 1:
            continue
        moved = np.moveaxis(x, axis, -1)
        padded = np.pad(moved, [(0, 0)] * (x.ndim - 1) + [(REACH, REACH)])
        out = np.zeros(moved.shape, np.float32)
        for place, tap in enumerate(taps):
            out += tap * padded[..., place : place + n]
        x = np.moveaxis(out, -1, axis)
    return x
