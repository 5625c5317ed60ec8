"""Phases of a small image, by lists of positions that are made once for each size: the same as in `prediction`, in fewer calls.

What phases gather by slices, each a call or two of numpy, is most of the time where an image has only some thousand values.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from aecodec.phase_inputs import Inputs, finish_inputs
from aecodec.phases import (
    BATCH,
    COLUMNS,
    FRAMES,
    ORDER_SOURCES,
    ROWS,
    Phase,
    PhaseLayout,
    Shape5,
    schedule,
    split,
)

_MOST = 1 << 15  # positions of a plane
_KEPT = 16  # sizes


@dataclass(frozen=True)
class _Positions:
    """Of one phase, in a flat plane: the known before and after each value that lies between, and that itself, (lines, values)."""

    before: np.ndarray
    after: np.ndarray
    between: np.ndarray
    last: bool


def suits(shape: Shape5, layout: PhaseLayout) -> bool:
    """True if an array of this shape is a small image whose channels are coded one after the other."""
    small = shape[BATCH] == shape[FRAMES] == 1 and shape[ROWS] * shape[COLUMNS] <= _MOST
    return small and not (layout.channel_reach or layout.offsets or layout.spacing) and set(layout.sources) <= set(ORDER_SOURCES)


class PlanePhases:
    """The walk over `values`, int32 (1, 1, channels, rows, columns), contiguous, of which only the base grid is known at first."""

    def __init__(self, values: np.ndarray, layout: PhaseLayout) -> None:
        _, _, channels, rows, columns = values.shape
        self._values, self._layout = values.reshape(channels, -1), layout
        self._sizes = np.zeros_like(self._values)
        self._phases = list(schedule(values.shape, layout))
        per_channel = len(self._phases) // channels
        self._positions = _all_positions(rows, columns) * channels
        self._distances: list[np.ndarray | None] = [None] * len(self._phases)
        self._middle = self._values[:0]
        self._back = [int(source[-1]) * per_channel for source in layout.sources]

    def __iter__(self) -> Iterator[tuple[int, Phase, Inputs]]:
        """(number, phase, inputs) of each, once `put` was told of those before."""
        for number, phase in enumerate(self._phases):
            yield number, phase, self._inputs(number)

    def put(self, number: int, found: np.ndarray, sizes: np.ndarray) -> None:
        """The values of a phase and the magnitudes of what was coded of them, (lines, values)."""
        at, channel = self._positions[number], self._channel(number)
        self._values[channel].put(at.between, found)
        if not at.last:  # the last phase's are nobody's neighbours
            self._sizes[channel].put(at.between, sizes)
        self._distances[number] = found - self._middle

    def _inputs(self, number: int) -> Inputs:
        at, plane, sizes = self._positions[number], self._values[self._channel(number)], self._sizes[self._channel(number)]
        before, after = plane.take(at.before), plane.take(at.after)
        middle = before + after
        middle >>= 1
        planes = np.empty((1, self._layout.inputs, *middle.shape), np.int32)
        np.subtract(before, after, out=planes[0, 0])
        np.subtract(middle[:-1], middle[1:], out=planes[0, 1, :-1])
        planes[0, 1, -1:] = 0
        for view, back in zip(planes[0, 2:-1], self._back, strict=True):
            view[...] = self._distances[number - back] if number >= back else 0
        nearby = sizes.take(at.before)
        nearby += sizes.take(at.after)
        nearby >>= 1
        planes[0, -1] = nearby
        self._middle = middle
        return finish_inputs(planes.astype(np.float32), lambda: planes, middle[None], self._layout)

    def _channel(self, number: int) -> int:
        channel = self._phases[number].channels
        assert isinstance(channel, int)
        return channel


@lru_cache(maxsize=_KEPT)
def _all_positions(rows: int, columns: int) -> list[_Positions]:
    """Of every phase of one plane."""
    plane = np.arange(rows * columns).reshape(1, 1, 1, rows, columns)
    layout = PhaseLayout(1, 0, 1, (), offsets=False)
    found = []
    for phase in schedule(plane.shape, layout):
        known, between = (part[0, 0, 0] for part in split(plane, phase))
        count = between.shape[-1]
        pairs = min(count, known.shape[-1] - 1)
        after = known[:, :count].copy()
        after[:, :pairs] = known[:, 1 : pairs + 1]
        last = phase.stride == 1 and phase.along == COLUMNS
        found.append(_Positions(known[:, :count].copy(), after, between.copy(), last))
    return found
