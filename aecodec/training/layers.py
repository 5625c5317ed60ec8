"""Layers whose weights and activations can be held to whole numbers while they train, so that the exported graph is exact.

Real numbers at first; once a layer is frozen its weights are rounded to multiples of a power of two that keeps every sum
under 24 bits, with gradients passed straight through the rounding (Bengio et al. 2013; Jacob et al., "Quantization and training of
neural networks for efficient integer-arithmetic-only inference", 2018).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

HIDDEN_BITS = 3  # hidden activations are multiples of 2**-3
HIDDEN_LIMIT = 255  # of these
BYTE_LIMIT = 63
_LARGEST_SUM = 0.98 * (1 << 24)
_MOST_BITS = 12
_SEARCH = 40


def round_through(x: Tensor) -> Tensor:
    """Nearest whole numbers, with the gradient of the identity."""
    return x + (x.round() - x).detach()


class IntegerConv(nn.Module):
    """Convolution (n, inputs, rows, columns) -> (n, outputs, rows, columns), zeros beyond the edges, with one bias for each kind.

    `unit_bits`, `limit`: inputs are multiples of 2**-unit_bits of magnitude up to `limit` of these.
    """

    def __init__(self, inputs: int, outputs: int, size: int, kinds: int, unit_bits: int, limit: int) -> None:
        super().__init__()
        self.size, self.unit_bits, self.limit = size, unit_bits, limit
        self.weight = nn.Parameter(torch.empty(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(kinds, outputs))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.register_buffer("bits", torch.tensor(-1))
        self.bits: Tensor

    @property
    def frozen(self) -> bool:
        """True once weights are whole numbers."""
        return bool(self.bits >= 0)

    def freeze(self) -> None:
        """Choose the finest power of two that keeps the largest sum under 24 bits with room to move; round from now on."""
        reach = float(self.weight.detach().abs().sum(dim=(1, 2, 3)).max())
        most = float(self.bias.detach().abs().max()) * 2.0**self.unit_bits
        fit = _LARGEST_SUM / (1.25 * (reach * self.limit + most) + 1e-9)
        self.bits.fill_(max(0, min(_MOST_BITS, math.floor(math.log2(fit)))))

    def whole(self) -> tuple[Tensor, Tensor]:
        """Weights and biases as whole numbers: of 2**-bits, and of 2**-(bits + unit_bits). Rows whose sum is too large shrink."""
        weight = self.weight * 2.0 ** int(self.bits)
        bias = round_through(self.bias * 2.0 ** (int(self.bits) + self.unit_bits))
        room = (_LARGEST_SUM - bias.detach().abs().amax(dim=0)) / self.limit
        total = weight.detach().abs().sum(dim=(1, 2, 3)) + 0.5 * weight[0].numel() ** 0.5
        shrink = (room / total).clamp(max=1.0)
        whole = round_through(weight * shrink[:, None, None, None])
        over = whole.detach().abs().sum(dim=(1, 2, 3)) > room
        if bool(over.any()):
            whole = torch.where(over[:, None, None, None], weight * shrink[:, None, None, None] + 0.0, whole)
            whole = torch.where(over[:, None, None, None], whole + (whole.trunc() - whole).detach(), whole)
        return whole, bias

    def forward(self, x: Tensor, kind: Tensor) -> Tensor:
        """`kind` (n,) int64 picks each image's bias."""
        if self.frozen:
            weight, bias = self.whole()
            weight = weight * 2.0 ** -int(self.bits)
            bias = bias * 2.0 ** -(int(self.bits) + self.unit_bits)
        else:
            weight, bias = self.weight, self.bias
        made = functional.conv2d(x, weight, padding=self.size // 2)
        return made + bias[kind][:, :, None, None]


class ByteConv(nn.Module):
    """A hidden layer from hidden activations to hidden activations, all of them bytes: (n, inputs, ...) -> (n, outputs, ...).

    Once frozen, its weights are whole numbers up to BYTE_LIMIT of a power of two of each output's own: narrow enough that
    processors which add products of bytes in pairs of 16 bits do not saturate.
    """

    def __init__(self, inputs: int, outputs: int, size: int, kinds: int) -> None:
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(torch.empty(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(kinds, outputs))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.register_buffer("bits", torch.full((outputs,), -1))
        self.bits: Tensor

    @property
    def frozen(self) -> bool:
        """True once weights are whole numbers."""
        return bool((self.bits >= 0).all())

    def freeze(self) -> None:
        """Choose each output's power of two; round from now on."""
        largest = self.weight.detach().abs().amax(dim=(1, 2, 3)).clamp(min=1e-6)
        self.bits.copy_(torch.floor(torch.log2(BYTE_LIMIT / largest)).clamp(0, _MOST_BITS))

    def whole(self) -> tuple[Tensor, Tensor]:
        """Weights as whole numbers of 2**-bits, biases of 2**-(bits + HIDDEN_BITS)."""
        unit = torch.exp2(self.bits.float())
        weight = round_through(self.weight * unit[:, None, None, None]).clamp(-BYTE_LIMIT, BYTE_LIMIT)
        room = _LARGEST_SUM - float(weight.detach().abs().sum(dim=(1, 2, 3)).max()) * HIDDEN_LIMIT
        bias = round_through(self.bias * unit * 2.0**HIDDEN_BITS).clamp(-room, room)
        return weight, bias

    def forward(self, x: Tensor, kind: Tensor) -> Tensor:
        """Activations of magnitude up to HIDDEN_LIMIT, in units of 2**-HIDDEN_BITS."""
        top = HIDDEN_LIMIT * 2.0**-HIDDEN_BITS
        if not self.frozen:
            made = functional.conv2d(x, self.weight, padding=self.size // 2) + self.bias[kind][:, :, None, None]
            return made.clamp(0.0, top)
        weight, bias = self.whole()
        made = functional.conv2d(x * 2.0**HIDDEN_BITS, weight, padding=self.size // 2) + bias[kind][:, :, None, None]
        unit = torch.exp2(-self.bits.float())[None, :, None, None]
        return round_through(made * unit).clamp(0.0, HIDDEN_LIMIT) * 2.0**-HIDDEN_BITS


class HiddenConv(IntegerConv):
    """The same, followed by a ramp from 0 to HIDDEN_LIMIT: a layer in between."""

    def __init__(self, inputs: int, outputs: int, size: int, kinds: int, unit_bits: int, limit: int) -> None:
        super().__init__(inputs, outputs, size, kinds, unit_bits, limit)

    def forward(self, x: Tensor, kind: Tensor) -> Tensor:
        """Activations of magnitude up to HIDDEN_LIMIT, in units of 2**-HIDDEN_BITS."""
        made = super().forward(x, kind)
        if self.frozen:
            made = round_through(made * 2.0**HIDDEN_BITS) * 2.0**-HIDDEN_BITS
        return made.clamp(0.0, HIDDEN_LIMIT * 2.0**-HIDDEN_BITS)


def freeze_all(module: nn.Module) -> None:
    """Freeze every integer layer within."""
    for each in module.modules():
        if isinstance(each, (IntegerConv, ByteConv)):
            each.freeze()
