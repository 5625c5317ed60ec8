"""Small models that restore and generate, trained in a second or two each, once for all tests."""

from functools import cache

import numpy as np
import pytest

import aecodec
from aecodec.models.registry import installed
from aecodec.training import train
from aecodec.training.families import Denoising


def pictures(count: int, side: int = 64, seed: int = 0) -> np.ndarray:
    """uint8 (count, side, side, 3): smooth shades with edges, alike in all colours."""
    rng = np.random.default_rng(seed)
    places = np.linspace(0.0, 1.0, side)
    rows, columns = np.meshgrid(places, places, indexing="ij")
    out = np.empty((count, side, side, 3), np.uint8)
    for image in out:
        slope, tint = rng.normal(size=2), rng.uniform(0.7, 1.0, 3)
        shade = 120 + 40 * (slope[0] * rows + slope[1] * columns)
        shade = shade + 60 * (np.hypot(rows - rng.random(), columns - rng.random()) < rng.uniform(0.1, 0.4))
        image[...] = np.clip(shade[..., None] * tint, 0, 255)
    return out


def waves(steps: int, seed: int = 0) -> np.ndarray:
    """float32 (steps, 2): slow oscillations."""
    rng = np.random.default_rng(seed)
    t = np.arange(steps)[:, None]
    return sum(np.sin(t * rng.uniform(0.02, 0.1, 2) + rng.uniform(0, 6, 2)) for _ in range(3)).astype(np.float32)


@cache
def picture_restorer() -> aecodec.Model:
    """A network of all tasks on RGB images of 8 bits that has hardly begun to learn: for how it is used, not how well it does."""
    return train(list(pictures(8)), axes="yxc", networks=["restorer"], width=8, steps=4, quality=50, progress=False)


def shipped_restorer() -> aecodec.Model:
    """The model that ships, for how well it does; skips where it has not been exported."""
    if "restore" not in {name for name, _ in installed()}:
        pytest.skip("the model restore is not there: python -m export restore makes it")
    return aecodec.load_model("restore", "cpu", threads=1)


@cache
def series_restorer() -> aecodec.Model:
    """Restores series of two channels."""
    return train(waves(6000), axes="tc", networks=["restorer"], width=8, steps=60, learning_rate=1e-2, psnr=40, progress=False)


@cache
def film_restorer() -> aecodec.Model:
    """Restores a field from three frames at once."""
    x = pictures(12, 32)[..., 0].astype(np.float32)
    settings = {"tile": (3, 1, 32, 32), "width": 4, "steps": 8, "psnr": 40.0}
    return train(np.repeat(x, 4, 0), axes="tyx", networks=["restorer"], progress=False, **settings)


@cache
def generator() -> aecodec.Model:
    """A variational model of 8 x 8 images of one channel."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(300, 8, 8)).cumsum(1).cumsum(2) * 8 + 128).clip(0, 255).astype(np.uint8)
    shape = {"tile": (1, 1, 8, 8), "latents": 6, "width": 8, "batch_size": 32}
    return train(x, axes="tyx", family="variational", networks=["autoencoder"], steps=20, quality=50, progress=False, **shape)


@cache
def denoising_autoencoder(series: bool) -> aecodec.Model:
    """A denoising autoencoder of series of two channels, or of 16 x 16 fields."""
    common = {"networks": ["autoencoder"], "width": 8, "steps": 12, "psnr": 30, "progress": False, "latents": 12}
    family = Denoising(corruptions=("gaussian:0.2-0.4", "masked"))
    if series:
        return train(waves(4000), axes="tc", family=family, tile=(16, 2, 1, 1), **common)
    fields = pictures(24, 48, seed=3)[..., 0].astype(np.float32)
    return train(fields, axes="tyx", family=family, tile=(1, 1, 8, 8), **common)
