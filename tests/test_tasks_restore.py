"""Restoration: what it gains, that tiles leave no seams, which models and arrays it refuses, and how little it holds at once."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from restoring_models import (
    denoising_autoencoder,
    film_restorer,
    picture_restorer,
    pictures,
    series_restorer,
    shipped_restorer,
    waves,
)

import aecodec
from aecodec.axes import parse_axes
from aecodec.canonical import ArraySpec
from aecodec.errors import LimitError, ModelError, UsageError
from aecodec.filling import fill_gaps
from aecodec.limits import Limits
from aecodec.models.bundle import Bundle
from aecodec.models.manifest import Manifest
from aecodec.models.restorer_check import check_restorer
from aecodec.models.restores import CONDITIONS, MISSING, NOISE, UPSCALED, Restores
from aecodec.resampling import halve, twice
from aecodec.tasks.noise import estimate_noise
from aecodec.tasks.restore import Restoration, restore
from aecodec.tasks.tiles import bands
from aecodec.training.spoiling import Spoiler

SIGMA = 20.0


def psnr(a, b, peak=255.0):
    return 10 * np.log10(peak**2 / np.mean(np.square(a.astype(float) - b)))


def noisy(x, sigma=SIGMA, seed=0):
    return (x + np.random.default_rng(seed).normal(0, sigma, x.shape)).astype(np.float32)


def restoration(x, model, task="denoise", axes="yxc", **options):
    return Restoration(ArraySpec(x.dtype, parse_axes(axes, x.ndim), x.shape), model, task, **options)


@pytest.fixture(scope="module")
def image():
    return pictures(1, 90, seed=9)[0][:, :77]


def test_noise_is_taken_away_whether_its_strength_is_told_or_estimated(image):
    y = noisy(image)
    told = restore(y, shipped_restorer(), axes="yxc", noise=SIGMA, value_range=(0, 255))
    found = restore(y, shipped_restorer(), axes="yxc", value_range=(0, 255))
    assert told.shape == y.shape
    assert told.dtype == np.float32
    assert psnr(told, image) > psnr(y, image) + 4
    assert abs(psnr(found, image) - psnr(told, image)) < 0.5


def test_the_strength_of_noise_is_estimated_in_images_and_series(image):
    assert estimate_noise(noisy(image[..., 0])) == pytest.approx(SIGMA, rel=0.1)
    assert estimate_noise(noisy(waves(4000)[:, 0], 0.2).reshape(1, -1)) == pytest.approx(0.2, rel=0.1)
    assert estimate_noise(np.zeros((1, 2))) == 0.0
    assert estimate_noise(np.full((8, 8), np.nan)) == 0.0


@pytest.mark.parametrize("task", ["denoise", "inpaint", "deblur", "upscale"])
def test_the_result_does_not_depend_on_how_the_image_is_cut(image, task):
    y = noisy(image)
    if task == "inpaint":
        y[30:40, 20:50] = np.nan
    made = [
        np.concatenate(list(restoration(y, picture_restorer(), task, noise=SIGMA, value_range=(0, 255), core=core).slabs(y)))
        for core in (512, 32, 8)
    ]
    assert made[0].shape == tuple(np.array(y.shape) * ((2, 2, 1) if task == "upscale" else 1))
    for other in made[1:]:
        np.testing.assert_allclose(other, made[0], rtol=0, atol=1e-3)


def test_an_output_depends_on_nothing_beyond_the_halo():
    restores = picture_restorer().manifest.restores
    far = restores.halo[0]
    x = np.full((2 * far + 40, 16, 3), 100, np.float32)
    y = x.copy()
    y[: far - 8] += 100.0  # what the halo of row 2 * far - 8 does not reach
    a, b = (restore(each, picture_restorer(), noise=5.0, axes="yxc", value_range=(0, 255)) for each in (x, y))
    assert np.array_equal(a[2 * far :], b[2 * far :])
    assert not np.array_equal(a[far - 10 : far], b[far - 10 : far])


def test_missing_values_are_filled_and_known_ones_kept(image):
    mask = np.random.default_rng(0).random((12, 10)) < 0.2
    mask = mask.repeat(8, 0).repeat(8, 1)[: image.shape[0], : image.shape[1]]
    spoiled = np.where(mask[..., None], 0, image).astype(np.uint8)
    made = restore(spoiled, shipped_restorer(), "inpaint", mask=mask)
    assert np.array_equal(made[~mask], image[~mask])
    assert psnr(made, image) > psnr(np.where(mask[..., None], 128, image), image) + 3
    field = np.where(mask, np.nan, image[..., 0] / 100.0).astype(np.float32)
    filled = restore(field, shipped_restorer(), "inpaint", axes="yx")
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~mask], field[~mask])


def test_images_are_doubled_better_than_by_bicubic_interpolation(image):
    whole = image[:88, :76]
    half = np.clip(np.rint(halve(whole.astype(np.float32), (0, 1))), 0, 255).astype(np.uint8)
    made = restore(half, shipped_restorer(), "upscale")
    bicubic = np.asarray(Image.fromarray(half).resize((76, 88), Image.Resampling.BICUBIC))
    assert made.shape == whole.shape
    assert made.dtype == np.uint8
    assert psnr(made, whole) > psnr(bicubic, whole) - 0.1  # after a second of training; the shipped model is held to more


def test_gray_images_stacks_and_other_ranges_go_through_a_model_of_photographs(image):
    gray = noisy(image[..., 0])
    made = restore(gray, shipped_restorer(), axes="yx", noise=SIGMA, value_range=(0, 255))
    assert psnr(made, image[..., 0]) > psnr(gray, image[..., 0]) + 1
    scaled = restore(gray * 1e-4 + 7, shipped_restorer(), axes="yx", noise=SIGMA * 1e-4)  # the range is the array's own
    assert psnr((scaled - 7) * 1e4, image[..., 0]) > psnr(gray, image[..., 0]) + 1
    stack = np.stack([image, image[::-1]])
    assert restore(stack, shipped_restorer(), axes="tyxc").shape == stack.shape
    volume = np.moveaxis(stack, 3, 0)  # channels first, and two steps
    assert restore(volume, shipped_restorer(), axes="ctyx").shape == volume.shape


def test_series_are_restored_and_cut_without_seams():
    clean = waves(3000, seed=5)
    y = noisy(clean, 0.3)
    whole = restore(y, series_restorer(), axes="tc", noise=0.3)
    assert np.square(whole - clean).mean() < 0.7 * np.square(y - clean).mean()
    parts = np.concatenate(list(restoration(y, series_restorer(), axes="tc", noise=0.3, core=64).slabs(y)))
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-5)
    assert restore(y[:101], series_restorer(), "upscale", axes="tc").shape == (202, 2)
    gap = y.copy()
    gap[50:60, 1] = np.nan
    assert np.isfinite(restore(gap, series_restorer(), "inpaint", axes="tc")).all()


def test_a_model_of_several_frames_looks_at_the_next_and_at_the_one_before():
    x = np.repeat(pictures(2, 32, seed=4)[:, :, :, 0], 3, 0).astype(np.float32)
    first = restore(x, film_restorer(), axes="tyx", noise=5.0)
    for changed in (1, 3):
        y = x.copy()
        y[changed] = 0
        found = [not np.array_equal(a, b) for a, b in zip(first, restore(y, film_restorer(), axes="tyx", noise=5.0), strict=True)]
        assert found == [abs(t - changed) <= 1 for t in range(6)]


class Watched:
    """A stack of frames, made when it is sliced, which remembers how far it was read."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype, self.reached = shape, np.dtype(dtype), 0

    def __getitem__(self, index):
        part = index[0]
        assert part.stop - part.start <= 64
        self.reached = max(self.reached, part.stop)
        return np.zeros((part.stop - part.start, *self.shape[1:]), self.dtype)


def test_a_stream_is_read_as_it_is_restored():
    frames = Watched((10**6, 16, 16, 3), np.uint8)
    made = Restoration(ArraySpec(frames.dtype, parse_axes("tyxc", 4), frames.shape), picture_restorer())
    slabs = made.slabs(frames)
    for _ in range(3):
        assert next(slabs).shape == (1, 16, 16, 3)
    assert frames.reached <= 4


def test_an_open_file_is_restored_chunk_by_chunk(tmp_path, image):
    stack = np.repeat(image[None], 5, 0)
    (tmp_path / "x.aecz").write_bytes(aecodec.compress(stack, False, "tyxc"))
    with aecodec.open(tmp_path / "x.aecz") as file:
        made = Restoration(ArraySpec(file.dtype, parse_axes(file.axes, 4), file.shape), picture_restorer(), noise=3.0)
        found = np.concatenate(list(made.slabs(file)))
    assert np.array_equal(found, restore(stack, picture_restorer(), noise=3.0))


def test_a_model_without_a_restorer_says_so_and_names_one_that_has(model, monkeypatch, tmp_path):
    picture_restorer().save(tmp_path / "cleaner.aecm")
    (tmp_path / "broken.aecm").write_bytes(b"no model")
    monkeypatch.setenv("AECODEC_MODELS", str(tmp_path))
    with pytest.raises(
        ModelError, match=r"was not trained to denoise: it is of the family linear, without a restorer; .*cleaner.*aecodec train"
    ):
        restore(np.zeros((16, 16), np.uint8), model)
    only = dataclasses.replace(picture_restorer().manifest.restores, tasks=("denoise",))
    bundle = picture_restorer().bundle
    less = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, restores=only)).sealed()
    with pytest.raises(
        ModelError, match=r"was not trained to upscale: it restores by denoise; installed models that can: .*cleaner"
    ):
        restore(np.zeros((16, 16), np.uint8), less, "upscale")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"task": "colour"}, UsageError, r"task='colour' is unknown; use one of denoise, inpaint, deblur, upscale"),
        ({"noise": -1.0}, UsageError, r"noise=-1.0 must be 0 or more"),
        ({"task": "deblur", "blur": float("nan")}, UsageError, r"blur=nan must be 0 or more"),
        ({"value_range": (5, 5)}, UsageError, r"value_range=\(5, 5\) must be two finite numbers, the first less than the second"),
        ({"task": "inpaint"}, UsageError, r"to inpaint whole numbers a mask is needed"),
        ({"task": "inpaint", "mask": np.zeros((3, 3), bool)}, UsageError, r"the mask has shape \(3, 3\); for an array of"),
        ({"task": "inpaint", "mask": np.zeros((24, 16))}, UsageError, r"the mask is float64; it must be bool"),
        ({"model": None}, UsageError, r"name a model to restore with"),
    ],
)
def test_a_call_that_cannot_be_says_why(options, error, message):
    with pytest.raises(error, match=message):
        restore(np.zeros((24, 16, 3), np.uint8), **{"model": picture_restorer(), **options})


def test_arrays_of_another_kind_are_refused_with_what_the_model_is_for():
    with pytest.raises(ModelError, match=r"restores images and fields of rows and columns, the array of axes 't' has 1 x 1"):
        restore(np.zeros(64, np.uint8), picture_restorer())
    with pytest.raises(ModelError, match=r"restores series, the array of axes 'yx' has 16 x 16"):
        restore(np.zeros((16, 16), np.float32), series_restorer(), axes="yx")
    with pytest.raises(ModelError, match=r"the array has 3 channel\(s\), the model \w+ restores arrays of 2"):
        restore(np.zeros((64, 3), np.float32), series_restorer(), axes="tc")
    with pytest.raises(UsageError, match="bool arrays cannot be restored"):
        restore(np.zeros((16, 16), bool), picture_restorer(), axes="yx")


SOUND = {"tasks": ["denoise"], "frames": 1, "low": [0.0], "high": [1.0], "multiple": [8, 8], "halo": [16, 16]}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("tasks", [], "tasks"),
        ("tasks", ["denoise", "denoise"], "tasks"),
        ("tasks", ["cook"], "must be distinct ones of denoise"),
        ("frames", 2, "an odd number from 1 to 9"),
        ("frames", True, "an odd number"),
        ("low", [float("nan")], "low under high"),
        ("high", [0.0], "low under high"),
        ("high", [1.0, 2.0], "one of each for each channel"),
        ("low", "0", "no list of numbers"),
        ("multiple", [0, 8], "whole numbers from 1 to 64"),
        ("halo", [16, 1 << 20], "whole numbers from 0 to 1024"),
        ("halo", [15, 16], "must be in multiples"),
    ],
)
def test_a_manifest_that_promises_what_cannot_be_is_refused(key, value, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Restores.from_json({**SOUND, key: value})
    record = picture_restorer().manifest.to_json()
    with pytest.raises(ModelError, match="malformed model manifest"):
        Manifest.from_json({**record, "restores": {**record["restores"], key: value}})


def test_a_model_keeps_its_restorer_through_a_file_and_one_without_its_graph_is_refused():
    bundle = picture_restorer().bundle
    again = Bundle.from_bytes(bundle.to_bytes())
    assert again.restorer == bundle.restorer
    assert again.manifest.restores == bundle.manifest.restores
    assert again.id == bundle.id
    record = bundle.manifest.to_json()
    del record["parts"]["restorer"]
    with pytest.raises(ModelError, match="restorer and restores must come together"):
        Manifest.from_json(record)
    newer = {**SOUND, "colour": "true"}
    assert Restores.from_json(newer).to_json() == newer


def test_a_graph_that_is_not_what_its_manifest_says_is_refused():
    restores, graph = picture_restorer().manifest.restores, picture_restorer().bundle.restorer
    with pytest.raises(ModelError):
        check_restorer(graph, dataclasses.replace(restores, frames=3))
    with pytest.raises(LimitError, match="operations a value"):
        check_restorer(graph, restores, Limits(graph_operations=10))
    predictor = aecodec.fit(waves(4000), axes="tc", max_error=0.01).bundle.predictor
    with pytest.raises(ModelError, match="the model's restorer has 2 inputs"):
        check_restorer(predictor, restores)


def test_resampling_is_pillows_and_keeps_straight_lines():
    ramp = np.arange(24.0, dtype=np.float32).reshape(1, -1).repeat(8, 0)
    np.testing.assert_allclose(twice(ramp, (1,))[0, 6:-6], np.arange(48)[6:-6] / 2 - 0.25, atol=1e-5)
    image = np.random.default_rng(0).random((32, 40)).astype(np.float32)
    theirs = np.asarray(Image.fromarray(image).resize((20, 16), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(halve(image)[3:-3, 3:-3], theirs[3:-3, 3:-3], atol=1e-5)
    bigger = np.asarray(Image.fromarray(image).resize((80, 64), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(twice(image)[6:-6, 6:-6], bigger[6:-6, 6:-6], atol=1e-5)


def test_gaps_are_guessed_from_what_is_near():
    x = np.full((2, 40, 90), 0.25, np.float32)
    x[:, :, 45:] = 0.75
    missing = np.zeros((40, 90), bool)
    missing[10:18, 10:18] = missing[10:18, 70:78] = True
    guess = fill_gaps(np.where(missing, np.float32(9), x), missing)
    np.testing.assert_allclose(guess, x, atol=1e-4)
    assert (fill_gaps(x, np.ones_like(missing)) == 0.5).all()
    row = fill_gaps(np.arange(9.0, dtype=np.float32).reshape(1, -1), np.arange(9)[None] == 4)
    assert row[0, 4] == pytest.approx(4.0, abs=1e-5)


def test_cores_cover_every_value_once_and_windows_hold_their_halo():
    seen = np.zeros((37, 50), int)
    for band in bands((37, 50), (16, 24), (8, 8), (8, 8)):
        for part in band:
            seen[part.core] += 1
            for core, window, inner, size in zip(part.core, part.window, part.inner, (37, 50), strict=True):
                assert window.start == max(0, core.start - 8)
                assert window.stop % 8 == 0
                assert window.start + inner.start == core.start
                assert inner.stop - inner.start == core.stop - core.start
                assert window.stop >= min(core.stop + 8, size)
    assert (seen == 1).all()


def test_spoiled_crops_say_how_they_were_spoiled():
    crops = np.random.default_rng(0).random((40, 1, 1, 16, 16)).astype(np.float32)
    for task, plane in (("denoise", NOISE), ("inpaint", MISSING), ("upscale", UPSCALED)):
        planes, clean = Spoiler((task,), False)(crops, np.random.default_rng(1))
        assert planes.shape == (40, 1 + CONDITIONS, 16, 16)
        assert np.array_equal(clean, crops[:, 0])
        conditions = planes[:, 1:]
        assert (conditions[:, plane] > 0).any(axis=(1, 2)).mean() > 0.5  # few and large patches may miss a crop
        if task == "denoise":
            off = (planes[:, 0] - clean[:, 0]).std(axis=(1, 2))
            assert np.corrcoef(off, conditions[:, NOISE, 0, 0])[0, 1] > 0.9
        if task == "inpaint":
            kept = conditions[:, MISSING] == 0
            assert np.array_equal(planes[:, 0][kept & (conditions[:, NOISE] == 0)], clean[:, 0][kept & (conditions[:, NOISE] == 0)])


def test_a_restorer_is_trained_only_on_what_it_can_see():
    from aecodec.training import train

    with pytest.raises(UsageError, match="an odd number of frames"):
        train(
            np.zeros((20, 16, 16), np.uint8),
            axes="tyx",
            networks=["restorer"],
            tile=(2, 1, 8, 8),
            steps=1,
            quality=50,
            progress=False,
        )
    small = np.random.default_rng(0).random((20, 4, 16)).astype(np.float32)
    with pytest.raises(UsageError, match="a restorer needs arrays of 8 rows and columns"):
        train(small, axes="tyx", networks=["restorer"], steps=1, psnr=40, progress=False)


@pytest.mark.parametrize("series", [False, True])
def test_a_denoising_autoencoder_restores_without_seams(series):
    x = waves(1000, seed=8) if series else pictures(1, 50, seed=6)[0, :, :45, 0].astype(np.float32)
    axes, sigma = ("tc", 0.4) if series else ("yx", 20.0)
    y, model = noisy(x, sigma), denoising_autoencoder(series)
    made = restore(y, model, axes=axes)
    assert made.shape == y.shape
    assert np.square(made - x).mean() < 0.7 * np.square(y - x).mean()
    parts = np.concatenate(list(restoration(y, model, axes=axes, core=16).slabs(y)))
    np.testing.assert_allclose(parts, made, rtol=0, atol=np.ptp(x) * 1e-4)
    y[10:14] = np.nan
    assert np.isfinite(restore(y, model, "inpaint", axes=axes)).all()
    with pytest.raises(ModelError, match="was not trained to upscale: it is of the family denoising"):
        restore(y, model, "upscale", axes=axes)
