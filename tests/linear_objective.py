"""A small but real objective for tests: a linear autoencoder across channels, rate and distortion as its loss, and its bundle."""

import numpy as np
import torch
from torch import nn

from aecodec.models.bundle import Bundle
from aecodec.models.exact import prove_exact
from aecodec.models.linear import LinearWeights, decoder_graph, encoder_graph
from aecodec.models.manifest import Manifest

BITS = 10
LIMIT, UNIT = 1 << 20, 2.0**-8


class LinearNet(nn.Module):
    """Latents are `basis` times a sample; the decoder is its transpose."""

    def __init__(self, channels, width=0, rough=0.3):
        super().__init__()
        self.burden = nn.Parameter(torch.zeros(width))
        self.basis = nn.Parameter(torch.eye(channels) + rough * torch.randn(channels, channels))
        self.spread = nn.Parameter(torch.zeros(channels))
        self.frozen = False

    def weights(self):
        if not self.frozen:
            return self.basis
        whole = torch.round(self.basis * 2.0**BITS) / 2.0**BITS
        return self.basis + (whole - self.basis).detach()

    def forward(self, x):
        basis = self.weights()
        y = x @ basis.T
        noisy = y + (torch.rand_like(y) - 0.5) * 0.1 if self.training else torch.round(y * 10) / 10
        rate = (noisy.abs() * torch.exp(-self.spread) + self.spread).sum(1).mean()
        distortion = (noisy @ basis - x).square().sum(1).mean()
        return rate + 30.0 * distortion, {"rate": rate, "distortion": distortion}


class LinearObjective:
    """Samples of correlated numbers, float32 (count, channels): synthetic ones, or those given."""

    def __init__(self, channels=4, batch_size=32, seed=0, poison=None, samples=None, held_out=None, units=None, net=None):
        rng = np.random.default_rng(seed)
        mixing = rng.normal(size=(channels, channels)) * 0.7 ** np.arange(channels)
        self.samples = (rng.normal(size=(2000, channels)) @ mixing.T).astype(np.float32) if samples is None else samples
        held_out = (rng.normal(size=(500, channels)) @ mixing.T).astype(np.float32) if held_out is None else held_out
        self.held_out = torch.from_numpy(held_out)
        self.offset, self.scale = units or ((0.0,) * channels, (1.0,) * channels)
        self.batch_size, self.drawn, self.poison = batch_size, 0, poison
        torch.manual_seed(seed)
        self.module = LinearNet(channels, **(net or {}))

    def batch(self, rng):
        self.drawn += 1
        x = torch.from_numpy(self.samples[rng.integers(len(self.samples), size=self.batch_size)])
        return x * self.poison(self.drawn) if self.poison else x

    def validate(self):
        loss, metrics = self.module(self.held_out)
        return {"score": loss.item(), **{name: value.item() for name, value in metrics.items()}}

    def freeze(self):
        self.module.frozen = True

    def export(self):
        assert self.module.frozen
        basis = np.rint(self.module.basis.detach().numpy() * 2.0**BITS).astype(np.int32)
        channels = len(basis)
        one = np.ones((1, 1), np.int32) << 20
        weights = LinearWeights((1, channels, 1, 1), BITS, basis, one, one, np.arange(channels, dtype=np.int32))
        prove_exact(decoder_graph(weights), LIMIT)
        spreads = np.abs(self.samples @ basis.T / 2.0**BITS).mean(0)
        manifest = Manifest(
            family="test",
            axes="tc",
            tile=(1, channels, 1, 1),
            offset=self.offset,
            scale=self.scale,
            bands=tuple((i + 1, float(s)) for i, s in enumerate(spreads)),
            latent_unit=UNIT,
            latent_limit=LIMIT,
            exact=True,
        )
        return Bundle(manifest, decoder_graph(weights), encoder_graph(weights)).sealed()


def linear(plan):
    """Builds the objective on the data of a plan, for `networks=(linear,)`."""
    data = plan.data
    scale = data.spread / (plan.distortion_weight or 1.0)

    def normalised(pieces):
        rows = np.concatenate([piece.transpose(0, 2, 3, 1).reshape(-1, data.channels) for piece in pieces])
        return ((rows - data.mean) / scale).astype(np.float32)

    samples, held_out = normalised(data.training.pieces), normalised(data.validation.pieces)
    units = tuple(data.mean.tolist()), tuple(scale.tolist())
    given = {"samples": samples, "held_out": held_out, "units": units, "net": {"width": plan.width or 0, "rough": 0.02}}
    return LinearObjective(data.channels, plan.batch_size or 32, plan.seed, **given)
