"""Means of values over the rows and columns of each tile."""

import numpy as np


def block_means(values: np.ndarray, tile: tuple[int, int, int, int]) -> np.ndarray:
    """Canonical values -> means over the rows and columns of each tile: (steps, channels, tile rows, tile columns)."""
    for axis in (2, 3):
        edges = np.arange(0, values.shape[axis], tile[axis])
        counts = np.diff([*edges.tolist(), values.shape[axis]])
        sums = np.add.reduceat(values, edges, axis=axis)
        values = sums / counts.reshape([-1 if i == axis else 1 for i in range(4)])
    return values
