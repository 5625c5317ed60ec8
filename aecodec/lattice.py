"""The integer lattice that makes an error bound hold by construction, and Lorenzo prediction on it.

Source of the predictor: Ibarria et al., "Out-of-core compression and decompression of large n-dimensional scalar fields"
(2003). All arithmetic on lattice indices is int32 with wrap-around, which differences and sums undo exactly.
"""

import numpy as np

INDEX_LIMIT = 2**31 - 1
LARGEST_INTEGER_STEP = 2.0**53
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


def to_lattice(array: np.ndarray, steps: np.ndarray, base: np.ndarray | None = None) -> np.ndarray | None:
    """Nearest lattice index of each value of (steps, channels, rows, columns); None if one does not fit int32.

    The lattice passes through 0, or, with `base` (float64, same shape), each value's through its own base.
    """
    scale = steps.reshape(1, -1, 1, 1)
    if array.dtype.kind in "iu":
        if array.dtype.itemsize == 8 and array.size and (int(array.max()) >= 2**61 or int(array.min()) <= -(2**61)):
            return None
        spacing = scale.astype(np.int64)
        wide = array.astype(np.int64)
        if base is not None:
            wide -= _integer_base(base)
        if spacing.max(initial=1) > 1:
            wide = np.floor_divide(wide + spacing // 2, spacing)
        return _fitting(wide)
    with np.errstate(over="ignore", invalid="ignore"):
        reals = array.astype(np.float64)
        if base is not None:
            reals -= base
        reals *= 1.0 / scale
        return _fitting(np.rint(reals, out=reals))


def _fitting(indices: np.ndarray) -> np.ndarray | None:
    if indices.size and not (indices.min() >= -INDEX_LIMIT and indices.max() <= INDEX_LIMIT):
        return None
    return indices.astype(np.int32)


def _integer_base(base: np.ndarray) -> np.ndarray:
    return np.clip(np.nan_to_num(np.rint(base)), -(2.0**61), 2.0**61).astype(np.int64)


def from_lattice(indices: np.ndarray, steps: np.ndarray, dtype: np.dtype, base: np.ndarray | None = None) -> np.ndarray:
    """Values at lattice indices of (steps, channels, rows, columns), cast to `dtype`; `base` as in `to_lattice`."""
    scale = steps.reshape(1, -1, 1, 1)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        whole = indices * scale.astype(np.int64)
        if base is not None:
            whole += _integer_base(base)
        return np.clip(whole, info.min, min(info.max, 2**63 - 1)).astype(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        values = indices * scale
        if base is not None:
            values += base
        return values.astype(dtype)


def within_bound(array: np.ndarray, restored: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Where |array - restored| is at most the channel's error, compared without rounding in the output dtype."""
    limit = errors.reshape(1, -1, 1, 1)
    if array.dtype.kind in "iu":
        larger, smaller = np.maximum(array, restored), np.minimum(array, restored)
        distance = larger.astype(np.uint64) - smaller.astype(np.uint64)  # wraps to the true distance for signed types too
        return np.asarray(distance <= np.floor(np.minimum(limit, 2.0**63)).astype(np.uint64))
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.abs(array.astype(np.float64) - restored.astype(np.float64)) <= limit)


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
