"""Properties over shapes, dtypes, axes, fidelities and values: what was asked is kept, exactly, and nothing grows."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
import zstandard
from conftest import smooth_field
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import aecodec

DTYPES = ["|b1", "|i1", "<i2", ">i4", "<i8", "|u1", ">u2", "<u4", "<u8", ">f2", "<f4", ">f4", "<f8", "<c8", ">c16"]
HEADERS = 1200  # bytes of prefix, header, record frames, index and end that plain zstd does not have


@st.composite
def labelled_arrays(draw, dtypes=DTYPES):
    """An array of any dtype with 0 to 5 dimensions, some of size 0 or 1, and axes for it."""
    ndim = draw(st.integers(0, 5))
    letters = list(draw(st.permutations("tzyx")))[:ndim]
    letters = [letter if draw(st.integers(0, 3)) else "c" for letter in letters] + ["c"] * (ndim - len(letters))
    shape = tuple(draw(st.sampled_from([1, 2, 3, 5, 8, 17, 40, 0])) for _ in range(ndim))
    count = int(np.prod(shape))
    assume(count <= 20_000)
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    seed, kind = draw(st.integers(0, 2**32)), draw(st.sampled_from(["noise", "walk", "few values", "constant", "sparse"]))
    values = made(kind, count, 10.0 ** draw(st.integers(-6, 15)), np.random.default_rng(seed))
    array = typed(values, dtype)
    if dtype.kind in "fc" and count and draw(st.booleans()):
        where = np.random.default_rng(seed).integers(0, count, 3)
        array[where] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    if dtype.kind in "iu" and count and draw(st.booleans()):
        array[0], array[-1] = np.iinfo(dtype).max, np.iinfo(dtype).min
    return array.reshape(shape), "".join(draw(st.permutations(letters)))


def made(kind, count, scale, random):
    if kind == "noise":
        return random.normal(size=count) * scale
    if kind == "walk":
        return np.cumsum(random.normal(size=count)) * scale
    if kind == "few values":
        return random.integers(-3, 4, count).astype("f8")
    return np.full(count, 7.0) if kind == "constant" else np.where(random.random(count) < 0.05, scale, 0.0)


def typed(values, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        if dtype.kind == "c":
            return (values + 1j * values[::-1]).astype(dtype)
        if dtype.kind in "iu":
            return values.clip(float(np.iinfo(dtype).min) / 4, float(np.iinfo(dtype).max) / 4).astype(dtype)
        return values.astype(dtype)


def parts(array):
    """The real numbers of an array, native and flat."""
    flat = array.astype(array.dtype.newbyteorder("=")).reshape(-1)
    return flat.view(f"f{flat.dtype.itemsize // 2}") if flat.dtype.kind == "c" else flat


def finite_pairs(array, restored):
    """(before, after) of the finite values, as exact fractions, after checking that all others were kept."""
    a, b = parts(array), parts(restored)
    if a.dtype.kind == "f":
        special = ~np.isfinite(a)
        assert np.array_equal(np.isnan(a), np.isnan(b))
        assert np.array_equal(a[np.isinf(a)], b[np.isinf(a)])
        assert np.isfinite(b[~special]).all()
        a, b = a[~special], b[~special]
    return [(Fraction(x), Fraction(y)) for x, y in zip(a.tolist(), b.tolist(), strict=True)]


def largest(array):
    a = parts(array)
    finite = a[np.isfinite(a)] if a.dtype.kind == "f" else a
    return float(np.abs(finite.astype("f8")).max(initial=0.0)) or 1.0


def round_trip(array, axes, **options):
    data = aecodec.compress(array, axes=axes, threads=1, **options)
    restored = aecodec.decompress(data, threads=1)
    assert restored.shape == array.shape
    assert restored.dtype.str == array.dtype.str
    return data, restored


def zstd_size(array, level=5):
    """Bytes of plain zstd as that effort calls it: at its level 1 under 3, else at least at 3.

    Of the array in its own byte order or as it is stored, little-endian, whichever gives more: noise has matches in one only.
    """
    plain = zstandard.ZstdCompressor(level=3 if level > 2 else 1)
    stored = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return max(len(plain.compress(np.ascontiguousarray(array).tobytes())), len(plain.compress(stored.tobytes())))


@given(labelled_arrays(), st.integers(1, 9))
@settings(deadline=None, max_examples=120)
def test_lossless_is_bit_exact_and_never_much_larger_than_zstd(labelled, level):
    array, axes = labelled
    data, restored = round_trip(array, axes, level=level)
    assert restored.tobytes() == array.tobytes()
    assert len(data) <= zstd_size(array, level) + HEADERS


@given(labelled_arrays(DTYPES[1:]), st.floats(-9, 1), st.integers(1, 9))
@settings(deadline=None, max_examples=150)
def test_every_value_is_within_the_error_and_the_file_never_much_larger_than_zstd(labelled, exponent, level):
    array, axes = labelled
    error = largest(array) * 10.0**exponent
    assume(np.isfinite(error))
    data, restored = round_trip(array, axes, level=level, max_error=error)
    assert all(abs(x - y) <= Fraction(error) for x, y in finite_pairs(array, restored))
    assert len(data) <= zstd_size(array, level) + HEADERS


@given(labelled_arrays(DTYPES[1:]), st.floats(1e-7, 0.9))
@settings(deadline=None, max_examples=80)
def test_every_value_is_within_the_fraction_of_itself(labelled, fraction):
    array, axes = labelled
    _, restored = round_trip(array, axes, max_point_error=fraction)
    assert all(abs(x - y) <= Fraction(fraction) * abs(x) for x, y in finite_pairs(array, restored))


@given(labelled_arrays(DTYPES[1:]), st.floats(1e-7, 0.9))
@settings(deadline=None, max_examples=60)
def test_every_value_is_within_the_fraction_of_the_range(labelled, fraction):
    array, axes = labelled
    _, restored = round_trip(array, axes, max_range_error=fraction)
    pairs = finite_pairs(array, restored)
    if pairs:
        span = max(x for x, _ in pairs) - min(x for x, _ in pairs)
        # The range is found in float64, whose rounding is allowed for.
        assert all(abs(x - y) <= Fraction(fraction) * span * (1 + Fraction(1, 2**48)) for x, y in pairs)


@given(
    labelled_arrays(DTYPES[1:]),
    st.one_of(st.tuples(st.just("psnr"), st.floats(10, 150)), st.tuples(st.just("quality"), st.integers(1, 100))),
)
@settings(deadline=None, max_examples=60)
def test_averages_keep_shape_dtype_and_special_values(labelled, fidelity):
    array, axes = labelled
    _, restored = round_trip(array, axes, **{fidelity[0]: fidelity[1]})
    pairs = finite_pairs(array, restored)
    if fidelity[0] == "psnr" and pairs and array.dtype != np.uint8:
        span = max(x for x, _ in pairs) - min(x for x, _ in pairs)
        rms = float(sum((x - y) ** 2 for x, y in pairs) / len(pairs)) ** 0.5
        assert rms <= float(span) * 10 ** (-fidelity[1] / 20) * (1 + 1e-6)


@given(labelled_arrays())
@settings(deadline=None, max_examples=40)
def test_a_file_of_slabs_is_the_array(labelled):
    array, axes = labelled
    stream = next((axes.index(letter) for letter in "tzyx" if letter in axes), None)
    assume(stream is not None)
    compressor, decompressor = aecodec.Compressor(axes=axes), aecodec.Decompressor()
    slabs = np.split(array, range(1, array.shape[stream], 3), axis=stream)
    data = b"".join([compressor.compress(slab) for slab in slabs] + [compressor.flush()])
    restored = decompressor.decompress(data)
    assert aecodec.decompress(data).tobytes() == array.tobytes()
    if restored:
        assert {slab.dtype.str for slab in restored} == {array.dtype.str}
        assert np.concatenate(restored, axis=stream).astype(array.dtype).tobytes() == array.tobytes()


@pytest.fixture(scope="module")
def samples():
    return smooth_field((40, 2, 24, 40), dtype="f8")


@given(
    seed=st.integers(0, 2**32),
    exponent=st.floats(-4, 0.5),
    level=st.integers(1, 7),
    dtype=st.sampled_from(["<f4", ">f8", "<i2", "<f2"]),
    scale=st.sampled_from([1.0, 1e-3, 50.0]),
    holes=st.booleans(),
    steps=st.integers(1, 14),
)
@settings(deadline=None, max_examples=40)
def test_bounds_hold_with_latents_on_data_the_model_has_never_seen(samples, seed, exponent, level, dtype, scale, holes, steps):
    if "one" not in MODELS:
        MODELS["one"] = aecodec.fit(samples, axes="tcyx", max_error=0.05, provider="cpu")
    model = MODELS["one"]
    array = (smooth_field((steps, 2, 24, 40), seed, "f8") * scale).astype(dtype)
    if holes and array.dtype.kind == "f":
        array[0, :, 3:5] = np.nan
    error = 10.0**exponent
    data, restored = round_trip(array, "tcyx", model=model, max_error=error, level=level)
    assert all(abs(x - y) <= Fraction(error) for x, y in finite_pairs(array, restored))
    assert len(data) <= zstd_size(array, level) + HEADERS + len(model.bundle.to_bytes())


MODELS: dict[str, aecodec.Model] = {}
