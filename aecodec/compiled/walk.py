"""The walk through the phases for the compiled path: grids that grow with each phase, and where planes and sources are in them.

All planes' known values are kept as dense grids, one for each state of a plane between two phases: what a phase reads and
writes is then contiguous, at any stride.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np

from aecodec.compiled.room import Room
from aecodec.models.linear_predictor import LinearPredictor
from aecodec.phases import (
    CHANNELS,
    COLUMNS,
    FRAMES,
    ORDER_SOURCES,
    PYRAMID_SOURCES,
    ROWS,
    TIME_SOURCES,
    ZERO,
    Phase,
    PhaseLayout,
    Run,
    Shape5,
    base_grid,
    levels,
    schedule,
)

_CACHED_PLANES = 1 << 14  # of more, the plan is large and takes little beside the work
_LARGEST_PLANE = 1 << 30  # as in phase.h
_AT_ONCE = 256  # phases of one call
_NOTHING = np.zeros(0, np.int32)

# Of a phase as compiled functions take it: grids, planes and sources, geometry, weights, where nothing is coded (phase.h).
Arguments = tuple[np.ndarray, ...]


def serves(shape: Shape5, layout: PhaseLayout) -> bool:
    """True if the compiled functions have all that the layout asks for."""
    return shape[0] == 1 and shape[ROWS] * shape[COLUMNS] <= _LARGEST_PLANE and ZERO not in layout.sources and not layout.spacing


def walk(
    values: np.ndarray, layout: PhaseLayout, predictor: LinearPredictor, spacing: int, free: np.ndarray, room: Room
) -> Iterator[list[Arguments]]:
    """The phases in coding order, some at a time, of `values`, int32 (1, frames, channels, rows, columns), contiguous, which the
    last ones fill; of which the base grid is known. The other grids are in `room`. `free`: bool, of each value, or empty.
    """
    shape: Shape5 = values.shape
    numbers = (spacing, predictor.mean_bits, predictor.scale_bits)
    planes = shape[FRAMES] * shape[CHANNELS]
    plan = iter(_planned(shape, layout, numbers) if planes <= _CACHED_PLANES else _plan(shape, layout, numbers))
    grids, weights = _grids(values, room), predictor.oriented
    while part := [
        (*grids[each.stride, each.along], each.places, each.geometry, *weights[each.kind][each.along == ROWS], free)
        for each in islice(plan, _AT_ONCE)
    ]:
        yield part


@dataclass(frozen=True)
class _Planned:
    """A phase of arrays of one shape: which of its planes' grids and of the weights it has, its planes and their sources, and its
    geometry (inputs.h)."""

    stride: int
    along: int
    kind: int
    places: np.ndarray
    geometry: np.ndarray


@lru_cache(maxsize=4)
def _planned(shape: Shape5, layout: PhaseLayout, numbers: tuple[int, int, int]) -> tuple[_Planned, ...]:
    return tuple(_plan(shape, layout, numbers))


def _plan(shape: Shape5, layout: PhaseLayout, numbers: tuple[int, int, int]) -> Iterator[_Planned]:
    """`numbers`: spacing, and the bits of weights for mean and scale."""
    sizes = _sizes(shape)
    places: dict[tuple[Run, Run | int], np.ndarray] = {}
    for phase in schedule(shape, layout):
        s, width, across = phase.stride, shape[COLUMNS], phase.along == ROWS
        first, next_line = (s * width, 2 * s * width) if across else (s, s * width)
        planes = (phase.frames, phase.channels)
        if planes not in places:  # the same for all phases of a plane
            places = {planes: _places(shape, layout, phase)}
        known, between = sizes[s, phase.along]
        geometry = (*between, *known, across, len(layout.sources), layout.offsets, *numbers)
        extent = (shape[ROWS] * width, first, next_line, 2 * s)
        yield _Planned(s, phase.along, phase.kind, places[planes], np.array((*geometry, *extent), np.int64))


def _sizes(shape: Shape5) -> dict[tuple[int, int], tuple[tuple[int, int], tuple[int, int]]]:
    """(lines, values) of the grid that is known before each phase of a plane, and of the values between, by (stride, along)."""
    size = {ROWS: shape[ROWS], COLUMNS: shape[COLUMNS]}
    strides = [1 << k for k in range(levels(shape[ROWS], shape[COLUMNS]) - 1, -1, -1)]
    rows, columns = (-(-size[along] // (2 * strides[0])) if strides else size[along] for along in (ROWS, COLUMNS))
    found = {}
    for stride in strides:
        if size[ROWS] > stride:
            between = len(range(stride, size[ROWS], 2 * stride))
            found[stride, ROWS] = (rows, columns), (between, columns)
            rows += between
        if size[COLUMNS] > stride:
            between = len(range(stride, size[COLUMNS], 2 * stride))
            found[stride, COLUMNS] = (rows, columns), (rows, between)
            columns += between
    return found


def _grids(values: np.ndarray, room: Room) -> dict[tuple[int, int], Arguments]:
    """Grids of each phase of a plane by (stride, along): values and magnitudes of residuals before, distances of its own values
    from their midpoints, and values, at last `values` themselves, and magnitudes after; int32 (frames * channels, lines, values).
    """
    shape: Shape5 = values.shape
    planes, walk = shape[FRAMES] * shape[CHANNELS], _sizes(shape)
    base = np.ascontiguousarray(values[base_grid(shape)])
    known = base.reshape(planes, *base.shape[-2:])
    sizes = np.zeros_like(known)
    found: dict[tuple[int, int], Arguments] = {}
    for number, ((stride, along), (_, between)) in enumerate(walk.items(), 1):
        after, last = list(known.shape), number == len(walk)
        after[1 if along == ROWS else 2] += between[0 if along == ROWS else 1]
        new = values.reshape(after) if last else room.empty(tuple(after), np.int32)
        new_sizes = _NOTHING if last else room.empty(tuple(after), np.int32)
        found[stride, along] = (known, sizes, room.empty((planes, *between), np.int32), new, new_sizes)
        known, sizes = new, new_sizes
    return found


def _places(shape: Shape5, layout: PhaseLayout, phase: Phase) -> np.ndarray:
    """Numbers of a phase's planes and of their sources, int64 (planes, 1 + sources); -1 for those that do not exist."""
    channels, frames = shape[CHANNELS], shape[FRAMES]
    alone = isinstance(phase.channels, int)
    chosen = Run(phase.channels, channels, 0, phase.channels + 1) if isinstance(phase.channels, int) else phase.channels
    f = np.arange(frames)[phase.frames.shifted(0)][:, None]
    c = np.arange(channels)[chosen.shifted(0)][None, :]
    found = [f * channels + c]
    for source in layout.sources:
        frame, channel, there = f, c, True
        if source in TIME_SOURCES:
            frame, there = _neighbour(f, phase.frames, frames, source == "after"), phase.frames.distance > 0
        elif source in PYRAMID_SOURCES:
            channel, there = _neighbour(c, chosen, channels, source == "above"), not alone and chosen.distance > 0
        elif source in ORDER_SOURCES:
            channel = c - int(source[-1])
            there = alone and bool((channel >= 0).all())
        found.append(frame * channels + channel if there else np.full((1, 1), -1))
    return np.stack([np.broadcast_to(one, (f.size, c.size)).reshape(-1) for one in found], axis=1).astype(np.int64)


def _neighbour(numbers: np.ndarray, run: Run, size: int, later: bool) -> np.ndarray:
    """Those `run.distance` before, or after; where there is none after, the one before stands in."""
    after = numbers + run.distance
    return np.where(after < size, after, numbers - run.distance) if later else numbers - run.distance
