"""Chunk bodies by their bytes: each mode and flag of the format, read from bodies written by hand."""

import numpy as np
import pytest

from aecodec.codec.chunk import ChunkCoder, Mode
from aecodec.codec.sections import apply_exceptions, decode_classes, encode_classes, encode_exceptions, non_finite_classes
from aecodec.errors import FormatError
from aecodec.fidelity import Fidelity, fidelity_from_options
from aecodec.packing.varint import Cursor

ONE = "000000000000f03f"
HALF = "000000000000e03f"
QUARTER = "000000000000d03f"
THREE = "0000000000000840"
NAN = float("nan")


def decoded(body, dtype, shape=(1, 1, 1, 3)):
    return ChunkCoder(np.dtype(dtype), Fidelity()).decode(bytes.fromhex(body), shape)


RESIDUAL = "06" + "00" + "0100" + "020104"  # 1, -1, 2 in cells of 0
ZEROS = "02" + "00" + "00"


@pytest.mark.parametrize(
    ("body", "dtype", "values"),
    [
        ("00" + "03" + "010002000300", "i2", [1, 2, 3]),  # bytes as they are
        ("01" + "0000c03f", "f4", [1.5, 1.5, 1.5]),  # one value
        ("02" + "00" + HALF + "00" + RESIDUAL, "f4", [0.5, -0.5, 1.0]),
        ("02" + "00" + HALF + "08" + RESIDUAL, "f4", [0.5, 0.0, 1.0]),  # summed along columns
        ("02" + "00" + HALF + "07" + RESIDUAL, "f4", [0.5, -0.5, 1.0]),  # axes of size 1 change nothing
        ("02" + "00" + THREE + "00" + RESIDUAL, "i2", [3, -3, 6]),
        ("02" + "00" + THREE + "00" + RESIDUAL, "u1", [3, 0, 6]),  # clipped to the dtype
        ("02" + "02" + ONE + "00" + RESIDUAL + "05" + "0100" + "000103", "f4", [1.0, NAN, -np.inf]),
        ("02" + "04" + ONE + "00" + ZEROS + "04" + "01" + "00" + "0700", "i2", [7, 0, 0]),  # the first is kept exactly
        ("04" + QUARTER + "00" + RESIDUAL + "05" + "0100" + "000504" + "02" + "0000", "f4", [1.0, -0.5, 0.0]),
    ],
)
def test_a_body_is_read_as_the_format_says(body, dtype, values):
    assert np.array_equal(decoded(body, dtype).reshape(-1), np.array(values, dtype), equal_nan=dtype[0] == "f")


def test_steps_per_channel_by_their_bytes():
    body = "02" + "10" + HALF + THREE + "00" + "05" + "00" + "0100" + "0202"
    assert decoded(body, "f4", (1, 2, 1, 1)).reshape(-1).tolist() == [0.5, 3.0]


@pytest.mark.parametrize("dtype", ["i1", "u2", "f2", "f4", "f8"])
def test_a_constant_is_its_mode_and_its_value(dtype):
    body = ChunkCoder(np.dtype(dtype), Fidelity()).encode(np.full((2, 3, 4, 5), 3, dtype))
    assert body == bytes([Mode.CONSTANT]) + np.array([3], dtype).tobytes()


def test_zeros_of_both_signs_are_not_a_constant():
    array = np.array([0.0, -0.0], "f4").reshape(1, 1, 1, 2)
    body = ChunkCoder(array.dtype, Fidelity()).encode(array)
    assert body[0] == Mode.BYTES
    assert ChunkCoder(array.dtype, Fidelity()).decode(body, array.shape).tobytes() == array.tobytes()


def test_a_lossy_mode_gives_way_to_bytes_that_are_smaller():
    repeats = np.resize(np.random.default_rng(0).normal(size=50), 50_000).reshape(1, 1, 1, -1)
    fine = ChunkCoder(repeats.dtype, fidelity_from_options(max_error=1e-9))
    assert fine.encode(repeats)[0] == Mode.BYTES
    assert np.array_equal(fine.decode(fine.encode(repeats), repeats.shape), repeats)


def test_exceptions_are_gaps_and_values():
    array = np.array([5, 6, 7, 8], "i2")
    stored = encode_exceptions(array, np.array([1, 3]))
    assert stored.hex() == "02" + "01000101" + "06000800"
    target = np.zeros(4, "i2")
    apply_exceptions(Cursor(stored), target)
    assert target.tolist() == [0, 6, 0, 8]
    assert encode_exceptions(array, np.array([], int)).hex() == "0000"


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ("0101000407", "exact value at position 4 of 4"),
        ("0500", "value 5 at offset 1 is above its limit 4"),
        ("010007", "declared"),
    ],
)
def test_exceptions_beyond_the_array_are_refused(stored, message):
    with pytest.raises(FormatError, match=message):
        apply_exceptions(Cursor(bytes.fromhex(stored)), np.zeros(4, "i2"))


def test_classes_are_stored_where_there_are_any():
    array = np.array([1.0, NAN, np.inf, -np.inf], "f4")
    classes = non_finite_classes(array)
    assert classes.tolist() == [0, 1, 2, 3]
    assert decode_classes(Cursor(encode_classes(classes)), (4,)).tolist() == [0, 1, 2, 3]
    assert non_finite_classes(np.ones(4)) is None
    assert non_finite_classes(np.ones(4, "i4")) is None


def test_an_unknown_class_is_refused():
    with pytest.raises(FormatError) as caught:
        decode_classes(Cursor(bytes.fromhex("0100000106")), (3,))
    assert str(caught.value) == "value class 6 is unknown"
