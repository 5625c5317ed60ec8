"""The restoring network: a small residual U-Net at half resolution, told how its input was spoiled.

planes ─ conv /2 ─ blocks ─┬─ conv /2 ─ blocks ─┬─ conv /2 ─ blocks ─ conv x2 ─┐
                           │                    └────────────── + ──── blocks ─┴─ conv x2 ─┐
                           └───────────────────────────────── + ──── blocks ───────────────┴─ conv x2 ─ + middle frame

Sources: Zhang et al., "FFDNet" (2018), for noise levels as planes and half resolution, and "Plug-and-play image restoration with
deep denoiser prior" (2021), for the residual U-Net.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aecodec.models.restores import CONDITIONS, UNKNOWN

_OUTER = 6  # a kernel of 3 x 3 blocks of 2 x 2 values
GAIN = 4.0  # of what the layers see, around the middle of the range, so that its spread is about 1
_FALLING = 0.2  # of the usual spread of initial weights, of each block's last layer
_FAINT = 0.02  # the same of the very last layer: a restorer begins by leaving arrays alone


@dataclass(frozen=True)
class RestorerShape:
    """`widths`: channels at a half, a quarter and an eighth. `blocks`: on two levels down, at the bottom, on two up."""

    channels: int
    frames: int
    series: bool
    widths: tuple[int, int, int]
    blocks: tuple[int, int, int, int, int]

    @property
    def multiple(self) -> tuple[int, int]:
        """What rows and columns must be multiples of."""
        return (1 if self.series else 8), 8

    @property
    def halo(self) -> tuple[int, int]:
        """How far an output depends on inputs, in multiples of the above: each convolution of 3 reaches one of its level on."""
        a, b, c, d, e = self.blocks
        reach = 2 * (2 * (a + e)) + 4 * (2 * (b + d)) + 8 * 2 * c + 2 * 2  # blocks, and the outer layers
        across = -(-(reach + 8) // 8) * 8  # what is on the way is aligned to blocks of 8
        return (0 if self.series else across), across


class Block(nn.Module):
    """Two convolutions, whose outcome is added to the input."""

    def __init__(self, width: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        pads = (kernel[0] // 2, kernel[1] // 2)
        self.first = nn.Conv2d(width, width, kernel, padding=pads)
        self.second = nn.Conv2d(width, width, kernel, padding=pads)
        _spread(self.first, 2.0**0.5)
        _spread(self.second, _FALLING)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, rows, columns) -> the same."""
        return x + self.second(torch.relu(self.first(x)))


class Restorer(nn.Module):
    """Planes (n, frames * channels + 4, rows, columns) in units of the range -> the middle frame (n, channels, rows, columns)."""

    def __init__(self, shape: RestorerShape) -> None:
        super().__init__()
        self.shape = shape
        one = shape.series
        small, outer, step, pads = ((1, 3), (1, _OUTER), (1, 2), (0, 2)) if one else ((3, 3), (_OUTER,) * 2, (2, 2), (2, 2))
        a, b, c = shape.widths

        def blocks(width: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(Block(width, small) for _ in range(count)))

        planes = shape.frames * shape.channels + CONDITIONS
        self.head = nn.Conv2d(planes, a, outer, step, pads)
        self.down_a = blocks(a, shape.blocks[0])
        self.to_b = nn.Conv2d(a, b, step, step)
        self.down_b = blocks(b, shape.blocks[1])
        self.to_c = nn.Conv2d(b, c, step, step)
        self.bottom = blocks(c, shape.blocks[2])
        self.from_c = nn.ConvTranspose2d(c, b, step, step)
        self.up_b = blocks(b, shape.blocks[3])
        self.from_b = nn.ConvTranspose2d(b, a, step, step)
        self.up_a = blocks(a, shape.blocks[4])
        self.tail = nn.ConvTranspose2d(a, shape.channels, outer, step, pads)
        for layer in (self.head, self.to_b, self.to_c, self.from_c, self.from_b):
            _spread(layer, 1.0)
        _spread(self.tail, _FAINT)
        middle = torch.zeros(1, planes, 1, 1)
        middle[:, : planes - CONDITIONS] = UNKNOWN
        self.middle: Tensor
        self.register_buffer("middle", middle)

    def forward(self, planes: Tensor) -> Tensor:
        """The restored middle frame."""
        first = self.shape.frames // 2 * self.shape.channels
        middle = planes[:, first : first + self.shape.channels]
        a = self.down_a(self.head((planes - self.middle) * GAIN))
        b = self.down_b(self.to_b(a))
        c = self.bottom(self.to_c(b))
        b = self.up_b(self.from_c(c) + b)
        a = self.up_a(self.from_b(b) + a)
        return middle + self.tail(a) / GAIN


@torch.no_grad()
def _spread(layer: nn.Conv2d | nn.ConvTranspose2d, gain: float) -> None:
    """Normal weights whose sums have `gain` times the spread of what they see (He et al. 2015), and no bias."""
    seen = layer.weight[0].numel() if isinstance(layer, nn.Conv2d) else layer.weight[:, 0].numel() / math.prod(layer.stride)
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(seen))
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
