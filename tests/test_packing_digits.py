"""Digits: several small numbers in a byte, planar."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.packing.digits import pack_digits, packed_size, unpack_digits
from aecodec.packing.plan import JOINT

LAYOUTS = sorted({*JOINT, (4, 4), (16, 2), (256, 1)})


@pytest.mark.parametrize(
    ("digits", "base", "per_byte", "packed"),
    [
        ([0, 1, 2, 2, 1], 3, 4, "0f07"),
        ([1, 0, 1, 1, 0, 0, 0, 1, 1], 2, 8, "130a"),
        ([5, 10], 16, 2, "a5"),
        ([7, 8, 9], 12, 2, "7308"),
        ([200, 3], 256, 1, "c803"),
        ([], 3, 5, ""),
    ],
)
def test_digits_lie_in_planes_the_first_least_significant(digits, base, per_byte, packed):
    assert pack_digits(np.array(digits, np.uint8), base, per_byte).tobytes().hex() == packed
    assert unpack_digits(np.frombuffer(bytes.fromhex(packed), np.uint8), base, per_byte, len(digits)).tolist() == digits


@pytest.mark.parametrize(("count", "per_byte", "size"), [(0, 5, 0), (1, 5, 1), (5, 5, 1), (6, 5, 2), (7, 1, 7)])
def test_packed_size_rounds_up(count, per_byte, size):
    assert packed_size(count, per_byte) == size


@pytest.mark.parametrize(("base", "per_byte"), LAYOUTS)
def test_the_highest_digits_fit_a_byte(base, per_byte):
    digits = np.full(per_byte, base - 1, np.uint8)
    assert pack_digits(digits, base, per_byte).tolist() == [base**per_byte - 1]


@given(st.sampled_from(LAYOUTS), st.integers(0, 100), st.integers(0, 2**32))
@settings(deadline=None, max_examples=100)
def test_unpacking_undoes_packing(layout, count, seed):
    base, per_byte = layout
    digits = np.random.default_rng(seed).integers(0, base, count).astype(np.uint8)
    packed = pack_digits(digits, base, per_byte)
    assert packed.size == packed_size(count, per_byte)
    assert np.array_equal(unpack_digits(packed, base, per_byte, count), digits)


@given(st.sampled_from(LAYOUTS), st.binary(min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_any_bytes_unpack_to_the_number_of_digits_asked_for(layout, packed):
    base, per_byte = layout
    assert unpack_digits(np.frombuffer(packed, np.uint8), base, per_byte, len(packed) * per_byte).size == len(packed) * per_byte
