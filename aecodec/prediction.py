"""The predicted path: an array coded phase by phase, each value predicted from what is already known on both sides.

Values are whole numbers of fine units; a value is its prediction plus a residual times the lattice's spacing, so what is
reconstructed, by encoder and decoder alike, is the same integers.
"""

from collections.abc import Callable

import numpy as np

from aecodec import plane_phases
from aecodec.packing.scale import INDICES, scale_index
from aecodec.phase_inputs import Inputs, gather_inputs
from aecodec.phases import LARGEST_MAGNITUDE, MAGNITUDE_UNIT, ODDS, ROWS, Phase, PhaseLayout, Shape5, blocks, schedule, targets

VALUE_LIMIT = 1 << 28  # largest magnitude, so that differences and sums of two stay within int32
_SIZE_LIMIT = 1 << 20
_SCALE_INDEX = scale_index(np.maximum(np.arange(LARGEST_MAGNITUDE + 1), 0.5) / MAGNITUDE_UNIT)

# float32 (N, outputs, lines, values): mean, expected magnitude in 64ths, and, where the layout has zeros, the index of their odds
Predict = Callable[[Inputs, Phase], np.ndarray]
# (phase, means, scale indices, which values are known to be 0, if any may be) -> residuals, all of one shape; theirs do not matter
Code = Callable[[Phase, np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]
Zeros = Callable[[Phase, np.ndarray], np.ndarray]  # (phase, indices of odds, uint8) -> which values are 0, bool of this shape


def to_frames(array: np.ndarray) -> np.ndarray:
    """View of a canonical array (steps, channels, rows, columns) as (batch, frames, channels, rows, columns), batch 1.

    Steps of series, which have no rows and columns, become columns.
    """
    if array.shape[2] == array.shape[3] == 1:
        array = array.transpose(2, 1, 3, 0)
    return array[None]


def frames_shape(shape: tuple[int, ...]) -> Shape5:
    """The shape of `to_frames`."""
    n, c, h, w = shape
    return (1, 1, c, 1, n) if h == w == 1 else (1, n, c, h, w)


def from_frames(frames: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of `to_frames`: a view of canonical `shape`."""
    return frames[0].transpose(3, 1, 0, 2) if shape[2] == shape[3] == 1 else frames[0]


def zero_frames(base: np.ndarray, units: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The fine units at which the final value is 0, int32 that broadcasts to the frames of an array of canonical `shape`.

    `base`: float64, broadcasts to that shape, not along its steps; `units`: fine units of each channel.
    """
    with np.errstate(over="ignore"):
        place = np.rint(np.clip(base / -units.reshape(1, -1, 1, 1), -VALUE_LIMIT, VALUE_LIMIT)).astype(np.int32)
    return to_frames(np.broadcast_to(place, (1, *shape[1:])))


def run_phases(
    values: np.ndarray,
    layout: PhaseLayout,
    spacing: int,
    predict: Predict,
    code: Code,
    zero: np.ndarray | None = None,
    zeros: Zeros | None = None,
) -> None:
    """Fill `values`, int32 (batch, frames, channels, rows, columns), of which only the base grid is known, phase by phase.

    `code` gives the residuals of a phase, int32 (batch, frames, channels, lines, values), when it is told their means and
    scale indices. `zero`: of `zero_frames`, and `zeros`, which tells what is 0: needed where the layout asks for them.
    """
    if plane_phases.suits(values.shape, layout) and values.flags.c_contiguous:
        _run_plane(plane_phases.PlanePhases(values, layout), spacing, predict, code)
        return
    sizes = np.zeros_like(values)
    shape: Shape5 = values.shape
    least = layout.least_shift(spacing)
    for phase in schedule(shape, layout):
        for block in blocks(shape, phase):
            target = targets(values, block)
            inputs = gather_inputs(values, sizes, block, layout, zero, least)
            found = predict(inputs, block)
            mean, index = (part.reshape(target.shape) for part in _expected(inputs, found, least))
            known = zeros(block, _odds(found).reshape(target.shape)) if layout.zeros and zeros is not None else None
            step = _step(code(block, mean, index, known), spacing)
            if known is not None and zero is not None:
                # Into an array of its own: the residuals belong to `code`, and those that are their own steps are no copies.
                step = np.where(known, targets(np.broadcast_to(zero, shape), block) - mean, step)
            np.add(mean, step, out=target)
            if block.stride > 1 or block.along == ROWS:  # the last phase's are nobody's neighbours
                targets(sizes, block)[...] = np.minimum(np.abs(step), _SIZE_LIMIT)


def _run_plane(walk: plane_phases.PlanePhases, spacing: int, predict: Predict, code: Code) -> None:
    """The same for a small image."""
    for number, phase, inputs in walk:
        mean, index = _expected(inputs, predict(inputs, phase))
        shape = (1, 1, *mean.shape)
        step = _step(code(phase, mean.reshape(shape), index.reshape(shape), None), spacing).reshape(mean.shape[1:])
        walk.put(number, mean[0] + step, np.minimum(np.abs(step), _SIZE_LIMIT))


def _expected(inputs: Inputs, found: np.ndarray, least_shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Means, int32, and scale indices, uint8, both (N, lines, values), of what the predictor found."""
    mean = found[:, 0].astype(np.int32)
    index = _SCALE_INDEX.take(found[:, 1].astype(np.intp), mode="clip")
    if inputs.shift.any():
        mean = _shifted(mean, inputs.shift)
        index = np.minimum(index + 2 * (inputs.shift - least_shift), INDICES - 1).astype(np.uint8)
    mean += inputs.middle
    return mean, index


def _odds(found: np.ndarray) -> np.ndarray:
    """Indices of the odds of zeros, uint8 (N, lines, values), of what the predictor found."""
    return np.clip(found[:, 2], 0, ODDS - 1).astype(np.uint8)


def _step(residual: np.ndarray, spacing: int) -> np.ndarray:
    """Residuals in fine units, int32."""
    return residual * np.int32(spacing) if spacing != 1 else residual.astype(np.int32, copy=False)


def _shifted(mean: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Means in fine units: shifted left, or, by negative bits, right and rounded."""
    if shift.min(initial=0) >= 0:
        return mean << shift
    down = np.maximum(-shift, 0)
    return np.asarray((mean << np.maximum(shift, 0)) + ((1 << down) >> 1) >> down, np.int32)
