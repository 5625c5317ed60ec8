"""Ladder: a geometric lattice of magnitudes for relative bounds."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.ladder import (
    NAN,
    NEGATIVE,
    NEGATIVE_INFINITY,
    POSITIVE,
    POSITIVE_INFINITY,
    SMALLEST_ERROR,
    ZERO,
    classify,
    from_ladder,
    lattice_error,
    rungs,
    to_ladder,
)


def test_rungs_of_a_quarter():
    assert rungs(0.25).tolist() == [1.25, 2.0]


@pytest.mark.parametrize("error", [0.9, 0.1, 0.01, 1e-4])
def test_every_mantissa_is_within_the_error_of_a_rung(error):
    table = rungs(error)
    assert (np.diff(table) > 0).all()
    values = np.linspace(1, 2, 10_001)[:-1]
    nearest = np.abs(values[:, None] - table[None, :]).min(axis=1) if table.size < 100 else None
    if nearest is not None:
        assert (nearest <= error * values * (1 + 1e-12)).all()
    assert table[0] <= 1 + error
    assert table[-1] >= 2 * (1 - error)


def test_classes_of_all_kinds_of_values():
    array = np.array([1.5, np.nan, np.inf, -np.inf, 0.0, -0.0, -1.5, 5e-324])
    expected = [POSITIVE, NAN, POSITIVE_INFINITY, NEGATIVE_INFINITY, ZERO, ZERO, NEGATIVE, POSITIVE]
    assert classify(array).tolist() == expected
    assert [POSITIVE, NAN, POSITIVE_INFINITY, NEGATIVE_INFINITY, ZERO, NEGATIVE] == [0, 1, 2, 3, 4, 5]


def test_indices_step_by_the_number_of_rungs_from_power_to_power():
    indices = to_ladder(np.array([0.5, 1.0, 2.0, 4.0]), 0.25)
    assert np.diff(indices).tolist() == [2, 2, 2]


def test_special_values_come_back_from_their_classes():
    classes = np.array([NAN, POSITIVE_INFINITY, NEGATIVE_INFINITY, ZERO, NEGATIVE, POSITIVE], np.uint8)
    values = from_ladder(np.full(6, 2, np.int32), classes, 0.25, np.dtype("f4"))
    assert np.isnan(values[0])
    assert values[1:].tolist() == [np.inf, -np.inf, 0.0, -1.25, 1.25]


def test_an_error_near_the_dtypes_precision_has_no_ladder():
    assert lattice_error(1e-7, np.dtype("f4")) == 0.0
    assert lattice_error(1e-3, np.dtype("f2")) > 0.0
    assert lattice_error(1e-4, np.dtype("f2")) == 0.0
    assert lattice_error(SMALLEST_ERROR / 2, np.dtype("f8")) == 0.0
    assert lattice_error(1e-3, np.dtype("f8")) == pytest.approx(1e-3)


def test_hostile_indices_give_values_without_errors():
    indices = np.array([2**31 - 1, -(2**31)], np.int32)
    assert from_ladder(indices, np.zeros(2, np.uint8), 0.25, np.dtype("f4")).tolist() == [np.inf, 0.0]


@given(
    st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=30),
    st.floats(1e-5, 0.99),
)
@settings(deadline=None, max_examples=100)
def test_magnitudes_come_back_within_the_relative_error_in_exact_arithmetic(values, error):
    array = np.array(values)
    reduced = lattice_error(error, array.dtype)
    restored = from_ladder(to_ladder(array, reduced), classify(array), reduced, array.dtype)
    for before, after in zip(array.tolist(), restored.tolist(), strict=True):
        assert abs(Fraction(before) - Fraction(after)) <= Fraction(error) * Fraction(before)


@pytest.mark.parametrize("error", [1e-6, 3.3e-5, 0.01, 1 / 3, 0.7, 1 - 2**-53])
def test_rungs_are_products_taken_one_after_the_other(error):
    ratio, low, expected = (1.0 + error) / (1.0 - error), 1.0, []
    while low < 2.0:
        expected.append(min(low * (1.0 + error), 2.0))
        low *= ratio
    assert rungs(error).tolist() == expected
