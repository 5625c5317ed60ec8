"""Other codecs that are installed, for comparison: SZ3 (pysz) and ZFP (zfpy) under an error bound, zstd; JPEG and WebP of pictures.

Each gives bytes and the decoded array of canonical (steps, channels, rows, columns); the smallest of a codec's layouts counts.
"""

import io
from collections.abc import Callable
from importlib.util import find_spec
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from aecodec.packing import zstd


class Coded(NamedTuple):
    """Bytes, the decoded array, and the seconds that coding and decoding took."""

    size: int
    decoded: np.ndarray
    encoding: float = 0.0
    decoding: float = 0.0


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
        attempts.append(_as_floats(coder, array, float(errors[0])))
    return min(attempts, key=lambda coded: coded.size)


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

        size, encoding, parts, begin = 0, 0.0, [], perf_counter()
        for step in array:
            start = perf_counter()
            image = Image.fromarray(step[0] if len(step) == 1 else step.transpose(1, 2, 0).copy())
            out = io.BytesIO()
            image.save(out, codec, quality=round(quality), **options)
            size += out.tell()
            encoding += perf_counter() - start
            decoded = np.asarray(Image.open(out).convert(image.mode))
            parts.append(decoded[None] if len(step) == 1 else decoded.transpose(2, 0, 1))
        return Coded(size, np.stack(parts), encoding, perf_counter() - begin - encoding)

    return code


def _by_channel(coder: Coder, array: np.ndarray, errors: np.ndarray) -> Coded:
    parts = [_as_floats(coder, array[:, c], float(error)) for c, error in enumerate(errors)]
    decoded = np.stack([part.decoded for part in parts], axis=1)
    return Coded(sum(p.size for p in parts), decoded, sum(p.encoding for p in parts), sum(p.decoding for p in parts))


def _as_floats(coder: Coder, array: np.ndarray, error: float) -> Coded:
    """Integers go in as float32 with the bound widened by what rounding gives back."""
    if array.dtype.kind == "f":
        single = array if array.dtype.itemsize >= 4 else array.astype(np.float32)
        coded = coder(np.ascontiguousarray(np.atleast_1d(single.squeeze())), error)
        return coded._replace(decoded=coded.decoded.reshape(array.shape))
    coded = coder(np.ascontiguousarray(np.atleast_1d(array.squeeze()), dtype=np.float32), error + _HALF)
    return coded._replace(decoded=np.rint(coded.decoded).reshape(array.shape))


def _sz3(array: np.ndarray, tolerance: float) -> Coded:
    from pysz import sz, szAlgorithm, szConfig, szErrorBoundMode

    config = szConfig(*array.shape)
    config.absErrorBound, config.errorBoundMode, config.cmprAlgo = tolerance, szErrorBoundMode.ABS, szAlgorithm.INTERP_LORENZO
    start = perf_counter()
    packed = sz.compress(array, config)[0]
    middle = perf_counter()
    decoded = sz.decompress(packed, array.dtype, array.shape)[0]
    return Coded(packed.nbytes, decoded, middle - start, perf_counter() - middle)


def _zfp(array: np.ndarray, tolerance: float) -> Coded:
    import zfpy

    start = perf_counter()
    packed = zfpy.compress_numpy(array, tolerance=tolerance)
    middle = perf_counter()
    decoded = zfpy.decompress_numpy(packed)
    return Coded(len(packed), decoded, middle - start, perf_counter() - middle)
