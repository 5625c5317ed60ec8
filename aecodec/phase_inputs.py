"""What the predictor is given for a phase: whole numbers that tell a value's surroundings, gathered from all its neighbours."""

from dataclasses import dataclass

import numpy as np

from aecodec.phases import CHANNELS, FRAMES, INPUT_LIMIT, ORDER_SOURCES, TIME_SOURCES, Phase, PhaseLayout, split

_MEAN_ROOM = 16  # inputs up to this many times their mean magnitude pass unclipped


def midpoints(known: np.ndarray, count: int) -> np.ndarray:
    """Floor of the mean of each known value and the one after it; the last repeated. int32, contiguous."""
    middle = np.empty((*known.shape[:-1], count), np.int32)
    pairs = min(count, known.shape[-1] - 1)
    np.add(known[..., :pairs], known[..., 1 : pairs + 1], out=middle[..., :pairs])
    np.add(known[..., pairs:count], known[..., pairs:count], out=middle[..., pairs:])
    middle >>= 1
    return middle


@dataclass(frozen=True)
class Inputs:
    """What the predictor is given for a phase, N planes (batch x frames x channels) of (lines, values).

    `planes` float32 (N, P, lines, values): whole numbers of magnitude up to INPUT_LIMIT, in units of 2**`shift` fine units,
    int32 (N, 1, 1); `magnitudes` (N, 1, lines, values) likewise, of residuals near by; `middle` int32 (N, lines, values) in fine
    units is what the mean is added to.
    """

    planes: np.ndarray
    magnitudes: np.ndarray
    middle: np.ndarray
    shift: np.ndarray


def gather_inputs(values: np.ndarray, residual: np.ndarray, phase: Phase, layout: PhaseLayout) -> Inputs:
    """Inputs of a phase from int32 `values` and magnitudes of their residuals, both (batch, frames, channels, rows, columns).

    Planes: the difference of the two known neighbours; that of the midpoint to the next line's; for each source the distance
    of its value from its midpoint, and, with offsets, of the midpoint here from that. Absent sources are zero.
    """
    known, between = split(values, phase)
    shape = between.shape
    size = (shape[0] * shape[1] * shape[2], *shape[3:])
    planes = np.zeros((size[0], layout.inputs, *size[1:]), np.int32)
    middle = midpoints(known, shape[-1])

    def place(index: int) -> np.ndarray:
        return planes[:, index].reshape(shape)

    pairs = min(shape[-1], known.shape[-1] - 1)
    np.subtract(known[..., :pairs], known[..., 1 : pairs + 1], out=place(0)[..., :pairs])
    np.subtract(middle[..., :-1, :], middle[..., 1:, :], out=place(1)[..., :-1, :])
    for i, source in enumerate(layout.sources):
        found = _neighbour(values, phase, source, shape)
        if found is not None:
            first = 2 + (1 + layout.offsets) * i
            their_known, their_between = found
            their_middle = midpoints(their_known, shape[-1])
            np.subtract(their_between, their_middle, out=place(first))
            if layout.offsets:
                np.subtract(middle, their_middle, out=place(first + 1))
    shift = _shift(planes)
    magnitudes = midpoints(split(residual, phase)[0], shape[-1]).reshape(size)[:, None]
    return Inputs(_limited(planes, shift), _limited(magnitudes, shift), middle.reshape(size), shift)


def _neighbour(array: np.ndarray, phase: Phase, source: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """`split` of a source; None if this phase does not have it. Where there is none after, the one before stands in."""
    if source in ORDER_SOURCES:
        back = int(source[-1])
        return split(array, phase, channels=-back) if isinstance(phase.channels, int) and phase.channels >= back else None
    axis, run = (FRAMES, phase.frames) if source in TIME_SOURCES else (CHANNELS, phase.channels)
    if isinstance(run, int) or not run.distance:
        return None
    away = (run.distance, 0) if axis == FRAMES else (0, run.distance)
    count = shape[axis]
    before = split(array, phase, -away[0], -away[1])
    known, between = (part[(slice(None),) * axis + (slice(count),)] for part in before)
    if source in ("before", "below"):
        return known, between
    later = split(array, phase, *away)
    if later[0].shape[axis] >= count:
        return later
    last = (slice(None),) * axis + (slice(-1, None),)
    return np.concatenate([later[0], known[last]], axis=axis), np.concatenate([later[1], between[last]], axis=axis)


def _shift(planes: np.ndarray) -> np.ndarray:
    """Bits to drop from each N so that its usual inputs stay within the limit, from every fourth line and value."""
    sample = np.abs(planes[:, :, ::4, ::4])
    count = sample.shape[2] * sample.shape[3]
    means = sample.sum(axis=(2, 3), dtype=np.int64).max(axis=1, initial=0) * _MEAN_ROOM // max(1, count)
    _, bits = np.frexp(means.astype(np.float64))
    return np.asarray(np.maximum(bits - INPUT_LIMIT.bit_length(), 0).astype(np.int32)).reshape(-1, 1, 1)


def _limited(values: np.ndarray, shift: np.ndarray) -> np.ndarray:
    if shift.any():
        values >>= shift[:, None]
    np.clip(values, -INPUT_LIMIT, INPUT_LIMIT, out=values)
    return values.astype(np.float32)
