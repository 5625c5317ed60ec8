"""Cells of a residual, a few numbers that share a scale index, sorted by it and put back, by compiled functions or by numpy."""

import numpy as np

from aecodec.compiled.kernels import kernels
from aecodec.compiled.room import Room
from aecodec.packing.scale import INDICES, SMALLEST, scale_index

STREAM, WIDTH, NEXT, END = range(4)  # columns of places: which stream, its bytes a number, its next number, and their end


def cell_indices(zigzagged: np.ndarray, size: int) -> np.ndarray:
    """Scale index of each run of `size` of 1-D zigzagged numbers, uint8; the last ones as if zeros followed."""
    cells = np.pad(zigzagged, (0, -zigzagged.size % size)).reshape(-1, size)
    sums = ((cells.astype(np.int64) + 1) >> 1).sum(axis=1)
    return scale_index(np.maximum(sums * (1.0 / size), SMALLEST))


def sorted_cells(zigzagged: np.ndarray, size: int, room: Room) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells of `size` of 1-D zigzagged numbers, the last one filled up with zeros: their scale indices, uint8; the numbers by
    rising index, in `room`; and where each index's end, int64 (INDICES,)."""
    number = -(-zigzagged.size // size)
    ordered = room.empty(number * size, zigzagged.dtype)
    if kernels is not None:
        indices, ends = np.empty(number, np.uint8), np.empty(INDICES, np.int64)
        kernels.sort_cells(np.ascontiguousarray(zigzagged), zigzagged.itemsize, size, indices, ordered, ends)
        return indices, ordered, ends
    cells = np.pad(zigzagged, (0, -zigzagged.size % size)).reshape(-1, size)
    indices = cell_indices(zigzagged, size)
    cells.take(np.argsort(indices, kind="stable"), axis=0, out=ordered.reshape(-1, size), mode="clip")
    return indices, ordered, np.cumsum(np.bincount(indices, minlength=INDICES)) * size


def taken_cells(streams: tuple[np.ndarray, ...], places: np.ndarray, indices: np.ndarray, out: np.ndarray) -> int | None:
    """Put into `out`, int16 or int32 (cells, size), the next numbers of each of the int32 `indices`, which are zigzagged in
    `streams`; zeros where there is no such index. `places`, int64 (INDICES, 4), are moved on. An index of which there are too few,
    or None."""
    number, size = out.shape
    if kernels is not None:
        missing = kernels.take_cells(streams, places, indices, size, out)
        return None if missing < 0 else missing
    known = np.flatnonzero((indices >= 0) & (indices < INDICES))
    order = known[np.argsort(indices[known], kind="stable")]
    counts = np.bincount(indices[known], minlength=INDICES)
    if len(known) < number:
        out[...] = 0
    at = 0
    for index in np.flatnonzero(counts).tolist():
        stream, _, start, end = places[index].tolist()
        count = int(counts[index])
        if start + count * size > end:
            return index
        found = streams[stream][start : start + count * size].reshape(-1, size)
        out[order[at : at + count]] = (found >> 1) ^ np.negative((found & 1).astype(np.int32))
        places[index, NEXT] += count * size
        at += count
    return None
