"""Axes: which letters are taken, what is guessed, and the way to canonical order and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.axes import Axes, guess_axes, parse_axes
from aecodec.errors import AxesError, UsageError


@pytest.mark.parametrize(
    ("letters", "shape", "canonical", "stream"),
    [
        ("", (), (1, 1, 1, 1), None),
        ("t", (7,), (7, 1, 1, 1), 0),
        ("c", (7,), (1, 7, 1, 1), None),
        ("x", (7,), (1, 1, 1, 7), 0),
        ("yx", (3, 4), (1, 1, 3, 4), 0),
        ("xy", (3, 4), (1, 1, 4, 3), 1),
        ("yxc", (5, 6, 3), (1, 3, 5, 6), 0),
        ("tcyx", (2, 3, 4, 5), (2, 3, 4, 5), 0),
        ("ctyx", (3, 2, 4, 5), (2, 3, 4, 5), 1),
        ("tzcyx", (2, 6, 3, 4, 5), (12, 3, 4, 5), 0),
        ("tcc", (2, 3, 4), (2, 12, 1, 1), 0),
        ("zyx", (2, 3, 4), (2, 1, 3, 4), 0),
    ],
)
def test_letters_give_a_canonical_shape_and_a_stream_axis(letters, shape, canonical, stream):
    axes = parse_axes(letters, len(shape))
    assert axes.canonical_shape(shape) == canonical
    assert axes.stream == stream


def test_canonical_values_of_a_channel_last_image():
    image = np.arange(12).reshape(2, 2, 3)
    assert parse_axes("yxc", 3).canonical(image).tolist() == [[[[0, 3], [6, 9]], [[1, 4], [7, 10]], [[2, 5], [8, 11]]]]


def test_repeated_channels_merge_in_the_order_of_the_array():
    array = np.arange(8).reshape(2, 2, 2)
    assert parse_axes("ctc", 3).canonical(array)[:, :, 0, 0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]


@given(st.permutations("tczyxc"), st.integers(0, 6), st.data())
@settings(deadline=None, max_examples=60)
def test_restore_undoes_canonical(letters, ndim, data):
    letters = "".join(letters[:ndim])
    shape = tuple(data.draw(st.integers(0, 4)) for _ in letters)
    array = np.arange(int(np.prod(shape))).reshape(shape)
    axes = parse_axes(letters, ndim)
    canonical = axes.canonical(array)
    assert canonical.shape == axes.canonical_shape(shape)
    assert np.array_equal(axes.restore(canonical, shape), array)


@pytest.mark.parametrize(
    ("shape", "dtype", "lossless", "letters"),
    [
        ((), "f4", False, ""),
        ((9,), "f4", False, "t"),
        ((9, 9), "u1", False, "yx"),
        ((9, 9), "u2", False, "yx"),
        ((9, 9, 3), "u1", False, "yxc"),
        ((9, 9, 4), "u2", False, "yxc"),
        ((5, 9, 9, 3), "u1", False, "tyxc"),
        ((5, 9, 9, 7), "u1", False, "tcyx"),
        ((5, 2, 9, 9), "f4", False, "tcyx"),
        ((5, 2, 3, 9, 9), "f8", False, "tczyx"),
        ((9, 9), "f4", True, "yx"),
        ((9, 9, 9), "i4", True, "tyx"),
        ((2, 3, 4, 5, 6, 7), "f4", True, "tcccyx"),
    ],
)
def test_axes_are_guessed_where_that_leaves_no_doubt(shape, dtype, lossless, letters):
    assert guess_axes(shape, np.dtype(dtype), lossless).letters == letters


def test_guess_names_the_choices_for_two_dimensions():
    with pytest.raises(AxesError) as caught:
        guess_axes((4, 5), np.dtype("f4"), False)
    assert str(caught.value) == (
        "cannot tell the axes of a 2-D float32 array of shape (4, 5); pass one of axes='yx' (one field or image), "
        "axes='tc' (samples of channels), axes='tx' (samples of profiles)"
    )


def test_guess_names_the_choices_for_three_dimensions():
    with pytest.raises(AxesError, match=r"3-D int32 array of shape \(4, 5, 6\).*axes='tyx'.*axes='cyx'.*axes='zyx'.*axes='tcx'"):
        guess_axes((4, 5, 6), np.dtype("i4"), False)


@pytest.mark.parametrize(
    ("axes", "ndim", "message"),
    [
        (3, 1, "axes must be a string such as 'tcyx', got int"),
        ("tq", 2, "axes='tq' has unknown letter(s) q; use t (samples), c (channels), z y x (space)"),
        ("Tw", 2, "axes='Tw' has unknown letter(s) T, w; use t (samples), c (channels), z y x (space)"),
        ("tyx", 2, "axes='tyx' names 3 dimension(s) but the array has 2; give one letter for each"),
        ("txx", 3, "axes='txx' repeats x; only c may repeat"),
        ("ttyy", 4, "axes='ttyy' repeats t, y; only c may repeat"),
    ],
)
def test_axes_that_cannot_be_are_refused_with_the_reason(axes, ndim, message):
    with pytest.raises(AxesError) as caught:
        parse_axes(axes, ndim)
    assert str(caught.value) == message


def test_an_axes_error_is_a_usage_error_and_a_value_error():
    with pytest.raises(UsageError):
        parse_axes("q", 1)
    with pytest.raises(ValueError, match="unknown letter"):
        parse_axes("q", 1)


def test_axes_without_a_sample_axis_stream_along_space():
    assert [Axes(letters).stream for letters in ("cyx", "xyz", "czx", "cc")] == [1, 2, 1, None]
