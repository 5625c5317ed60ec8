"""What a model's restorer can undo, and how it is to be used (normative: FORMAT.md, "Restorer"); the record may be hostile."""

import math
from dataclasses import dataclass, field
from typing import Any

TASKS = ("denoise", "inpaint", "deblur", "upscale")
NOISE, MISSING, BLUR, UPSCALED = range(4)  # of the planes after the frames
CONDITIONS = 4
UNKNOWN = 0.5  # what missing values are set to, in units of the range
MOST_FRAMES, MOST_MULTIPLE, MOST_HALO = 9, 64, 1024
_KEYS = ("tasks", "frames", "low", "high", "multiple", "halo")


@dataclass(frozen=True)
class Restores:
    """`tasks`, names of TASKS; `frames` that it sees at once, an odd number, of which it restores the middle one.

    `low`, `high`: per channel, the range that is 0 to 1 for the graph. `multiple`, `halo`: (rows, columns), what sizes must be
    multiples of, and how far a value depends on others. Rows of 1 and 0: it restores series, whose steps are columns.
    """

    tasks: tuple[str, ...]
    frames: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    multiple: tuple[int, int]
    halo: tuple[int, int]
    unknown: dict[str, Any] = field(default_factory=dict)  # keys of a later version

    @property
    def channels(self) -> int:
        """Channels of what it restores."""
        return len(self.low)

    @property
    def planes(self) -> int:
        """Planes of the graph's input."""
        return self.frames * self.channels + CONDITIONS

    @property
    def series(self) -> bool:
        """True if steps are columns, and there are no rows."""
        return self.multiple[0] == 1 and self.halo[0] == 0

    def to_json(self) -> dict[str, Any]:
        """The manifest's record."""
        lists = {key: list(getattr(self, key)) for key in _KEYS if key != "frames"}
        return {**self.unknown, **lists, "frames": self.frames}

    @classmethod
    def from_json(cls, record: Any) -> "Restores":
        """Parse and validate; KeyError, TypeError or ValueError for what cannot be."""
        if not isinstance(record, dict):
            raise TypeError(f"restores {str(record)[:40]!r} is no object")
        tasks = tuple(record["tasks"])
        if not tasks or any(type(task) is not str or task not in TASKS for task in tasks) or len(set(tasks)) != len(tasks):
            raise ValueError(f"restores: tasks {str(tasks)[:60]} must be distinct ones of {', '.join(TASKS)}")
        low, high = (tuple(float(v) for v in _numbers(record[key])) for key in ("low", "high"))
        if not 1 <= len(low) == len(high) or not all(math.isfinite(b - a) and a < b for a, b in zip(low, high, strict=True)):
            raise ValueError("restores: low and high must be finite, one of each for each channel, low under high")
        frames = record["frames"]
        if type(frames) is not int or frames % 2 != 1 or not 1 <= frames <= MOST_FRAMES:
            raise ValueError(f"restores: frames {str(frames)[:40]} must be an odd number from 1 to {MOST_FRAMES}")
        multiple = _two("multiple", record["multiple"], 1, MOST_MULTIPLE)
        halo = _two("halo", record["halo"], 0, MOST_HALO)
        if any(h % m for h, m in zip(halo, multiple, strict=True)):
            raise ValueError(f"restores: halo {list(halo)} must be in multiples of {list(multiple)}")
        return cls(tasks, frames, low, high, multiple, halo, {k: v for k, v in record.items() if k not in _KEYS})


def _numbers(values: Any) -> list[int | float]:
    if not isinstance(values, list) or any(type(v) not in (int, float) for v in values):
        raise TypeError(f"restores: {str(values)[:40]!r} is no list of numbers")
    return values


def _two(name: str, values: Any, least: int, most: int) -> tuple[int, int]:
    if not isinstance(values, list) or len(values) != 2 or any(type(v) is not int or not least <= v <= most for v in values):
        raise ValueError(f"restores: {name} {str(values)[:40]} must be two whole numbers from {least} to {most}")
    return values[0], values[1]
