"""What levels and streams have compiled against what numpy makes of the same: equal for any numbers."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import aecodec
from aecodec import weighted
from aecodec.compiled import planes, residual, streams, values
from aecodec.compiled.kernels import kernels
from aecodec.fast_lattice import predicted_residual, safe_lattice
from aecodec.packing.digits import unpack_digits
from aecodec.packing.plan import JOINT
from aecodec.packing.stream import decode_stream, encode_stream, odd_stride, unzigzag
from aecodec.packing.varint import Cursor

pytestmark = pytest.mark.skipif(kernels is None, reason="built without a C compiler")


def in_numpy(module, function, *arguments):
    """What a function gives without the compiled module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "kernels", None)
        return function(*arguments)


@st.composite
def numbers(draw) -> np.ndarray:
    """Unsigned, mostly small, of a width."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(["u1", "u2", "u4"]))
    found = random.geometric(draw(st.floats(0.001, 1.0)), draw(st.integers(0, 700))) - 1
    found[random.random(found.size) < 0.01] = np.iinfo(dtype).max
    return np.minimum(found, np.iinfo(dtype).max).astype(dtype)


@given(numbers())
@settings(deadline=None)
def test_statistics(found):
    assert streams.largest_and_sum(found) == in_numpy(streams, streams.largest_and_sum, found)
    assert streams.largest_and_sum(found)[1] == int(found.astype(object).sum()) if found.size else True


@given(numbers(), st.sampled_from([1, 2, 4, 8]))
@settings(deadline=None)
def test_low_bits(found, bits):
    packed, rest, known = streams.low_digits(found, bits)
    own_packed, own_rest, own_known = in_numpy(streams, streams.low_digits, found, bits)
    assert np.array_equal(packed, own_packed)
    assert np.array_equal(rest, own_rest)
    assert known == own_known == streams.largest_and_sum(rest)
    low = unpack_digits(packed, 1 << bits, 8 // bits, found.size)
    assert (rest.astype(object) * (1 << bits) + low == found).all()
    for high in (rest, rest.astype(np.uint32), streams.narrowed(rest, known[0])):
        back = streams.with_low(high, packed, bits)
        assert np.array_equal(back, found)
        own = in_numpy(streams, streams.with_low, high, packed, bits)
        assert np.array_equal(back, own)
        assert back.dtype == own.dtype


@given(numbers(), st.sampled_from(JOINT))
@settings(deadline=None)
def test_digits_and_escapes(found, layout):
    base, per_byte = layout
    packed, escaped, known = streams.joint_digits(found, base, per_byte)
    own_packed, own_escaped, own_known = in_numpy(streams, streams.joint_digits, found, base, per_byte)
    assert packed.tobytes() == own_packed.tobytes()
    assert escaped.tobytes() == own_escaped.tobytes()
    assert known == own_known == streams.largest_and_sum(escaped)
    digits = unpack_digits(packed, base, per_byte, found.size)
    assert np.array_equal(digits, np.minimum(found, base - 1))


@given(st.binary(max_size=5000), st.sampled_from(JOINT), st.integers(0, 7))
@settings(deadline=None)
def test_any_bytes_unpack_alike(packed, layout, fewer):
    base, per_byte = layout
    packed = np.frombuffer(packed, np.uint8)
    count = max(0, packed.size * per_byte - min(fewer, per_byte - 1))
    digits, number = streams.joint_values(packed, base, per_byte, count)
    own, own_number = in_numpy(streams, streams.joint_values, packed, base, per_byte, count)
    assert digits.tobytes() == own.tobytes()
    assert number == own_number == np.count_nonzero(digits == base - 1)
    for dtype in (np.uint8, np.uint16, np.uint32):
        others = np.random.default_rng(number).integers(0, np.iinfo(dtype).max, number, dtype)
        expanded = streams.with_escaped(digits, base - 1, others)
        largest = int(others.max(initial=0)) + base - 1
        assert expanded.dtype == (np.uint8 if largest < 1 << 8 else np.uint16 if largest < 1 << 16 else np.uint32)
        exact = digits.astype(np.int64)
        exact[digits == base - 1] += others
        assert np.array_equal(expanded, exact.astype(np.uint32))
        assert np.array_equal(expanded, in_numpy(streams, streams.with_escaped, digits, base - 1, others))


@given(numbers())
@settings(deadline=None)
def test_unzigzag(found):
    for dtype in (np.int16, np.int32):
        if found.itemsize == 4 and dtype is np.int16:
            continue
        out, own = np.empty(found.size, dtype), np.empty(found.size, dtype)
        streams.unzigzag_into(found, out)
        in_numpy(streams, streams.unzigzag_into, found, own)
        assert np.array_equal(out, own)
        assert np.array_equal(out, unzigzag(found.astype(np.uint32)).astype(dtype))


@given(numbers(), st.booleans())
@settings(deadline=None)
def test_tables(found, indexed):
    indices = np.random.default_rng(found.size).integers(0, 5, found.size, np.uint8) if indexed else None
    table = streams.tabulated(found, indices, 5)
    assert table.sum() == found.size
    assert np.array_equal(table, in_numpy(streams, streams.tabulated, found, indices, 5))


@given(numbers(), st.integers(1, 5))
@settings(deadline=None)
def test_histograms(found, stride):
    counts = streams.histogram(found, stride)
    assert counts.sum() == len(found[::stride]) * stride
    assert np.array_equal(counts, in_numpy(streams, streams.histogram, found, stride))


@given(numbers())
@settings(deadline=None)
def test_streams_are_the_same_bytes(found):
    packed = encode_stream(found)
    assert in_numpy(streams, encode_stream, found) == packed
    assert np.array_equal(decode_stream(Cursor(packed), found.size), found)


@given(
    st.integers(0, 2**32),
    st.sampled_from([(1, 1, 1, 9000), (3, 2, 1, 1), (2, 3, 17, 40), (5, 1, 8, 8), (40, 2, 3, 3)]),
    st.sampled_from(["f4", "f8"]),
    st.sampled_from([0, 1, 4, 8, 12]),
    st.integers(3, 24),
)
@example(0, (1, 1, 1, 9000), "f4", 8, 20)
@settings(max_examples=60, deadline=None)
def test_residuals_of_the_fast_levels(seed, shape, dtype, mask, bits):
    random = np.random.default_rng(seed)
    x = (random.normal(size=shape).cumsum(-1) * [1.0, 3.0, 2.0][seed % 3]).astype(dtype)
    peaks = np.abs(x).max(axis=(0, 2, 3)).astype(float)
    lattice = safe_lattice(peaks * 2.0**-bits, x.min(axis=(0, 2, 3)).astype(float), x.max(axis=(0, 2, 3)).astype(float), x.dtype)
    if lattice is not None:
        found = predicted_residual(x, lattice, mask, True)
        own = in_numpy(residual, predicted_residual, x, lattice, mask, True)
        assert found.dtype == own.dtype
        assert np.array_equal(found, own)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_ranges_and_what_is_not_a_number(dtype):
    x = np.random.default_rng(1).normal(size=(7, 3, 9, 5)).astype(dtype)
    low, high = values.channel_ranges(x)
    assert np.array_equal(low, x.min(axis=(0, 2, 3)).astype(float))
    assert np.array_equal(high, x.max(axis=(0, 2, 3)).astype(float))
    x[6, 1, 8, 4] = np.nan
    x[2, 2, 0, 0] = np.inf
    low, high = values.channel_ranges(x)
    assert np.isnan([low[1], high[1]]).all()
    assert high[2] == np.inf
    assert np.isfinite([low[0], high[0], low[2]]).all()


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 4, 1, 9), (2, 5, 7, 1), (2, 3, 12, 33)])
def test_convolutions(shape):
    random = np.random.default_rng(4)
    x, weights = random.normal(size=shape).astype(np.float32), random.normal(size=(shape[1], 3, 3))
    weights[-1] *= shape[1] < 4
    assert np.allclose(planes.convolved(x, weights), in_numpy(planes, planes.convolved, x, weights), atol=1e-4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernels.statistics(bytes(9), 3),
        lambda: kernels.pack_joint(bytes(8), 1, 5, 3, bytearray(2), bytearray(8)),
        lambda: kernels.pack_joint(bytes(8), 1, 1, 3, bytearray(3), bytearray(8)),
        lambda: kernels.pack_low(bytes(8), 1, 3, bytearray(4), bytearray(8)),
        lambda: kernels.pack_low(bytes(8), 1, 4, bytearray(3), bytearray(8)),
        lambda: kernels.pack_low(bytes(8), 2, 4, bytearray(2), bytearray(7)),
        lambda: kernels.pack_low(bytes(8), 3, 4, bytearray(2), bytearray(8)),
        lambda: kernels.put_low(bytes(4), 4, bytes(7), 1, bytearray(8), 1),
        lambda: kernels.put_low(bytes(3), 4, bytes(8), 1, bytearray(8), 1),
        lambda: kernels.put_low(bytes(4), 4, bytes(8), 1, bytearray(32), 4),
        lambda: kernels.put_low(bytes(4), 3, bytes(8), 1, bytearray(8), 1),
        lambda: kernels.residual_of(np.ones(8), np.ones(3), bytearray(16), (2, 2, 2), True, True),
        lambda: kernels.residual_of(np.ones(8), np.ones(1), bytearray(17), (2, 2, 2), True, True),
        lambda: kernels.weighted_residual(np.ones(8), np.ones(3), bytes(5), bytearray(16), (2, 1, 2, 2)),
        lambda: kernels.weighted_residual(np.ones(8), np.ones(1), bytes(5), bytearray(17), (2, 1, 2, 2)),
        lambda: kernels.weighted_residual(np.ones(8), np.ones(1), bytes(4), bytearray(16), (2, 1, 2, 2)),
        lambda: kernels.weighted_residual(np.ones(9), np.ones(1), bytes(5), bytearray(16), (2, 1, 2, 2)),
        lambda: kernels.weighted_residual(np.ones(8), np.ones(1), bytes(5), bytearray(16), (2, 1, 1 << 20, 1 << 20)),
        lambda: kernels.weighted_restore(np.ones(8, "i4"), 4, bytes(6), b"", bytearray(32), (2, 1, 2, 2)),
        lambda: kernels.weighted_restore(np.ones(8, "i4"), 4, bytes(5), b"", bytearray(48), (2, 1, 2, 3)),
        lambda: kernels.weighted_restore(np.ones(8, "i4"), 4, bytes(5), b"", bytearray(64), (2, 1, 2, 2)),
        lambda: kernels.weighted_restore(np.ones(8, "i2"), 4, bytes(5), b"", bytearray(32), (2, 1, 2, 2)),
        lambda: kernels.weighted_restore(np.ones(8, "i2"), 3, bytes(5), b"", bytearray(32), (2, 1, 2, 2)),
        lambda: kernels.weighted_restore(np.ones(8, "i4"), 4, bytes(5), bytes(24), bytearray(32), (2, 2, 2, 1)),
        lambda: kernels.weighted_restore(np.ones(8, "i4"), 4, bytes(5), b"", bytearray(32), (2, 1, -2, -2)),
        lambda: kernels.convolve_planes(np.ones(8, "f4"), np.ones(18, "f4"), bytearray(16), (1, 2, 2, 3)),
        lambda: kernels.ranges(np.ones(8), bytearray(8), bytearray(16), (2, 2, 2)),
        lambda: kernels.nearest_symbols(np.ones(2, "f4"), bytes([0, 7]), np.ones(7, "f4"), bytearray(8)),
        lambda: kernels.spread_by_index(np.ones(2, "i4"), 4, np.zeros(48, np.int64), np.full(48, 3), bytes(2), bytearray(8)),
        lambda: kernels.spread_by_index(np.ones(2, "i4"), 4, np.zeros(48, np.int64), np.full(48, 2), bytes(2), bytearray(9)),
        lambda: kernels.spread_by_index(np.ones(2, "i4"), 3, np.zeros(48, np.int64), np.full(48, 2), bytes(2), bytearray(8)),
        lambda: kernels.unpack_joint(bytes(2), 2, 8, bytearray(17)),
        lambda: kernels.unpack_joint(bytes(2), 1, 8, bytearray(16)),
        lambda: kernels.put_escaped(bytes([0, 3, 3]), 3, bytes(1), 1, bytearray(3)),
        lambda: kernels.put_escaped(bytes([0, 3, 3]), 3, bytes(4), 2, bytearray(3)),
        lambda: kernels.tabulate(bytes(4), 2, bytes(3), bytearray(64 * 8)),
        lambda: kernels.tabulate(bytes(4), 2, bytes([0, 1]), bytearray(64 * 8)),
        lambda: kernels.tabulate(bytes(4), 2, b"", bytearray(64 * 8 + 8)),
        lambda: kernels.count_values(bytes(4), 2, 0, bytearray(288 * 8)),
        lambda: kernels.count_values(bytes(4), 2, 1, bytearray(287 * 8)),
        lambda: kernels.pack_joint(bytes(8), 1, 5, 3, bytearray(3), bytearray(7)),
        lambda: kernels.unzigzag(bytes(4), 4, bytearray(2), 2),
        lambda: kernels.unzigzag(bytes(4), 1, bytearray(12), 4),
        lambda: kernels.unzigzag(bytes(4), 3, bytearray(4), 4),
    ],
)
def test_buffers_that_do_not_fit_are_refused(call):
    with pytest.raises(ValueError, match="compiled"):
        call()


@pytest.mark.parametrize("size", [0, 1, 511, 512, 1 << 20, (1 << 20) + 512])
def test_samples_see_all_columns(size):
    stride = odd_stride(size, 512)
    assert stride % 2 == 1
    assert len(range(0, size, stride)) <= 2 * 512


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_files_of_the_fast_levels_are_the_same_without_the_compiled_module(field, level, dtype, monkeypatch):
    x = field.astype(dtype)
    packed = aecodec.compress(x, False, "tcyx", max_error=0.05, level=level)
    for module in (residual, streams, values, weighted):
        monkeypatch.setattr(module, "kernels", None)
    assert aecodec.compress(x, False, "tcyx", max_error=0.05, level=level) == packed
