"""The integer lattice that makes an error bound hold by construction, and Lorenzo prediction on it.

Source of the predictor: Ibarria et al., "Out-of-core compression and decompression of large n-dimensional scalar fields"
(2003). All arithmetic on lattice indices is int32 with wrap-around, which differences and sums undo exactly.
"""

import math
from collections.abc import Iterator

import numpy as np

INDEX_LIMIT = 2**31 - 1
LARGEST_INTEGER_STEP = 2.0**53
_INTEGER_LIMIT = 2**61
_BLOCK_VALUES = 1 << 15
_GUARD = 1.0 - 2.0**-40  # keeps values that round at a midpoint inside the bound


def lattice_steps(errors: np.ndarray, peaks: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Spacing of each channel's lattice, float64 of shape (channels,).

    `errors` are the largest absolute errors allowed and `peaks` the largest magnitudes. Integers get an odd integer
    spacing. Floats give up half a unit in the last place of the peak, so that the final cast stays inside the bound too.
    A spacing of 0 says that no lattice serves the channel.
    """
    if dtype.kind in "iu":
        return 2.0 * np.floor(np.minimum(errors, 2.0**52)) + 1.0
    with np.errstate(over="ignore"):
        top = (peaks + errors).astype(dtype)
    top = np.where(np.isfinite(top), top, np.finfo(dtype).max)
    rounding = np.spacing(top.astype(dtype)).astype(np.float64) / 2
    return np.where(rounding < errors / 2, 2.0 * (errors - rounding) * _GUARD, 0.0)


def peaks(values: np.ndarray) -> np.ndarray:
    """Largest magnitude of each channel of (steps, channels, rows, columns), float64."""
    low, high = values.min(axis=(0, 2, 3)), values.max(axis=(0, 2, 3))
    return np.maximum(np.abs(low.astype(np.float64)), np.abs(high.astype(np.float64)))


def to_lattice(array: np.ndarray, steps: np.ndarray, base: np.ndarray | None = None) -> np.ndarray | None:
    """Nearest lattice index of each value of (steps, channels, rows, columns), int32; None if one does not fit.

    The lattice passes through 0, or, with `base` (float64, same shape), each value's through its own base.
    """
    if array.dtype.kind in "iu" and array.size and max(int(array.max()), -int(array.min())) >= _INTEGER_LIMIT:
        return None
    indices = np.empty(array.shape, np.int32)
    convert = _indices_of_integers if array.dtype.kind in "iu" else _indices_of_floats
    scale = steps.reshape(1, -1, 1, 1)
    for part in _blocks(array.shape):
        found = convert(array[part], scale, None if base is None else base[part])
        if not (found.min() >= -INDEX_LIMIT and found.max() <= INDEX_LIMIT):
            return None
        indices[part] = found
    return indices


def _indices_of_integers(array: np.ndarray, scale: np.ndarray, base: np.ndarray | None) -> np.ndarray:
    spacing = scale.astype(np.int64)
    wide = array.astype(np.int64)
    if base is not None:
        wide -= _integer_base(base)
    return np.floor_divide(wide + spacing // 2, spacing) if spacing.max(initial=1) > 1 else wide


def _indices_of_floats(array: np.ndarray, scale: np.ndarray, base: np.ndarray | None) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        reals = array.astype(np.float64)
        if base is not None:
            reals -= base
        reals *= 1.0 / scale
        return np.rint(reals, out=reals)


def _integer_base(base: np.ndarray) -> np.ndarray:
    limit = float(_INTEGER_LIMIT)
    return np.clip(np.nan_to_num(np.rint(base)), -limit, limit).astype(np.int64)


def from_lattice(indices: np.ndarray, steps: np.ndarray, dtype: np.dtype, base: np.ndarray | None = None) -> np.ndarray:
    """Values at lattice indices of (steps, channels, rows, columns), cast to `dtype`; `base` as in `to_lattice`."""
    values = np.empty(indices.shape, dtype)
    scale = steps.reshape(1, -1, 1, 1)
    for part in _blocks(indices.shape):
        here = None if base is None else base[part]
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            whole = indices[part] * scale.astype(np.int64)
            if here is not None:
                whole += _integer_base(here)
            values[part] = np.clip(whole, info.min, min(info.max, 2**63 - 1))
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                reals = indices[part] * scale
                if here is not None:
                    reals += here
                values[part] = reals
    return values


def within_bound(array: np.ndarray, restored: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Where |array - restored| is at most the channel's error, compared without rounding in the output dtype."""
    sound = np.empty(array.shape, bool)
    limit = errors.reshape(1, -1, 1, 1)
    for part in _blocks(array.shape):
        a, b = array[part], restored[part]
        if array.dtype.kind in "iu":
            # The difference wraps to the true distance for signed types too.
            distance = np.maximum(a, b).astype(np.uint64) - np.minimum(a, b).astype(np.uint64)
            sound[part] = distance <= np.floor(np.minimum(limit, 2.0**63)).astype(np.uint64)
        else:
            with np.errstate(invalid="ignore", over="ignore"):
                difference = a.astype(np.float64)
                difference -= b
                sound[part] = np.abs(difference, out=difference) <= limit
    return sound


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Slices of (steps, channels, rows, columns) that cover it in pieces that stay in a core's cache."""
    axis = 0 if shape[0] > 1 else 2
    length = max(1, _BLOCK_VALUES * shape[axis] // max(1, math.prod(shape)))
    for start in range(0, shape[axis] if math.prod(shape) else 0, length):
        yield (slice(None),) * axis + (slice(start, start + length),)


def lorenzo_residual(indices: np.ndarray, mask: int) -> np.ndarray:
    """What the Lorenzo predictor over the axes in `mask` (bit i: axis i) leaves of int32 `indices`."""
    residual = indices
    for axis in range(indices.ndim):
        if mask >> axis & 1 and indices.shape[axis] > 1:
            later, earlier = _shifted(axis, indices.ndim)
            difference = residual.copy()
            np.subtract(residual[later], residual[earlier], out=difference[later])
            residual = difference
    return residual


def lorenzo_restore(residual: np.ndarray, mask: int) -> np.ndarray:
    """The inverse of `lorenzo_residual`."""
    indices = residual
    for axis in range(residual.ndim):
        if mask >> axis & 1 and residual.shape[axis] > 1:
            indices = np.cumsum(indices, axis=axis, dtype=np.int32)
    return indices


def _shifted(axis: int, ndim: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    later = [slice(None)] * ndim
    earlier = [slice(None)] * ndim
    later[axis], earlier[axis] = slice(1, None), slice(None, -1)
    return tuple(later), tuple(earlier)
