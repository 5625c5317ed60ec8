"""Other codecs that are installed, for comparison: SZ3 (pysz) and ZFP (zfpy) under an error bound, zstd; JPEG and WebP of pictures.

Each gives bytes and the decoded array of canonical (steps, channels, rows, columns); the smallest of a codec's layouts counts.
"""

import io
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from aecodec.packing import zstd

Coded = tuple[int, np.ndarray]  # bytes, decoded
Coder = Callable[[np.ndarray, float], Coded]

_HALF = 0.49  # what rounding to integers gives back of the error
QUALITIES = (10, 30, 50, 70, 85, 95)
_ZSTD_LEVEL = 19


def bounded_peers() -> dict[str, Coder]:
    """Codecs that keep an absolute error bound and are installed."""
    found: dict[str, Coder] = {}
    if find_spec("pysz") is not None:
        found["SZ3"] = _sz3
    if find_spec("zfpy") is not None:
        found["ZFP"] = _zfp
    return found


def within_bounds(coder: Coder, array: np.ndarray, errors: np.ndarray) -> Coded:
    """Canonical `array` with the error of each channel: channel by channel, or whole if that is smaller and one bound serves."""
    attempts = [_by_channel(coder, array, errors)]
    if len(set(errors.tolist())) == 1:
        size, decoded = _as_floats(coder, array, float(errors[0]))
        attempts.append((size, decoded))
    return min(attempts, key=lambda coded: coded[0])


def zstd_size(array: np.ndarray) -> int:
    """Bytes of the raw array by zstd's level 19: lossless."""
    return len(zstd.compress(np.ascontiguousarray(array).tobytes(), _ZSTD_LEVEL))


def picture_peers(array: np.ndarray) -> dict[str, Coder]:
    """Codecs of pictures, if each step of canonical `array` is one and Pillow is installed; their parameter is the quality."""
    if array.dtype != np.uint8 or array.shape[1] not in (1, 3) or find_spec("PIL") is None:
        return {}
    return {"JPEG": _picture("JPEG", optimize=True), "WebP": _picture("WEBP", method=4)}


def _picture(codec: str, **options: Any) -> Coder:
    def code(array: np.ndarray, quality: float) -> Coded:
        from PIL import Image

        size, parts = 0, []
        for step in array:
            image = Image.fromarray(step[0] if len(step) == 1 else step.transpose(1, 2, 0).copy())
            out = io.BytesIO()
            image.save(out, codec, quality=round(quality), **options)
            size += out.tell()
            decoded = np.asarray(Image.open(out).convert(image.mode))
            parts.append(decoded[None] if len(step) == 1 else decoded.transpose(2, 0, 1))
        return size, np.stack(parts)

    return code


def _by_channel(coder: Coder, array: np.ndarray, errors: np.ndarray) -> Coded:
    parts = [_as_floats(coder, array[:, c], float(error)) for c, error in enumerate(errors)]
    return sum(size for size, _ in parts), np.stack([decoded for _, decoded in parts], axis=1)


def _as_floats(coder: Coder, array: np.ndarray, error: float) -> Coded:
    """Integers go in as float32 with the bound widened by what rounding gives back."""
    if array.dtype.kind == "f":
        single = array if array.dtype.itemsize >= 4 else array.astype(np.float32)
        size, decoded = coder(np.ascontiguousarray(single.squeeze()), error)
    else:
        size, decoded = coder(np.ascontiguousarray(array.squeeze(), dtype=np.float32), error + _HALF)
        decoded = np.rint(decoded)
    return size, decoded.reshape(array.shape)


def _sz3(array: np.ndarray, tolerance: float) -> Coded:
    from pysz import sz, szAlgorithm, szConfig, szErrorBoundMode

    config = szConfig(*array.shape)
    config.absErrorBound, config.errorBoundMode, config.cmprAlgo = tolerance, szErrorBoundMode.ABS, szAlgorithm.INTERP_LORENZO
    packed = sz.compress(array, config)[0]
    return packed.nbytes, sz.decompress(packed, array.dtype, array.shape)[0]


def _zfp(array: np.ndarray, tolerance: float) -> Coded:
    import zfpy

    packed = zfpy.compress_numpy(array, tolerance=tolerance)
    return len(packed), zfpy.decompress_numpy(packed)
