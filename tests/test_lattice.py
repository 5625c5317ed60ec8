"""Lattice: steps, indices and values that keep every bound; Lorenzo residuals that undo exactly."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.lattice import (
    INDEX_LIMIT,
    from_lattice,
    lattice_steps,
    lorenzo_residual,
    lorenzo_restore,
    to_lattice,
    within_bound,
)

SHAPE = (1, 1, 1, -1)


def line(values, dtype):
    return np.array(values, dtype).reshape(SHAPE)


@pytest.mark.parametrize(("error", "step"), [(0, 1.0), (0.5, 1.0), (1, 3.0), (1.9, 3.0), (10, 21.0)])
def test_integers_get_an_odd_integer_spacing(error, step):
    assert lattice_steps(np.array([float(error)]), np.array([100.0]), np.dtype("i4")).tolist() == [step]


def test_floats_give_up_half_a_unit_in_the_last_place():
    step = lattice_steps(np.array([0.5]), np.array([1.0]), np.dtype("f4"))[0]
    assert step == 2.0 * (0.5 - 2.0**-24) * (1.0 - 2.0**-40)


@pytest.mark.parametrize(("error", "peak"), [(0.0, 1.0), (1e-9, 1.0), (1e-3, 1e6)])
def test_a_bound_finer_than_the_dtype_has_no_lattice(error, peak):
    assert lattice_steps(np.array([error]), np.array([peak]), np.dtype("f4")).tolist() == [0.0]


def test_each_channel_has_its_own_step():
    steps = lattice_steps(np.array([1.0, 2.0]), np.array([5.0, 5.0]), np.dtype("i2"))
    array = np.array([[7, 7]], "i2").reshape(1, 2, 1, 1)
    assert steps.tolist() == [3.0, 5.0]
    assert to_lattice(array, steps).reshape(-1).tolist() == [2, 1]
    assert from_lattice(to_lattice(array, steps), steps, np.dtype("i2")).reshape(-1).tolist() == [6, 5]


def test_nearest_indices_of_floats_and_integers():
    assert to_lattice(line([-0.9, 0.2, 0.6, 3.4], "f8"), np.array([1.0])).reshape(-1).tolist() == [-1, 0, 1, 3]
    assert to_lattice(line([-4, -2, -1, 0, 1, 2, 4], "i1"), np.array([3.0])).reshape(-1).tolist() == [-1, -1, 0, 0, 0, 1, 1]


def test_a_base_moves_the_lattice_of_each_value():
    base = line([0.4, 10.6], "f8")
    indices = to_lattice(line([5, 5], "i4"), np.array([1.0]), base)
    assert indices.reshape(-1).tolist() == [5, -6]
    assert from_lattice(indices, np.array([1.0]), np.dtype("i4"), base).reshape(-1).tolist() == [5, 5]


def test_indices_beyond_int32_are_refused():
    assert to_lattice(line([float(INDEX_LIMIT)], "f8"), np.array([1.0])) is not None
    assert to_lattice(line([INDEX_LIMIT + 1.0], "f8"), np.array([1.0])) is None
    assert to_lattice(line([1e300], "f8"), np.array([1e-300])) is None
    assert to_lattice(line([2**61], "i8"), np.array([3.0])) is None
    assert to_lattice(line([2**63], "u8"), np.array([3.0])) is None
    assert to_lattice(line([-(2**63)], "i8"), np.array([3.0])) is None


def test_values_off_the_end_of_an_integer_dtype_are_clipped():
    indices = line([50, -50], "i4")
    assert from_lattice(indices, np.array([3.0]), np.dtype("i1")).reshape(-1).tolist() == [127, -128]
    assert from_lattice(indices, np.array([3.0]), np.dtype("u1")).reshape(-1).tolist() == [150, 0]


@pytest.mark.parametrize(
    ("dtype", "a", "b", "error", "inside"),
    [
        ("i8", -(2**63), 2**63 - 1, 2.0**62, False),
        ("i8", 2**62 + 1, 2**62, 1.0, True),
        ("i8", 2**62 + 2, 2**62, 1.9, False),
        ("u8", 2**64 - 1, 2**64 - 3, 2.0, True),
        ("u1", 0, 255, 254.0, False),
        ("f4", 1.0, 1.5, 0.5, True),
        ("f4", 1.0, 1.5000001, 0.5, False),
        ("f8", 1.0, float("nan"), 0.5, False),
    ],
)
def test_within_bound_compares_without_rounding(dtype, a, b, error, inside):
    assert within_bound(line([a], dtype), line([b], dtype), np.array([error])).reshape(-1).tolist() == [inside]


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30),
    st.floats(1e-3, 1e3),
    st.sampled_from(["f4", "f8"]),
)
@settings(deadline=None, max_examples=150)
def test_float_values_come_back_within_the_error_in_exact_arithmetic(values, error, dtype):
    array = line(values, dtype)
    steps = lattice_steps(np.array([error]), np.abs(array.astype("f8")).max(axis=(0, 2, 3)), array.dtype)
    if steps[0]:
        restored = from_lattice(to_lattice(array, steps), steps, array.dtype)
        worst = max(abs(Fraction(a) - Fraction(b)) for a, b in zip(array.ravel().tolist(), restored.ravel().tolist(), strict=True))
        assert worst <= Fraction(error) * (1 + Fraction(1, 2**20))
        assert within_bound(array, restored, np.array([error])).all() == (worst <= Fraction(error))


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=30), st.integers(0, 2**20))
@settings(deadline=None, max_examples=100)
def test_integers_come_back_within_the_error(values, error):
    array = line(values, "i4")
    steps = lattice_steps(np.array([float(error)]), np.array([0.0]), array.dtype)
    indices = to_lattice(array, steps)
    if indices is not None:
        restored = from_lattice(indices, steps, array.dtype)
        assert max(abs(a - b) for a, b in zip(array.ravel().tolist(), restored.ravel().tolist(), strict=True)) <= error


def test_lorenzo_residual_of_a_plane_is_its_corner_and_edges():
    plane = (np.arange(3)[:, None] * 10 + np.arange(3)[None, :] + 5).astype(np.int32).reshape(1, 1, 3, 3)
    assert lorenzo_residual(plane, 0b1100).reshape(3, 3).tolist() == [[5, 1, 1], [10, 0, 0], [10, 0, 0]]
    assert lorenzo_residual(plane, 0b1000).reshape(3, 3).tolist() == [[5, 1, 1], [15, 1, 1], [25, 1, 1]]
    assert lorenzo_residual(plane, 0).tolist() == plane.tolist()


@given(st.tuples(*[st.integers(0, 4)] * 4), st.integers(0, 15), st.integers(0, 2**32))
@settings(deadline=None, max_examples=100)
def test_lorenzo_undoes_itself_even_where_it_wraps(shape, mask, seed):
    random = np.random.default_rng(seed)
    indices = random.integers(-(2**31), 2**31, shape).astype(np.int32)
    assert np.array_equal(lorenzo_restore(lorenzo_residual(indices, mask), mask), indices)
