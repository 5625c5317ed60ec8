"""Convolutions of float planes, by compiled functions or by numpy: for fitting, where the order of sums is free."""

import numpy as np

from aecodec.compiled.kernels import kernels


def convolved(planes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float32 `planes` (N, P, lines, values), zeros around them, times `weights` (P, 3, 3), summed: float32 (N, lines, values)."""
    n, _, h, w = planes.shape
    found = np.zeros((n, h, w), np.float32)
    if kernels is not None and found.size:
        taps = np.ascontiguousarray(weights, np.float32)
        kernels.convolve_planes(np.ascontiguousarray(planes, np.float32), taps, found, planes.shape)
        return found
    padded = np.pad(planes, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for (p, i, j), weight in np.ndenumerate(weights):
        if weight:
            found += np.float32(weight) * padded[:, p, i : i + h, j : j + w]
    return found
