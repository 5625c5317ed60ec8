"""How noisy an array is: the median magnitude of its finest diagonal differences (Donoho and Johnstone 1994)."""

import math

import numpy as np

_NORMAL = 0.6745  # the median magnitude of a standard normal distribution
_MOST = 1 << 20  # differences that are looked at


def estimate_noise(x: np.ndarray, axes: tuple[int, int] = (-2, -1)) -> float:
    """Standard deviation of white noise in `x`, in its units; 0 for what has too few values to tell.

    `axes`: rows and columns, which are differenced diagonally, in blocks of two; where one has size 1, third differences along the
    other. What is not finite is left out, and what is quite flat, as clipped values are, too: 0 if that is most of the array.
    """
    moved = np.moveaxis(x, axes, (-2, -1))
    rows, columns = moved.shape[-2:]
    if min(rows, columns) > 1:
        even = moved[..., : rows // 2 * 2, : columns // 2 * 2].astype(np.float64)
        found = (even[..., ::2, ::2] - even[..., 1::2, ::2] - even[..., ::2, 1::2] + even[..., 1::2, 1::2]) / 2.0
    elif max(rows, columns) > 3:
        found = np.diff(moved.reshape(*moved.shape[:-2], -1).astype(np.float64), 3, axis=-1) / math.sqrt(20.0)
    else:
        return 0.0
    found = np.abs(found[np.isfinite(found)])
    found = found[:: max(1, found.size // _MOST)]
    moving = found[found > 0]
    if moving.size == 0 or moving.size * 2 < found.size:
        return 0.0
    return float(np.median(moving) / _NORMAL)
