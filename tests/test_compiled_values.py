"""Values of whole numbers and the check of a bound, compiled: numpy's own bits, for any shape, base and dtype."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_compiled_streams import in_numpy

import aecodec
from aecodec.compiled import path
from aecodec.compiled import values as compiled
from aecodec.compiled.kernels import kernels
from aecodec.lattice import from_lattice, within_bound
from aecodec.packing.stream import unzigzag

pytestmark = pytest.mark.skipif(kernels is None, reason="built without a C compiler")


@st.composite
def cases(draw) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.dtype]:
    """Whole numbers, units, a base that broadcasts in one of the ways that models have, and a dtype."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = tuple(draw(st.integers(1, most)) for most in (4, 3, 40, 40))
    whole = random.integers(-(2 ** draw(st.integers(1, 31))), 2 ** draw(st.integers(1, 31)), shape).astype(np.int32)
    units = random.random(shape[1]) * 10.0 ** draw(st.integers(-30, 30))
    base = random.normal(size=draw(st.sampled_from([(1, shape[1], 1, 1), (1, *shape[1:]), shape, (1, 1, 1, 1)]))) * 100
    return whole, units, np.broadcast_to(base, shape), draw(st.sampled_from([np.dtype("f4"), np.dtype("f8")]))


@given(cases())
@settings(max_examples=80, deadline=None)
def test_values_have_the_bits_that_numpy_gives(case):
    whole, units, base, dtype = case
    with np.errstate(over="ignore"):
        expected = (whole * units.reshape(1, -1, 1, 1) + base).astype(dtype)
    found = from_lattice(whole, units, dtype, base)
    assert found.tobytes() == expected.tobytes()
    out = np.empty(whole.shape, dtype)
    assert compiled.put_values(whole, units, base, out) == (whole.shape[2] * whole.shape[3] >= 16)


@given(cases(), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_a_bound_is_checked_on_every_value(case, special):
    whole, _, _, dtype = case
    array = (np.clip(whole, -1000, 1000) / 7).astype(dtype)
    errors = np.linspace(0.5, 1.0, array.shape[1])
    restored = array + (errors.reshape(1, -1, 1, 1) * 0.999).astype(dtype)
    if whole.shape[2] * whole.shape[3] >= 16:
        assert compiled.all_within(array, restored, errors)
    at = tuple(np.array(array.shape) - 1)
    restored[at] = [array[at] + 2 * errors[-1], np.nan, np.inf, -np.inf][special]
    assert not compiled.all_within(array, restored, errors)
    assert np.argwhere(~within_bound(array, restored, errors)).tolist() == [list(at)]


def test_what_numpy_has_to_do_is_left_to_it():
    whole = np.ones((1, 1, 8, 8), np.int32)
    base = np.zeros(whole.shape)
    assert not compiled.put_values(whole, np.ones(1), base, np.empty(whole.shape, np.int16))
    assert not compiled.put_values(whole, np.ones(1), base, np.empty((1, 1, 8, 16), np.float32)[..., ::2])
    assert not compiled.put_values(whole.astype(np.int64), np.ones(1), base, np.empty(whole.shape, np.float32))
    assert not compiled.all_within(np.ones((1, 1, 8, 8), np.float32), np.ones((1, 1, 8, 8)), np.ones(1))


@pytest.mark.parametrize(
    ("sizes", "apart", "base"),
    [
        ((1, 1, 65), (0, 0, 0), 1),
        ((1, 1, 64), (0, 0, 1), 63),
        ((1, 1, 64), (0, -1, 0), 1),
        ((1, 0, 64), (0, 0, 0), 1),
        ((1, 2, 32), (0, 0, 0), 1),
    ],
)
def test_buffers_that_do_not_fit_are_refused(sizes, apart, base):
    with pytest.raises(ValueError, match="compiled"):
        kernels.put_values(np.ones(64, np.int32), np.ones(1), np.zeros(base), np.empty(64, np.float32), apart, sizes)


@pytest.mark.parametrize("level", [1, 5])
@pytest.mark.parametrize("axes", ["tyx", "yxt"])
def test_chunks_are_read_into_the_users_own_memory(field, level, axes):
    x = np.ascontiguousarray(field[:, 0] if axes == "tyx" else field[:, 0].transpose(1, 2, 0))
    packed = aecodec.compress(x, axes=axes, max_error=0.05, level=level)
    whole = aecodec.decompress(packed)
    wide, strided = np.full(x.shape, 7.0), np.full((*x.shape[:-1], 2 * x.shape[-1]), 7.0, np.float32)
    with aecodec.open(packed) as f:
        f.read(wide)
        f.read(strided[..., ::2])
    assert np.array_equal(wide, whole)
    assert np.array_equal(strided[..., ::2], whole)
    assert (strided[..., 1::2] == 7).all()


@given(st.integers(0, 2**32), st.integers(0, 200), st.floats(0.01, 1e6))
@settings(max_examples=40, deadline=None)
def test_symbols_are_numpys(seed, count, size):
    random = np.random.default_rng(seed)
    exact = (random.normal(size=count) * size).astype(np.float32)
    index, zones = random.integers(0, 5, count).astype(np.uint8), (random.random(5) / 2).astype(np.float32)
    found, lost = compiled.nearest_symbols(exact, index, zones)
    expected = np.copysign(np.rint(np.abs(exact) - zones[index]), exact).astype(np.int32)
    assert np.array_equal(found, expected)
    empty = np.rint(exact[index == 0]).astype(np.float64)
    assert lost == pytest.approx(float(empty @ empty))


def test_symbols_spread_are_those_that_were_sorted():
    random = np.random.default_rng(3)
    symbols, index = random.integers(-99, 99, 5000).astype(np.int32), random.integers(0, 48, 5000).astype(np.uint8)
    ordered, ends = path.sort_by_index(symbols, index)
    back = unzigzag(ordered).astype(np.int32)
    assert ordered.dtype == np.uint16
    assert np.array_equal(back, symbols[np.argsort(index, kind="stable")])
    assert path.sort_by_index(symbols * 1000, index)[0].dtype == np.uint32
    used, out = np.concatenate([[0], ends[:-1]]), np.empty(5000, np.int32)
    assert path.spread_by_index(back, index, used, ends, out)
    assert np.array_equal(out, np.where(index > 0, symbols, 0))
    assert np.array_equal(used[1:], ends[1:])
    assert not path.spread_by_index(back, np.full(9, 3, np.uint8), used, ends, out[:9])


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 5000])
def test_anchors(count):
    words = np.random.default_rng(count).integers(0, 2**32, count, dtype=np.uint32)
    words[::17] = 0  # an anchor each, far more than are expected
    for limit in (1, 1 << 20, 1 << 28):
        found = compiled.anchors(words, 0x9E3779B1, limit)
        assert np.array_equal(found, in_numpy(compiled, compiled.anchors, words, 0x9E3779B1, limit))
