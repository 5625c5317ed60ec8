"""How many bits symbols take: a Laplace density whose scale index a network predicts, as the packer will group them.

A symbol's mean magnitude is s = 2**((index - SHIFT) / 2); a rounded Laplace variable of decay b has mean magnitude
z / (1 - z**2) with z = exp(-1 / (2 b)), which gives b. Noise in place of rounding follows Balle et al., "End-to-end optimized
image compression" (2017).
"""

import math

import torch
from torch import Tensor

SHIFT = 14.0  # at index 0 one symbol of 128 is not 0, and none is coded
LARGEST_INDEX = 31
BITS_PER_ERROR, WIDEST_ZONE = 8.0, 0.5
_LEAST = 1e-9


def decay(index: Tensor) -> Tensor:
    """1 / b of the Laplace density whose rounded variable has the mean magnitude of `index`."""
    s = torch.exp2((index - SHIFT) * 0.5)
    z = 2.0 * s / (1.0 + torch.sqrt(1.0 + 4.0 * s * s))
    return -2.0 * torch.log(z.clamp(max=1.0 - 1e-6))


def code_length(residual: Tensor, index: Tensor) -> Tensor:
    """Bits of each residual (whole or with noise), elementwise: -log2 of the density's mass within 1/2 of it."""
    rate = decay(index)
    size = residual.abs()
    half = torch.exp(-0.5 * rate)
    inside = 1.0 - 0.5 * (torch.exp(-rate * (0.5 + size)) + torch.exp(-rate * (0.5 - size).clamp(min=0.0)))
    outside = -rate * (size - 0.5) + torch.log((0.5 * (1.0 - half * half)).clamp(min=_LEAST))
    bits = torch.where(size < 0.5, -torch.log(inside.clamp(min=_LEAST)), -outside)
    return bits * (1.0 / math.log(2.0))


def dead_zone(index: Tensor) -> Tensor:
    """How far beyond 1/2 a residual must lie for the next symbol to be worth its bits, in steps, as the codec has it."""
    return (decay(index) * (1.0 / (math.log(2.0) * 2 * BITS_PER_ERROR))).clamp(max=WIDEST_ZONE)


def uniform_noise(like: Tensor) -> Tensor:
    """What rounding does to a real number, as noise: uniform within 1/2."""
    return torch.rand_like(like) - 0.5
