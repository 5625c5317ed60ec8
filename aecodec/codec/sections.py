"""Parts that several chunk modes share: classes of special values, and values stored exactly."""

import numpy as np

from aecodec.errors import FormatError
from aecodec.ladder import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY
from aecodec.packing.stream import decode_stream, encode_repeats, encode_stream
from aecodec.packing.varint import Cursor, put_varint

_REPEATS_LEVEL = 6


def encode_classes(classes: np.ndarray) -> bytes:
    """Small unsigned integers, one a value: by their layout, or by repeats, since a coast is often the same at every step."""
    flat = classes.reshape(-1)
    return min(encode_stream(flat, thorough=True), encode_repeats(flat, _REPEATS_LEVEL), key=len)


def decode_classes(cursor: Cursor, shape: tuple[int, ...], most: int = NEGATIVE_INFINITY) -> np.ndarray:
    """The inverse of `encode_classes`, uint8 of `shape`; no class is above `most`."""
    classes = decode_stream(cursor, int(np.prod(shape)))
    if int(classes.max(initial=0)) > most:
        raise FormatError(f"value class {int(classes.max())} is unknown")
    return classes.astype(np.uint8, copy=False).reshape(shape)


def non_finite_classes(array: np.ndarray) -> np.ndarray | None:
    """Class of each value where some are not finite, else None."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    classes = np.zeros(array.shape, np.uint8)
    classes[np.isnan(array)] = NAN
    classes[np.isposinf(array)] = POSITIVE_INFINITY
    classes[np.isneginf(array)] = NEGATIVE_INFINITY
    return classes


def put_back(array: np.ndarray, classes: np.ndarray) -> None:
    """Write NaN and infinities into a float `array` where `classes` says so."""
    if array.dtype.kind != "f":
        raise FormatError(f"non-finite values in an array of {array.dtype}")
    for kind, value in ((NAN, np.nan), (POSITIVE_INFINITY, np.inf), (NEGATIVE_INFINITY, -np.inf)):
        array[classes == kind] = value


def encode_exceptions(array: np.ndarray, where: np.ndarray) -> bytes:
    """Values of `array` at the flat positions `where` (rising), exactly."""
    out = bytearray()
    put_varint(out, where.size)
    gaps = np.diff(where, prepend=-1) - 1
    out += encode_stream(gaps.astype(np.uint32))
    values = array.reshape(-1)[where]
    out += values.astype(values.dtype.newbyteorder("<")).tobytes()
    return bytes(out)


def apply_exceptions(cursor: Cursor, array: np.ndarray) -> None:
    """Write the values that `encode_exceptions` kept into a contiguous `array`."""
    count = cursor.varint(array.size)
    gaps = decode_stream(cursor, count)
    where = np.cumsum(gaps, dtype=np.int64) + np.arange(count)
    if count and int(where[-1]) >= array.size:
        raise FormatError(f"exact value at position {int(where[-1])} of {array.size}")
    array.reshape(-1)[where] = cursor.array(array.dtype, count)
