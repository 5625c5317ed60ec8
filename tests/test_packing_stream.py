"""Streams: unsigned integers as a tree of byte layouts."""

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.errors import FormatError, TruncatedError
from aecodec.packing.plan import entropy
from aecodec.packing.stream import MAX_DEPTH, decode_stream, encode_stream, unzigzag, zigzag
from aecodec.packing.varint import Cursor


def decoded(data, count):
    cursor = Cursor(data)
    values = decode_stream(cursor, count)
    cursor.end()
    return values


def test_zigzag_counts_up_from_zero():
    values = np.array([0, -1, 1, -2, 2, -(2**31), 2**31 - 1], np.int32)
    assert zigzag(values).tolist() == [0, 1, 2, 3, 4, 2**32 - 1, 2**32 - 2]
    assert unzigzag(zigzag(values)).tolist() == values.tolist()


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ([], "00"),
        ([0, 0, 0], "00"),
        ([1, 2, 3], "0100010203"),
        ([300, 1], "072c0101000100"),
        ([70000], "07700711010001"),
    ],
)
def test_short_streams_are_constant_bytes_or_low_bits(values, stored):
    assert encode_stream(np.array(values, np.uint32)).hex() == stored
    assert decoded(bytes.fromhex(stored), len(values)).tolist() == values


@pytest.mark.parametrize(
    ("stored", "count", "values"),
    [
        ("0201" + "0100f4" + "010002", 300, {244: 3}),  # gaps
        ("0200" + "00" + "00", 5, {}),  # no gaps at all
        ("04a5" + "00", 8, {0: 1, 2: 1, 5: 1, 7: 1}),  # one low bit
        ("05e4" + "0100" + "00000001", 4, {1: 1, 2: 2, 3: 7}),  # two low bits
        ("0685" + "00", 2, {0: 5, 1: 8}),  # four low bits
        ("0b00" + "c4" + "0100" + "09", 4, {1: 1, 3: 12}),  # 4**4 digits, one escaped
        ("0800" + "00", 8, {}),  # 2**8 digits, none escaped
    ],
)
def test_every_layout_by_its_bytes(stored, count, values):
    expected = [values.get(i, 0) for i in range(count)]
    assert decoded(bytes.fromhex(stored), count).tolist() == expected


@given(
    st.integers(0, 3000),
    st.floats(0.01, 4e9).map(lambda x: x),
    st.integers(0, 2**32),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["geometric", "uniform", "sparse"]),
)
@settings(deadline=None, max_examples=150)
def test_decoding_undoes_encoding(count, scale, seed, signed, thorough, kind):
    random = np.random.default_rng(seed)
    top = min(scale, 2.0**32 - 1)
    values = random.random(count) * top if kind == "uniform" else np.minimum(random.exponential(scale, count), 2.0**32 - 1)
    if kind == "sparse":
        values[random.random(count) < 0.97] = 0
    values = values.astype(np.uint32)
    assert np.array_equal(decoded(encode_stream(values, signed=signed, thorough=thorough), count), values)


@pytest.mark.parametrize("extreme", [[0, 2**32 - 1], [2**32 - 1] * 1000, [255, 256] * 500, [2**31]])
def test_extreme_values_come_back(extreme):
    values = np.array(extreme, np.uint32)
    for thorough in (False, True):
        assert np.array_equal(decoded(encode_stream(values, thorough=thorough), values.size), values)


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_laplacian_symbols_pack_within_one_and_a_half_per_cent_of_their_entropy(bits, thorough):
    values = np.arange(-2000, 2001)
    low, high = 0.05, 100.0
    for _ in range(50):
        scale = math.sqrt(low * high)
        p = np.exp(-np.abs(values) / scale)
        p /= p.sum()
        low, high = (scale, high) if entropy(p) < bits else (low, scale)
    symbols = np.random.default_rng(bits).choice(values, size=1 << 20, p=p).astype(np.int32)
    packed = encode_stream(zigzag(symbols), signed=True, thorough=thorough)
    assert 8 * len(packed) < 1.015 * bits * symbols.size
    assert 8 * len(packed) > 0.99 * bits * symbols.size
    assert np.array_equal(unzigzag(decoded(packed, symbols.size).astype(np.uint32)), symbols)


def test_bytes_do_not_depend_on_earlier_streams():
    first = np.random.default_rng(0).geometric(0.3, 5000).astype(np.uint32)
    alone = encode_stream(first)
    for seed in range(5):
        encode_stream(np.random.default_rng(seed).geometric(0.01 * (seed + 1), 3000).astype(np.uint32))
    assert encode_stream(first) == alone


def test_an_unknown_layout_is_refused():
    with pytest.raises(FormatError) as caught:
        decoded(b"\x03", 1)
    assert str(caught.value) == "unknown stream layout 3"
    with pytest.raises(FormatError, match="unknown stream layout 21"):
        decoded(b"\x15", 1)


def test_nesting_is_limited():
    bottomless = bytes.fromhex("0400") * (MAX_DEPTH + 2)
    with pytest.raises(FormatError) as caught:
        decoded(bottomless, 1)
    assert str(caught.value) == f"stream nested deeper than {MAX_DEPTH} layouts"


def test_a_gap_past_the_end_is_refused():
    with pytest.raises(FormatError) as caught:
        decoded(bytes.fromhex("0201" + "010005" + "010002"), 5)
    assert str(caught.value) == "stream of 5 values has one at position 5"


def test_more_gaps_than_values_are_refused():
    with pytest.raises(FormatError, match="value 6 at offset 2 is above its limit 5"):
        decoded(bytes.fromhex("0206"), 5)


@pytest.mark.parametrize("kind", ["geometric", "sparse", "wide"])
def test_every_truncation_of_a_stream_is_a_format_error(kind):
    random = np.random.default_rng(3)
    values = {
        "geometric": random.geometric(0.2, 2000),
        "sparse": (random.random(2000) < 0.01) * 9,
        "wide": random.integers(0, 2**32, 200),
    }[kind].astype(np.uint32)
    packed = encode_stream(values, thorough=True)
    for size in range(len(packed)):
        with pytest.raises(FormatError):
            decoded(packed[:size], values.size)
    with pytest.raises(TruncatedError):
        decoded(b"", values.size)


@given(st.integers(0, 10**9), st.integers(0, 255), st.sampled_from([0.9, 0.3, 0.02]))
@settings(deadline=None, max_examples=200)
def test_a_changed_byte_gives_values_or_a_format_error(where, byte, p):
    values = np.random.default_rng(5).geometric(p, 700).astype(np.uint32)
    damaged = bytearray(encode_stream(values, thorough=True))
    damaged[where % len(damaged)] = byte
    with contextlib.suppress(FormatError):
        assert decoded(bytes(damaged), values.size).size == values.size


@given(st.binary(max_size=60), st.integers(0, 500))
@settings(deadline=None, max_examples=300)
def test_any_bytes_give_values_or_a_format_error(data, count):
    with contextlib.suppress(FormatError):
        assert decode_stream(Cursor(data), count).size == count
