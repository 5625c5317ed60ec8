"""Groups: symbols by scale index, neighbouring groups merged, every symbol taken exactly once."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.compiled.streams import histogram
from aecodec.errors import FormatError
from aecodec.packing.groups import GroupedSymbols, encode_groups
from aecodec.packing.scale import INDICES, magnitude, scale_index
from aecodec.packing.varint import Cursor


def groups_of(sizes, seed):
    random = np.random.default_rng(seed)
    groups = [[] for _ in range(INDICES)]
    for index, size in sizes.items():
        groups[index].append(np.rint(random.laplace(0, 2.0 ** ((index - 14) / 2), size)).astype(np.int32))
    return groups


def test_no_symbols_are_one_constant_stream():
    assert encode_groups([[] for _ in range(INDICES)], False).hex() == "013000" + "00" + "00" * (INDICES - 1)


@given(
    st.dictionaries(st.integers(0, INDICES - 1), st.integers(1, 400), max_size=8),
    st.integers(0, 2**32),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_groups_come_back_piece_by_piece(sizes, seed, thorough):
    groups = groups_of(sizes, seed)
    cursor = Cursor(encode_groups(groups, thorough))
    grouped = GroupedSymbols(cursor, sum(sizes.values()))
    cursor.end()
    for index, size in sizes.items():
        half = size // 2
        taken = np.concatenate([grouped.take(index, half), grouped.take(index, size - half)])
        assert np.array_equal(taken, groups[index][0])
    grouped.end()


def test_pieces_of_a_group_are_joined_in_their_order():
    groups = [[] for _ in range(INDICES)]
    groups[20] = [np.array([5, -5], np.int32), np.array([7], np.int32)]
    grouped = GroupedSymbols(Cursor(encode_groups(groups, False)), 3)
    assert grouped.take(20, 3).tolist() == [5, -5, 7]


def test_taking_more_than_a_group_holds_is_refused():
    grouped = GroupedSymbols(Cursor(encode_groups(groups_of({3: 10}, 0), False)), 10)
    grouped.take(3, 8)
    with pytest.raises(FormatError) as caught:
        grouped.take(3, 5)
    assert str(caught.value) == "scale index 3 has 10 symbols, 13 are needed"


def test_symbols_that_nobody_took_are_refused():
    grouped = GroupedSymbols(Cursor(encode_groups(groups_of({3: 10}, 0), False)), 10)
    grouped.take(3, 8)
    with pytest.raises(FormatError) as caught:
        grouped.end()
    assert str(caught.value) == "2 symbols left over"


def test_groups_that_do_not_cover_all_indices_are_refused():
    with pytest.raises(FormatError) as caught:
        GroupedSymbols(Cursor(bytes.fromhex("012f00")), 10)
    assert str(caught.value) == "symbol groups [(47, 0)] do not cover 48 scale indices and at most 10 symbols"


def test_more_symbols_than_the_limit_are_refused():
    with pytest.raises(FormatError, match=r"symbol groups \[\(24, 6\), \(24, 6\)\] do not cover 48 scale indices and at most 10"):
        GroupedSymbols(Cursor(bytes.fromhex("0218061806")), 10)


def test_groups_larger_than_their_stream_are_refused():
    data = bytes.fromhex("013003" + "0100010101" + "0202" + "00" * 45)
    with pytest.raises(FormatError, match=r"symbol groups of \[2, 2, 0, .*\] in a stream of 3"):
        GroupedSymbols(Cursor(data), 3)


def test_every_truncation_is_a_format_error():
    packed = encode_groups(groups_of({10: 300, 14: 500, 30: 200}, 1), True)
    for size in range(len(packed)):
        with pytest.raises(FormatError):
            GroupedSymbols(Cursor(packed[:size]), 1000)


@given(st.integers(0, 10**9), st.integers(0, 255))
@settings(deadline=None, max_examples=150)
def test_a_changed_byte_gives_symbols_or_a_format_error(where, byte):
    damaged = bytearray(encode_groups(groups_of({10: 300, 14: 500, 30: 200}, 1), False))
    damaged[where % len(damaged)] = byte
    with contextlib.suppress(FormatError):
        grouped = GroupedSymbols(Cursor(bytes(damaged)), 1000)
        assert grouped.take(10, 300).size == 300
        grouped.end()


def test_histogram_counts_large_values_by_octave():
    counts = histogram(np.array([0, 0, 3, 254, 255, 256, 511, 512, 2**32 - 1], np.uint32), 1)
    assert counts[[0, 3, 254, 255]].tolist() == [2, 1, 1, 0]
    assert counts.sum() == 9
    assert counts[256:].nonzero()[0].tolist() == [0, 1, 2, 24]


def test_scale_indices_are_half_octaves():
    scales = np.array([2.0**-8, 0.5, 0.70710678, 0.75, 1.0, 1.5, 2.0, 1e9, 1e-9])
    assert scale_index(scales).tolist() == [0, 14, 14, 15, 16, 17, 18, 47, 0]


def test_the_magnitude_of_the_most_negative_integer_is_unsigned():
    assert magnitude(np.array([-(2**31), 5, -5], np.int32)).tolist() == [2**31, 5, 5]
