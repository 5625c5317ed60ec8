"""Modes 5 and 6: floats and hidden lattices come back to the bit, from bodies by their bytes and from arrays of every kind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import aecodec
from aecodec.codec.chunk import ChunkCoder, Mode
from aecodec.codec.effort import effort_of
from aecodec.codec.float_format import fixed_widths, from_ordered, q_limits, to_ordered
from aecodec.codec.float_mode import decode_floats, encode_floats
from aecodec.codec.float_plan import FIXED, ORDERED, FloatPlan, plan_floats
from aecodec.codec.hidden import Form, Lattice
from aecodec.codec.hidden_mode import decode_hidden, encode_hidden, plan_on
from aecodec.codec.integers import IntegerPlan, decode_integers, encode_integers, sample_of
from aecodec.codec.lattice_search import find_lattices
from aecodec.codec.lossless_mode import encode_lossless, encode_whole_numbers
from aecodec.errors import FormatError
from aecodec.fidelity import Fidelity
from aecodec.packing.refinement import decode_low_bits, encode_low_bits
from aecodec.packing.varint import Cursor

ONE = "000000000000f03f"
HALF = "000000000000e03f"
RAW = "00" + "00" + "03"  # layout 0, mode 0, bytes as they are
FLOATS = ["f2", "f4", "f8"]
PLAN = IntegerPlan(1.0, 0, 8, 16)


def decoded(body, dtype, shape=(1, 1, 1, 3)):
    return ChunkCoder(np.dtype(dtype), Fidelity()).decode(bytes.fromhex(body), shape)


def int32(*values):
    return RAW + np.array(values, "<i4").tobytes().hex()


def section(content):
    return bytes([len(content) // 2]).hex() + content


def bits_of(array):
    return array.view(f"u{array.itemsize}")


@pytest.mark.parametrize(
    ("body", "dtype", "values"),
    [
        ("05" + "00" + "01" + section(int32(1, 0, -4)) + "00" + section("00"), "f4", [0.5, 0.0, -2.0]),
        ("05" + "00" + "00" + section(int32(1, -2, 3)) + "00" + section("00"), "f4", [1.0, -2.0, 3.0]),
        ("06" + "00" + "02" + section(int32(125, -3, 0)) + section("00"), "f4", [1.25, -0.03, 0.0]),
        ("06" + "01" + HALF + ONE + section(int32(1, 2, -3)) + section("00"), "f8", [1.5, 2.0, -0.5]),
        ("06" + "02" + HALF + ONE + section(int32(1, 2, -3)) + section("00"), "f2", [1.5, 2.0, -0.5]),
        ("06" + "02" + HALF + ONE + section(int32(1, 2, -3)) + section("0100020001"), "f2", [1.5009765625, 2.0, -0.50048828125]),
        ("06" + "04" + "0300000000000000" + "0a00000000000000" + section(int32(1, 2, -3)), "i2", [13, 16, 1]),
        ("06" + "05" + section(int32(1, 2, -1)) + section(int32(0, 1, 0)), "u8", [1, 2 + 2**32, 2**32 - 1]),
        ("06" + "03" + "02" + "01" + section(int32(12, 3, 0)) + section("01000701000d010002") + "0100", "f8", [1.2, 0.37, -0.006]),
    ],
)  # fmt: skip
def test_a_body_is_read_as_the_format_says(body, dtype, values):
    assert decoded(body, dtype).reshape(-1).tolist() == np.array(values, dtype).tolist()


def test_low_bits_by_their_bytes():
    values, widths = np.array([0x1A2, 0x7, 0x2FF, 0x5], "u4"), np.array([9, 3, 8, 0], "u1")
    stored = encode_low_bits(values, widths)
    # Bytes of the first and third; bits 0 and 1 of the second; bit 8 of the first and bit 2 of the second.
    assert stored.hex() == "00" + "a2ff" + "00" + "03" + "00" + "03"
    into = np.zeros(4, "u4")
    decode_low_bits(Cursor(stored), into, widths)
    assert into.tolist() == [0x1A2, 0x7, 0xFF, 0]
    assert encode_low_bits(values, 4).hex() == "00" + "f2" + "57"  # planar: 2 and f, then 7 and 5, the first the least


def test_ordered_integers_keep_the_order_and_every_bit():
    values = np.array([-np.inf, -1.5, -1e-45, -0.0, 0.0, 1e-45, 2.0, np.inf], "f4")
    ordered = to_ordered(values)
    assert (np.diff(ordered.astype("i8")) > 0).all()
    assert ordered[3:5].tolist() == [-1, 0]
    assert from_ordered(ordered, values.dtype).tobytes() == values.tobytes()


def test_widths_are_what_lies_below_the_step():
    coarse = np.array([1.0, 1.5, 2.0, 1024.0, 2.0**-149], "f4").view("u4")
    assert fixed_widths(coarse, 0).tolist() == [23, 23, 22, 13, 23]
    assert fixed_widths(np.array([2.0**-148], "f4").view("u4"), -148).tolist() == [1]


@pytest.mark.parametrize("layout", [0, 1, 16, 33, 0xF1])
def test_layouts_of_integers_are_undone(layout):
    random = np.random.default_rng(3)
    indices = random.integers(-(2**31), 2**31, (5, 3, 4, 6)).astype("i4")
    body = encode_integers(indices, IntegerPlan(1.0, layout, 5, 64), False)
    assert np.array_equal(decode_integers(Cursor(body), indices.shape), indices)


SPECIAL = {
    "f2": [0x7E01, 0xFE00, 0x7C00, 0xFC00, 0x8000, 0x0001, 0x8001, 0x7BFF],
    "f4": [0x7FC00001, 0xFFC00000, 0x7F800001, 0x7F800000, 0xFF800000, 0x80000000, 0x00000001, 0x7F7FFFFF],
    "f8": [0x7FF8000000000001, 0xFFF8000000000000, 0x7FF0000000000000, 0xFFF0000000000000, 2**63, 1, 2**63 + 1, 0x7FEFFFFFFFFFFFFF],
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_floats_of_any_bits_come_back(dtype, data):
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 4))
    unsigned = f"u{dtype[1]}"
    bits = data.draw(arrays(unsigned, shape, elements=st.one_of(
        st.sampled_from(SPECIAL[dtype]), st.integers(0, 2 ** (8 * int(dtype[1])) - 1))))  # fmt: skip
    array = bits.view(dtype)
    for level in (1, 9):
        coder = ChunkCoder(np.dtype(dtype), Fidelity(), None, level)
        assert coder.decode(coder.encode(array), shape).tobytes() == array.tobytes()
        body = encode_lossless(array, effort_of(level))
        assert body[0] in (Mode.FLOATS, Mode.HIDDEN)
        assert coder.decode(body, shape).tobytes() == array.tobytes()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_both_ways_hold_at_any_step(dtype, data):
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    array = np.cumsum(random.normal(size=(3, 2, 4, 8)), axis=3).astype(dtype) * np.dtype(dtype).type(
        data.draw(st.sampled_from([1, 1e-3, 300]))
    )
    array[0, 0, 0, :3] = [-0.0, 0.0, np.finfo(dtype).smallest_subnormal]
    low, high = q_limits(array.dtype)
    finest = max(low, int(np.frexp(float(np.abs(array).max()))[1]) - 30)
    fixed = data.draw(st.integers(finest, high))
    width = 8 * array.itemsize
    for way, q in ((FIXED, fixed), (ORDERED, data.draw(st.integers(max(0, width - 32), width - 1)))):
        body = encode_floats(array, FloatPlan(0.0, way, q, PLAN), False)
        assert decode_floats(Cursor(body), array.shape, array.dtype).tobytes() == array.tobytes()


def field(kind, dtype="f4", shape=(6, 2, 20, 30)):
    n = np.cumsum(np.random.default_rng(5).integers(-9, 10, shape), axis=3)
    noise = np.cumsum(np.random.default_rng(6).normal(size=shape), axis=3)
    if kind == "decimal":
        return (n / 100).astype(dtype)
    if kind == "affine":
        return (n * 0.0018310826276035 + 281.123).astype(dtype)
    if kind == "narrow":
        return n.astype(dtype) * np.dtype(dtype).type(0.01) + np.dtype(dtype).type(273.15)
    if kind == "channels":
        return (n / np.array([100, 1000]).reshape(1, 2, 1, 1)).astype(dtype)
    if kind == "digits":
        return np.array([float(f"{v:.2e}") for v in np.sinh(noise.reshape(-1) / 9)]).reshape(shape).astype(dtype)
    return (n * 2.0**-12).astype(dtype)


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("level", [1, 5, 9])
@pytest.mark.parametrize("kind", ["decimal", "affine", "narrow", "channels", "digits"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_hidden_lattices_are_found_and_kept_to_the_bit(kind, dtype, level, odd):
    array = field(kind, dtype)
    if odd:
        array[1, 0, 3, 4:9] = [np.nan, np.inf, -np.inf, -0.0, 0.0]
        bits_of(array)[2, 0, 0, 0] = SPECIAL[dtype][0]
        array[3, 1, 7, 7] = np.pi
    coder = ChunkCoder(array.dtype, Fidelity(), None, level)
    body = coder.encode(array)
    assert body[0] == Mode.HIDDEN
    assert coder.decode(body, array.shape).tobytes() == array.tobytes()
    assert len(body) < (0.33 if kind == "digits" else 0.25) * array.nbytes


def test_a_step_of_a_power_of_two_leaves_no_low_bits():
    array = field("binary")
    body = ChunkCoder(array.dtype, Fidelity()).encode(array)
    assert len(body) < 1.03 * len(ChunkCoder(np.dtype("i4"), Fidelity()).encode(np.rint(array * 4096).astype("i4")))


def test_true_floats_have_no_lattice_of_their_own():
    array = np.random.default_rng(1).normal(size=(2, 2, 30, 40)).astype("f4")
    assert [plan.lattice.form for plan in find_lattices(array, effort_of(5)) if plan.bits < 22] == []


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_integers_of_any_width_come_back(dtype, data):
    info = np.iinfo(dtype)
    low = data.draw(st.integers(info.min, info.max))
    high = data.draw(st.integers(low, info.max))
    factor = data.draw(st.sampled_from([1, 1, 2, 7, 1000]))
    array = data.draw(arrays(dtype, data.draw(st.tuples(*[st.integers(1, 4)] * 4)), elements=st.integers(low, high)))
    array = array // np.array(min(factor, info.max), dtype) * np.array(min(factor, info.max), dtype)
    for level in (5, 9):
        coder = ChunkCoder(array.dtype, Fidelity(), None, level)
        body = encode_whole_numbers(array, effort_of(level))
        for chosen in (coder.encode(array), body):
            if chosen is not None:
                assert np.array_equal(coder.decode(chosen, array.shape), array)


def test_wide_integers_and_common_factors_are_packed():
    times = (1_600_000_000_000_000_000 + np.cumsum(np.random.default_rng(2).integers(0, 99, 4000)) * 1000).reshape(-1, 1, 1, 1)
    coder = ChunkCoder(times.dtype, Fidelity())
    body = coder.encode(times)
    assert body[0] == Mode.HIDDEN
    assert len(body) < 1.2 * times.size
    assert np.array_equal(coder.decode(body, times.shape), times)


@pytest.mark.parametrize(
    ("body", "dtype", "message"),
    [
        ("05" + "08" + "00", "f4", "floats of way and flags 0x8"),
        ("05" + "03" + "00", "f4", "floats of way and flags 0x3"),
        ("05" + "00" + "00", "i4", "floats of way and flags 0x0 in an array of int32"),
        ("05" + "00" + "8240" + section(int32(1, 2, 3)) + "00", "f4", "split at 2**4097, outside 2**-180 to 2**128"),
        ("05" + "01" + "40" + section(int32(1, 2, 3)) + "00", "f4", "ordered floats of 32 bits are shifted by 32"),
        ("05" + "01" + "3e" + section(int32(1, 2, 3)) + "00", "f8", "ordered floats of 64 bits are shifted by 31"),
        ("05" + "00" + "00" + section("02" + "00"), "f4", "unknown layout 0x2"),
        ("05" + "00" + "00" + section("00" + "05"), "f4", "chunk mode 5, which holds none"),
        ("05" + "00" + "00" + section("00" + "0201" + ONE + "00"), "f4", "flags or a lattice step of their own"),
        ("05" + "00" + "00" + section("00" + "0200" + HALF + "00"), "f4", "flags or a lattice step of their own"),
        ("06" + "06", "f4", "unknown form 6"),
        ("06" + "40", "f4", "form and flags 0x40"),
        ("06" + "04", "f4", "form and flags 0x4 in an array of float32"),
        ("06" + "00", "i4", "form and flags 0x0 in an array of int32"),
        ("06" + "05", "i4", "integers in halves"),
        ("06" + "00" + "17", "f4", "23 decimal places, at most 22"),
        ("06" + "03" + "0a" + "00", "f4", "10 significant digits"),
        ("06" + "03" + "04" + "13", "f4", "19 decimal places, at most 18"),
        ("06" + "01" + "0000000000000000" + ONE, "f4", "not positive or an offset that is not finite"),
        ("06" + "01" + ONE + "000000000000f87f", "f4", "not positive or an offset that is not finite"),
        ("06" + "03" + "01" + "05" + section(int32(1, 2, 0)) + section("00" + "0100" + "20"), "f4", "beyond 10**-22"),
    ],
)
def test_each_check_has_its_message(body, dtype, message):
    with pytest.raises(FormatError) as caught:
        decoded(body, dtype)
    assert message in str(caught.value)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("seed", range(3))
def test_damaged_bodies_give_an_array_or_a_format_error(seed):
    random = np.random.default_rng(seed)
    arrays_of = [field("decimal"), field("digits", "f8"), field("affine", "f8"), random.normal(size=(2, 2, 9, 9)).astype("f4")]
    arrays_of.append((1_600_000_000_000_000_000 + np.cumsum(random.integers(0, 99, 400)) * 1000).reshape(-1, 1, 2, 2))
    for array in arrays_of:
        coder = ChunkCoder(array.dtype, Fidelity())
        body = bytearray(coder.encode(array))
        assert body[0] in (Mode.FLOATS, Mode.HIDDEN)
        for _ in range(60):
            damaged = bytearray(body)
            for _ in range(random.integers(1, 4)):
                damaged[random.integers(0, min(len(body), random.choice([40, 1 << 20])))] = random.integers(0, 256)
            if random.random() < 0.3:
                del damaged[random.integers(1, len(damaged)) :]
            try:
                assert coder.decode(bytes(damaged), array.shape).shape == array.shape
            except FormatError:
                continue


def test_a_lattice_that_fails_outside_the_sample_gives_way():
    array = field("decimal", "f8", (40, 1, 64, 64))
    array[5, 0, 1, 1] = 1e300
    coder = ChunkCoder(array.dtype, Fidelity(), None, 1)
    assert coder.decode(coder.encode(array), array.shape).tobytes() == array.tobytes()


def test_hidden_bodies_of_a_given_lattice():
    array = field("decimal")
    for lattice in (Lattice(Form.DECIMAL, np.array([2], "u1")), Lattice(Form.AFFINE, None, np.array([0.01]), np.array([0.0]))):
        plan = plan_on(array, lattice, effort_of(5))
        body = encode_hidden(array, plan, False)
        assert decode_hidden(Cursor(body), array.shape, array.dtype).tobytes() == array.tobytes()


def test_samples_are_windows_of_the_array():
    array = np.arange(100 * 2 * 60 * 50, dtype="f4").reshape(100, 2, 60, 50)
    sample = sample_of(array, 1 << 14)
    assert 0.4 * 2**14 < sample.size <= 1.1 * 2**14
    assert np.isin(sample[0], array[0]).all()
    assert sample_of(array[:1], 1 << 20) is not None
    assert plan_floats(array, sample, effort_of(1))


def test_complex_and_big_endian_arrays_come_back():
    array = (field("decimal", "f8") + 1j * field("binary", "f8")).astype(">c16")
    assert aecodec.decompress(aecodec.compress(array, False, "tcyx")).tobytes() == array.tobytes()
