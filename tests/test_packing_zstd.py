"""The zstd calls: frames without magic, sizes that must agree, threads that do not disturb each other."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zstandard

from aecodec.errors import FormatError
from aecodec.packing import zstd
from aecodec.packing.draft import _ALWAYS_STORED
from aecodec.packing.plan import entropy

HUNDRED = bytes.fromhex("000045000010616101003f012c")


def test_a_frame_by_its_bytes():
    assert zstd.decompress(HUNDRED, 100) == b"a" * 100
    assert zstd.decompress(bytes.fromhex("0000010000"), 0) == b""


@pytest.mark.parametrize("data", [b"", b"a", b"ab" * 5000, bytes(range(256)) * 20, np.random.default_rng(0).bytes(3000)])
def test_both_coders_come_back(data):
    for frame in (zstd.huffman(data), *(zstd.compress(data, level) for level in (1, 3, 9, 19))):
        assert zstd.decompress(frame, len(data)) == data
        assert frame[:4] != b"\x28\xb5\x2f\xfd"


def test_many_frames_in_one_call_are_those_of_as_many_calls():
    random = np.random.default_rng(0)
    parts = [random.poisson(2, n).astype(np.uint8).data for n in (1, 6, 7, 100, 3000, 200_000, 5, 70_000)]
    assert zstd.huffman_each(parts) == [zstd.huffman(part) for part in parts]
    assert zstd.quick_size(*parts) == sum(zstd.quick_size(part) for part in parts)
    assert zstd.huffman_each([]) == []


def test_no_frame_is_smaller_than_the_few_bytes_that_are_stored_without_trying():
    for size in range(_ALWAYS_STORED + 1):
        for data in (bytes(size), b"a" * size, bytes(range(size))):
            assert len(zstd.huffman(data)) >= size


def test_frames_are_zstd_frames_without_their_magic():
    data = b"some text " * 50
    whole = zstandard.ZstdDecompressor().decompressobj().decompress(b"\x28\xb5\x2f\xfd" + zstd.compress(data, 3))
    assert whole == data


def test_huffman_codes_independent_bytes_near_their_entropy():
    p = 0.8 ** np.arange(64)
    symbols = np.random.default_rng(0).choice(64, 1 << 17, p=p / p.sum()).astype(np.uint8)
    assert len(zstd.huffman(symbols.tobytes())) * 8 == pytest.approx(entropy(p / p.sum()) * symbols.size, rel=0.02)


def test_a_frame_that_declares_a_huge_size_is_refused_before_it_is_allocated():
    for declared in (2**56, 2**33, 2):
        frame = b"\xe2\x00" + declared.to_bytes(8, "little") + b"\x01\x00"
        with pytest.raises(FormatError, match="zstd frame"):
            zstd.decompress(frame, 1)


@pytest.mark.parametrize(("size", "found"), [(101, 100), (200, 100)])
def test_a_frame_of_fewer_bytes_is_refused(size, found):
    with pytest.raises(FormatError) as caught:
        zstd.decompress(HUNDRED, size)
    assert str(caught.value) == f"zstd frame holds {found} bytes, {size} were declared"


@pytest.mark.parametrize("size", [0, 1, 99])
def test_a_frame_of_more_bytes_is_never_expanded(size):
    with pytest.raises(FormatError, match="zstd frame"):
        zstd.decompress(HUNDRED, size)


@pytest.mark.parametrize(
    "frame",
    [b"", b"\xff" * 10, HUNDRED + b"\0", HUNDRED + HUNDRED, b"\x28\xb5\x2f\xfd" + HUNDRED, *(HUNDRED[:n] for n in range(1, 13))],
)
def test_damaged_frames_are_format_errors(frame):
    with pytest.raises(FormatError, match="zstd frame"):
        zstd.decompress(frame, 100)


def test_a_damaged_frame_is_named_with_its_size():
    with pytest.raises(FormatError, match="damaged zstd frame of 10 bytes: "):
        zstd.decompress(b"\xff" * 10, 100)


def test_threads_have_coders_of_their_own():
    parts = [np.random.default_rng(i).integers(0, 20, 50_000).astype(np.uint8).tobytes() for i in range(16)]
    alone = [zstd.huffman(part) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(zstd.huffman, parts)) == alone
        assert list(pool.map(lambda frame: zstd.decompress(frame, 50_000), alone)) == parts
