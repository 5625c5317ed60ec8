"""The integer lattice that makes an error bound hold by construction.

All arithmetic on lattice indices is int32 with wrap-around, which the differences and sums of lorenzo.py undo exactly.
"""

import math
from collections.abc import Iterator

import numpy as np

from aecodec.compiled import values as compiled
from aecodec.lorenzo import lorenzo_residual as lorenzo_residual
from aecodec.lorenzo import lorenzo_restore as lorenzo_restore

INDEX_LIMIT = 2**31 - 1
LARGEST_INTEGER_STEP = 2.0**53
_INTEGER_LIMIT = 2**61
_BLOCK_VALUES = 1 << 15
_EXACT_SINGLE = 2**24
_SMALLEST_SINGLE = 2.0**-100
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
    """Whole numbers of a `base`, int64, that broadcast as it does: what is repeated in it is worked out once."""
    limit, shape = float(_INTEGER_LIMIT), base.shape
    once = base[tuple(slice(0, 1 if stride == 0 and size else None) for stride, size in zip(base.strides, shape, strict=True))]
    return np.broadcast_to(np.clip(np.nan_to_num(np.rint(once)), -limit, limit).astype(np.int64), shape)


def from_lattice(
    indices: np.ndarray, steps: np.ndarray, dtype: np.dtype, base: np.ndarray | None = None, out: np.ndarray | None = None
) -> np.ndarray:
    """Values at lattice indices of (steps, channels, rows, columns), cast to `dtype`; `base` as in `to_lattice`.

    `out`: of that shape and dtype, contiguous, to be filled and returned.
    """
    values = np.empty(indices.shape, dtype) if out is None else out
    if base is not None and compiled.put_values(indices, steps, base, values):
        return values
    scale = steps.reshape(1, -1, 1, 1)
    if base is not None and dtype.kind in "iu":
        base = _integer_base(base)
    for part in _blocks(indices.shape):
        put_values(indices[part], scale, values[part], None if base is None else base[part])
    return values


def put_values(indices: np.ndarray, scale: np.ndarray, out: np.ndarray, base: np.ndarray | None = None) -> None:
    """Write the values at lattice `indices` into `out` of the same shape; `scale` (float64) broadcasts to it.

    `base`: float64, or, for integers, int64 already.
    """
    if out.dtype.kind in "iu":
        _put_integers(indices, scale.astype(np.int64), out, base)
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if base is None and out.dtype == np.float32 and is_single(scale) and _within(indices, _EXACT_SINGLE):
            # Whole numbers below 2**24 times a float32: rounded once, to the same bits as by way of float64.
            out[...] = indices
            out *= scale.astype(np.float32)
            return
        reals = indices * scale
        if base is not None:
            reals += base
        out[...] = reals


def _put_integers(indices: np.ndarray, scale: np.ndarray, out: np.ndarray, base: np.ndarray | None) -> None:
    info = np.iinfo(out.dtype)
    low, high = info.min, min(info.max, 2**63 - 1)
    if base is None and out.dtype.itemsize < 4 and indices.dtype == np.int32 and scale.max(initial=1) == 1:
        np.clip(indices, low, high, out=out, casting="unsafe")
        return
    whole = indices * scale
    if base is not None:
        whole += base if base.dtype == np.int64 else _integer_base(base)
    out[...] = np.clip(whole, low, high, out=whole)


def is_single(scale: np.ndarray) -> bool:
    """True if all lattice steps are float32 numbers, so far from its limits that no product leaves its normal range."""
    single = scale.astype(np.float32)
    return bool(((single == scale) & (single > _SMALLEST_SINGLE) & (single < 1 / _SMALLEST_SINGLE)).all())


def single_below(steps: np.ndarray) -> np.ndarray:
    """Each step as the next float32 number that is not above it, where that is in its normal range; float64."""
    with np.errstate(over="ignore"):
        single = steps.astype(np.float32)
        single = np.where(single > steps, np.nextafter(single, np.float32(0)), single).astype(np.float64)
    return np.where((single > _SMALLEST_SINGLE) & (single < 1 / _SMALLEST_SINGLE), single, steps)


def _within(indices: np.ndarray, limit: int) -> bool:
    return not indices.size or (int(indices.min()) >= -limit and int(indices.max()) <= limit)


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
