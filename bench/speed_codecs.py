"""The codecs of the speed bench, each as a pair of calls on one array, and the settings that its CSV names."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import blosc2
import imagecodecs
import numpy as np
import zfpy
import zstandard
from peers import widened
from pysz import sz, szAlgorithm, szConfig, szErrorBoundMode

import aecodec

SETTINGS = {
    "aecodec": "aecodec.compress(x, model, axes, max_error, level, threads, embed_model=False), decompress(data, threads, model); "
    "the model is fitted before on the train split, not timed, its bytes not counted",
    "aecodec no model": "as aecodec, model=False",
    "SZ3": "pysz.sz.compress, ABS error bound, all else by default (INTERP_LORENZO, openmp off), the array as it is",
    "SZ3 LORENZO_REG": "as SZ3, cmprAlgo LORENZO_REG",
    "ZFP": "zfpy.compress_numpy, fixed accuracy, tolerance = bound, leading dimensions joined to a 3-D stack, its serial execution",
    "SPERR": "imagecodecs.sperr_encode, mode pwe, level = bound, numthreads=1, leading dimensions joined to a 3-D stack",
    "Blosc2": "blosc2.compress2, codec ZSTD, clevel 3, SHUFFLE, nthreads=1; lossless",
    "zstd": "zstandard.ZstdCompressor(level=3), the array's bytes as they are; lossless",
    "zstd shuffled": "as zstd, on the bytes transposed by numpy (timed): all first bytes, all second bytes, ...; lossless",
    "integers": "SZ3, ZFP and SPERR get float32 made before the clock starts, with the bound widened by 0.49; sizes and MB/s are "
    "of the integer array, rounding their output back is not timed",
}
LOSSLESS = ("Blosc2", "zstd", "zstd shuffled")


@dataclass(frozen=True)
class Codec:
    """`encode()` gives the encoded bytes of the array at hand, `decode(encoded)` the array."""

    name: str
    encode: Callable[[], object]
    decode: Callable[[object], np.ndarray]
    level: int = 0
    threads: int = 1


def ours(x: np.ndarray, model: aecodec.Model, axes: str, bound: float, levels: list[int], threads: list[int]) -> Iterator[Codec]:
    """aecodec at each level and number of threads."""

    def codec(level: int, count: int) -> Codec:
        return Codec(
            "aecodec",
            lambda: aecodec.compress(x, model, axes, max_error=bound, level=level, threads=count, embed_model=False),
            lambda data: aecodec.decompress(data, threads=count, model=model),
            level,
            count,
        )

    return (codec(level, count) for count in threads for level in levels)


def without_model(x: np.ndarray, axes: str, bound: float, level: int) -> Iterator[Codec]:
    """aecodec with no model at all, on one thread."""
    yield Codec(
        "aecodec no model",
        lambda: aecodec.compress(x, False, axes, max_error=bound, level=level, threads=1),
        lambda data: aecodec.decompress(data, threads=1),
        level,
    )


def peers(x: np.ndarray, bound: float) -> Iterator[Codec]:
    """Those that keep a bound; the first is the one that aecodec is paired with."""
    x, bound = widened(x, bound)
    yield _sz3("SZ3", x, bound, szAlgorithm.INTERP_LORENZO)
    yield _sz3("SZ3 LORENZO_REG", x, bound, szAlgorithm.LORENZO_REG)
    stack = x.reshape(-1, *x.shape[-2:])
    yield Codec("ZFP", lambda: zfpy.compress_numpy(stack, tolerance=bound), zfpy.decompress_numpy)
    yield Codec(
        "SPERR",
        lambda: imagecodecs.sperr_encode(stack, level=bound, mode="pwe", numthreads=1),
        lambda data: imagecodecs.sperr_decode(data, numthreads=1),
    )


def lossless(x: np.ndarray) -> Iterator[Codec]:
    """What a user has at hand without a bound."""
    settings = {"codec": blosc2.Codec.ZSTD, "clevel": 3, "filters": [blosc2.Filter.SHUFFLE], "typesize": x.itemsize, "nthreads": 1}

    def to_array(data: object) -> np.ndarray:
        return np.frombuffer(data, x.dtype).reshape(x.shape)

    yield Codec("Blosc2", lambda: blosc2.compress2(x, **settings), lambda data: to_array(blosc2.decompress2(data, nthreads=1)))
    packer, unpacker = zstandard.ZstdCompressor(level=3), zstandard.ZstdDecompressor()
    yield Codec("zstd", lambda: packer.compress(x.data.cast("B")), lambda data: to_array(unpacker.decompress(data)))
    if x.itemsize == 1:
        return

    def shuffled() -> bytes:
        return packer.compress(np.ascontiguousarray(x.view(np.uint8).reshape(-1, x.itemsize).T))

    def unshuffle(data: object) -> np.ndarray:
        planes = np.frombuffer(unpacker.decompress(data), np.uint8).reshape(x.itemsize, -1)
        return to_array(np.ascontiguousarray(planes.T))

    yield Codec("zstd shuffled", shuffled, unshuffle)


def _sz3(name: str, x: np.ndarray, bound: float, algorithm: int) -> Codec:
    config = szConfig(*x.shape)
    config.absErrorBound, config.errorBoundMode, config.cmprAlgo = bound, szErrorBoundMode.ABS, algorithm
    config.openmp = False
    return Codec(name, lambda: sz.compress(x, config)[0], lambda data: sz.decompress(data, x.dtype, x.shape)[0])
