"""Mode 7 as a whole: every value within the bound for any data, the same bits however it is run, and files that choose it."""

import dataclasses
import io
import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest
from conftest import smooth_field, walk
from hypothesis import given, settings
from hypothesis import strategies as st
from mode7_files import MODE, bodies_of, body_of, drifting, fitted, predicted_file

import aecodec
from aecodec.api.reader import Reader
from aecodec.codec.chunk import Mode
from aecodec.codec.predicted_mode import CONSTANT, PER_CHANNEL, decode_predicted
from aecodec.errors import ModelError
from aecodec.packing.varint import Cursor

DTYPES = ["f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
KINDS = ["noise", "smooth", "constant", "offset", "islands", "steps", "sparse", "extremes"]


@pytest.fixture(scope="module")
def models():
    """Fitted models by channels and kind of array."""
    fields = smooth_field((17, 3, 16, 16), 1)
    series = np.stack([walk(400, seed) for seed in range(2)], axis=1)
    return {
        (1, "fields"): fitted(fields[:, :1], "tcyx", max_error=0.05, reference=False),
        (3, "fields"): fitted(fields, "tcyx", max_error=0.05, reference=False),
        (2, "series"): fitted(series, "tc", max_error=0.05, reference=False),
    }


@st.composite
def arrays(draw):
    """(canonical array of any kind and dtype, model's key)."""
    key = draw(st.sampled_from([(1, "fields"), (3, "fields"), (2, "series")]))
    sides = st.integers(1, 12)
    shape = (
        (draw(st.integers(1, 60)), key[0], 1, 1)
        if key[1] == "series"
        else (draw(st.integers(1, 9)), key[0], draw(sides), draw(sides))
    )
    dtype, kind = np.dtype(draw(st.sampled_from(DTYPES))), draw(st.sampled_from(KINDS))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = 10.0 ** draw(st.integers(-3, 9))
    values = random.normal(size=shape)
    if kind == "smooth":
        values = values.cumsum(axis=-1).cumsum(axis=0)
    elif kind == "constant":
        values[...] = random.normal()
    elif kind == "offset":
        values = values * 1e-3 + 1e6
    elif kind == "steps":
        values = np.round(values) * 10 + (np.arange(shape[0]) > shape[0] // 2).reshape(-1, 1, 1, 1) * 1000
    elif kind == "sparse":
        values = np.where(random.random(shape) < 0.03, 1e3, 0.0)
    values = values * scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        if dtype.kind == "f":
            array = values.astype(dtype)
            array[~np.isfinite(array)] = 0
        else:
            info = np.iinfo(dtype)
            array = np.clip(values, info.min / 2, info.max / 2).astype(dtype)
    if kind == "islands" and dtype.kind == "f":
        array[random.random(shape) < 0.2] = random.choice([np.nan, np.inf, -np.inf])
    if kind == "extremes":
        info = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
        array[random.random(shape) < 0.1], array[random.random(shape) < 0.1] = info.min, info.max
    return array, key


def exact_differences(a, b):
    """|a - b| of the finite values, without rounding, after checking that the others were kept."""
    if a.dtype.kind == "f":
        assert np.array_equal(np.isnan(a), np.isnan(b))
        special = ~np.isfinite(a)
        assert np.array_equal(a[np.isinf(a)], b[np.isinf(a)])
        a, b = a[~special], b[~special]
        assert np.isfinite(b).all()
    return [abs(Fraction(x) - Fraction(y)) for x, y in zip(a.reshape(-1).tolist(), b.reshape(-1).tolist(), strict=True)]


CODED = {"any": 0}


@given(arrays(), st.floats(-6, 0), st.booleans())
@settings(deadline=None, max_examples=250)
def test_every_value_is_within_the_bound(models, made, exponent, lossless):
    array, key = made
    finite = array[np.isfinite(array.astype("f8"))].astype("f8")
    error = float(np.abs(finite).max(initial=0.0) or 1.0) * 10.0**exponent
    if array.dtype.kind in "iu" and lossless:
        error = 0.0
    errors = np.full(key[0], error)
    errors[-1] *= 3 if array.dtype.kind == "f" else 1
    if not np.isfinite(errors).all():
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.filterwarnings("ignore", "overflow encountered in spacing")  # of the largest float16
        body = body_of(array, models[key], errors)
        if body is None:  # no lattice serves: another mode does
            return
        CODED["any"] += 1
        restored = decode_predicted(Cursor(body[1:]), array.shape, array.dtype, models[key], (0, 0))
    assert restored.dtype == array.dtype
    for channel, limit in enumerate(errors):
        assert all(d <= Fraction(limit) for d in exact_differences(array[:, channel], restored[:, channel]))


def test_most_of_those_arrays_were_coded():
    assert CODED["any"] > 60


def test_a_file_is_the_same_whatever_runs_the_model(models):
    array = smooth_field((9, 3, 21, 14), 8)
    array[2, 1, 4:6, 4:6] = np.nan
    bundle = models[3, "fields"].bundle
    expected = predicted_file(array, "tcyx", aecodec.Model(bundle, "cpu", 1), 0.1)
    for provider, threads in (("cpu", 2), ("cpu", 4), ("reference", 1)):
        assert predicted_file(array, "tcyx", aecodec.Model(bundle, provider, threads), 0.1) == expected
    restored = aecodec.decompress(expected, threads=1, provider="cpu")
    for provider, threads in (("cpu", 2), ("cpu", 4), ("reference", 1), ("reference", 2)):
        assert aecodec.decompress(expected, threads=threads, provider=provider).tobytes() == restored.tobytes()
        given = aecodec.Model(bundle, provider, threads)
        assert aecodec.decompress(expected, model=given).tobytes() == restored.tobytes()


def test_chunks_in_any_number_are_the_same_on_any_number_of_threads(models):
    array = smooth_field((30, 1, 16, 16), 8)
    data = predicted_file(array, "tcyx", models[1, "fields"], 0.1, cuts=(1, 2, 9, 17, 29))
    assert [count for _, count, _ in bodies_of(data)] == [1, 1, 7, 8, 12, 1]
    expected = aecodec.decompress(data, threads=1)
    assert np.abs(expected - array).max() <= 0.1
    for threads in (2, 4):
        assert aecodec.decompress(data, threads=threads).tobytes() == expected.tobytes()
    with aecodec.open(io.BytesIO(data)) as f:
        assert np.array_equal(f[8:19, 0, 3], expected[8:19, 0, 3])


def test_a_pickled_model_decodes_the_same(models):
    array = smooth_field((5, 3, 9, 9), 2)
    body = body_of(array, models[3, "fields"], [0.1] * 3)
    loaded = pickle.loads(pickle.dumps(models[3, "fields"]))
    decoded = [decode_predicted(Cursor(body[1:]), array.shape, array.dtype, m, (0, 0)) for m in (models[3, "fields"], loaded)]
    assert decoded[0].tobytes() == decoded[1].tobytes()


@pytest.mark.parametrize("dtype", ["i2", "u1", "i4"])
@pytest.mark.parametrize("level", [4, 5, 7])
def test_lossless_integers_with_a_fitted_model(dtype, level):
    samples = np.rint(drifting((40, 1, 40, 40), 3) + 128).clip(0, 255).astype(dtype)
    model = fitted(samples[:28], "tcyx", lossless=True)
    data = aecodec.compress(samples[28:], model, "tcyx", level=level, threads=1)
    assert {body[0] for _, _, body in bodies_of(data)} == {MODE}
    assert aecodec.decompress(data).tobytes() == samples[28:].tobytes()


@pytest.mark.parametrize("max_error", [0.5, [0.5, 0.8]])
def test_levels_of_4_and_up_choose_the_mode_where_it_is_the_smallest(max_error):
    array = drifting((40, 2, 32, 40), 3).astype("f4")
    model = fitted(array[:24], "tcyx", max_error=0.5)
    sizes = {}
    for level in range(1, 10):
        data = aecodec.compress(array[24:], model, "tcyx", level=level, max_error=max_error, threads=1)
        modes = {body[0] for _, _, body in bodies_of(data)}
        assert (MODE in modes) == (level >= 4)
        sizes[level] = sum(len(body) for _, _, body in bodies_of(data))
        error = np.abs(aecodec.decompress(data).astype("f8") - array[24:]).max(axis=(0, 2, 3))
        assert (error <= max_error).all()
    assert sizes[5] < sizes[3]
    flags = bodies_of(data)[0][2][1]
    assert bool(flags & PER_CHANNEL) or max_error == 0.5


def test_constant_sites_of_a_fitted_model_are_restored_and_cost_nothing():
    field = smooth_field((1, 1, 32, 32), 5) * 3
    sea = np.zeros((32, 32), bool)
    sea[8:24, 4:28] = True
    array = (field + np.where(sea, smooth_field((30, 1, 32, 32), 6), 0)).astype("f4")
    model = fitted(array[:20], "tcyx", max_error=0.05, reference=True)
    assert np.array_equal(~model.constant_sites((1, 1, 32, 32))[0], sea)
    data = predicted_file(array[20:], "tcyx", model, 0.05)
    assert bodies_of(data)[0][2][1] & CONSTANT
    assert np.abs(aecodec.decompress(data) - array[20:]).max() <= 0.05
    moved = array[20:] + np.float32(0.5)
    data = predicted_file(moved, "tcyx", model, 0.05)
    assert not bodies_of(data)[0][2][1] & CONSTANT
    assert np.abs(aecodec.decompress(data) - moved).max() <= 0.05


def test_a_model_without_a_predictor_and_an_array_of_other_channels_are_named(models):
    model = models[1, "fields"]
    body = body_of(smooth_field((2, 1, 8, 8)), model, [0.1])
    manifest = dataclasses.replace(model.manifest, predictor=None)
    bare = aecodec.Model(dataclasses.replace(model.bundle, manifest=manifest, predictor=None).sealed(), "cpu")
    for other in (None, bare):
        with pytest.raises(ModelError, match="the chunk is predicted, but the file names no model with a predictor"):
            decode_predicted(Cursor(body[1:]), (2, 1, 8, 8), np.dtype("f4"), other, (0, 0))
    with pytest.raises(ModelError, match=r"the array has 3 channel\(s\), the model"):
        decode_predicted(Cursor(body[1:]), (2, 3, 8, 8), np.dtype("f4"), model, (0, 0))
    assert body_of(smooth_field((2, 1, 8, 8)), bare, [0.1]) is None


def test_missing_values_cost_little_and_do_not_disturb_the_fit():
    """A coast of NaN, the same at every step: with a model fitted on such arrays the file is smaller than that of the whole."""
    random = np.random.default_rng(3)
    rows, columns = np.mgrid[:48, :64]
    steps = np.arange(40)[:, None, None]
    sea = np.sin(rows / 7 + steps / 5) + np.cos(columns / 9 - steps / 11) + random.normal(scale=0.02, size=(40, 48, 64))
    land = (rows - 20) ** 2 + (columns - 30) ** 2 < 250
    sizes = []
    for x in (sea.astype(np.float32), np.where(land, np.nan, sea).astype(np.float32)):
        model = aecodec.fit(x[:32], axes="tyx", max_error=1e-2)
        data = aecodec.compress(x[32:], model, axes="tyx", max_error=1e-2, embed_model=False)
        assert Reader(data, model).container.chunk(0).body[0] == Mode.PREDICTED
        restored = aecodec.decompress(data, model=model)
        assert np.array_equal(np.isnan(restored), np.isnan(x[32:]))
        assert np.nanmax(np.abs(restored.astype(np.float64) - x[32:])) <= 1e-2
        sizes.append(len(data))
    assert sizes[1] < sizes[0]
