"""Fitting: any data gives a model, or an error that says why; latents serve other uses too."""

import numpy as np
import pytest
from conftest import smooth_field, walk

import aecodec
from aecodec.errors import AxesError, ModelError, UsageError


def constant_channel():
    array = smooth_field((12, 3, 20, 24), 1)
    array[:, 1] = 4.25
    return array


def holes():
    array = smooth_field((12, 2, 20, 24), 2)
    array[::3, 0] = np.nan
    array[1, 1, 5] = np.inf
    return array


DEGENERATE = {
    "constant channel": (constant_channel, "tcyx"),
    "one sample": (lambda: smooth_field((1, 2, 20, 24)), "tcyx"),
    "fewer samples than channels": (lambda: np.random.default_rng(0).normal(size=(7, 60)), "tc"),
    "all not a number": (lambda: np.full((8, 2, 9, 9), np.nan, "f4"), "tcyx"),
    "holes": (holes, "tcyx"),
    "a single value": (lambda: np.array([3.5]), "t"),
    "a series": (lambda: walk(3000), "t"),
    "all zero": (lambda: np.zeros((6, 2, 16, 16), "f4"), "tcyx"),
    "many channels": (lambda: np.random.default_rng(0).normal(size=(30, 520)).cumsum(axis=1), "tc"),
    "one pixel": (lambda: walk(50).reshape(50, 1, 1, 1), "tcyx"),
    "one row": (lambda: smooth_field((5, 1, 1, 100)), "tcyx"),
    "odd sizes": (lambda: smooth_field((5, 2, 17, 3)), "tcyx"),
    "volumes": (lambda: smooth_field((4, 3, 16, 16)), "tzyx"),
    "columns as the stream": (lambda: smooth_field((2, 200)), "cx"),
    "large offset": (lambda: smooth_field((8, 1, 16, 16), dtype="f8") + 1e9, "tcyx"),
    "tiny values": (lambda: smooth_field((8, 1, 16, 16), dtype="f8") * 1e-200, "tcyx"),
    "huge values": (lambda: smooth_field((8, 1, 16, 16), dtype="f8") * 1e200, "tcyx"),
    "wide range of channels": (lambda: smooth_field((8, 3, 16, 16), dtype="f8") * np.array([1e-9, 1, 1e9])[:, None, None], "tcyx"),
    "unsigned bytes": (lambda: (smooth_field((6, 20, 24)) * 3 + 128).clip(0, 255).astype("u1"), "tyx"),
    "64-bit integers": (lambda: (walk(2000) * 1e9).astype("i8"), "t"),
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("name", DEGENERATE)
def test_any_data_gives_a_model_that_keeps_the_bound(name):
    make, axes = DEGENERATE[name]
    array = make()
    values = array.astype("f8")
    finite = values[np.isfinite(values)]
    error = float(np.ptp(finite) if finite.size else 0.0) * 1e-3 or 0.5
    if array.dtype.kind in "iu":
        error = float(np.ceil(error))
    model = aecodec.fit(array, axes=axes, max_error=error)
    restored = aecodec.decompress(aecodec.compress(array, model, axes, max_error=error)).astype("f8")
    assert np.array_equal(np.isnan(restored), np.isnan(values))
    assert np.array_equal(restored[np.isinf(values)], values[np.isinf(values)])
    assert np.abs(restored[np.isfinite(values)] - finite).max(initial=0.0) <= error


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # of decode, whose float32 cannot hold the huge values
@pytest.mark.parametrize("name", DEGENERATE)
def test_any_data_gives_a_model_without_an_error_asked_for(name):
    make, axes = DEGENERATE[name]
    array = make()
    model = aecodec.fit(array, axes=axes)
    y = model.encode(array, axes)
    assert y.dtype == np.float32
    assert np.isfinite(y).all()
    restored = model.decode(y, array.shape, axes)
    assert restored.shape == array.shape


def test_slabs_of_any_lengths_fit_the_same_model_as_one_array(field):
    whole = aecodec.fit(field, axes="tcyx", max_error=0.05)
    for cuts in ([1, 2, 3, 9], list(range(1, 24))):
        assert aecodec.fit(iter(np.split(field, cuts)), axes="tcyx", max_error=0.05).id == whole.id


def test_a_long_series_in_slabs_fits_the_same_model_as_one_array():
    series = np.stack([walk(5000, seed) for seed in range(3)], axis=1)
    whole = aecodec.fit(series, axes="tc", max_error=0.01)
    assert aecodec.fit(np.array_split(series, 13), axes="tc", max_error=0.01).id == whole.id


def test_fitting_twice_gives_the_same_model(field, model):
    assert aecodec.fit(field.copy(), axes="tcyx", max_error=0.05).id == model.id


def test_the_seed_and_the_tile_are_the_callers_to_choose(field):
    assert aecodec.fit(field, axes="tcyx", tile=(2, 2, 8, 4)).manifest.tile == (2, 2, 8, 4)
    assert aecodec.fit(field, axes="tcyx", reference=True).manifest.reference == (2, 32, 40)
    assert aecodec.fit(field, axes="tcyx", reference=False).manifest.reference is None


@pytest.mark.parametrize(("channels", "tile", "whole"), [(2, 3, 2), (4, 3, 2), (5, 4, 3), (5, 9, 5)])
def test_tiles_of_channels_that_there_are_not_are_refused(channels, tile, whole):
    samples = np.random.default_rng(1).normal(size=(40, channels, 16, 16))
    with pytest.raises(UsageError, match=f"has {tile} channels, but {channels} share evenly into tiles of {whole}: give as many"):
        aecodec.fit(samples, axes="tcyx", tile=(1, tile, 8, 8))
    assert aecodec.fit(samples, axes="tcyx", tile=(1, whole, 8, 8)).manifest.tile == (1, whole, 8, 8)


def test_nothing_to_fit_is_refused():
    with pytest.raises(UsageError) as caught:
        aecodec.fit(iter([]), axes="t")
    assert str(caught.value) == "nothing to fit: the samples are empty; give at least one array"
    with pytest.raises(ModelError) as caught:
        aecodec.fit(np.zeros((0, 2, 8, 8), "f4"), axes="tcyx")
    assert str(caught.value) == "nothing to fit: the samples hold no values; give at least one array that is not empty"


def test_samples_of_differing_shapes_are_refused():
    samples = [smooth_field((80, 1, 8, 8)), smooth_field((80, 1, 8, 9))]
    with pytest.raises(ModelError) as caught:
        aecodec.fit(samples, axes="tcyx")
    assert str(caught.value) == "samples differ in shape: (1, 8, 9) after (1, 8, 8); fit one model per shape"
    with pytest.raises(aecodec.AecodecError):
        aecodec.fit([np.zeros((4, 8, 8), "f4"), np.zeros((8, 8), "f4")], axes="tyx")


def test_arguments_that_cannot_be_are_refused(field):
    with pytest.raises(UsageError) as caught:
        aecodec.fit(field, axes="tcyx", tile=(1, 2, 0, 8))
    assert str(caught.value) == "tile=(1, 2, 0, 8) must be four sizes of 1 or more: steps, channels, rows, columns"
    with pytest.raises(UsageError, match="max_range_error of several arrays needs their value range; pass value_range="):
        aecodec.fit([field], axes="tcyx", max_range_error=0.1)
    with pytest.raises(AxesError, match="cannot tell the axes of a 3-D float32 array"):
        aecodec.fit(field[:, 0])


def test_errors_too_fine_for_float32_latents_are_refused():
    with pytest.raises(ModelError, match="too fine for latents; use lossless"):
        aecodec.fit(walk(3000), axes="t", max_error=1e-30)


def test_latents_have_the_tile_grid_and_come_back_close(field, model):
    t, c, h, w = model.manifest.tile
    y = model.encode(field)
    assert y.shape == (-(-24 // t), -(-2 // c), -(-32 // h), -(-40 // w), model.manifest.latents)
    assert np.abs(model.decode(y, field.shape) - field).max() < 0.05
    whole = model.decode(y)
    assert whole.shape[0] == y.shape[0] * t
    assert np.array_equal(whole[:24, :, :32, :40], model.decode(y, field.shape))


def test_most_of_a_smooth_field_lies_in_few_latents(field, model):
    y = model.encode(field)
    few = np.where(np.arange(y.shape[-1]) < y.shape[-1] // 8, y, 0)
    assert np.sqrt(np.mean((model.decode(few, field.shape) - field) ** 2)) < 0.1 * field.std()


def test_latents_that_do_not_fit_are_refused(field, model):
    y = model.encode(field)
    with pytest.raises(ModelError, match=r"latents of shape \(3, 4\) given, \(\*tile grid of 4, \d+\) expected"):
        model.decode(np.zeros((3, 4)))
    with pytest.raises(ModelError, match=r"shape \(240, 2, 32, 40\) does not match latents on a tile grid of \("):
        model.decode(y, (240, 2, 32, 40))
    with pytest.raises(ModelError, match=r"the array has 3 channel\(s\), the model [0-9a-f]{12} is for 2; check axes="):
        model.encode(np.zeros((4, 3, 32, 40), "f4"))


def test_a_reference_field_travels_with_the_model():
    seasonal = (smooth_field((1, 1, 24, 24), 9) * 5 + smooth_field((40, 1, 24, 24), 3)).astype("f4")
    fitted = aecodec.fit(seasonal, axes="tcyx", max_error=0.02, reference=True)
    loaded = aecodec.load_model(fitted.bundle.to_bytes())
    assert np.array_equal(loaded.bundle.reference, fitted.bundle.reference)
    data = aecodec.compress(seasonal, fitted, "tcyx", max_error=0.02)
    assert np.abs(aecodec.decompress(data) - seasonal).max() <= 0.02
    with pytest.raises(ModelError, match=r"the array has 20 x 24 rows and columns, the model .* a reference field of 24 x 24"):
        aecodec.compress(seasonal[:, :, :20], fitted, "tcyx", max_error=0.02)
