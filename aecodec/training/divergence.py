"""Telling a run that diverges from one that is merely noisy."""

import math
from collections import deque
from collections.abc import Iterable

_WINDOW, _FEWEST = 101, 21
_FAR = 20.0  # times the usual distance from the median
_LEAST = 0.05  # that distance is at least this share of the median's magnitude
_IN_A_ROW = 5


class DivergenceWatch:
    """Looks at the loss of each step: not finite, or far above the running median several times in a row, is divergence."""

    def __init__(self, losses: Iterable[float] = (), row: int = 0) -> None:
        self.losses = deque(losses, maxlen=_WINDOW)
        self.row = row

    def diverged(self, loss: float) -> bool:
        """Take the loss of one step."""
        if not math.isfinite(loss):
            return True
        if len(self.losses) >= _FEWEST and loss > self._limit():
            self.row += 1  # what is far off says nothing of what is usual
            return self.row >= _IN_A_ROW
        self.row = 0
        self.losses.append(loss)
        return False

    def restart(self) -> None:
        """Forget what was usual."""
        self.losses.clear()
        self.row = 0

    def _limit(self) -> float:
        median = _median(self.losses)
        spread = _median(abs(loss - median) for loss in self.losses)
        return median + _FAR * max(spread, _LEAST * abs(median))


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
