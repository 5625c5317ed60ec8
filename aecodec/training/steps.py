"""The quantizer steps that one network serves, in kinds of half an octave each."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class StepRange:
    """Steps from `low` to `high`, in units of the scale; those beyond are of the first or last kind."""

    low: float
    high: float

    @property
    def kinds(self) -> int:
        """How many half octaves there are."""
        return round(2 * math.log2(self.high / self.low)) + 1

    def kind(self, steps: Tensor) -> Tensor:
        """The kind of each step: whole numbers from 0."""
        return (2 * torch.log2(steps / self.low)).round().long().clamp(0, self.kinds - 1)

    @property
    def starts(self) -> tuple[float, ...]:
        """Where each kind but the first begins."""
        return tuple(self.low * 2.0 ** ((k - 0.5) / 2) for k in range(1, self.kinds))

    def spread(self, count: int) -> list[float]:
        """`count` steps, evenly in their logarithm, each in the middle of its part of the range."""
        return [self.low * (self.high / self.low) ** ((i + 0.5) / count) for i in range(count)]
