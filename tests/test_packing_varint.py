"""Varints, sections, and a cursor that never reads past its end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.errors import FormatError, TruncatedError
from aecodec.packing.varint import Cursor, put_section, put_varint


@pytest.mark.parametrize(
    ("value", "stored"),
    [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**32, "8080808010"), (2**63 - 1, "ff" * 8 + "7f")],
)
def test_varints_are_base_128_lowest_first(value, stored):
    out = bytearray()
    put_varint(out, value)
    assert out.hex() == stored
    assert Cursor(bytes.fromhex(stored)).varint() == value


@given(st.lists(st.integers(0, 2**63 - 1), max_size=10))
@settings(deadline=None, max_examples=50)
def test_varints_come_back_in_a_row(values):
    out = bytearray()
    for value in values:
        put_varint(out, value)
    cursor = Cursor(bytes(out))
    assert [cursor.varint() for _ in values] == values
    cursor.end()


def test_a_section_is_its_length_and_its_bytes():
    out = bytearray()
    put_section(out, b"abc")
    assert out.hex() == "03616263"
    cursor = Cursor(bytes(out))
    assert bytes(cursor.section().take(3)) == b"abc"
    cursor.end()


def test_arrays_are_little_endian():
    cursor = Cursor(bytes.fromhex("01000200ff"))
    assert cursor.array(np.dtype("u2"), 2).tolist() == [1, 2]
    assert cursor.remaining == 1


def test_taking_more_than_is_left_is_truncation_at_an_offset():
    cursor = Cursor(b"abcdef")
    cursor.take(4)
    with pytest.raises(TruncatedError) as caught:
        cursor.take(3)
    assert str(caught.value) == "3 bytes were declared at offset 4, 2 are left"
    assert bytes(cursor.take(2)) == b"ef"


def test_a_value_above_its_limit_is_refused():
    with pytest.raises(FormatError) as caught:
        Cursor(b"\xac\x02").varint(limit=299)
    assert str(caught.value) == "value 300 at offset 2 is above its limit 299"
    assert Cursor(b"\xac\x02").varint(limit=300) == 300


@pytest.mark.parametrize("stored", ["80" * 9 + "00", "80" * 9 + "01", "ff" * 9 + "7f", "ff" * 12])
def test_a_varint_of_ten_bytes_is_refused(stored):
    with pytest.raises(FormatError):
        Cursor(bytes.fromhex(stored)).varint()


def test_the_length_of_an_endless_varint_is_named():
    with pytest.raises(FormatError, match="is longer than 9 bytes"):
        Cursor(b"\xff" * 12).varint()


def test_an_unfinished_varint_is_truncation():
    with pytest.raises(TruncatedError, match="1 bytes were declared at offset 2, 0 are left"):
        Cursor(b"\x80\x80").varint()


def test_a_section_longer_than_the_rest_is_truncation():
    with pytest.raises(TruncatedError, match="5 bytes were declared at offset 1, 2 are left"):
        Cursor(b"\x05ab").section()


def test_bytes_left_over_are_refused():
    cursor = Cursor(b"abc")
    cursor.take(1)
    with pytest.raises(FormatError) as caught:
        cursor.end()
    assert str(caught.value) == "2 unexpected bytes after the end at offset 1"
