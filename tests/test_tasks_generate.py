"""Generation: seeds, ways between two, reconstructions, pictures, mixtures fitted to latents, and models that cannot."""

import dataclasses

import numpy as np
import pytest
from restoring_models import generator

from aecodec.errors import ModelError, UsageError
from aecodec.models.bundle import Bundle
from aecodec.models.manifest import Manifest
from aecodec.models.mixture import Mixture
from aecodec.tasks.generate import generate, interpolate, reconstruct
from aecodec.tasks.pictures import grid
from aecodec.training.mixture_fit import fit_mixture


def test_a_seed_fixes_the_samples_and_another_gives_others():
    first = generate(generator(), 5, seed=3)
    assert first.shape == (5, 1, 1, 8, 8)
    assert first.dtype == np.float32
    assert np.array_equal(first, generate(generator(), 5, seed=3))
    assert not np.array_equal(first, generate(generator(), 5, seed=4))
    assert len({tile.tobytes() for tile in first}) == 5


def test_samples_have_the_mean_and_spread_of_the_images_and_less_of_it_if_asked():
    made = generate(generator(), 400, seed=0)
    images = reconstruct(
        generator(), list((np.random.default_rng(1).normal(size=(300, 8, 8)).cumsum(1).cumsum(2) * 8 + 128).clip(0, 255))
    )
    assert abs(made.mean() - images.mean()) < 8
    assert made.std() == pytest.approx(images.std(), rel=0.3)
    narrow = generate(generator(), 400, seed=0, spread=0.2)
    assert narrow.std(0).mean() < made.std(0).mean()


def test_the_way_between_two_begins_and_ends_at_their_reconstructions():
    a, b = np.full((8, 8), 60, np.uint8), np.full((1, 8, 8), 200, np.uint8)
    way = interpolate(generator(), a, b, 5)
    ends = reconstruct(generator(), [a, b])
    assert np.array_equal(way[[0, -1]], ends)
    assert (np.diff(way.mean((1, 2, 3, 4))) > 0).all()
    assert abs(ends[1].mean() - 200) < 10


def test_a_picture_has_a_tile_in_each_place():
    tiles = np.stack([np.full((1, 1, 8, 8), value, np.float32) for value in (0, 100, 255)])
    picture = grid(tiles, generator())
    assert picture.shape == (18, 18)
    assert picture.dtype == np.uint8
    assert [picture[0, 0], picture[0, 10], picture[10, 0], picture[10, 10], picture[0, 8]] == [0, 100, 255, 255, 255]
    curves = grid(np.random.default_rng(0).normal(size=(2, 30, 2, 1, 1)), generator())
    assert curves.shape == (48, 62)
    assert curves.min() < 130
    with pytest.raises(UsageError, match="there are no tiles"):
        grid(tiles[:0], generator())


def test_a_model_without_a_sampler_says_so_and_names_one_that_has(model, monkeypatch, tmp_path):
    with pytest.raises(ModelError, match=r"cannot be sampled from: it is of the family linear, without a sampler"):
        generate(model)
    generator().save(tmp_path / "shapes.aecm")
    monkeypatch.setenv("AECODEC_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match=r"installed models that can: .*shapes; train one .*--family variational"):
        generate(model)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: generate(m, 0), r"count=0 must be 1 to"),
        (lambda m: generate(m, 1, spread=-1), r"spread=-1 0 to 4"),
        (lambda m: interpolate(m, np.zeros((8, 8)), np.zeros((8, 8)), 1), r"count=1 must be 2 to"),
        (lambda m: reconstruct(m, [np.zeros((8, 9))]), r"an array of shape \(8, 9\) is no tile of the model: \(1, 1, 8, 8\)"),
        (lambda m: generate(None), r"name a model"),
    ],
)
def test_a_call_that_cannot_be_says_why(call, message):
    with pytest.raises(UsageError, match=message):
        call(generator())


def two_clouds(rows):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(rows, 3)) * (1.0, 0.5, 0.1)
    return y + np.where(rng.random(rows) < 0.3, 6.0, -2.0)[:, None]


def test_a_mixture_finds_the_clouds_that_there_are():
    mixture = fit_mixture(two_clouds(4000))
    drawn = mixture.sample(4000, np.random.default_rng(1))
    assert drawn.dtype == np.float32
    assert ((drawn[:, 1] > 2).mean()) == pytest.approx(0.3, abs=0.04)
    between = np.abs(drawn[:, 1] - 2.0) < 1.5
    assert between.mean() < 0.01  # where one normal distribution would have most
    assert np.isfinite(fit_mixture(np.zeros((20, 2))).factors).all()
    with pytest.raises(UsageError, match=r"two or more rows of latents, got shape \(1, 3\)"):
        fit_mixture(np.zeros((1, 3)))


def test_a_mixture_comes_back_from_its_bytes_and_bad_ones_are_refused():
    mixture = fit_mixture(two_clouds(300))
    part, count = mixture.to_bytes(), len(mixture.weights)
    again = Mixture.from_bytes(part, count, 3)
    np.testing.assert_allclose(again.factors, mixture.factors, rtol=1e-6, atol=1e-7)
    assert again.weights.sum() == pytest.approx(1.0)
    with pytest.raises(ModelError, match=f"has {len(part) - 4} bytes, {len(part)} are due for {count} components of 3 latents"):
        Mixture.from_bytes(part[:-4], count, 3)
    with pytest.raises(ModelError, match="at most 512"):
        Mixture.from_bytes(part, count, 4096)
    for wrong in (np.float32(np.nan), np.float32(-1.0)):
        with pytest.raises(ModelError, match="not finite, or weights that are not positive"):
            Mixture.from_bytes(wrong.tobytes() + part[4:], count, 3)


def test_a_model_keeps_its_sampler_through_a_file_and_a_manifest_without_it_is_refused():
    bundle = generator().bundle
    again = Bundle.from_bytes(bundle.to_bytes())
    assert again.sampler == bundle.sampler
    assert again.manifest.samples == bundle.manifest.samples
    record = bundle.manifest.to_json()
    for components, message in ((0, "1 to 64 components"), (65, "1 to 64 components"), ("2", "malformed")):
        with pytest.raises(ModelError, match=message):
            Manifest.from_json({**record, "samples": {"components": components}})
    del record["samples"]
    with pytest.raises(ModelError, match="sampler and samples must come together"):
        Manifest.from_json(record)
    cut = dataclasses.replace(bundle, sampler=bundle.sampler[:-4]).sealed()
    with pytest.raises(ModelError, match="it is damaged"):
        generate(cut, 1)
