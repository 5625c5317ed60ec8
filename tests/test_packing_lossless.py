"""Bytes: arrays through zstd, plain, shuffled or differenced, whichever is smallest."""

import contextlib

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.errors import FormatError, TruncatedError
from aecodec.packing.lossless import DIFFERENCED, PLAIN, SHUFFLED, STORED, decode_bytes, encode_bytes, surely_smaller
from aecodec.packing.varint import Cursor

LEVEL = 3


def test_what_does_not_shrink_is_stored():
    assert encode_bytes(np.array([1, 2, 3], "<u2"), LEVEL).hex() == "03010002000300"
    assert encode_bytes(np.zeros(0, "f4"), LEVEL).hex() == "03"


def test_big_endian_arrays_are_stored_little_endian():
    assert encode_bytes(np.array([1, 2], ">u2"), LEVEL).hex() == "0301000200"


@pytest.mark.parametrize(
    ("stored", "dtype", "values"),
    [
        ("0301000200", "<u2", [1, 2]),
        ("00" + "0000" + "210000" + "01000200", "<u2", [1, 2]),
        ("01" + "0000" + "210000" + "01020000", "<u2", [1, 2]),
        ("02" + "0000" + "210000" + "01ff00ff", "<u2", [1, 0]),
        ("00" + "0000" + "430000" + "61", "u1", [97] * 8),
    ],
)
def test_every_filter_by_its_bytes(stored, dtype, values):
    assert decode_bytes(Cursor(bytes.fromhex(stored)), np.dtype(dtype), len(values)).tolist() == values


def test_the_filter_follows_the_data():
    random = np.random.default_rng(0)
    assert encode_bytes(np.tile(random.integers(0, 256, 999).astype("u1"), 9), LEVEL)[0] == PLAIN
    assert encode_bytes((random.random(5000) + 1).astype("f4"), LEVEL)[0] == SHUFFLED
    assert encode_bytes(np.cumsum(random.integers(0, 9, 5000)).astype("i4"), LEVEL)[0] == DIFFERENCED
    assert encode_bytes(random.integers(0, 256, 5000).astype("u1"), LEVEL)[0] == STORED
    assert encode_bytes(np.cumsum(random.integers(0, 9, 5000)).astype("i4"), LEVEL, filters=False)[0] == PLAIN


@given(
    st.sampled_from(["u1", "<i2", ">u2", "<f4", ">i4", "<f8", "<u8"]),
    st.integers(0, 500),
    st.integers(0, 2**32),
    st.booleans(),
    st.sampled_from([1, 3, 9]),
)
@settings(deadline=None, max_examples=80)
def test_every_bit_comes_back_and_plain_zstd_is_never_beaten_by_more_than_a_byte(dtype, count, seed, smooth, level):
    random = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    raw = random.integers(0, 4 if smooth else 256, count * dtype.itemsize).astype(np.uint8)
    array = raw.view(dtype)
    packed = encode_bytes(array, level)
    restored = decode_bytes(Cursor(packed), dtype.newbyteorder("<"), count)
    assert restored.tobytes() == array.astype(dtype.newbyteorder("<")).tobytes()
    plain = zstandard.ZstdCompressor(level=level).compress(array.astype(dtype.newbyteorder("<")).tobytes())
    assert len(packed) <= len(plain) + 1


def test_an_unknown_filter_is_refused():
    with pytest.raises(FormatError) as caught:
        decode_bytes(Cursor(bytes.fromhex("04" + "0000" + "210000" + "01000200")), np.dtype("<u2"), 2)
    assert str(caught.value) == "unknown byte filter 4"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_stored_bytes_of_another_size_are_refused(count):
    with pytest.raises(FormatError) as caught:
        decode_bytes(Cursor(bytes.fromhex("0301000200")), np.dtype("<u2"), count)
    assert str(caught.value) == f"stored chunk has 4 bytes, {2 * count} are needed"


def test_nothing_at_all_is_truncation():
    with pytest.raises(TruncatedError):
        decode_bytes(Cursor(b""), np.dtype("u1"), 0)


@pytest.mark.parametrize("seed", range(4))
def test_every_truncation_is_a_format_error(seed):
    packed = encode_bytes(np.cumsum(np.random.default_rng(seed).integers(0, 9, 300)).astype("i4"), LEVEL)
    for size in range(len(packed)):
        with pytest.raises(FormatError):
            decode_bytes(Cursor(packed[:size]), np.dtype("<i4"), 300)


@given(st.binary(max_size=40), st.integers(0, 50), st.sampled_from(["u1", "<i2", "<f8"]))
@settings(deadline=None, max_examples=150)
def test_any_bytes_give_values_or_a_format_error(data, count, dtype):
    with contextlib.suppress(FormatError):
        assert decode_bytes(Cursor(data), np.dtype(dtype), count).shape == (count,)


def test_a_long_array_that_repeats_itself_far_away_is_held_against_zstd_itself():
    noise = np.random.default_rng(0).integers(0, 2**32, 1 << 19, dtype=np.uint32)
    assert surely_smaller(noise.nbytes // 4, noise)
    assert not surely_smaller(noise.nbytes // 4 * 3, noise)
    repeated = np.concatenate([noise[:100_003]] * 5)
    assert not surely_smaller(repeated.nbytes // 4, repeated)
    assert surely_smaller(repeated.nbytes // 20, repeated)


def test_a_long_array_of_few_values_is_held_against_zstd_itself():
    few = np.random.default_rng(0).integers(0, 2, 1 << 19).astype(np.float64)
    assert not surely_smaller(few.nbytes // 20, few)
    assert surely_smaller(few.nbytes // 200, few)
