"""The walk through the phases for the compiled path: grids that grow with each phase, and where planes and sources are in them.

All planes' known values are kept as dense grids, one for each state of a plane between two phases: what a phase reads and
writes is then contiguous, at any stride.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

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
_NOTHING = np.zeros(0, np.int32)


@dataclass(frozen=True)
class Grids:
    """What a phase starts from, and what it fills: values and magnitudes of residuals before and after, and distances of its own
    values from their midpoints; int32 (frames * channels, lines, values)."""

    values: np.ndarray
    sizes: np.ndarray
    details: np.ndarray
    new_values: np.ndarray
    new_sizes: np.ndarray


@dataclass(frozen=True)
class Step:
    """A phase as the compiled functions take it: grids, planes and sources, geometry (inputs.h), weights."""

    grids: Grids
    places: np.ndarray
    geometry: np.ndarray
    weights: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

    def arguments(self, free: np.ndarray) -> tuple[np.ndarray, ...]:
        """Those that coding and decoding share. `free`: bool, of each value of the array, or empty."""
        g = self.grids
        return (g.values, g.sizes, g.details, g.new_values, g.new_sizes, self.places, self.geometry, *self.weights, free)


def serves(shape: Shape5, layout: PhaseLayout) -> bool:
    """True if the compiled functions have all that the layout asks for."""
    return shape[0] == 1 and shape[ROWS] * shape[COLUMNS] <= _LARGEST_PLANE and ZERO not in layout.sources and not layout.spacing


def steps(values: np.ndarray, layout: PhaseLayout, predictor: LinearPredictor, spacing: int, room: Room) -> Iterator[Step]:
    """The phases in coding order of `values`, int32 (1, frames, channels, rows, columns), contiguous, which the last ones fill;
    of which the base grid is known. The other grids are in `room`."""
    shape: Shape5 = values.shape
    planes = shape[FRAMES] * shape[CHANNELS]
    plan = _planned(shape, layout) if planes <= _CACHED_PLANES else _plan(shape, layout)
    grids = _grids(values, room)
    weights = [[_weights(predictor, kind, across) for across in (False, True)] for kind in range(layout.kinds)]
    numbers = (spacing, predictor.mean_bits, predictor.scale_bits)
    for each in plan:
        geometry = np.array((*each.sizes, *numbers, *each.extent), np.int64)
        yield Step(grids[each.stride, each.along], each.places, geometry, weights[each.kind][each.along == ROWS])


@dataclass(frozen=True)
class _Planned:
    """A phase of arrays of one shape; `sizes` and `extent`: what stands in its geometry before and after spacing and bits."""

    stride: int
    along: int
    kind: int
    places: np.ndarray
    sizes: tuple[int, ...]
    extent: tuple[int, ...]


@lru_cache(maxsize=4)
def _planned(shape: Shape5, layout: PhaseLayout) -> tuple[_Planned, ...]:
    return tuple(_plan(shape, layout))


def _plan(shape: Shape5, layout: PhaseLayout) -> Iterator[_Planned]:
    sizes = _sizes(shape)
    places: dict[tuple[Run, Run | int], np.ndarray] = {}
    for phase in schedule(shape, layout):
        s, width, across = phase.stride, shape[COLUMNS], phase.along == ROWS
        first, next_line = (s * width, 2 * s * width) if across else (s, s * width)
        planes = (phase.frames, phase.channels)
        if planes not in places:  # the same for all phases of a plane
            places = {planes: _places(shape, layout, phase)}
        known, between = sizes[s, phase.along]
        yield _Planned(
            s,
            phase.along,
            phase.kind,
            places[planes],
            (*between, *known, across, len(layout.sources), layout.offsets),
            (shape[ROWS] * width, first, next_line, 2 * s),
        )


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


def _grids(values: np.ndarray, room: Room) -> dict[tuple[int, int], Grids]:
    """Grids of each phase of a plane by (stride, along); the last ones are `values` themselves."""
    shape: Shape5 = values.shape
    planes, walk = shape[FRAMES] * shape[CHANNELS], _sizes(shape)
    base = np.ascontiguousarray(values[base_grid(shape)])
    known = base.reshape(planes, *base.shape[-2:])
    sizes = np.zeros_like(known)
    found = {}
    for number, ((stride, along), (_, between)) in enumerate(walk.items(), 1):
        after, last = list(known.shape), number == len(walk)
        after[1 if along == ROWS else 2] += between[0 if along == ROWS else 1]
        new = values.reshape(after) if last else room.empty(tuple(after), np.int32)
        new_sizes = _NOTHING if last else room.empty(tuple(after), np.int32)
        found[stride, along] = Grids(known, sizes, room.empty((planes, *between), np.int32), new, new_sizes)
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


def _weights(predictor: LinearPredictor, kind: int, across: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    mean = predictor.mean[kind].swapaxes(1, 2) if across else predictor.mean[kind]
    return np.ascontiguousarray(mean), predictor.near[kind], predictor.around[kind], predictor.floor[kind : kind + 1]
