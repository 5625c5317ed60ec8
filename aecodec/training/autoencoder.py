"""The autoencoder of tiles: linear maps both ways, which the KLT begins, and small convolutional networks that correct them.

A tile's values (steps, channels, rows, columns) become its latents; maps of latents keep the tiles' places, so that
convolutions see neighbouring tiles. All that is decoded is in units of the quantizer's step, so one network serves all steps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aecodec.training.layers import HIDDEN_BITS, HIDDEN_LIMIT, ByteConv, HiddenConv, IntegerConv, round_through
from aecodec.training.prior import FEATURE_LIMIT, FINE_BITS, NEIGHBOURS, SlicePrior, features
from aecodec.training.rate import code_length, dead_zone, uniform_noise

OUTPUT_BITS = 6  # what the decoder makes is in whole numbers of 2**-6 of a step


_USUAL_ZONE = 0.12


@dataclass(frozen=True)
class NetworkShape:
    """`values` of a tile; `first`: how many of its latents are means; `ends` of the slices; widths of the networks; kinds of steps.

    `priors` gives a width for each slice but the first; the last slice has no means.
    """

    values: int
    first: int
    ends: tuple[int, ...]
    priors: tuple[int, ...]
    encoder: int
    decoder: int
    kinds: int

    @property
    def latents(self) -> int:
        """Latents of a tile."""
        return self.ends[-1]


@dataclass(frozen=True)
class Coded:
    """Reconstruction in steps (n, values, rows, columns), bits of each image (n,), and the symbols (n, latents - first, ...)."""

    output: Tensor
    bits: Tensor
    symbols: Tensor


class Corrector(nn.Module):
    """Three layers, 1x1, 3x3 and 1x1, the last of which sees the first's output, too: (n, inputs, ...) -> (n, outputs, ...)."""

    def __init__(self, inputs: int, outputs: int, width: int, kinds: int) -> None:
        super().__init__()
        self.first = HiddenConv(inputs, width, 1, kinds, FINE_BITS, FEATURE_LIMIT)
        self.second = ByteConv(width, width, 3, kinds)
        self.last = IntegerConv(2 * width, outputs, 1, kinds, HIDDEN_BITS, HIDDEN_LIMIT)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor, kind: Tensor) -> Tensor:
        """The correction."""
        hidden = self.first(x, kind)
        return self.last(torch.cat([hidden, self.second(hidden, kind)], 1), kind)


class TileAutoencoder(nn.Module):
    """Encoder, decoder and priors. `basis` (latents, values): rows are latents, the first ones the tile's means; orthonormal."""

    def __init__(self, shape: NetworkShape, basis: Tensor) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("means", basis[: shape.first].clone())
        self.means: Tensor
        self.analysis = nn.Parameter(basis[shape.first :].clone())
        self.synthesis = nn.Parameter(basis[shape.first :].t().clone())
        rest = shape.latents - shape.first
        seen = shape.first * len(NEIGHBOURS)
        self.encoder = Corrector(shape.values, rest, shape.encoder, shape.kinds)
        self.decoder = Corrector(seen + rest, shape.values, shape.decoder, shape.kinds)
        self.priors = nn.ModuleList(
            SlicePrior(seen + start - shape.first, end - start, width, shape.kinds, end < shape.latents)
            for start, end, width in zip(shape.ends, shape.ends[1:], shape.priors, strict=False)
        )

    def encode(self, x: Tensor, kind: Tensor) -> Tensor:
        """Values in steps (n, values, rows, columns) -> latents in steps (n, latents, rows, columns)."""
        basis = torch.cat([self.means, self.analysis])
        linear = nn.functional.conv2d(x, basis[:, :, None, None])
        correction = self.encoder(x.clamp(-127.0, 127.0), kind)
        return torch.cat([linear[:, : self.shape.first], linear[:, self.shape.first :] + correction], 1)

    def seen(self, known: Tensor) -> Tensor:
        """What priors and decoder see of the latents known."""
        return features(known, self.shape.first)

    def decode(self, latents: Tensor, kind: Tensor) -> Tensor:
        """Latents as decoded, in steps -> values in steps."""
        basis = torch.cat([self.means.t(), self.synthesis], 1)
        linear = nn.functional.conv2d(latents, basis[:, :, None, None])
        return linear + self.decoder(self.seen(latents), kind)

    def forward(self, x: Tensor, kind: Tensor, hard: bool = False) -> Coded:
        """Values in steps, (n, values, rows, columns) -> what coding them gives.

        Rates are those of latents with uniform noise, or, if `hard`, of the symbols, which then are 0 where the index is;
        the decoder sees symbols in either case. The first slice costs nothing here: its own predictor codes it.
        """
        return self.code(self.encode(x, kind), kind, hard)

    def code(self, y: Tensor, kind: Tensor, hard: bool = False) -> Coded:
        """The same of latents in steps (n, latents, rows, columns)."""
        shape = self.shape
        known = round_through(y[:, : shape.first])
        bits = y.new_zeros(len(y))
        symbols = []
        for prior, start, end in zip(self.priors, shape.ends, shape.ends[1:], strict=False):
            mean, index = prior(self.seen(known), kind)
            residual = y[:, start:end] - mean
            rounded = quantize_through(residual, dead_zone(index.detach())) if hard else round_through(residual)
            bits = bits + code_length(self._coded(residual, rounded, hard), index).sum(dim=(1, 2, 3))
            symbol = rounded * (index > 0.5) if hard else rounded
            symbols.append(symbol)
            known = torch.cat([known, mean + symbol], 1)
        return Coded(self.decode(known, kind), bits, torch.cat(symbols, 1))

    def _coded(self, residual: Tensor, rounded: Tensor, hard: bool) -> Tensor:
        """What the rate is measured on.

        While learning, scales see one dead zone for all: those that their own zones leave would draw them down without end.
        """
        if not hard:
            return residual + uniform_noise(residual)
        return quantize_through(residual, torch.full_like(residual, _USUAL_ZONE)) if torch.is_grad_enabled() else rounded


def quantize_through(residual: Tensor, zone: Tensor) -> Tensor:
    """Nearest whole numbers of what is left beyond the dead zone; the gradient is the identity's."""
    beyond = residual.detach()
    whole = (beyond - torch.maximum(torch.minimum(beyond, zone), -zone)).round()
    return residual + (whole - residual).detach()
