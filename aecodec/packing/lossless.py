"""Arrays as bytes when nothing better holds: shuffled, differenced or plain bytes through zstd, whichever is smallest."""

import numpy as np

from aecodec.compiled.values import anchors
from aecodec.errors import FormatError
from aecodec.packing import zstd
from aecodec.packing.varint import Cursor

_TINY = 8  # bytes that no zstd frame makes fewer
_SURE = 0.5
_FAR = 0.06
_LIKELY, _ALIKE, _PART, _FAST_LEVEL = 0.85, 0.95, 1 << 18, 6
_LONG = 1 << 19  # bytes from which on an array is judged by samples
_WINDOW, _WINDOWS, _SHARE = 1 << 14, 8, 64  # bytes of a window, how many at the least, the share of the bytes in them
_SCATTER, _ANCHORS = 0x9E3779B1, 1 << 20  # one word in 4096 becomes an anchor
_REPEATED = 1 / 16
PLAIN, SHUFFLED, DIFFERENCED, STORED = range(4)


def encode_bytes(array: np.ndarray, level: int, filters: bool = True) -> bytes:
    """A contiguous array -> its filter byte and zstd frame at zstd's `level`; never larger than plain zstd's plus one byte."""
    flat = _bytes_of(array).reshape(-1, array.dtype.itemsize)
    if flat.size <= _TINY:
        return bytes([STORED]) + flat.tobytes()
    best = (PLAIN, zstd.compress(flat.reshape(-1).data, level))
    if filters:
        if array.dtype.itemsize > 1:
            best = _smaller(best, (SHUFFLED, zstd.compress(_shuffled(flat), level)))
        best = _smaller(best, (DIFFERENCED, zstd.compress(_shuffled(_difference(flat)), level)))
    kind, frame = best if len(best[1]) < flat.size else (STORED, flat.tobytes())
    return bytes([kind]) + frame


def surely_smaller(size: int, array: np.ndarray, level: int = 0) -> bool:
    """True if `size` is so far under what zstd makes of a contiguous array that no usual level would reach it.

    A long array is judged by windows spread over it, which tell how far its bytes can be coded, and by anchors all over it,
    which tell whether it repeats itself at any distance. With the `level` that it is held against, a lead of less is enough
    where that level, on a part, is little better than a quick one. A long array that repeats itself is coded in haste, which
    finds its repeats and no frequencies: a far larger lead is enough then.
    """
    data = _bytes_of(array)
    repeats_pay = data.size >= _LONG and size < _FAR * data.size
    if data.size >= _LONG and (_small_by_windows(size, data) or (repeats_pay and size < _FAR * zstd.hasty_size(data.data))):
        return True
    quick = zstd.quick_size(data.data)
    if size < _SURE * quick:
        return True
    if not 0 < level <= _FAST_LEVEL or size >= _LIKELY * quick:
        return False
    start = max(0, (data.size - _PART) // 2)
    part = data[start : start + _PART].data
    return len(zstd.compress(part, level)) > _ALIKE * zstd.quick_size(part)


def _small_by_windows(size: int, data: np.ndarray) -> bool:
    """`surely_smaller` for long `data`, as its windows and anchors have it."""
    places = np.linspace(0, data.size - _WINDOW, max(_WINDOWS, data.size // (_SHARE * _WINDOW))).astype(int) // 8 * 8
    windows = [data[place : place + _WINDOW] for place in places.tolist()]
    coded = zstd.quick_size(*(window.data for window in windows))
    return size < _SURE * coded * (data.size / (_WINDOW * len(windows))) and not _repeats(data)


def _repeats(data: np.ndarray) -> bool:
    """True unless nearly all anchors, places chosen by what stands there, are followed by bytes that no other one is."""
    words = data[: data.size // 8 * 8].view("<u4")
    where = anchors(words, _SCATTER, _ANCHORS)
    where = where[where < words.size - 1]
    if not words.size >> 14 < where.size < words.size >> 7:
        return True
    contents = words[where].astype(np.uint64) << np.uint64(32) | words[where + 1]
    return bool(np.unique(contents).size < (1 - _REPEATED) * where.size)


def _bytes_of(array: np.ndarray) -> np.ndarray:
    """The little-endian bytes of a contiguous array, uint8; a view where numpy can give one."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)


def decode_bytes(cursor: Cursor, dtype: np.dtype, count: int) -> np.ndarray:
    """The inverse of `encode_bytes`: `count` items of `dtype`, 1-D. Takes all that is left."""
    kind, size = cursor.byte(), dtype.itemsize * count
    payload = cursor.take(cursor.remaining)
    if kind == STORED:
        if len(payload) != size:
            raise FormatError(f"stored chunk has {len(payload)} bytes, {size} are needed")
        return np.frombuffer(payload, np.uint8).copy().view(dtype)
    data = np.frombuffer(zstd.decompress(payload, size), np.uint8)
    if kind == PLAIN:
        return data.copy().view(dtype)
    if kind not in (SHUFFLED, DIFFERENCED):
        raise FormatError(f"unknown byte filter {kind}")
    flat = np.ascontiguousarray(data.reshape(dtype.itemsize, count).T)
    if kind == DIFFERENCED:
        integers = flat.view(_integer(dtype.itemsize))
        flat = np.cumsum(integers, axis=0, dtype=integers.dtype).view(np.uint8)
    return flat.reshape(-1).view(dtype)


def _shuffled(flat: np.ndarray) -> memoryview:
    return np.ascontiguousarray(flat.T).reshape(-1).data


def _difference(flat: np.ndarray) -> np.ndarray:
    integers = flat.view(_integer(flat.shape[1]))
    return np.diff(integers, axis=0, prepend=integers.dtype.type(0)).view(np.uint8).reshape(flat.shape)


def _integer(size: int) -> np.dtype:
    return np.dtype(f"<u{size}")


def _smaller(a: tuple[int, bytes], b: tuple[int, bytes]) -> tuple[int, bytes]:
    return b if len(b[1]) < len(a[1]) else a
