"""Lorenzo prediction over arrays in pieces that stay in a core's cache, in the narrowest integers that hold the values.

Source of the predictor: Ibarria et al., "Out-of-core compression and decompression of large n-dimensional scalar fields"
(2003). An array is seen as planes (planes, rows, columns); differences and sums are taken along rows and columns at once.
"""

import math
from collections.abc import Iterator

import numpy as np

STEPS, CHANNELS, ROWS, COLUMNS = 1, 2, 4, 8
_BLOCK_VALUES, _SUMMED_VALUES = 1 << 16, 1 << 18  # a piece going in, and coming out, where long runs count for more
_SHORT = 64  # values a step below which numpy's own running sum is faster than one addition a step

Shape = tuple[int, int, int]


def as_planes(shape: tuple[int, ...], mask: int) -> tuple[Shape, bool, bool] | None:
    """(planes, rows, columns) of (steps, channels, rows, columns), and whether prediction runs along rows and along columns.

    None for masks that no such view serves. The order of the values in memory is the same.
    """
    n, c, h, w = shape
    mask &= sum(1 << axis for axis, size in enumerate(shape) if size > 1)
    if not mask & (STEPS | CHANNELS):
        return (n * c, h, w), bool(mask & ROWS), bool(mask & COLUMNS)
    if mask == STEPS:
        return ((1, 1, n), False, True) if c * h * w == 1 else ((1, n, c * h * w), True, False)
    return None


def plane_blocks(planes: Shape, values: int = _BLOCK_VALUES) -> Iterator[tuple[slice, slice, bool]]:
    """Planes and rows of each piece of about `values` values in turn, and whether the piece begins inside a plane."""
    count, rows, columns = planes
    if not count * rows * columns:
        return
    group = max(1, values // (rows * columns))
    band = rows if rows * columns <= 2 * values else max(1, values // columns)
    for plane in range(0, count, group):
        for row in range(0, rows, band):
            yield slice(plane, plane + group), slice(row, min(row + band, rows)), row > 0


def differences(indices: np.ndarray, along_rows: bool, along_columns: bool) -> np.ndarray:
    """What the prediction leaves of contiguous (planes, rows, columns), modulo the dtype's size."""
    width = indices.shape[2]
    if along_columns:
        left = np.empty_like(indices)
        np.subtract(indices.reshape(-1)[1:], indices.reshape(-1)[:-1], out=left.reshape(-1)[1:])
        left[:, :, 0] = indices[:, :, 0]
        indices = left
    if along_rows:
        left = np.empty_like(indices)
        np.subtract(indices.reshape(-1)[width:], indices.reshape(-1)[:-width], out=left.reshape(-1)[width:])
        left[:, 0] = indices[:, 0]
        indices = left
    return indices


def restored_blocks(residual: np.ndarray, along_rows: bool, along_columns: bool) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Undo `differences` piece by piece: planes, rows, and int32 indices, which are valid until the next piece is asked for."""
    planes, rows, columns = residual.shape
    last: np.ndarray | None = None
    buffer: np.ndarray = np.empty(0, np.int32)
    for group, band, inside in plane_blocks((planes, rows, columns), _SUMMED_VALUES):
        part = residual[group, band]
        if buffer.size < part.size:
            buffer = np.empty(part.size, np.int32)
        # Rows are outermost in memory where they are summed, so that each addition is of one long run.
        if along_rows:
            summed: np.ndarray = buffer[: part.size].reshape(part.shape[1], part.shape[0], columns).transpose(1, 0, 2)
        else:
            summed = buffer[: part.size].reshape(part.shape)
        if along_columns:
            np.cumsum(part, axis=2, dtype=np.int32, out=summed)
        else:
            summed[...] = part
        if along_rows:
            before = last if inside else None
            _sum_rows(summed.transpose(1, 0, 2), before)
            last = summed[:, -1].copy()
        yield group, band, summed


def _sum_rows(rows: np.ndarray, before: np.ndarray | None) -> None:
    """Running sum over the first axis of a contiguous array, in place, starting from `before`."""
    if before is not None:
        rows[0] += before
    if rows[0].size < _SHORT:
        np.cumsum(rows, axis=0, dtype=rows.dtype, out=rows)
        return
    above = rows[0]
    for row in rows[1:]:
        row += above
        above = row


def lorenzo_residual(indices: np.ndarray, mask: int) -> np.ndarray:
    """What the predictor over the axes in `mask` (bit i: axis i) leaves of int32 `indices`, with wrap-around."""
    view = as_planes(indices.shape, mask) if indices.ndim == 4 else None
    if view is not None:
        planes, along_rows, along_columns = view
        return differences(np.ascontiguousarray(indices).reshape(planes), along_rows, along_columns).reshape(indices.shape)
    residual = indices
    for axis in range(indices.ndim):
        if mask >> axis & 1 and indices.shape[axis] > 1:
            later, earlier = _shifted(axis, indices.ndim)
            difference = residual.copy()
            np.subtract(residual[later], residual[earlier], out=difference[later])
            residual = difference
    return residual


def lorenzo_restore(residual: np.ndarray, mask: int) -> np.ndarray:
    """The inverse of `lorenzo_residual` for signed integers of up to 32 bits; int32, with wrap-around."""
    inner = mask & (ROWS | COLUMNS) if residual.ndim == 4 else 0
    indices = np.empty(residual.shape, np.int32)
    if residual.ndim == 4 and (view := as_planes(residual.shape, mask) or as_planes(residual.shape, inner)):
        planes, along_rows, along_columns = view
        target = indices.reshape(planes)
        for group, band, summed in restored_blocks(np.ascontiguousarray(residual).reshape(planes), along_rows, along_columns):
            target[group, band] = summed
        if as_planes(residual.shape, mask) is not None:
            return indices
    else:
        indices[...] = residual
    for axis in range(residual.ndim):
        if (mask & ~inner) >> axis & 1 and residual.shape[axis] > 1:
            _sum_axis(indices, axis)
    return indices


def _sum_axis(indices: np.ndarray, axis: int) -> None:
    """Running sum over one axis, in place."""
    if math.prod(indices.shape[axis + 1 :]) < _SHORT:
        np.cumsum(indices, axis=axis, dtype=np.int32, out=indices)
        return
    layers = np.moveaxis(indices, axis, 0)
    for place in range(1, len(layers)):
        layers[place] += layers[place - 1]


def _shifted(axis: int, ndim: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    later = [slice(None)] * ndim
    earlier = [slice(None)] * ndim
    later[axis], earlier[axis] = slice(1, None), slice(None, -1)
    return tuple(later), tuple(earlier)
