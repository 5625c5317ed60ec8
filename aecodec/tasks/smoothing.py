"""Scores of steps smoothed over windows."""

import numpy as np

METHODS = ("mean", "least")


def smooth(scores: np.ndarray, window: int, method: str = "mean") -> np.ndarray:
    """Scores (steps,) smoothed; the window shrinks at the ends.

    "mean": of the `window` steps around each. "least": of the means over all windows of so many steps that hold the step, the
    least.
    """
    count = len(scores)
    window = min(window, count)
    if window <= 1:
        return scores
    sums = np.concatenate([[0.0], np.cumsum(scores)])
    if method == "mean":
        start = np.clip(np.arange(count) - window // 2, 0, None)
        stop = np.clip(np.arange(count) - window // 2 + window, None, count)
        return np.asarray((sums[stop] - sums[start]) / (stop - start))
    means = (sums[window:] - sums[:-window]) / window
    return least_of_windows(means, window)


def least_of_windows(values: np.ndarray, window: int) -> np.ndarray:
    """Values of all windows of so many steps (steps - window + 1,) -> for each step the least of those that hold it (steps,)."""
    padded = np.pad(values, window - 1, constant_values=np.inf)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, window).min(axis=1))
