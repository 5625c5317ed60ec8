"""Where a run stands between its start and its end, and what learning rate belongs there."""

import math
from dataclasses import dataclass, replace

from aecodec.training.config import Settings

_LAST = 0.01  # of the peak, at the end


@dataclass(frozen=True)
class Schedule:
    """Progress is the larger of steps done and time used, as shares of what they may be.

    The learning rate rises linearly, then falls with a half cosine (Loshchilov and Hutter 2017).
    """

    steps: float | None
    seconds: float | None
    warmup: float
    frozen: float

    @classmethod
    def of(cls, settings: Settings) -> "Schedule":
        """The schedule of a run of full length."""
        return cls(settings.steps, settings.time_budget, settings.warmup, settings.frozen)

    def progress(self, step: int, seconds: float) -> float:
        """0 at the start to 1 at the end, when `step` steps are done and `seconds` used."""
        by_steps = step / self.steps if self.steps else 0.0
        by_time = seconds / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_steps, by_time))

    def factor(self, progress: float) -> float:
        """Learning rate as a fraction of its peak."""
        if progress < self.warmup:
            return max(_LAST, progress / self.warmup)
        done = (progress - self.warmup) / (1.0 - self.warmup)
        return _LAST + (1.0 - _LAST) * 0.5 * (1.0 + math.cos(math.pi * done))

    def must_freeze(self, progress: float) -> bool:
        """True from where weights are to be integers."""
        return progress >= 1.0 - self.frozen

    def left(self, step: int, seconds: float) -> float | None:
        """Seconds to the end at the pace so far; None before the first step."""
        progress = self.progress(step, seconds)
        return seconds * (1.0 - progress) / progress if progress > 0 else None

    def cut_short(self, step: int, seconds: float) -> "Schedule":
        """The schedule of a run that begins its last part now; what is done so far counts as the rest of it."""
        share = max(1e-9, 1.0 - self.frozen)
        steps = None if self.steps is None else min(self.steps, max(1.0, step / share))
        time = None if self.seconds is None else min(self.seconds, max(1e-9, seconds / share))
        return replace(self, steps=steps, seconds=time)
