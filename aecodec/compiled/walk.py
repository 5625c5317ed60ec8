"""The walk through the phases for the compiled path: grids that grow with each phase, and where planes and sources are in them.

All planes' known values are kept as dense grids, one for each state of a plane between two phases: what a phase reads and
writes is then contiguous, at any stride.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    steps = _steps(shape)
    places: dict[tuple[Run, Run | int], np.ndarray] = {}
    for phase in schedule(shape, layout):
        s, width, across = phase.stride, shape[COLUMNS], phase.along == ROWS
        first, next_line = (s * width, 2 * s * width) if across else (s, s * width)
        planes = (phase.frames, phase.channels)
        if planes not in places:  # the same for all phases of a plane
            places = {planes: _places(shape, layout, phase)}
        step = steps[s, phase.along]
        geometry = (*step.between, *step.known, across, len(layout.sources), layout.offsets, *numbers)
        extent = (shape[ROWS] * width, first, next_line, 2 * s)
        yield _Planned(s, phase.along, phase.kind, places[planes], np.array((*geometry, *extent, *step.pitches), np.int64))


@dataclass(frozen=True)
class _Grid:
    """Of one plane: lines, values of each, and from a line that is known to the next; those between come with the next phases."""

    lines: int
    width: int
    apart: int


@dataclass(frozen=True)
class _Step:
    """Of a phase of one plane: (lines, values) of what is known before and of the values between, and where it is and they go."""

    known: tuple[int, int]
    between: tuple[int, int]
    before: _Grid
    after: _Grid

    @property
    def pitches(self) -> tuple[int, ...]:
        """From a line to the next and from a plane to the next, before and after (inputs.h)."""
        return tuple(size for g in (self.before, self.after) for size in (g.apart * g.width, g.lines * g.width))


def _steps(shape: Shape5) -> dict[tuple[int, int], _Step]:
    """The phases of a plane by (stride, along)."""
    sizes, found = list(_sizes(shape).items()), {}
    before = _opened(sizes, 0, *sizes[0][1][0]) if sizes else None
    for number, (key, (known, between)) in enumerate(sizes):
        assert before is not None
        if key[1] == ROWS:
            after = replace(before, apart=before.apart // 2)
        else:
            after = _opened(sizes, number + 1, known[0], known[1] + between[1])
        found[key] = _Step(known, between, before, after)
        before = after
    return found


_Sizes = tuple[tuple[int, int], tuple[int, int]]


def _opened(sizes: list[tuple[tuple[int, int], _Sizes]], number: int, lines: int, width: int) -> _Grid:
    """A grid for lines known before phase `number` and those that this and the next ones put between, as long as they do."""
    apart = 1
    for (_, along), (_, between) in sizes[number:]:
        if along != ROWS:
            break
        lines, apart = lines + between[0], 2 * apart
    return _Grid(lines, width, apart)


def _sizes(shape: Shape5) -> dict[tuple[int, int], _Sizes]:
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
    steps = _steps(shape)
    if not steps:
        return {}
    planes, last = shape[FRAMES] * shape[CHANNELS], list(steps)[-1]

    def empty(grid: _Grid) -> np.ndarray:
        return room.empty((planes, grid.lines, grid.width), np.int32)

    def grid_of(grid: _Grid) -> np.ndarray:
        whole = (grid.lines, grid.width) == shape[ROWS:]
        return values.reshape(planes, grid.lines, grid.width) if whole else empty(grid)

    first = next(iter(steps.values())).before
    known, sizes = grid_of(first), empty(first)
    base = values[base_grid(shape)]
    known[:, :: first.apart] = base.reshape(planes, *base.shape[-2:])
    sizes[:, :: first.apart] = 0
    found: dict[tuple[int, int], Arguments] = {}
    for key, step in steps.items():
        new, new_sizes = (known, sizes) if key[1] == ROWS else (grid_of(step.after), empty(step.after))
        found[key] = (known, sizes, room.empty((planes, *step.between), np.int32), new, _NOTHING if key == last else new_sizes)
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
