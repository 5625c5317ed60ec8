"""The only zstandard import: zstd as a Huffman coder, zstd as itself, and never without a maximum output.

zstandard's objects are not for simultaneous use by threads, so each thread has its own.
"""

import threading
from collections.abc import Sequence
from functools import lru_cache

import zstandard

from aecodec.errors import FormatError

_FRAME = {
    "format": zstandard.FORMAT_ZSTD1_MAGICLESS,
    "write_content_size": 0,
    "write_checksum": 0,
    "write_dict_id": 0,
}
_WITH_MAGIC = b"\x28\xb5\x2f\xfd"
_UNKNOWN = -1
_TUNED, _KEPT = 1 << 18, 1 << 14  # bytes
_FIRST, _BLOCK = 1 << 20, 1 << 17  # bytes that are allocated unasked; that a block holds at the most
_RAW, _REPEATED, _COMPRESSED = range(3)
_local = threading.local()


@lru_cache(maxsize=1)
def _huffman_parameters() -> zstandard.ZstdCompressionParameters:
    # target_length must be 0: negative levels switch Huffman off. The window must not limit the 128 KiB blocks.
    return zstandard.ZstdCompressionParameters(
        strategy=zstandard.STRATEGY_FAST,
        min_match=7,
        hash_log=6,
        chain_log=6,
        search_log=1,
        target_length=0,
        window_log=17,
        **_FRAME,
    )


def _cached(name: str, make: object) -> object:
    found = getattr(_local, name, None)
    if found is None:
        found = make()  # type: ignore[operator]  # a constructor, kept untyped since two kinds share this cache
        setattr(_local, name, found)
    return found


def huffman(data: bytes | memoryview) -> bytes:
    """zstd frame (no magic) that is nearly pure Huffman code of `data`."""
    return _huffman().compress(data)


def huffman_each(data: Sequence[memoryview]) -> Sequence[bytes | memoryview]:
    """`huffman` of each of `data`, none of them empty."""
    return _frames(_huffman(), data)


def _huffman() -> zstandard.ZstdCompressor:
    coder = _cached("huffman", lambda: zstandard.ZstdCompressor(compression_params=_huffman_parameters()))
    assert isinstance(coder, zstandard.ZstdCompressor)
    return coder


def _frames(coder: zstandard.ZstdCompressor, data: Sequence[memoryview]) -> Sequence[bytes | memoryview]:
    """All in one call where that is possible: threads at work then wait for each other once instead of once a frame."""
    if len(data) < 2 or not hasattr(coder, "multi_compress_to_buffer"):
        return [coder.compress(each) for each in data]
    frames = coder.multi_compress_to_buffer(list(data), threads=1)
    return [memoryview(frames[i]) for i in range(len(frames))]  # type: ignore[arg-type]  # its stubs do not say that it is a buffer


def compress(data: bytes | memoryview, level: int) -> bytes:
    """zstd frame (no magic) of `data` at zstd's `level`."""

    # zstd tunes a level to powers of two up to 256 KiB; without that, small inputs would come out larger than plain zstd's.
    size = 1 << (len(data) - 1).bit_length() if 0 < len(data) <= _TUNED else 0

    def make() -> zstandard.ZstdCompressor:
        parameters = zstandard.ZstdCompressionParameters.from_level(level, source_size=size, **_FRAME)
        return zstandard.ZstdCompressor(compression_params=parameters)

    coder = make() if size > _KEPT else _cached(f"level{level} of {size}", make)
    assert isinstance(coder, zstandard.ZstdCompressor)
    return coder.compress(data)


def quick_size(*data: memoryview) -> int:
    """Size of `data`, each by itself, under zstd's fastest strategy with a wide window.

    Close to what its lower levels reach, in half the time.
    """

    def make() -> zstandard.ZstdCompressor:
        parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=23, hash_log=17, **_FRAME)
        return zstandard.ZstdCompressor(compression_params=parameters)

    coder = _cached("quick", make)
    assert isinstance(coder, zstandard.ZstdCompressor)
    return sum(map(len, _frames(coder, data)))


def hasty_size(data: bytes | memoryview) -> int:
    """Size of `data` by matches alone, in a wide window, at several times the speed of `quick_size`."""

    def make() -> zstandard.ZstdCompressor:
        parameters = zstandard.ZstdCompressionParameters.from_level(-6, window_log=23, **_FRAME)
        return zstandard.ZstdCompressor(compression_params=parameters)

    coder = _cached("hasty", make)
    assert isinstance(coder, zstandard.ZstdCompressor)
    return len(coder.compress(data))


def decompress(frame: bytes | memoryview, size: int) -> bytes:
    """The `size` bytes that `frame` holds; FormatError if it holds another number of them or is damaged."""

    def make() -> zstandard.ZstdDecompressor:
        return zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS)

    decoder = _cached("decoder", make)
    assert isinstance(decoder, zstandard.ZstdDecompressor)
    try:
        declared = zstandard.frame_content_size(_WITH_MAGIC + bytes(frame[:18]))
        if declared not in (_UNKNOWN, size):
            # zstandard would allocate what the frame declares before it looks at the limit.
            raise FormatError(f"zstd frame declares {declared} bytes, {size} are expected")
        if size > _FIRST and (most := most_bytes(memoryview(frame))) < size:
            raise FormatError(f"zstd frame holds at most {most} bytes, {size} were declared")
        data = decoder.decompress(frame, max_output_size=max(size, 1), allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"damaged zstd frame of {len(frame)} bytes: {error}") from None
    if len(data) != size:
        raise FormatError(f"zstd frame holds {len(data)} bytes, {size} were declared")
    return data


def most_bytes(frame: memoryview) -> int:
    """Bytes that the blocks of a frame hold at the most: known before anything is allocated for them (RFC 8878, section 3.1.1)."""
    if not len(frame):
        return 0
    descriptor = frame[0]
    single = descriptor >> 5 & 1
    at = 1 + (1 - single) + (0, 1, 2, 4)[descriptor & 3] + (single, 2, 4, 8)[descriptor >> 6]
    most = 0
    while at + 3 <= len(frame):
        header = int.from_bytes(frame[at : at + 3], "little")
        kind, size = header >> 1 & 3, header >> 3
        most += _BLOCK if kind == _COMPRESSED else size
        at += 3 + (1 if kind == _REPEATED else size)
        if header & 1:
            break
    return most
