"""Fine units of the predicted path: which lattices there are, and which values they hold."""

import numpy as np
import pytest

from aecodec.codec.fine_lattice import FINE, FineLattice, fine_lattice, fine_values
from aecodec.compiled.values import channel_ranges
from aecodec.prediction import VALUE_LIMIT

BASE = np.array([1.0, -2.0]).reshape(1, 2, 1, 1)


def units_of(values, lattice, base=BASE):
    found = fine_values(values, base, lattice, np.abs(channel_ranges(values)).max(axis=0))
    return None if found is None else found.all()


def test_floats_have_sixteen_units_to_a_step():
    lattice = fine_lattice(np.array([0.5, 2.0]), np.dtype("f4"))
    assert lattice is not None
    assert lattice.units.tolist() == [0.5 / FINE, 2.0 / FINE]
    assert lattice.spacing == FINE


def test_integers_have_one_spacing_of_whole_numbers():
    lattice = fine_lattice(np.array([3.0, 3.0]), np.dtype("i4"))
    assert lattice is not None
    assert (lattice.units.tolist(), lattice.spacing) == ([1.0, 1.0], 3)
    assert fine_lattice(np.array([3.0, 5.0]), np.dtype("i4")) is None
    assert fine_lattice(np.array([2.0**21, 2.0**21]), np.dtype("i4")) is None


def test_values_are_counted_from_their_base_in_pieces_of_any_length():
    lattice = FineLattice(np.array([0.25, 0.5]), FINE)
    values = np.random.default_rng(0).normal(size=(300, 2, 20, 19)).astype(np.float32)
    found = units_of(values, lattice)
    assert found is not None
    assert np.array_equal(found, (values.astype(float) - BASE) * np.array([4.0, 2.0]).reshape(1, 2, 1, 1))


def test_what_is_too_far_from_its_base_is_refused():
    lattice = FineLattice(np.ones(2), FINE)
    values = np.zeros((1, 2, 1, 2))
    most = float(VALUE_LIMIT - FINE)
    values[0, 1, 0, 1] = most - 2.0
    assert units_of(values, lattice) is not None
    values[0, 1, 0, 1] = most - 1.0
    assert units_of(values, lattice) is None
    values[0, 1, 0, 1] = np.inf
    assert units_of(values, lattice) is None


def test_a_base_far_from_0_with_values_beside_it_does_no_harm():
    lattice = FineLattice(np.ones(2), FINE)
    base = BASE + float(VALUE_LIMIT)
    found = units_of(np.broadcast_to(base, (3, 2, 4, 4)).copy(), lattice, base)
    assert found is not None
    assert not found.any()


@pytest.mark.parametrize("base", [BASE, np.random.default_rng(1).normal(size=(1, 2, 6, 5))])
def test_parts_are_the_same_as_of_all(base):
    lattice = FineLattice(np.array([0.25, 0.3]), FINE)
    values = np.random.default_rng(0).normal(size=(4, 2, 6, 5)).astype(np.float32)
    found = fine_values(values, base, lattice, np.abs(channel_ranges(values)).max(axis=0))
    assert found is not None
    chosen = np.random.default_rng(2).random((2, 6, 5)) < 0.5
    assert np.array_equal(found.sites(chosen), found.all()[:, chosen])
    grid = (slice(0, 1), slice(0, 4, 2), slice(None), slice(1, 6, 2), slice(0, 5, 3))
    assert np.array_equal(found.frames(grid), found.all()[None][grid])
