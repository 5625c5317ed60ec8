"""Wall and processor time of single calls, and what is made of a series of them."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


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


def speed_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times faster `ours` is: the median of the ratios of calls made side by side."""
    return statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
