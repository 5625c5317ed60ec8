"""Between values and residuals of Lorenzo or weighted prediction in one pass over pieces that stay in a core's cache.

Going in, floats are rounded to the lattice in their own precision, with steps so much narrower than twice the error that this and
the decoder's roundings cannot leave the bound: nothing has to be decoded and compared. Coming out, any chunk is restored.
"""

from dataclasses import dataclass

import numpy as np

from aecodec.compiled.residual import zigzagged_residual
from aecodec.compiled.room import Room
from aecodec.lattice import from_lattice, lattice_steps, put_values, single_below
from aecodec.lorenzo import Shape, as_planes, differences, lorenzo_restore, plane_blocks, restored_blocks
from aecodec.packing.stream import zigzag
from aecodec.weighted import residual_of_indices, share_of, weighted_residual, weighted_restore, weighted_values

_LARGEST_LOSS = 1 / 64  # of the error, given up for rounding in float32; beyond, float64 is worth its time
_SINGLE_EPSILON, _DOUBLE_EPSILON = 2.0**-23, 2.0**-52
_SINGLE_RANGE, _DOUBLE_RANGE = 2.0**100, 2.0**900  # beyond, steps or products might leave the normal numbers
_INTEGER_RANGE = 2**30


@dataclass(frozen=True)
class SafeLattice:
    """Lattice `steps` (channels,), the dtype in which values are rounded to it, one in which all Lorenzo residuals fit, and what
    no index and no difference of two exceeds."""

    steps: np.ndarray
    working: np.dtype
    residual: np.dtype
    span: float


def safe_lattice(errors: np.ndarray, low: np.ndarray, high: np.ndarray, dtype: np.dtype) -> SafeLattice | None:
    """The lattice for finite values between `low` and `high`; all (channels,), float64. None where a bound cannot be proven.

    Rounding x / d in a working precision of unit u errs by less than 2 u |x / d| + 1/2 lattice steps, and the decoder's product
    and cast by u peak + half a unit in the last place, which `lattice_steps` leaves room for.
    """
    peaks = np.maximum(np.abs(low), np.abs(high))
    working: np.dtype
    if dtype.kind in "iu":
        steps = lattice_steps(errors, peaks, dtype)
        if (peaks + steps >= _INTEGER_RANGE).any():
            return None
        small = dtype.itemsize == 1 and bool((peaks + steps < 2**15).all())
        working = np.dtype(np.int16) if small else np.dtype(np.int32)
    else:
        single = dtype.itemsize <= 4 and _single_serves(errors, peaks)
        working = np.dtype(np.float32) if single else np.dtype(np.float64)
        loss = _rounding_loss(_SINGLE_EPSILON if single else _DOUBLE_EPSILON, errors, peaks)
        normal = (errors > 1 / _DOUBLE_RANGE) & (errors < _DOUBLE_RANGE) & (peaks < _DOUBLE_RANGE)
        if not (normal & (loss < errors * (_LARGEST_LOSS * 2))).all():
            return None
        steps = lattice_steps(errors - loss, peaks, dtype)
        if dtype.itemsize <= 4:
            steps = single_below(steps)
        if not steps.all():
            return None
    peak, wide = float((peaks / steps).max()) + 4.0, float(((high - low) / steps).max()) + 2.0
    reach = max(peak, 2.0 * wide)
    if not reach < 2**30:
        return None
    return SafeLattice(steps, working, np.dtype(np.int16 if reach < 2**15 else np.int32), max(peak, wide))


def _rounding_loss(epsilon: float, errors: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """How far rounding on the way to the lattice and back can move a value, with room to spare."""
    return np.asarray(4.0 * epsilon * (peaks + errors))


def _single_serves(errors: np.ndarray, peaks: np.ndarray) -> bool:
    """True if rounding in float32 costs little of the error and nothing leaves its normal range."""
    loss = _rounding_loss(_SINGLE_EPSILON, errors, peaks)
    inside = (errors > 1 / _SINGLE_RANGE) & (errors < _SINGLE_RANGE) & (peaks < _SINGLE_RANGE)
    return bool((inside & (loss < errors * _LARGEST_LOSS)).all())


def predicted_residual(
    values: np.ndarray, lattice: SafeLattice, mask: int, zigzagged: bool = False, room: Room | None = None
) -> np.ndarray:
    """Residual of canonical `values` (finite, contiguous) on the lattice under the Lorenzo predictor `mask`, 1-D, in `room`.

    `mask` is one that `as_planes` knows. With `zigzagged` the residual is unsigned, as streams hold it.
    """
    view = as_planes(values.shape, mask)
    assert view is not None
    planes, along_rows, along_columns = view
    source = values.reshape(planes)
    steps = _plane_steps(lattice.steps, values.shape, planes)
    residual = np.empty(planes, lattice.residual) if room is None else room.empty(planes, lattice.residual)
    unsigned = residual.view(f"u{residual.itemsize}")
    if zigzagged and values.dtype == lattice.working:
        inverses = (1.0 / steps).astype(lattice.working)
        if zigzagged_residual(source, inverses, along_rows, along_columns, unsigned):
            return unsigned.reshape(-1)
    shift = 8 * residual.itemsize - 1
    for group, band, inside in plane_blocks(planes):
        first = band.start - (1 if inside and along_rows else 0)
        part = source[group, first : band.stop]
        indices = _indices(part, steps[group] if len(steps) > 1 else steps, lattice)
        left = differences(indices, along_rows, along_columns)[:, band.start - first :]
        if zigzagged:
            np.bitwise_xor(left + left, left >> shift, out=residual[group, band])
        else:
            residual[group, band] = left
    return (unsigned if zigzagged else residual).reshape(-1)


def lattice_indices(values: np.ndarray, lattice: SafeLattice) -> np.ndarray:
    """Nearest lattice indices of canonical `values`, int32."""
    return _indices(values, lattice.steps.reshape(1, -1, 1, 1), lattice).astype(np.int32, copy=False)


def zigzagged_weighted(values: np.ndarray, lattice: SafeLattice, weights: np.ndarray, room: Room) -> np.ndarray:
    """As `predicted_residual` zigzagged, under weighted prediction."""
    most = lattice.span * (1.0 + share_of(weights)) + 1.0  # a difference, and what is predicted of it
    narrow = most < 2**15
    if values.dtype == lattice.working:
        inverses = (1.0 / lattice.steps).astype(lattice.working)
        found = weighted_residual(np.ascontiguousarray(values), inverses, weights, narrow, room)
        if found is not None:
            return found
    left = residual_of_indices(lattice_indices(values, lattice), weights).reshape(-1)
    return zigzag(left.astype(np.int16) if narrow else left)


def _indices(part: np.ndarray, steps: np.ndarray, lattice: SafeLattice) -> np.ndarray:
    """Nearest lattice indices; ties in integers cannot arise, since their spacing is odd."""
    if part.dtype.kind == "f":
        reals = np.multiply(part, (1.0 / steps).astype(lattice.working), dtype=lattice.working)
        return np.rint(reals, out=reals).astype(lattice.residual)
    whole = part.astype(lattice.working)
    if steps.max(initial=1.0) > 1:
        spacing = steps.astype(lattice.working)
        whole += spacing // 2
        whole //= spacing if spacing.size > 1 else spacing.reshape(-1)[0]
    return whole.astype(lattice.residual, copy=False)


def restored_values(
    residual: np.ndarray,
    steps: np.ndarray,
    mask: int,
    dtype: np.dtype,
    base: np.ndarray | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Values of a residual, (steps, channels, rows, columns) of any signed dtype up to int32; the rest as in `from_lattice`."""
    view = as_planes(residual.shape, mask)
    if view is None:
        return from_lattice(lorenzo_restore(residual, mask), steps, dtype, base, out)
    planes, along_rows, along_columns = view
    values = np.empty(planes, dtype) if out is None else out.reshape(planes)
    if not values.size:
        return values.reshape(residual.shape)
    scale = _plane_steps(steps, residual.shape, planes)
    bases = None if base is None else base.reshape(planes)
    for group, band, indices in restored_blocks(residual.reshape(planes), along_rows, along_columns):
        here = scale[group] if len(scale) > 1 else scale
        put_values(indices, here, values[group, band], None if bases is None else bases[group, band])
    return values.reshape(residual.shape)


def restored_weighted(
    residual: np.ndarray,
    steps: np.ndarray,
    weights: np.ndarray,
    dtype: np.dtype,
    base: np.ndarray | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """As `restored_values`, of a residual under weighted prediction."""
    values = np.empty(residual.shape, dtype) if out is None else out
    if base is None and weighted_values(residual, weights, steps, values):
        return values
    return from_lattice(weighted_restore(residual, weights), steps, dtype, base, values)


def _plane_steps(steps: np.ndarray, shape: tuple[int, ...], planes: Shape) -> np.ndarray:
    """`steps` (channels,) so that they broadcast to the planes of an array of `shape`."""
    n, c, h, w = shape
    if c < 2 or (steps == steps[0]).all():
        return steps[:1].reshape(1, 1, 1)
    if planes == (n * c, h, w):
        return np.tile(steps, n).reshape(-1, 1, 1)
    return np.repeat(steps, h * w).reshape(1, 1, -1)
