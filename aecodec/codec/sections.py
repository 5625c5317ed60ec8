"""Parts that several chunk modes share: lattice steps, classes of special values, checksums of what inexact
models give, and values stored exactly.
"""

import numpy as np
import xxhash

from aecodec.errors import DriftError, FormatError
from aecodec.ladder import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY
from aecodec.lattice import LARGEST_INTEGER_STEP
from aecodec.packing.stream import decode_stream, encode_repeats, encode_stream, positions
from aecodec.packing.varint import Cursor, put_varint

_REPEATS_LEVEL = 6


def encode_steps(steps: np.ndarray) -> tuple[bytes, bool]:
    """Lattice steps (channels,) as float64: one if they are all equal, else one per channel, and whether that is so."""
    per_channel = bool((steps != steps[0]).any())
    return (steps if per_channel else steps[:1]).astype("<f8").tobytes(), per_channel


def decode_steps(cursor: Cursor, channels: int, per_channel: bool, dtype: np.dtype) -> np.ndarray:
    """The inverse of `encode_steps` for an array of `dtype`: (channels,), positive and finite."""
    steps = cursor.array(np.dtype("<f8"), channels if per_channel else 1)
    largest = LARGEST_INTEGER_STEP if dtype.kind in "iu" else np.inf
    if not (np.isfinite(steps) & (steps > 0) & (steps <= largest)).all():
        raise FormatError(f"chunk has a lattice step that is not positive, or above {largest:g}")
    return np.broadcast_to(steps, (channels,)).copy()


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
    where = positions(decode_stream(cursor, count))
    if count and int(where[-1]) >= array.size:
        raise FormatError(f"exact value at position {int(where[-1])} of {array.size}")
    array.reshape(-1)[where] = cursor.array(array.dtype, count)


def output_checksum(array: np.ndarray) -> bytes:
    """XXH64 of the little-endian bytes of `array`, in C order."""
    stored = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return xxhash.xxh64_intdigest(stored.tobytes()).to_bytes(8, "little")


def check_output(cursor: Cursor, array: np.ndarray) -> None:
    """DriftError unless the checksum at the cursor is that of `array`."""
    if bytes(cursor.take(8)) != output_checksum(array):
        raise DriftError(
            "the model, which is not exact, gave other bits than where the file was written; decode on the machine and "
            "with the ONNX Runtime that wrote it, or write files with an exact model"
        )
