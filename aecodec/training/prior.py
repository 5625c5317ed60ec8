"""What a slice of latents is expected to be, from the slices before it: means and scale indices, tile by tile.

Latents of a tile come in slices of falling variance; the first is coded by itself, each of the others with the mean and scale
that a small convolutional network makes of those already known, of the tile and of its neighbours. Sources: Minnen and Singh,
"Channel-wise autoregressive entropy models for learned image compression" (2020); here without a hyper-latent.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from aecodec.training.layers import HIDDEN_BITS, HIDDEN_LIMIT, ByteConv, HiddenConv, IntegerConv, round_through
from aecodec.training.rate import LARGEST_INDEX

FINE_BITS = 4  # latents are whole numbers of 1/16 of a step
FEATURE_LIMIT = 2047  # of these that a network sees
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def features(known: Tensor, first: int) -> Tensor:
    """What networks see of latents (n, known, rows, columns), in steps: (n, 8 * first + known - first, rows, columns).

    Of the first slice, the tile's means, only how they differ from the eight around it; edges repeated.
    """
    means = known[:, :first]
    padded = functional.pad(means, (1, 1, 1, 1), mode="replicate")
    h, w = known.shape[2:]
    around = [padded[:, :, 1 + i : 1 + i + h, 1 + j : 1 + j + w] - means for i, j in NEIGHBOURS]
    limit = FEATURE_LIMIT * 2.0**-FINE_BITS
    return torch.cat([*around, known[:, first:]], 1).clamp(-limit, limit)


class SlicePrior(nn.Module):
    """Mean (in steps; none if not `means`) and scale index of a slice of `outputs` latents from features of `inputs` planes."""

    def __init__(self, inputs: int, outputs: int, width: int, kinds: int, means: bool) -> None:
        super().__init__()
        self.outputs, self.means = outputs, means
        self.first = HiddenConv(inputs, width, 1, kinds, FINE_BITS, FEATURE_LIMIT)
        self.second = ByteConv(width, width, 3, kinds)
        self.last = IntegerConv(width, outputs * (1 + means), 1, kinds, HIDDEN_BITS, HIDDEN_LIMIT)
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            self.last.bias[:, -outputs:] = 10.0

    def forward(self, seen: Tensor, kind: Tensor) -> tuple[Tensor, Tensor]:
        """Features and kinds -> mean, index, both (n, outputs, rows, columns)."""
        made = self.last(self.second(self.first(seen, kind), kind), kind)
        index = made[:, -self.outputs :]
        mean = made[:, : self.outputs] if self.means else torch.zeros_like(index)
        if self.last.frozen:
            mean = round_through(mean * 2.0**FINE_BITS) * 2.0**-FINE_BITS
            index = round_through(index)
        return mean, index.clamp(0.0, LARGEST_INDEX)
