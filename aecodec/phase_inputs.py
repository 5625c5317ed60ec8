"""What the predictor is given for a phase: whole numbers that tell a value's surroundings, gathered from all its neighbours."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aecodec.phases import CHANNELS, FRAMES, INPUT_LIMIT, ORDER_SOURCES, TIME_SOURCES, ZERO, Phase, PhaseLayout, split

_MEAN_ROOM = 16  # inputs up to this many times their mean magnitude pass unclipped
_FLOAT_WHOLE = 1 << 24  # float32 holds whole numbers up to here
_FLOAT_SHIFT = 12  # up to this shift all whole numbers that float32 does not hold are beyond the limit anyway


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
    int32 (N, 1, 1), which may be negative; the last are magnitudes of residuals near by. `middle` int32 (N, lines, values) in
    fine units is what the mean is added to.
    """

    planes: np.ndarray
    middle: np.ndarray
    shift: np.ndarray


def gather_inputs(
    values: np.ndarray,
    residual: np.ndarray,
    phase: Phase,
    layout: PhaseLayout,
    zero: np.ndarray | None = None,
    least_shift: int = 0,
) -> Inputs:
    """Inputs of a phase from int32 `values` and magnitudes of their residuals, both (batch, frames, channels, rows, columns).

    `zero`: what `values` would be where the array is 0, int32 that broadcasts to them; None where the layout does not ask for it.
    `least_shift`: the layout's, for the lattice in question.

    Planes: the difference of the two known neighbours; that of the midpoint to the next line's; for each source the distance
    of its value from its midpoint, and, with offsets, of the midpoint here from that; magnitudes. Absent sources are zero.
    """
    known, between = split(values, phase)
    shape = between.shape
    size = (shape[0] * shape[1] * shape[2], *shape[3:])
    known = np.ascontiguousarray(known)
    middle = midpoints(known, shape[-1])
    nearby = midpoints(split(residual, phase)[0], shape[-1])

    def fill(dtype: type[np.generic]) -> np.ndarray:
        planes = np.empty((size[0], layout.inputs, *size[1:]), dtype)
        views = [planes[:, i].reshape(shape) for i in range(layout.inputs)]
        _differences(known, middle, views)
        _distances(values, phase, layout, middle, views[2:-1], zero)
        views[-1][...] = nearby
        return planes

    return finish_inputs(fill(np.float32), lambda: fill(np.int32), middle.reshape(size), layout, least_shift)


def finish_inputs(
    planes: np.ndarray, exact: Callable[[], np.ndarray], middle: np.ndarray, layout: PhaseLayout, least_shift: int = 0
) -> Inputs:
    """Inputs of planes in fine units, float32 and, where that cannot hold them, `exact`, int32: scaled by shifts and clipped."""
    scaling = _scaling(layout)
    shift = _shift(planes[:, scaling], least_shift)
    if shift.max(initial=least_shift) > _FLOAT_SHIFT:
        whole = exact()
        shift = _shift(whole[:, scaling], least_shift)
        whole >>= np.maximum(shift, 0)[:, None]
        planes[...] = whole
        planes *= np.ldexp(np.float32(1), -np.minimum(shift, 0))[:, None]
    elif shift.any():
        planes *= np.ldexp(np.float32(1), -shift)[:, None]
        np.floor(planes, out=planes)
    np.clip(planes, -INPUT_LIMIT, INPUT_LIMIT, out=planes)
    return Inputs(planes, middle, shift)


def _scaling(layout: PhaseLayout) -> slice | list[int]:
    """The planes that decide the shift: how far zero is says nothing of the values' spread."""
    each = 1 + layout.offsets
    if ZERO not in layout.sources:
        return slice(None, -1)
    first = 2 + each * layout.sources.index(ZERO)
    return [i for i in range(layout.inputs - 1) if not first <= i < first + each]


def _differences(known: np.ndarray, middle: np.ndarray, views: list[np.ndarray]) -> None:
    """Fill the first two planes: known neighbours' difference, and the midpoint's to the next line's."""
    count = middle.shape[-1]
    pairs = min(count, known.shape[-1] - 1)
    np.subtract(known[..., :pairs], known[..., 1 : pairs + 1], out=views[0][..., :pairs])
    views[0][..., pairs:] = 0
    np.subtract(middle[..., :-1, :], middle[..., 1:, :], out=views[1][..., :-1, :])
    views[1][..., -1:, :] = 0


def _distances(
    values: np.ndarray, phase: Phase, layout: PhaseLayout, middle: np.ndarray, views: list[np.ndarray], zero: np.ndarray | None
) -> None:
    """Fill the planes of the sources."""
    each = 1 + layout.offsets
    for i, source in enumerate(layout.sources):
        found = split(_given(zero, values), phase) if source == ZERO else _neighbour(values, phase, source, middle.shape)
        if found is None:
            for view in views[each * i : each * (i + 1)]:
                view[...] = 0
            continue
        their_known, their_between = found
        their_middle = midpoints(their_known, middle.shape[-1])
        np.subtract(their_between, their_middle, out=views[each * i])
        if layout.offsets:
            np.subtract(middle, their_middle, out=views[each * i + 1])


def _given(zero: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    if zero is None:
        raise ValueError("the layout asks for the place of zero, which was not given")
    return np.broadcast_to(zero, values.shape)


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


def _shift(planes: np.ndarray, least: int) -> np.ndarray:
    """Bits to drop from each N, `least` or more, so that usual inputs stay within the limit, by every fourth line and value."""
    sample = np.abs(planes[:, :, ::4, ::4])
    count = max(1, sample.shape[2] * sample.shape[3])
    if sample.dtype.kind == "f" and sample.max(initial=0) >= _FLOAT_WHOLE:
        return np.full((len(planes), 1, 1), _FLOAT_SHIFT + 1, np.int32)
    means = sample.sum(axis=(2, 3), dtype=np.float64).max(axis=1, initial=0.0) * _MEAN_ROOM // count
    _, bits = np.frexp(means)
    return np.asarray(np.maximum(bits - INPUT_LIMIT.bit_length(), least).astype(np.int32)).reshape(-1, 1, 1)
