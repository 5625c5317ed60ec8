"""Indexing a file gives what numpy gives on the array, decoding only what the stream axis needs."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aecodec
from aecodec.axes import parse_axes

SHAPES = {"tyx": (9, 4, 5), "ytx": (4, 9, 5), "yxt": (4, 5, 9), "cyx": (2, 9, 5), "xyc": (5, 9, 2), "cc": (9, 4)}

INDICES = [
    0,
    -1,
    np.int64(3),
    np.array(2),
    slice(None),
    slice(2, 7),
    slice(None, None, 3),
    slice(None, None, -1),
    slice(7, 1, -2),
    slice(5, 5),
    slice(-3, None),
    slice(100, 200),
    [1, 0, 3],
    [3, 3, -1],
    [],
    np.array([[0, 3], [2, 1]]),
    np.array([], int),
    np.array([2, 1], "u1"),
    range(3),
    Ellipsis,
    None,
    (),
    (..., 0),
    (..., -1, slice(None, None, -1)),
    (0, ...),
    (None, 1, None, ..., None),
    (slice(1, 3), slice(None, None, -2)),
    (slice(None), 1),
    (slice(None), [1, 0, 1]),
    (slice(None), slice(3, 0, -1)),
    ([0, 2], [1, 3]),
    ([0, 2], slice(1, 3)),
    (slice(1, 3), [3, 0]),
    ([[0], [2]], [1, 3]),
    (1, [0, 2]),
    ([0, 2], 1),
    (-1, -1),
    (..., [1, 0]),
    (..., None, 1),
]


def in_chunks(array, axes, size):
    """A file of `array` with a chunk for every `size` steps of its stream axis."""
    out = io.BytesIO()
    stream = parse_axes(axes, array.ndim).stream
    cuts = [] if stream is None else range(size, array.shape[stream], size)
    for i, slab in enumerate([array] if stream is None else np.split(array, cuts, axis=stream)):
        with aecodec.open(out, "a" if i else "w", axes=axes) as f:
            f.write(slab)
    return aecodec.open(out)


@pytest.fixture(params=list(SHAPES))
def opened(request):
    array = np.arange(int(np.prod(SHAPES[request.param])), dtype="i4").reshape(SHAPES[request.param])
    file = in_chunks(array, request.param, 2)
    assert file.container.index.starts.size == (1 if request.param == "cc" else 5)
    return file, array


def expected_of(array, index):
    try:
        return array[index]
    except IndexError:
        return None


@pytest.mark.parametrize("index", INDICES, ids=lambda index: repr(index).replace("\n", ""))
def test_every_index_gives_what_numpy_gives(opened, index):
    file, array = opened
    expected = expected_of(array, index)
    if expected is None:
        with pytest.raises(IndexError):
            file[index]
    else:
        found = file[index]
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)


def test_boolean_masks_of_any_dimensions_select_as_numpy_does(opened):
    file, array = opened
    for ndim in range(1, array.ndim + 1):
        mask = (np.arange(int(np.prod(array.shape[:ndim]))) % 3 == 1).reshape(array.shape[:ndim])
        assert np.array_equal(file[mask], array[mask])
        assert np.array_equal(file[~mask, ...], array[~mask, ...])
    last = np.arange(array.shape[-1]) % 2 == 0
    assert np.array_equal(file[..., last], array[..., last])
    assert np.array_equal(file[array > 50], array[array > 50])
    assert np.array_equal(file[np.zeros(array.shape[0], bool)], array[np.zeros(array.shape[0], bool)])
    flags = [bool(i % 2) for i in range(array.shape[0])]
    assert np.array_equal(file[flags], array[flags])


@pytest.mark.parametrize(
    "index",
    [1.5, "a", 99, -99, [0, 99], (0, 0, 0, 0), (..., ...), (..., 99), np.ones(3, bool), np.ones((9, 9), bool), [0.5]],
    ids=repr,
)
def test_indices_that_numpy_refuses_are_refused(opened, index):
    file, array = opened
    with pytest.raises(IndexError):
        array[index]
    with pytest.raises(IndexError):
        file[index]


def test_messages_of_refused_indices_name_index_and_size():
    file = in_chunks(np.arange(10), "t", 4)
    for index, message in (
        (10, "index 10 is out of bounds for the stream axis of size 10"),
        (1.5, "index '1.5' is not an integer, slice or array of them"),
        ((1, 2), "too many indices: the array has 1 dimensions, 2 were indexed"),
        ((..., ...), "an index can have only one ellipsis"),
        (np.ones(5, bool), "boolean index of shape (5,) does not match (10,) of the array"),
    ):
        with pytest.raises(IndexError) as caught:
            file[index]
        assert str(caught.value) == message


slices = st.slices(12)
integers = st.integers(-12, 11)
arrays = st.lists(integers, max_size=5)


@given(st.sampled_from(["tyx", "ytx", "yxt"]), st.lists(st.one_of(slices, integers, arrays, st.none()), max_size=4), st.data())
@settings(deadline=None, max_examples=150)
def test_random_indices_give_what_numpy_gives(axes, items, data):
    array = np.arange(12**3, dtype="i2").reshape(12, 12, 12)
    file = FILES.setdefault(axes, in_chunks(array, axes, 5))
    if data.draw(st.booleans()):
        items.insert(data.draw(st.integers(0, len(items))), Ellipsis)
    expected = expected_of(array, tuple(items))
    if expected is None:
        with pytest.raises(IndexError):
            file[tuple(items)]
    else:
        assert np.array_equal(file[tuple(items)], expected)


FILES: dict[str, aecodec.Reader] = {}


def test_iteration_goes_over_the_first_axis(opened):
    file, array = opened
    rows = list(file)
    assert len(rows) == len(file) == len(array)
    assert np.array_equal(np.stack(rows), array)


def test_slabs_come_chunk_by_chunk():
    array = np.arange(90).reshape(9, 10)
    assert [(start, slab.shape) for start, slab in in_chunks(array, "tc", 4).slabs()] == [(0, (4, 10)), (4, (4, 10)), (8, (1, 10))]


def test_numpy_functions_take_a_file_for_an_array(opened):
    file, array = opened
    assert np.sum(file) == array.sum()
    assert np.asarray(file, "f4").dtype == np.float32
    with pytest.raises(ValueError, match="the file must be decoded into a new array"):
        file.__array__(copy=False)


def test_no_dimensions_have_no_length():
    file = in_chunks(np.array(2.5), "", 1)
    assert file[()] == 2.5
    assert file[...].shape == ()
    with pytest.raises(TypeError, match="len"):
        len(file)
    with pytest.raises(TypeError, match="iteration over a 0-d array"):
        list(file)
