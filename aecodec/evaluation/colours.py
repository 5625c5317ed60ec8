"""Colours of values, on perceptually even maps."""

import numpy as np

# Anchors of perceptually even maps: viridis (van der Walt and Smith 2015), and blue-white-red for signed values.
SEQUENTIAL = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], float)
DIVERGING = np.array([(33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43)], float)


def colours(values: np.ndarray, low: float, high: float, anchors: np.ndarray) -> np.ndarray:
    """(rows, columns) -> uint8 (rows, columns, 3), `low` and `high` at the ends of the map."""
    place = np.clip((values - low) / max(high - low, 1e-300), 0.0, 1.0) * (len(anchors) - 1)
    channels = [np.interp(place, np.arange(len(anchors)), anchors[:, i]) for i in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)
