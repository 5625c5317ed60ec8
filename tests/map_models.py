"""Small autoencoders of tiles with random weights, exported: for tests that need one, trained or not."""

import numpy as np
import torch

from aecodec.codec.model import Model
from aecodec.training.autoencoder import NetworkShape, TileAutoencoder
from aecodec.training.autoencoder_export import Target, export_autoencoder
from aecodec.training.autoencoder_objective import tile_basis
from aecodec.training.steps import StepRange

STEPS = StepRange(2.0, 32.0)


def smooth(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random values around 0 that vary slowly along the last two axes."""
    values = np.random.default_rng(seed).normal(size=shape)
    for axis in (-1, -2):
        if shape[axis] > 1:
            values = np.cumsum(values, axis=axis)
            values -= values.mean(axis=axis, keepdims=True)
    return values * (40.0 / values.std())


def network(tile: tuple[int, int, int, int], ends: tuple[int, ...], seed: int = 0) -> TileAutoencoder:
    """An autoencoder whose corrections and priors are random, so that all of its arithmetic matters."""
    torch.manual_seed(seed)
    values, channels = int(np.prod(tile)), tile[1]
    examples = smooth((4096, channels, values // channels), seed).reshape(4096, values)
    shape = NetworkShape(values, ends[0], ends, tuple(8 for _ in ends[1:]), 12, 12, STEPS.kinds)
    made = TileAutoencoder(shape, torch.from_numpy(tile_basis(examples, channels)))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith(("last.weight", "bias")):
                parameter.add_(0.001 * torch.randn_like(parameter))
    return made


def image_model(seed: int = 0) -> Model:
    """A model for RGB images in tiles of 4 x 4."""
    made = network((1, 3, 4, 4), (3, 9, 48), seed)
    examples = [smooth((1, 48, 16, 16), seed + i).astype(np.float32) for i in range(2)]
    target = Target("yxc", (1, 3, 4, 4), (128.0,) * 3, (1.0,) * 3)
    return Model(export_autoencoder(made, STEPS, examples, target, "vanilla", {}), "cpu")


def series_model() -> Model:
    """A model for series of two channels in tiles of 8 steps."""
    made = network((8, 2, 1, 1), (2, 6, 16))
    examples = [smooth((1, 16, 1, 64)).astype(np.float32)]
    target = Target("tc", (8, 2, 1, 1), (0.0, 1.0), (1.0, 0.5))
    return Model(export_autoencoder(made, STEPS, examples, target, "vanilla", {}), "cpu")
