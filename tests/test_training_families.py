"""Families of autoencoders: what their corruptions do, what their penalties count, and that each trains in 1-D, 2-D and 3-D."""

import numpy as np
import pytest
import torch
from torch import nn

from aecodec.errors import UsageError
from aecodec.training.config import Settings
from aecodec.training.families import FAMILIES, Denoising, Sparse, Variational, family_of
from aecodec.training.families.corruptions import Blur, Downscaling, GaussianNoise, MaskedPatches, PoissonNoise, corruption_of
from aecodec.training.loop import run

RNG = np.random.default_rng


def ones(*shape):
    return np.ones(shape, np.float32)


def smooth(*shape):
    noise = RNG(0).normal(size=shape)
    for axis in (1, 3, 4):
        noise = noise.cumsum(axis) / np.sqrt(shape[axis])
    return (noise / noise.std()).astype(np.float32)


def test_gaussian_noise_is_as_strong_as_asked():
    spoiled = GaussianNoise(0.3, 0.3)(np.zeros((8, 1, 2, 32, 32), np.float32), RNG(0))
    assert spoiled.dtype == np.float32
    assert spoiled.std() == pytest.approx(0.3, rel=0.02)
    strengths = GaussianNoise(0.1, 0.9)(np.zeros((200, 1, 1, 32, 32), np.float32), RNG(0)).std(axis=(1, 2, 3, 4))
    assert 0.09 < strengths.min() < 0.15
    assert 0.85 < strengths.max() < 0.95


def test_poisson_noise_keeps_the_mean_and_has_the_variance_of_counts():
    spoiled = PoissonNoise(20.0, 20.0, dark=-2.0)(ones(4, 1, 1, 128, 128), RNG(0))
    assert spoiled.mean() == pytest.approx(1.0, abs=0.01)
    assert spoiled.var() == pytest.approx(3.0 / 20.0, rel=0.03)
    assert np.isfinite(PoissonNoise()(-5.0 * ones(2, 1, 1, 4, 4), RNG(0))).all()


def test_masked_patches_are_square_and_cover_the_share_asked():
    spoiled = MaskedPatches(0.25, 0.25, size=4)(ones(50, 1, 3, 30, 32), RNG(0))
    assert set(np.unique(spoiled)) == {0.0, 1.0}
    assert 1.0 - spoiled.mean() == pytest.approx(0.25, abs=0.02)
    assert np.array_equal(spoiled[:, :, 0], spoiled[:, :, 2])
    blocks = spoiled[:, 0, 0, :28].reshape(50, 7, 4, 8, 4)
    assert (blocks == blocks[:, :, :1, :, :1]).all()


def test_blur_spreads_a_point_as_a_gaussian_does_and_keeps_its_sum():
    point = np.zeros((1, 1, 1, 41, 41), np.float32)
    point[..., 20, 20] = 1.0
    blurred = Blur(2.0, 2.0)(point, RNG(0))[0, 0, 0]
    assert blurred.sum() == pytest.approx(1.0, abs=1e-5)
    variance = (blurred.sum(1) * np.square(np.arange(41) - 20)).sum()
    assert variance == pytest.approx(4.0, rel=0.05)


def test_downscaling_takes_means_of_blocks():
    x = np.arange(10, dtype=np.float32).reshape(1, 10, 1, 1, 1)
    assert Downscaling(4, 4)(x, RNG(0)).ravel().tolist() == [1.5] * 4 + [5.5] * 4 + [8.5] * 2
    square = Downscaling(2, 2)(np.arange(16, dtype=np.float32).reshape(1, 1, 1, 4, 4), RNG(0))
    assert square[0, 0, 0].tolist() == [[2.5, 2.5, 4.5, 4.5]] * 2 + [[10.5, 10.5, 12.5, 12.5]] * 2


@pytest.mark.parametrize("name", ["gaussian", "poisson", "masked", "blur", "downscaling"])
@pytest.mark.parametrize("shape", [(6, 32, 2, 1, 1), (6, 1, 3, 16, 17), (6, 4, 2, 9, 16)])
def test_every_corruption_spoils_tiles_of_every_shape_and_is_fixed_by_the_seed(name, shape):
    tiles = smooth(*shape)
    before = tiles.copy()
    spoiled = corruption_of(name)(tiles, RNG(1))
    assert spoiled.shape == shape
    assert spoiled.dtype == np.float32
    assert not np.array_equal(spoiled, tiles)
    assert np.array_equal(tiles, before)
    assert np.array_equal(spoiled, corruption_of(name)(tiles, RNG(1)))


def test_corruptions_by_name_with_their_range():
    assert corruption_of("blur:0.5-1.5") == Blur(0.5, 1.5)
    assert corruption_of("downscaling:2-8") == Downscaling(2, 8)
    for text, message in [
        ("fog", "corruption 'fog' is unknown; use gaussian, poisson"),
        ("blur:2", "must be LOW-HIGH, such as blur:0.5-2"),
        ("blur:3-2", "the range must rise"),
        ("poisson:0-2", "the range must rise from what is more than nothing"),
    ]:
        with pytest.raises(UsageError, match=message):
            corruption_of(text)


def test_denoising_leaves_a_share_clean_and_spoils_the_rest_by_all_its_corruptions():
    tiles = smooth(2000, 4, 1, 1, 1)
    family = Denoising(("gaussian:0.1-0.1", lambda x, rng: -x), clean=0.5)
    spoiled = family.corrupt(tiles, RNG(0))
    same = (spoiled == tiles).all(axis=(1, 2, 3, 4)).mean()
    turned = (spoiled == -tiles).all(axis=(1, 2, 3, 4)).mean()
    assert same == pytest.approx(0.5, abs=0.04)
    assert turned == pytest.approx(0.25, abs=0.04)
    with pytest.raises(UsageError, match="denoising needs a corruption"):
        Denoising(())


def test_the_l1_penalty_is_the_mean_magnitude():
    y = torch.tensor([[1.0, -3.0], [0.0, 2.0]])
    assert Sparse("l1", weight=0.5).penalty(y) == pytest.approx(0.75)
    assert Sparse().metrics(y)["sparsity"] == 0.25


def test_the_kl_penalty_is_least_at_the_target_activity():
    family = Sparse("kl", weight=1.0, target=0.2)

    def of(activity):
        return float(family.penalty(torch.full((8, 3, 2, 2), (activity / (1 - activity)) ** 0.5)))

    assert of(0.2) == pytest.approx(0.0, abs=1e-5)
    assert of(0.1) > 0.01
    assert of(0.5) == pytest.approx(0.2 * np.log2(0.4) + 0.8 * np.log2(1.6), rel=1e-4)


def test_the_variational_penalty_is_the_divergence_of_two_normal_distributions():
    family = Variational(beta=2.0, prior=3.0)
    outputs = torch.cat([torch.full((5, 2, 1), 1.5), torch.full((5, 2, 1), 0.4)], 1)
    a, b = torch.distributions.Normal(1.5, np.exp(0.2)), torch.distributions.Normal(0.0, 3.0)
    expected = torch.distributions.kl_divergence(a, b) / np.log(2.0)
    assert family.penalty(outputs) == pytest.approx(2.0 * float(expected), rel=1e-5)
    assert torch.equal(family.bottleneck(outputs, training=False), torch.full((5, 2, 1), 1.5))
    torch.manual_seed(0)
    drawn = family.bottleneck(outputs.repeat(4000, 1, 1), training=True)
    assert drawn.std() == pytest.approx(np.exp(0.2), rel=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: family_of("magic"), "family='magic' is unknown; use vanilla, sparse, denoising, variational"),
        (lambda: Sparse("l2"), "penalty_kind='l2' is unknown"),
        (lambda: Sparse(weight=-1.0), "weight=-1.0 must be 0 or more"),
        (lambda: Variational(beta=-1.0), "beta=-1.0 must be 0 or more"),
    ],
)
def test_families_out_of_range_are_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


class TileNet(nn.Module):
    """A two-layer autoencoder of flattened tiles with a family's parts in their places."""

    def __init__(self, values, latents, family):
        super().__init__()
        self.family = family
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(values, 48), nn.ReLU(), nn.Linear(48, family.outputs(latents)))
        self.decoder = nn.Sequential(nn.Linear(latents, 48), nn.ReLU(), nn.Linear(48, values))

    def forward(self, batch):
        clean, seen = batch
        outputs = self.encoder(seen)
        x_hat = self.decoder(self.family.bottleneck(outputs, self.training))
        distortion = (x_hat - clean.flatten(1)).square().mean()
        return 20.0 * distortion + self.family.penalty(outputs), {"distortion": distortion, **self.family.metrics(outputs)}


class TileObjective:
    """Trains it on smooth tiles of one shape."""

    def __init__(self, shape, family):
        self.family, self.tiles, self.held = family, smooth(400, *shape), smooth(480, *shape)[400:]
        torch.manual_seed(0)
        self.module = TileNet(int(np.prod(shape)), 16, family)

    def batch(self, rng):
        clean = self.tiles[rng.integers(400, size=32)]
        return torch.from_numpy(clean), torch.from_numpy(self.family.corrupt(clean, rng))

    def validate(self):
        spoiled = self.family.corrupt(self.held, np.random.default_rng(0))
        loss, metrics = self.module((torch.from_numpy(self.held), torch.from_numpy(spoiled)))
        return {"score": loss.item(), **{name: value.item() for name, value in metrics.items()}}

    def freeze(self):
        pass


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [(32, 2, 1, 1), (1, 3, 8, 8), (4, 2, 6, 6)], ids=["1-D", "2-D", "3-D"])
def test_every_family_trains_in_every_number_of_dimensions(family, shape):
    objective = TileObjective(shape, family_of(family))
    outcome = run(objective, Settings(steps=250, learning_rate=5e-3, average=0.95, validations=5))
    assert outcome.reason == "steps"
    assert outcome.best["distortion"] < 0.6 * outcome.history[0]["distortion"]


def test_a_heavier_penalty_makes_more_latents_zero():
    found = []
    for weight in (0.0, 3.0):
        objective = TileObjective((1, 2, 8, 8), Sparse("l1", weight=weight))
        found.append(run(objective, Settings(steps=250, learning_rate=5e-3, average=0.95)).best["sparsity"])
    assert found[1] > found[0] + 0.1


def test_a_denoising_autoencoder_restores_what_a_plain_one_does_not():
    errors = []
    for family in (family_of("vanilla"), Denoising(("gaussian:1-1",), clean=0.0)):
        objective = TileObjective((1, 1, 8, 8), family)
        run(objective, Settings(steps=400, learning_rate=5e-3, average=0.95))
        spoiled = GaussianNoise(1.0, 1.0)(objective.held, RNG(5))
        with torch.no_grad():
            errors.append(float(objective.module((torch.from_numpy(objective.held), torch.from_numpy(spoiled)))[1]["distortion"]))
    assert errors[1] < 0.9 * errors[0]
