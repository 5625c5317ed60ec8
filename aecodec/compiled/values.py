"""Values of whole numbers of units, and the check of a bound, by compiled functions: the bits that lattice.py has in numpy."""

import numpy as np

from aecodec.compiled.kernels import kernels

_LEAST_PIXELS = 16  # each channel of each step is a call of its own
_PIECE = 1 << 16
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def put_values(whole: np.ndarray, units: np.ndarray, base: np.ndarray, out: np.ndarray) -> bool:
    """Write `base` + `whole` * `units` into `out`, all of one canonical shape, units (channels,); False if numpy has to do it."""
    if kernels is None or not _served(out) or whole.dtype != np.int32 or base.dtype != np.float64:
        return False
    numbers, strides = _contiguous(base)
    if strides is None:
        return False
    kernels.put_values(np.ascontiguousarray(whole), np.ascontiguousarray(units, np.float64), numbers, out, strides, _sizes(out))
    return True


def channel_ranges(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest of each channel of canonical `values`, float64 (channels,); NaN where a channel has one."""
    if kernels is None or not _served(values) or not values.size:
        return values.min(axis=(0, 2, 3)).astype(np.float64), values.max(axis=(0, 2, 3)).astype(np.float64)
    low, high = np.empty(values.shape[1]), np.empty(values.shape[1])
    kernels.ranges(values, low, high, _sizes(values))
    return low, high


def anchors(words: np.ndarray, scatter: int, limit: int) -> np.ndarray:
    """Places, rising, where contiguous uint32 `words` times `scatter`, modulo 2**32, are below `limit`; int64."""
    if kernels is None:
        pieces = range(0, words.size, _PIECE)
        found = [start + np.flatnonzero(words[start : start + _PIECE] * np.uint32(scatter) < limit) for start in pieces]
        return np.concatenate(found) if found else np.zeros(0, np.int64)
    places = np.empty(2 * (words.size * limit >> 32) + 64, np.int64)
    count = kernels.anchors(words, scatter, limit, places)
    if count > places.size:  # far more than of bytes that are not like each other
        places = np.empty(count, np.int64)
        kernels.anchors(words, scatter, limit, places)
    return places[:count]


def all_within(array: np.ndarray, restored: np.ndarray, errors: np.ndarray) -> bool:
    """True if all values of canonical `restored` are surely within their channel's error, (channels,), of those of `array`."""
    if kernels is None or not (_served(array) and _served(restored) and array.dtype == restored.dtype):
        return False
    return kernels.count_beyond(array, restored, np.ascontiguousarray(errors, np.float64), _sizes(array)) == 0


def nearest_symbols(exact: np.ndarray, index: np.ndarray, zones: np.ndarray) -> tuple[np.ndarray, float]:
    """Symbols, int32, of float32 `exact`: each magnitude less the zone of its uint8 `index`, rounded, below 2**31; and the sum of
    squares of what those of index 0 would be without it."""
    if kernels is not None:
        symbols = np.empty(exact.shape, np.int32)
        lost = kernels.nearest_symbols(np.ascontiguousarray(exact), np.ascontiguousarray(index), zones, symbols)
        return symbols, lost
    empty = np.rint(exact[index == 0]).astype(np.float64)
    nearest = np.abs(exact)
    nearest -= zones.take(index)
    np.rint(nearest, out=nearest)
    return np.copysign(nearest, exact, out=nearest).astype(np.int32), float(np.dot(empty, empty))


def _served(array: np.ndarray) -> bool:
    return array.dtype in _FLOATS and array.flags.c_contiguous and array.shape[2] * array.shape[3] >= _LEAST_PIXELS


def _sizes(array: np.ndarray) -> tuple[int, int, int]:
    return array.shape[0], array.shape[1], array.shape[2] * array.shape[3]


def _contiguous(base: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int] | None]:
    """What a broadcast `base` is a view of, contiguous, and how far apart its numbers are for steps, channels and pixels."""
    once = base[tuple(slice(0, 1 if stride == 0 else None) for stride in base.strides)]
    numbers = np.ascontiguousarray(once)
    sizes, apart = numbers.shape, numbers.strides
    steps, channels, rows, columns = (0 if size == 1 else each // 8 for size, each in zip(sizes, apart, strict=True))
    if (rows, columns) == (0, 0):
        return numbers, (steps, channels, 0)
    return numbers, (steps, channels, 1) if sizes[2:] == base.shape[2:] else None
