"""Statistics of samples that lie in parts, on any number of machines: the same bits as of one pass over all of them.

Which segments and runs are kept as samples depends only on how many there are, so a `Plan` says it beforehand; sums do not
depend on their order (sums.py).
"""

from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np

from aecodec.canonical import fill_missing
from aecodec.models.fit import empty_statistics
from aecodec.models.sample import Reservoir
from aecodec.models.statistics import Statistics

Tile = tuple[int, int, int, int]


@dataclass(frozen=True)
class Plan:
    """What all parts need to know. `shape`: (channels, rows, columns); `steps`: of all parts; `available`: of the beginning.

    `samples`: the segment of each place among the samples; `runs`: the number of the run of each.
    """

    shape: tuple[int, int, int]
    steps: int
    available: int
    tile: Tile | None
    seed: int
    shift: np.ndarray
    unit: np.ndarray
    samples: tuple[int, ...]
    runs: tuple[int, ...]
    segment: int
    run_length: int

    def empty(self) -> Statistics:
        """Statistics of nothing, with the origin of all."""
        statistics = empty_statistics(self.shape, self.tile, self.available, self.seed)
        statistics.shift, statistics.unit = self.shift, self.unit
        return statistics

    def kept_steps(self) -> list[tuple[int, int]]:
        """Ranges of steps that become runs: those kept, the last whole one, and what follows it."""
        whole = self.steps // self.run_length
        numbers = sorted({*self.runs, *([whole - 1] if whole else [])})
        ranges = [(n * self.run_length, (n + 1) * self.run_length) for n in numbers]
        return [*ranges, (whole * self.run_length, self.steps)]


@dataclass
class Part:
    """Sums of some segments, samples by the number of their segment, and parts of runs by their first step."""

    statistics: Statistics
    samples: dict[int, np.ndarray] = field(default_factory=dict)
    runs: dict[int, np.ndarray] = field(default_factory=dict)


def make_plan(first: np.ndarray, steps: int, available: int, tile: Tile | None, seed: int) -> Plan:
    """The plan for `steps` canonical steps, of which `first` are the first ones, one segment (`segment_steps`) or all."""
    shape = (first.shape[1], first.shape[2], first.shape[3])
    statistics = empty_statistics(shape, tile, available, seed)
    statistics.set_origin(fill_missing(first[: statistics.segment]))
    samples = _places(statistics.capacity, -(-steps // statistics.segment), seed)
    runs = _places(statistics.runs.capacity, steps // statistics.runs.length, seed)
    origin = (statistics.shift, statistics.unit)
    return Plan(shape, steps, available, tile, seed, *origin, samples, runs, statistics.segment, statistics.runs.length)


def segment_steps(shape: tuple[int, int, int], available: int, tile: Tile | None) -> int:
    """Steps of a segment; parts begin at multiples of it."""
    return empty_statistics(shape, tile, available, 0).segment


def part_of(plan: Plan, start: int, slab: np.ndarray) -> Part:
    """The part of canonical steps from `start` on, a multiple of the segment; all but the last part are whole segments."""
    part, ranges = Part(plan.empty()), plan.kept_steps()
    samples = set(plan.samples)
    for at in range(0, len(slab), plan.segment):
        segment = slab[at : at + plan.segment]
        values = part.statistics.add_sums(fill_missing(segment))
        number = (start + at) // plan.segment
        if number in samples:
            part.samples[number] = part.statistics.sampled(values)
        rows, columns = part.statistics.runs.window
        for low, high in ranges:
            first, last = max(low, start + at), min(high, start + at + len(segment))
            if first < last:
                inside = slice(first - start - at, last - start - at)
                kept = values[inside, :, rows, columns].copy()
                if segment.dtype.kind == "f":
                    kept[~np.isfinite(segment[inside, :, rows, columns])] = np.nan
                part.runs[first] = kept
    return part


def merged(first: Part, second: Part) -> Part:
    """Both in one, a new one: tasks may be run again."""
    whole = Part(deepcopy(first.statistics), {**first.samples, **second.samples}, {**first.runs, **second.runs})
    whole.statistics.merge_sums(second.statistics)
    return whole


def gathered(plan: Plan, whole: Part) -> Statistics:
    """The statistics that one pass over all steps gives."""
    statistics = deepcopy(whole.statistics)
    statistics.samples = [whole.samples[number] for number in plan.samples]
    length, count = plan.run_length, plan.steps // plan.run_length
    numbers = {*plan.runs, *([count - 1] if count else [])}
    found = {number: _joined(whole, number * length, (number + 1) * length) for number in numbers}
    rest = _joined(whole, count * length, plan.steps) if plan.steps % length else None
    statistics.runs.restore([found[number] for number in plan.runs], found.get(count - 1), rest)
    return statistics


def _joined(whole: Part, start: int, stop: int) -> np.ndarray:
    pieces = [array for at, array in sorted(whole.runs.items()) if start <= at < stop]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _places(capacity: int, count: int, seed: int) -> tuple[int, ...]:
    """Which of `count` items a reservoir keeps, by place."""
    reservoir, kept = Reservoir(capacity, seed), {}
    for number in range(count):
        place = reservoir.place()
        if place is not None:
            kept[place] = number
    return tuple(kept[place] for place in range(len(kept)))
