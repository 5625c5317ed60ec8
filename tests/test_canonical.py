"""Canonical arrays: dtypes, byte orders, complex and bool, and back without a bit changed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.axes import parse_axes
from aecodec.canonical import ArraySpec, as_array, checked_dtype
from aecodec.errors import DtypeError

DTYPES = ["?", "i1", "<i2", ">i2", "<i4", ">i8", "u1", ">u2", "<u8", "<f2", ">f4", "<f8", ">c8", "<c16"]


def spec_of(array, letters):
    return ArraySpec(array.dtype, parse_axes(letters, array.ndim), array.shape)


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        ("O", "dtype object holds Python objects; convert the array to numbers first, e.g. array.astype(float)"),
        ("U3", "dtype <U3 is not supported; use bool, (u)int8-64, float16-64 or complex64-128"),
        ("M8[s]", "dtype datetime64[s] is not supported; use bool, (u)int8-64, float16-64 or complex64-128"),
        ([("a", "i4")], "dtype [('a', '<i4')] is not supported; use bool, (u)int8-64, float16-64 or complex64-128"),
    ],
)
def test_dtypes_that_are_not_numbers_are_refused(dtype, message):
    with pytest.raises(DtypeError) as caught:
        checked_dtype(dtype)
    assert str(caught.value) == message


@pytest.mark.skipif(np.dtype("longdouble").itemsize == 8, reason="long double is double here")
@pytest.mark.parametrize("dtype", ["longdouble", "clongdouble"])
def test_long_doubles_are_refused(dtype):
    with pytest.raises(DtypeError, match=r"is not supported; use bool, \(u\)int8-64, float16-64 or complex64-128"):
        checked_dtype(dtype)


@pytest.mark.parametrize("data", [b"\x01\x02", bytearray(b"\x01\x02"), memoryview(b"\x01\x02")])
def test_bytes_are_unsigned_integers(data):
    array = as_array(data)
    assert (array.dtype, array.tolist()) == (np.uint8, [1, 2])


def test_a_typed_memoryview_keeps_its_type_and_shape():
    source = np.arange(6, dtype="i4").reshape(2, 3)
    array = as_array(memoryview(source))
    assert array.dtype == np.int32
    assert array.tolist() == source.tolist()


class OnlyArray:
    def __array__(self, dtype=None, copy=None):
        return np.array([1.5, 2.5])


class OnlyDlpack:
    def __init__(self):
        self.held = np.array([1, 2, 3], "i2")

    def __dlpack__(self, **arguments):
        return self.held.__dlpack__(**arguments)

    def __dlpack_device__(self):
        return self.held.__dlpack_device__()


def test_array_and_dlpack_protocols_are_understood():
    assert as_array(OnlyArray()).tolist() == [1.5, 2.5]
    assert as_array(OnlyDlpack()).tolist() == [1, 2, 3]
    assert as_array([[1, 2], [3, 4]]).shape == (2, 2)
    assert type(as_array(np.ma.masked_array([1, 2], [0, 0]))) is np.ndarray


def test_lists_of_words_are_refused():
    with pytest.raises(DtypeError, match="dtype <U3 is not supported"):
        as_array(["one", "two"])


def test_complex_numbers_become_pairs_of_channels():
    array = np.array([[1 + 2j, 3 + 4j]], "c8")
    spec = spec_of(array, "tc")
    canonical = spec.to_canonical(array)
    assert canonical.dtype == np.float32
    assert canonical.reshape(-1).tolist() == [1, 2, 3, 4]
    assert spec.canonical_shape == (1, 4, 1, 1)
    assert spec.channels == 4


def test_bools_become_bytes():
    array = np.array([True, False])
    canonical = spec_of(array, "t").to_canonical(array)
    assert canonical.dtype == np.uint8
    assert canonical.reshape(-1).tolist() == [1, 0]


def test_steps_of_volumes_count_their_depth():
    spec = ArraySpec(np.dtype("f4"), parse_axes("tzyx", 4), (5, 3, 8, 8))
    assert (spec.length, spec.stream_axis, spec.steps_per_sample) == (5, 0, 3)
    assert spec.with_length(2).canonical_shape == (6, 1, 8, 8)


def test_the_stream_axis_may_be_rows_or_columns():
    assert ArraySpec(np.dtype("f4"), parse_axes("cyx", 3), (2, 8, 9)).stream_axis == 2
    assert ArraySpec(np.dtype("f4"), parse_axes("cx", 2), (2, 9)).stream_axis == 3
    without = ArraySpec(np.dtype("f4"), parse_axes("c", 1), (2,))
    assert (without.length, without.with_length(9)) == (1, without)


@given(st.sampled_from(DTYPES), st.permutations("tczyxc"), st.integers(0, 6), st.data())
@settings(deadline=None, max_examples=120)
def test_from_canonical_undoes_to_canonical_to_the_bit(dtype, letters, ndim, data):
    letters = "".join(letters[:ndim])
    shape = tuple(data.draw(st.integers(0, 4)) for _ in letters)
    dtype = np.dtype(dtype)
    count = int(np.prod(shape))
    raw = np.random.default_rng(count).integers(0, 2 if dtype.kind == "b" else 256, count * dtype.itemsize).astype(np.uint8)
    array = raw.view(dtype).reshape(shape)
    spec = spec_of(array, letters)
    canonical = spec.to_canonical(array)
    assert canonical.shape == spec.canonical_shape
    assert canonical.dtype == spec.real_dtype
    assert canonical.flags.c_contiguous
    restored = spec.from_canonical(canonical)
    assert restored.shape == shape
    assert restored.astype(dtype, copy=False).tobytes() == array.tobytes()


def test_bools_of_any_byte_are_true_or_false():
    array = np.array([0, 1, 2, 255], np.uint8).view(bool)
    spec = spec_of(array, "t")
    assert spec.to_canonical(array).ravel().tolist() == [0, 1, 1, 1]
    assert spec.from_canonical(spec.to_canonical(array)).tolist() == [False, True, True, True]
