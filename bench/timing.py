"""Wall and processor time of single calls, and what is made of a series of them."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

_PAGE = 1 << 12


@dataclass
class Times:
    """Seconds of repeated calls: `wall`, and `cpu` summed over the threads of the process."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def call(self, function: Callable[[], object]) -> None:
        """Call once and note the times."""
        cpu, wall = time.process_time(), time.perf_counter()
        function()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)

    def rate(self, size: int) -> float:
        """MB/s of `size` bytes in the median of wall times."""
        return size / 1e6 / statistics.median(self.wall)

    def milliseconds(self) -> float:
        """Median of wall times."""
        return 1e3 * statistics.median(self.wall)


def touch(size: int) -> None:
    """Write to so many bytes of memory and give them back.

    The first touch of memory that a virtual machine has given back to its host takes longer than a codec does, and would be charged
    to whatever comes after a slow call.
    """
    np.empty(size, np.uint8)[::_PAGE] = 0


def speed_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times faster `ours` is: the median of the ratios of calls made side by side."""
    return statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
