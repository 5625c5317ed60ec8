"""The order in which values are predicted: every value once, from values that are known, in the order that the format names."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mode7_files import layout_of, remade

import aecodec
from aecodec.phase_inputs import gather_inputs, midpoints
from aecodec.phases import COLUMNS, ROWS, SOURCES, PhaseLayout, base_grid, schedule, split, targets
from aecodec.prediction import frames_shape, from_frames, run_phases, to_frames, zero_frames

powers = st.sampled_from([1, 2, 4, 8, 16, 32])
layouts = st.builds(
    PhaseLayout,
    powers,
    st.one_of(st.just(0), powers),
    st.integers(1, 64),
    st.lists(st.sampled_from(SOURCES), unique=True).map(tuple),
    st.booleans(),
)
sizes = st.one_of(st.integers(1, 9), st.sampled_from([15, 16, 17, 31, 33, 40]))


def shapes(draw_plane=sizes):
    return st.tuples(st.integers(1, 2), sizes, sizes, draw_plane, draw_plane).filter(lambda s: np.prod(s) <= 60_000)


@given(shapes(), layouts)
@settings(deadline=None, max_examples=120)
def test_every_value_off_the_base_grid_comes_exactly_once_and_between_known_ones(shape, layout):
    known = np.zeros(shape, bool)
    known[base_grid(shape)] = True
    for phase in schedule(shape, layout):
        assert 0 <= phase.kind < layout.kinds
        around, between = split(known, phase)
        assert between.size
        assert around.all()
        assert not between.any()
        targets(known, phase)[...] = True
        # A value has one known before it, and one after it or the end of its line.
        assert between.shape[-1] <= around.shape[-1] <= between.shape[-1] + 1
    assert known.all()


def test_the_base_grid_has_strides_of_up_to_64():
    def grid(rows, columns):
        array = np.arange(rows * columns).reshape(1, 1, 1, rows, columns)
        return array[base_grid(array.shape)].reshape(-1).tolist()

    assert grid(1, 1) == [0]
    assert grid(1, 2) == [0]
    assert grid(3, 2) == [0, 4]
    assert grid(1, 200) == [0, 64, 128, 192]
    assert grid(5, 9) == [0, 8]


def visited(shape, layout):
    """(kind, flat positions in coding order) of each phase."""
    flat = np.arange(np.prod(shape)).reshape(shape)
    return [(phase.kind, targets(flat, phase).reshape(-1).tolist()) for phase in schedule(shape, layout)]


def test_channels_in_order_within_depths_of_frames():
    # Three frames of two channels of 2 x 2: 4 values a plane, 8 a frame.
    assert visited((1, 3, 2, 2, 2), layout_of(2, 0, 2)) == [
        (0, [2, 18]),
        (1, [1, 3, 17, 19]),
        (12, [6, 22]),
        (13, [5, 7, 21, 23]),
        (24, [10]),
        (25, [9, 11]),
        (36, [14]),
        (37, [13, 15]),
    ]


def test_later_channels_share_the_last_class():
    kinds = [kind for kind, _ in visited((1, 1, 4, 2, 1), layout_of(1, 0, 2))]
    assert kinds == [0, 12, 12, 12]


def test_strides_halve_rows_before_columns_and_lines_run_along_them():
    assert visited((1, 1, 1, 3, 5), layout_of()) == [
        (2, [10, 14]),
        (3, [2, 12]),
        (0, [5, 7, 9]),
        (1, [1, 3, 6, 8, 11, 13]),
    ]


def test_pyramids_of_frames_and_of_channels():
    def order(shape, layout, axis):
        place = np.arange(20).reshape([20 if i == axis else 1 for i in range(5)])
        numbers = np.broadcast_to(place, shape)
        return [(phase.kind, sorted(set(targets(numbers, phase).reshape(-1).tolist()))) for phase in schedule(shape, layout)]

    keys, fourths, twos, ones = [0, 8, 16], [4, 12], [2, 6, 10, 14, 18], list(range(1, 20, 2))
    assert order((1, 20, 1, 2, 1), layout_of(8), 1) == [(0, keys), (12, fourths), (24, twos), (36, ones)]
    assert order((1, 1, 20, 2, 1), layout_of(1, 8), 2) == [(0, keys), (12, fourths), (24, twos), (36, ones)]
    assert order((1, 1, 20, 2, 1), layout_of(1, 32, 5), 2) == [
        (0, [0]),
        (12, [16]),
        (24, [8]),
        (36, [4, 12]),
        (48, twos),
        (60, ones),
    ]


def test_along_is_the_axis_that_lines_run_along():
    shape = (1, 1, 1, 4, 6)
    found = [(phase.along, phase.stride, targets(np.zeros(shape), phase).shape[-2:]) for phase in schedule(shape, layout_of())]
    assert found == [(ROWS, 2, (2, 1)), (COLUMNS, 2, (2, 1)), (ROWS, 1, (3, 2)), (COLUMNS, 1, (4, 3))]


def test_midpoints_are_floors_and_the_last_value_stands_in_for_what_is_missing():
    known = np.array([[3, 4, 7, -8]], np.int32)
    assert midpoints(known, 3).tolist() == [[3, 5, -1]]
    assert midpoints(known, 4).tolist() == [[3, 5, -1, -8]]
    assert midpoints(known[:, :1], 1).tolist() == [[3]]
    assert midpoints(np.array([[-3, -4]], np.int32), 1).tolist() == [[-4]]
    assert known.tolist() == [[3, 4, 7, -8]]


@given(st.tuples(sizes, st.integers(1, 5), sizes, sizes))
def test_frames_are_a_view_of_the_canonical_array(shape):
    array = np.arange(np.prod(shape)).reshape(shape)
    frames = to_frames(array)
    assert frames.shape == frames_shape(shape)
    assert np.shares_memory(frames, array)
    assert np.array_equal(from_frames(frames, shape), array)


def test_steps_of_series_become_columns():
    array = np.arange(12).reshape(6, 2, 1, 1)
    frames = to_frames(array)
    assert frames.shape == (1, 1, 2, 1, 6)
    assert frames[0, 0, :, 0].tolist() == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]
    assert to_frames(np.zeros((6, 2, 1, 3))).shape == (1, 6, 2, 1, 3)


@pytest.fixture(scope="module")
def bundle():
    field = np.random.default_rng(0).normal(size=(4, 1, 8, 8))
    return aecodec.fit(field, axes="tcyx", max_error=0.5, reference=False, tile=(1, 1, 8, 8)).bundle


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 5, 3, 17, 20), layout_of(4, 0, 2, ("before", "after", "channel-1"))),
        ((2, 3, 6, 9, 7), layout_of(2, 4, 1, SOURCES[:4])),
        ((1, 40, 2, 40, 40), layout_of(8, 0, 2, ("after",))),
    ],
)
def test_residuals_of_rounding_restore_every_value_to_half_the_spacing(bundle, shape, layout):
    model = aecodec.Model(remade(bundle, layout, shape[2]), "cpu")
    reals = np.random.default_rng(3).normal(size=shape).cumsum(axis=-1) * 500
    values = np.zeros(shape, np.int32)
    grid = base_grid(shape)
    values[grid] = np.rint(reals[grid])
    coded = []

    def code(phase, mean, index, _):
        assert mean.shape == index.shape
        residual = np.rint((targets(reals, phase) - mean) / 16).astype(np.int32)
        coded.append(residual.size)
        return residual

    run_phases(values, layout, 16, model.predict, code)
    assert np.abs(values - reals).max() <= 8
    assert sum(coded) == values.size - values[grid].size


def test_residuals_stay_what_they_were_where_values_are_told_to_be_zero():
    layout = layout_of(1, 0, 1, ("zero",), zeros=True)
    values, given = np.zeros((1, 1, 1, 5, 5), np.int32), []
    values[base_grid(values.shape)] = 100

    def predict(inputs, phase):
        return np.zeros((len(inputs.planes), 3, *inputs.planes.shape[2:]), np.float32)

    def tell(phase, odds):
        return np.arange(odds.size).reshape(odds.shape) % 2 == 0

    def code(phase, mean, index, known):
        assert known.dtype == bool
        given.append(np.full(mean.shape, 3, np.int32))
        return given[-1]

    run_phases(values, layout, 1, predict, code, np.array([[[[[7]]]]], np.int32), tell)
    assert all((residual == 3).all() for residual in given)
    assert (values == 7).any()
    assert (values > 100).any()


def test_zero_lies_at_minus_the_base_in_fine_units():
    base = np.array([[[[3.0, -1.1]]], [[[1e300, -1e300]]]]).transpose(1, 0, 2, 3)
    found = zero_frames(base, np.array([0.5, 1e-300]), (7, 2, 1, 2))
    assert found.tolist() == [[[[[-6, 2]], [[-(1 << 28), 1 << 28]]]]]
    assert found.dtype == np.int32
    series = zero_frames(np.array([2.0, 4.0]).reshape(1, 2, 1, 1), np.ones(2), (7, 2, 1, 1))
    assert series.tolist() == [[[[[-2]], [[-4]]]]]


def test_a_layout_that_asks_for_zero_must_be_given_it():
    values = np.zeros((1, 1, 1, 3, 3), np.int32)
    layout = layout_of(sources=("zero",))
    (phase, *_) = schedule(values.shape, layout)
    with pytest.raises(ValueError, match="the layout asks for the place of zero, which was not given"):
        gather_inputs(values, values, phase, layout)
    inputs = gather_inputs(values + 5, values, phase, layout, np.full((1, 1, 1, 3, 3), -7, np.int32))
    assert inputs.planes[0, :, 0, 0].tolist() == [0, 0, 0, 12, 0]
    far = gather_inputs(values, values, phase, layout, np.full((1, 1, 1, 3, 3), -(1 << 20), np.int32))
    assert far.shift.max() == 0
    assert far.planes[0, :, 0, 0].tolist() == [0, 0, 0, 4095, 0]
