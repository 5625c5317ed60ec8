"""The coding order of the predicted path, coarse to fine, and where the neighbours of a value are.

Frames come by a dyadic pyramid: every `reach`-th first, then those halfway between, and so on; within them the channels one
by one or by a pyramid of their own, and in each channel the plane by halving strides, rows then columns, so that every value
lies between two that are known. Source of the order: multilevel interpolation as in SZ3 (Zhao et al., "Optimizing
error-bounded lossy compression for scientific data by dynamic spline interpolation", 2021), here with frames and channels as
further neighbours.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

BATCH, FRAMES, CHANNELS, ROWS, COLUMNS = range(5)
MAX_LEVELS = 6  # strides 1 to 32
PHASES_PER_PLANE = 2 * MAX_LEVELS
MAX_REACH = 32
MAX_CLASSES = 64
MAX_SPACING = 1 << 20
INPUT_LIMIT = 4095  # largest magnitude of a predictor's input
MAGNITUDE_UNIT = 64  # units of the magnitude that a predictor expects to an input's
LARGEST_MAGNITUDE = (1 << 14) - 1  # of these that it may say
ODDS = 32  # indices of the odds that a value is 0; from the middle on it rather is
_BLOCK_VALUES = 1 << 18

Shape5 = tuple[int, int, int, int, int]  # batch, frames, channels, rows, columns
TIME_SOURCES = ("before", "after")
PYRAMID_SOURCES = ("below", "above")
ORDER_SOURCES = ("channel-1", "channel-2", "channel-3")
ZERO = "zero"
SOURCES = (*TIME_SOURCES, *PYRAMID_SOURCES, *ORDER_SOURCES, ZERO)


@dataclass(frozen=True)
class PhaseLayout:
    """How an array is walked, and what the predictor is given.

    `reach`: distance of key frames. `channel_reach`: that of key channels, or 0 if channels come one by one; then `classes` of
    them have weights of their own and later ones share the last. `sources`: neighbours besides the plane's own, ZERO being the
    place of the value 0; with `offsets` the predictor also sees how far their values are from those here. `spacing`: fine units
    to a lattice step that the predictor is made for, to which others are brought by a power of two; 0: it is only used at its own.
    `zeros`: whether a value is 0 is told first, by the odds that the predictor gives, and nothing else is coded of one that is.
    """

    reach: int
    channel_reach: int
    classes: int
    sources: tuple[str, ...]
    offsets: bool
    spacing: int = 0
    zeros: bool = False

    def is_sound(self) -> bool:
        """True if a file may ask for this."""
        return (
            1 <= self.reach <= MAX_REACH
            and self.reach.bit_count() == 1
            and 0 <= self.channel_reach <= MAX_REACH
            and self.channel_reach.bit_count() <= 1
            and 1 <= self.classes <= MAX_CLASSES
            and len(set(self.sources)) == len(self.sources)
            and set(self.sources) <= set(SOURCES)
            and 0 <= self.spacing <= MAX_SPACING
            and self.spacing.bit_count() <= 1
            and (not self.zeros or ZERO in self.sources)
        )

    def least_shift(self, spacing: int) -> int:
        """Bits that inputs are shifted right by, at least, on a lattice of `spacing` fine units a step; left if negative."""
        if not self.spacing:
            return 0
        # log2(spacing / self.spacing), rounded, in whole numbers
        return ((2 * spacing * spacing).bit_length() - 1 - 2 * (self.spacing.bit_length() - 1)) >> 1

    @property
    def channel_kinds(self) -> int:
        """Sets of weights that channels are told apart by."""
        return self.channel_reach.bit_length() or self.classes

    @property
    def kinds(self) -> int:
        """Sets of weights."""
        return self.reach.bit_length() * self.channel_kinds * PHASES_PER_PLANE

    @property
    def inputs(self) -> int:
        """P: planes of input."""
        return 3 + (1 + self.offsets) * len(self.sources)

    @property
    def outputs(self) -> int:
        """Planes of a prediction: mean, magnitude, and, with `zeros`, the index of the odds."""
        return 2 + self.zeros


@dataclass(frozen=True)
class Run:
    """Indices from `start` by `spacing`, below `stop` if given; those `distance` away on both sides are known, none if it is 0."""

    start: int
    spacing: int
    distance: int
    stop: int | None = None

    def shifted(self, by: int) -> slice:
        """The slice of the indices that lie `by` away."""
        return slice(self.start + by, None if self.stop is None else self.stop + by, self.spacing)

    def pieces(self, size: int, length: int) -> Iterator["Run"]:
        """Consecutive parts of at most `length` of the indices below `size`."""
        for start in range(self.start, size, self.spacing * length):
            yield replace(self, start=start, stop=min(size, start + self.spacing * length))


@dataclass(frozen=True)
class Phase:
    """Values that are predicted together: in some frames and channels, those between known ones.

    `along` is ROWS or COLUMNS: every second of a plane's values `stride` apart along it is known. `channels` is a run, or one
    channel's number. `kind` numbers the predictor's weights.
    """

    frames: Run
    channels: Run | int
    stride: int
    along: int
    kind: int


def pyramid(reach: int, size: int) -> Iterator[Run]:
    """Key indices below `size`, then those halfway between, and so on; runs that would be empty still count."""
    yield Run(0, reach, 0)
    for depth in range(1, reach.bit_length()):
        yield Run(reach >> depth, reach >> (depth - 1), reach >> depth)


def levels(rows: int, columns: int) -> int:
    """Halvings of the stride that a plane has room for."""
    return min(MAX_LEVELS, max(rows, columns).bit_length() - 1)


def base_grid(shape: Shape5) -> tuple[slice, ...]:
    """The values known before the first phase."""
    stride = 1 << levels(shape[ROWS], shape[COLUMNS])
    return (slice(None),) * 3 + (slice(None, None, stride),) * 2


def schedule(shape: Shape5, layout: PhaseLayout) -> Iterator[Phase]:
    """The phases in coding order."""
    for depth, frames in enumerate(pyramid(layout.reach, shape[FRAMES])):
        if frames.start >= shape[FRAMES]:
            continue
        for part, channels in _channel_groups(shape[CHANNELS], layout):
            first = (depth * layout.channel_kinds + part) * PHASES_PER_PLANE
            for level in range(levels(shape[ROWS], shape[COLUMNS]) - 1, -1, -1):
                for along in (ROWS, COLUMNS):
                    if shape[along] > 1 << level:
                        yield Phase(frames, channels, 1 << level, along, first + 2 * level + (along == COLUMNS))


def blocks(shape: Shape5, phase: Phase) -> Iterator[Phase]:
    """A phase as parts, in coding order, small enough for memory, large enough for threads not to wait for each other."""
    along, across = (COLUMNS, ROWS) if phase.along == COLUMNS else (ROWS, COLUMNS)
    crossing = phase.stride * (1 if phase.along == COLUMNS else 2)
    size = max(1, shape[BATCH] * (shape[along] // (2 * phase.stride)) * -(-shape[across] // crossing))
    frames = len(range(phase.frames.start, shape[FRAMES], phase.frames.spacing))
    channels = phase.channels
    count = 1 if isinstance(channels, int) else len(range(channels.start, shape[CHANNELS], channels.spacing))
    for run in phase.frames.pieces(shape[FRAMES], max(1, _BLOCK_VALUES // (size * count))):
        if isinstance(channels, int) or frames * count * size <= _BLOCK_VALUES or size * count <= _BLOCK_VALUES:
            yield replace(phase, frames=run)
        else:
            for part in channels.pieces(shape[CHANNELS], max(1, _BLOCK_VALUES // size)):
                yield replace(phase, frames=run, channels=part)


def _channel_groups(channels: int, layout: PhaseLayout) -> Iterator[tuple[int, Run | int]]:
    """(which weights, channels) in coding order."""
    if not layout.channel_reach:
        for channel in range(channels):
            yield min(channel, layout.classes - 1), channel
        return
    for depth, run in enumerate(pyramid(layout.channel_reach, channels)):
        if run.start < channels:
            yield depth, run


def split(array: np.ndarray, phase: Phase, frames: int = 0, channels: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Views (batch, frames, channels, lines, values) of what is known and of what lies between, along the last axis.

    `frames` and `channels` say how far away a neighbour's are; those beyond the end are left out.
    """
    chosen = phase.channels
    of_channels = slice(chosen + channels, chosen + channels + 1) if isinstance(chosen, int) else chosen.shifted(channels)
    s = phase.stride
    if phase.along == COLUMNS:
        plane = array[:, phase.frames.shifted(frames), of_channels, ::s, ::s]
    else:
        plane = array[:, phase.frames.shifted(frames), of_channels, ::s, :: 2 * s].swapaxes(-1, -2)
    return plane[..., 0::2], plane[..., 1::2]


def targets(array: np.ndarray, phase: Phase) -> np.ndarray:
    """View of the values of this phase, (batch, frames, channels, lines, values)."""
    return split(array, phase)[1]
