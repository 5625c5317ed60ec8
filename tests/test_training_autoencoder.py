"""Autoencoders of every family trained for a moment on data of every shape: they export, compress, and do what they are for."""

import numpy as np
import pytest

import aecodec
from aecodec.errors import UsageError
from aecodec.fidelity import fidelity_from_options
from aecodec.tasks.generate import generate
from aecodec.training import Denoising, Sparse, train
from aecodec.training.data import open_data
from aecodec.training.families import FAMILIES, family_of
from aecodec.training.family_objective import FamilyObjective
from aecodec.training.plan import Plan, allowed_errors, closed_form
from aecodec.training.tile_layout import TileLayout


def smooth(*shape, seed=0):
    noise = np.random.default_rng(seed).normal(size=shape)
    for axis in {0, len(shape) - 1, len(shape) - 2}:
        noise = noise.cumsum(axis) / np.sqrt(shape[axis])
    return (20.0 + noise).astype(np.float32)


KINDS = {
    "1-D": ("tc", smooth(800, 3), (8, 3, 1, 1)),
    "2-D": ("tcyx", smooth(12, 2, 16, 20), (1, 2, 4, 4)),
    "3-D": ("tzyx", smooth(3, 8, 16, 16), (4, 1, 4, 4)),
}


def plan_of(axes, x, tile=None, family="vanilla", **fidelity):
    data = open_data(x, axes)
    asked, errors = allowed_errors(fidelity_from_options(**(fidelity or {"psnr": 40})), data)
    closed = closed_form(data, errors, None, 0)
    return Plan(data, asked, errors, closed, closed, family_of(family), tile=tile, width=8)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_family_compresses_data_of_every_number_of_dimensions(kind, family):
    axes, x, tile = KINDS[kind]
    given = {"networks": ["autoencoder"], "tile": tile, "width": 8, "steps": 5, "progress": False, "psnr": 35}
    model = train(x, axes=axes, family=family, **given)
    assert model.manifest.family == family
    assert model.manifest.tile == tile
    data = aecodec.compress(x, model, axes=axes, psnr=35, embed_model=False)
    restored = aecodec.decompress(data, model=model)
    assert np.sqrt(np.square(restored - x).mean()) <= np.ptp(x) * 10 ** (-35 / 20)
    assert len(data) < x.nbytes / 3
    reference = aecodec.Model(model.bundle, "reference")
    assert np.array_equal(aecodec.decompress(data, model=reference), restored)


def test_training_lowers_the_score_of_held_out_data():
    seen = []
    given = {"networks": ["autoencoder"], "width": 16, "steps": 80, "learning_rate": 3e-3, "psnr": 40}
    train(smooth(24, 2, 32, 32), axes="tcyx", progress=seen.append, **given)
    scores = [shot.validation["score"] for shot in seen if shot.fresh]
    assert scores[-1] < 0.97 * seen[0].validation["score"]
    assert {"rate", "distortion"} <= seen[0].metrics.keys()


def test_a_sparse_family_reports_its_sparsity_and_a_denoising_one_sees_what_it_spoils():
    axes, x, tile = KINDS["2-D"]
    objective = FamilyObjective(plan_of(axes, x, tile, Sparse("kl", weight=1.0)))
    assert 0.0 <= objective.validate()["sparsity"] <= 1.0
    spoiling = FamilyObjective(plan_of(axes, x, tile, Denoising(("masked:0.5-0.5",), clean=0.0)))
    clean, seen, _ = spoiling.batch(np.random.default_rng(0))
    assert clean.shape == seen.shape
    assert 0.3 < float((clean != seen).float().mean()) < 0.7
    same, plain, _ = FamilyObjective(plan_of(axes, x, tile)).batch(np.random.default_rng(0))
    assert same is plain


def test_new_samples_are_drawn_from_the_sampler_that_is_exported():
    axes, x, tile = KINDS["2-D"]
    given = {"networks": ["autoencoder"], "tile": tile, "width": 8, "steps": 12, "progress": False, "psnr": 35}
    model = train(x, axes=axes, family="variational", **given)
    made = generate(model, 500)
    assert made.shape == (500, 1, 2, 4, 4)
    assert made.mean() == pytest.approx(x.mean(), rel=0.05)
    assert made.std() == pytest.approx(x.std(), rel=0.2)


def test_what_is_left_open_follows_the_data():
    picture = np.random.default_rng(0).integers(0, 255, (900, 200, 3), dtype=np.uint8)
    layout = TileLayout.of(plan_of("yxc", picture, quality=50))
    assert (layout.tile, layout.window) == ((1, 3, 8, 8), (1, 128, 128))
    assert (layout.offset.tolist(), layout.scale.tolist()) == ([128.0] * 3, [1.0] * 3)
    assert (layout.steps.low, layout.steps.high) == pytest.approx((16 / 255 * 64, 16 / 255 * 1024))
    assert (layout.shape.first, layout.shape.latents) == (3, 192)
    series = TileLayout.of(plan_of("tc", smooth(3000, 5)))
    assert series.tile == (32, 5, 1, 1)
    assert series.window[0] % 32 == 0
    assert 32 < series.window[0] <= 2048
    bounded = TileLayout.of(plan_of("tcyx", smooth(20, 2, 16, 16), max_error=0.01))
    assert bounded.scale.tolist() == [0.01] * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tile": (1, 1, 4, 4)}, "it must have all channels"),
        ({"tile": (1, 2, 1, 1)}, "more than one value of each"),
        ({"tile": (1, 2, 4, 4), "latents": 2}, "latents=2 must be more than 2, the channels, and at most 32"),
        ({"tile": (1, 2, 4, 4), "latents": 33}, "at most 32, the values of a tile"),
        ({"width": 2}, "width=2 must be 4 to 1024"),
        ({"depth": 9}, "depth=9 1 to 8"),
    ],
)
def test_networks_that_cannot_be_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        train(smooth(12, 2, 16, 16), axes="tcyx", networks=["autoencoder"], steps=5, progress=False, **changes)


def test_fewer_latents_and_other_depths_work():
    for depth in (1, 2, 5):
        given = {"networks": ["autoencoder"], "tile": (1, 2, 4, 4), "latents": 20, "depth": depth, "width": 8, "steps": 4}
        model = train(smooth(12, 2, 16, 16), axes="tcyx", progress=False, **given)
        assert model.manifest.latents == 20
