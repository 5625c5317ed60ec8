"""What an autoencoder of tiles is trained for: rate plus distortion at all steps of a range, on crops of images."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from aecodec.training.autoencoder import NetworkShape, TileAutoencoder
from aecodec.training.layers import freeze_all
from aecodec.training.steps import StepRange

WEIGHT = 7.0  # bits that a squared error of one step is worth: 6 / ln 2 at high rates, less with a dead zone
_KLT_TILES = 1 << 17

Batch = tuple[Tensor, Tensor]  # values (n, tile values, rows, columns) in units of the scale, steps (n,)
Source = Callable[[np.random.Generator], np.ndarray]  # draws maps of tiles, float32 (n, tile values, rows, columns)


class RateDistortion(nn.Module):
    """The network with its loss: bits a value plus WEIGHT times the squared error in steps."""

    def __init__(self, network: TileAutoencoder, steps: StepRange) -> None:
        super().__init__()
        self.network, self.steps = network, steps
        self.hard = False

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, metrics) of a batch."""
        values, steps = batch
        x = values / steps[:, None, None, None]
        coded = self.network(x, self.steps.kind(steps), self.hard)
        count = x[0].numel()
        bits = coded.bits / count
        error = (coded.output - x).square().mean(dim=(1, 2, 3))
        loss = (bits + WEIGHT * error).mean()
        return loss, {"bits": bits.mean().detach(), "error": error.mean().detach()}


class AutoencoderObjective:
    """Trains a TileAutoencoder on maps that `draw` gives; `held` (n, tile values, rows, columns) are held out."""

    def __init__(self, network: TileAutoencoder, steps: StepRange, draw: Source, held: Tensor) -> None:
        self.module = RateDistortion(network, steps)
        self.draw, self.held = draw, held

    def batch(self, rng: np.random.Generator) -> Batch:
        """One training step's maps, each with a step drawn evenly in its logarithm."""
        values = torch.from_numpy(self.draw(rng))
        steps = self.module.steps
        drawn = steps.low * (steps.high / steps.low) ** rng.random(len(values), dtype=np.float32)
        return values, torch.from_numpy(drawn.astype(np.float32))

    def validate(self) -> dict[str, float]:
        """Hard rates and distortions on what is held out, at four steps of the range; "score" is their mean loss."""
        steps, found = self.module.steps, {}
        was, self.module.hard = self.module.hard, True
        with torch.no_grad():
            for step in steps.spread(4):
                parts = [self.module((part, torch.full((len(part),), step))) for part in torch.split(self.held, 4)]
                found[f"bits@{step:.3g}"] = float(np.mean([float(m["bits"]) for _, m in parts]))
                found[f"error@{step:.3g}"] = float(np.mean([float(m["error"]) for _, m in parts]))
        self.module.hard = was
        rates = [v for k, v in found.items() if k.startswith("bits")]
        errors = [v for k, v in found.items() if k.startswith("error")]
        return {"score": float(np.mean(rates) + WEIGHT * np.mean(errors)), **found}

    def freeze(self) -> None:
        """From here on symbols are hard and layers whole-numbered; the encoder stays as it is, the rest learns to live with it."""
        freeze_all(self.module.network.decoder)
        freeze_all(self.module.network.priors)
        self.module.hard = True


def tile_basis(tiles: np.ndarray, channels: int) -> np.ndarray:
    """Orthonormal rows for tiles (count, values), values by channel: the KLT of the channels' means, then that of the rest."""
    count, values = tiles.shape
    tiles = tiles[:: max(1, count // _KLT_TILES)].astype(np.float64)
    rest = values // channels
    flat = np.zeros((channels, values))
    for c in range(channels):
        flat[c, c * rest : (c + 1) * rest] = 1.0 / math.sqrt(rest)
    flat = _klt(tiles @ flat.T) @ flat
    others = np.linalg.qr(flat.T, mode="complete")[0][:, channels:].T  # orthonormal even where nothing varies
    return np.concatenate([flat, _klt(tiles @ others.T) @ others]).astype(np.float32)


def _klt(samples: np.ndarray) -> np.ndarray:
    """Eigenvectors of the second moments, rows, by falling variance."""
    _, vectors = np.linalg.eigh(samples.T @ samples / len(samples))
    return np.asarray(vectors[:, ::-1].T)


def photo_shape(kinds: int) -> NetworkShape:
    """The network for photos: tiles of 8 x 8 RGB."""
    return NetworkShape(192, 3, (3, 15, 51, 192), (64, 80, 96), 128, 128, kinds)
