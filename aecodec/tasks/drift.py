"""How far the levels of channels stray from where normal data had them: random walks, whose variance grows with the steps.

A few hundred steps of a slow process show little of where it goes next: spreads that are measured on them call most of what
follows anomalous. Here the variance of a channel's error h steps from the middle of the normal data is its normal variance plus h times
a rate, which the means of consecutive blocks of the normal data give: those of a random walk, n steps apart, differ by n times the
rate in the mean square (the local level model, Harvey 1989).
"""

import numpy as np

from aecodec.errors import UsageError

BLOCKS = 5
_LEAST = 2 * BLOCKS  # steps of normal data


class Drift:
    """Rates of variance of each channel, from errors of normal data that come in parts.

    `steps`: how many there will be; what is over after blocks of equal length is left out.
    """

    def __init__(self, steps: int) -> None:
        if steps < _LEAST:
            raise UsageError(f"drift is found in {_LEAST} steps of normal data or more, got {steps}; give more, or drift=False")
        self._length, self._centre = steps // BLOCKS, (steps - 1) / 2
        self._sums: np.ndarray | None = None

    def add(self, start: int, error: np.ndarray) -> None:
        """Errors (steps, channels, rows, columns) of the steps from `start`."""
        if self._sums is None:
            self._sums = np.zeros((BLOCKS, *error.shape[1:]))
        block = (start + np.arange(len(error))) // self._length
        for number in range(block[0], min(int(block[-1]) + 1, BLOCKS)):
            self._sums[number] += error[block == number].sum(axis=0)

    def rates(self) -> np.ndarray:
        """Variance that is added for each step, float64 (channels,): the mean over rows and columns."""
        assert self._sums is not None
        apart = np.diff(self._sums / self._length, axis=0)
        return np.asarray(np.square(apart).mean(axis=(0, 2, 3)) / self._length)

    def distances(self, start: int, count: int) -> np.ndarray:
        """Of `count` steps from `start`, where the normal data began at 0, from the middle of the normal data: float64 (count,)."""
        return np.abs(start + np.arange(count) - self._centre)
