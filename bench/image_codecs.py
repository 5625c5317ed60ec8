"""The codecs of the images bench: an RGB array and a setting in, bytes out, and back; and the settings that the CSV names.

Clocks see the same of all of them: from an array in memory to the bytes of a file in memory, and back to an array.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import AvifImagePlugin, Image

import aecodec

SETTINGS = {
    "JPEG": "Pillow (libjpeg-turbo), quality, subsampling 4:2:0, optimize=True; one thread",
    "WebP": "Pillow (libwebp), lossy, quality, method 4; one thread",
    "AVIF": "Pillow (libavif), quality, speed 6 and subsampling 4:2:0 by default, max_threads; decoding with as many",
    "JPEG XL": "imagecodecs (libjxl), distance, effort 7, numthreads; decoding with as many",
    "aecodec": "aecodec.compress(x, model, 'yxc', quality, level, threads, embed_model=False), decompress(data, model, threads); "
    "the whole container, the model beside it",
}
QUALITIES: dict[str, tuple[float, ...]] = {
    "JPEG": (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95),
    "WebP": (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95),
    "AVIF": (20, 30, 40, 50, 60, 70, 80, 90),
    "JPEG XL": (12.0, 9.0, 6.0, 4.0, 3.0, 2.0, 1.4, 1.0, 0.6),
    "aecodec": (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95),
}
ONE_THREAD = ("JPEG", "WebP")


@dataclass(frozen=True)
class Codec:
    """`encode(x, setting)` gives a file's bytes of uint8 (rows, columns, 3); `decode(data)` the array. Settings: worst first."""

    name: str
    threads: int
    settings: Sequence[float]
    encode: Callable[[np.ndarray, float], bytes]
    decode: Callable[[bytes], np.ndarray]


def peers(threads: int, names: Sequence[str] = tuple(QUALITIES)[:-1]) -> list[Codec]:
    """The named peers that have a use for so many threads: all of them for one."""
    makers = {"JPEG": _jpeg, "WebP": _webp, "AVIF": _avif, "JPEG XL": _jpeg_xl}
    return [makers[name](threads) for name in names if threads == 1 or name not in ONE_THREAD]


def ours(model: aecodec.Model, threads: int, qualities: Sequence[float], level: int) -> Codec:
    """aecodec with a model."""

    def encode(x: np.ndarray, quality: float) -> bytes:
        return aecodec.compress(x, model, "yxc", quality=quality, level=level, threads=threads, embed_model=False)

    return Codec("aecodec", threads, qualities, encode, lambda data: aecodec.decompress(data, model=model, threads=threads))


def _jpeg(threads: int) -> Codec:
    def encode(x: np.ndarray, quality: float) -> bytes:
        return _written(x, "JPEG", quality=round(quality), subsampling="4:2:0", optimize=True)

    return Codec("JPEG", threads, QUALITIES["JPEG"], encode, _read)


def _webp(threads: int) -> Codec:
    return Codec("WebP", threads, QUALITIES["WebP"], lambda x, q: _written(x, "WEBP", quality=round(q), method=4), _read)


def _avif(threads: int) -> Codec:
    def encode(x: np.ndarray, quality: float) -> bytes:
        return _written(x, "AVIF", quality=round(quality), max_threads=threads)

    def decode(data: bytes) -> np.ndarray:
        AvifImagePlugin.DEFAULT_MAX_THREADS = threads  # what Pillow decodes with; there is no argument for it
        return _read(data)

    return Codec("AVIF", threads, QUALITIES["AVIF"], encode, decode)


def _jpeg_xl(threads: int) -> Codec:
    import imagecodecs  # the only one that is not Pillow's

    def encode(x: np.ndarray, distance: float) -> bytes:
        return bytes(imagecodecs.jpegxl_encode(x, distance=distance, effort=7, numthreads=threads))

    def decode(data: bytes) -> np.ndarray:
        return np.asarray(imagecodecs.jpegxl_decode(data, numthreads=threads))

    return Codec("JPEG XL", threads, QUALITIES["JPEG XL"], encode, decode)


def _written(x: np.ndarray, kind: str, **settings: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(x).save(out, kind, **settings)
    return out.getvalue()


def _read(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def versions() -> dict[str, str]:
    """Of the libraries behind Pillow and imagecodecs."""
    from PIL import features

    found = {name: str(features.version(feature)) for name, feature in (("libwebp", "webp"), ("libavif", "avif"))}
    found["libjpeg-turbo"] = str(features.version("libjpeg_turbo"))
    try:
        import imagecodecs
    except ImportError:
        return found
    return {**found, "libjxl": str(imagecodecs.jpegxl_version())}
