"""Arrays as bytes when nothing better holds: shuffled, differenced or plain bytes through zstd, whichever is smallest."""

import numpy as np

from aecodec.errors import FormatError
from aecodec.packing import zstd
from aecodec.packing.varint import Cursor

_SURE = 0.5
_LIKELY, _ALIKE, _PART, _FAST_LEVEL = 0.85, 0.95, 1 << 18, 6
PLAIN, SHUFFLED, DIFFERENCED, STORED = range(4)


def encode_bytes(array: np.ndarray, level: int, filters: bool = True) -> bytes:
    """A contiguous array -> its filter byte and zstd frame at zstd's `level`; never larger than plain zstd's plus one byte."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    flat = little.reshape(-1).view(np.uint8).reshape(-1, array.dtype.itemsize)
    best = (PLAIN, zstd.compress(flat.tobytes(), level))
    if filters:
        if array.dtype.itemsize > 1:
            best = _smaller(best, (SHUFFLED, zstd.compress(flat.T.tobytes(), level)))
        best = _smaller(best, (DIFFERENCED, zstd.compress(_difference(flat).T.tobytes(), level)))
    kind, frame = best if len(best[1]) < flat.size else (STORED, flat.tobytes())
    return bytes([kind]) + frame


def surely_smaller(size: int, array: np.ndarray, level: int = 0) -> bool:
    """True if `size` is so far under a quick zstd's of a contiguous array that no usual level would reach it.

    With the `level` that it is held against, a lead of less is enough where that level, on a part, is little better.
    """
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    quick = zstd.quick_size(little)
    if size < _SURE * quick:
        return True
    if not 0 < level <= _FAST_LEVEL or size >= _LIKELY * quick:
        return False
    start = (len(little) - _PART) // 2 if len(little) > _PART else 0
    part = little[start : start + _PART]
    return len(zstd.compress(part, level)) > _ALIKE * zstd.quick_size(part)


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


def _difference(flat: np.ndarray) -> np.ndarray:
    integers = flat.view(_integer(flat.shape[1]))
    return np.diff(integers, axis=0, prepend=integers.dtype.type(0)).view(np.uint8).reshape(flat.shape)


def _integer(size: int) -> np.dtype:
    return np.dtype(f"<u{size}")


def _smaller(a: tuple[int, bytes], b: tuple[int, bytes]) -> tuple[int, bytes]:
    return b if len(b[1]) < len(a[1]) else a
