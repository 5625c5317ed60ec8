"""The network of a residual predictor in torch: real numbers while it learns, then the whole numbers of its ONNX graph.

It computes what `aecodec.models.predictor_network` puts into a graph, operator by operator; once frozen, bit for bit.
Rounding passes gradients straight through (Bengio et al. 2013; Jacob et al. 2018).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from aecodec.models.predictor import MEAN_BITS, WholeWeights
from aecodec.models.predictor_network import (
    FEATURE_BITS,
    FEATURE_LIMIT,
    FINE_BITS,
    HIDDEN_BITS,
    HIDDEN_LIMIT,
    OCTAVE,
    ODDS_BITS,
    STEP_BITS,
    STEP_LIMIT,
    Layer,
    PredictorNetwork,
    feature_count,
    make_tables,
    zero_plane,
    zero_units,
)
from aecodec.phases import INPUT_LIMIT, LARGEST_MAGNITUDE, ODDS, PhaseLayout
from aecodec.training.layers import round_through

_LARGEST_SUM = 0.98 * (1 << 24)
_MOST_BITS = 12
_ROOM = 1.25  # that weights have to grow after freezing


@dataclass(frozen=True)
class NetworkShape:
    """`width` of the hidden layers and the (rows, columns) of their kernels, odd; the first sees the features."""

    width: int
    kernels: tuple[tuple[int, int], ...]

    def operations(self, features: int) -> int:
        """Multiplications for each value."""
        taps = [rows * columns for rows, columns in self.kernels]
        return self.width * (features * taps[0] + self.width * sum(taps[1:]) + 2)


class KindConv(nn.Module):
    """Convolution (n, inputs, lines, values) -> (n, outputs, lines, values), zeros beyond the edges, a bias for each kind.

    Inputs are multiples of 2**-`unit_bits`, of magnitude up to `limit` of these.
    """

    bits: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], kinds: int, unit_bits: int, limit: int) -> None:
        super().__init__()
        self.unit_bits, self.limit = unit_bits, limit
        self.weight = nn.Parameter(torch.empty(outputs, inputs, *kernel))
        self.bias = nn.Parameter(torch.zeros(kinds, outputs))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.register_buffer("bits", torch.tensor(-1))

    def freeze(self) -> None:
        """Whole numbers from now on, in the finest power of two that keeps sums under 24 bits."""
        reach = self.weight.detach().abs().sum(dim=(1, 2, 3)) * self.limit + self.bias.detach().abs().amax(0) * 2.0**self.unit_bits
        fit = _LARGEST_SUM / (_ROOM * float(reach.max()) + 1e-9)
        self.bits.fill_(max(0, min(_MOST_BITS, math.floor(math.log2(fit)))))

    def whole(self) -> tuple[Tensor, Tensor]:
        """Weights in units of 2**-bits and biases in units of 2**-(bits + unit_bits); outputs of too large sums shrink."""
        bias = round_through(self.bias * 2.0 ** (int(self.bits) + self.unit_bits))
        bias = bias.clamp(-_LARGEST_SUM / 2, _LARGEST_SUM / 2)
        weight = self.weight * 2.0 ** int(self.bits)
        room = (_LARGEST_SUM - bias.detach().abs().amax(0)) / self.limit
        total = weight.detach().abs().sum(dim=(1, 2, 3))
        over = (total + 0.5 * weight[0].numel() > room)[:, None, None, None]
        shrunk = weight * (room / total.clamp(min=1e-9)).clamp(max=1.0)[:, None, None, None]
        return torch.where(over, shrunk + (shrunk.trunc() - shrunk).detach(), round_through(weight)), bias

    def forward(self, x: Tensor, kind: int) -> Tensor:
        """`x` in whole numbers of 2**-unit_bits; real sums."""
        rows, columns = self.weight.shape[2:]
        pad = (rows // 2, columns // 2)
        if self.bits < 0:
            return functional.conv2d(x, self.weight, self.bias[kind] * 2.0**self.unit_bits, padding=pad) * 2.0**-self.unit_bits
        weight, bias = self.whole()
        return functional.conv2d(x, weight, bias[kind], padding=pad) * 2.0 ** -(int(self.bits) + self.unit_bits)

    def layer(self) -> Layer:
        """For the graph; frozen only."""
        weight, bias = self.whole()
        return Layer(_whole_array(weight), _whole_array(bias), int(self.bits))


def _whole_array(numbers: Tensor) -> np.ndarray:
    return numbers.detach().cpu().numpy().astype(np.int64)


@dataclass(frozen=True)
class Seen:
    """What the linear predictor makes of planes: `features` (N, F, lines, values), whole; `fine` its mean, in input units, and
    `magnitude`, both (N, 1, lines, values).
    """

    features: Tensor
    fine: Tensor
    magnitude: Tensor


@dataclass(frozen=True)
class Said:
    """`mean` in input units, `place`: log2 of the magnitude in steps of 1/OCTAVE, and `odds`: the natural logarithm of those that a
    value is 0, or None; all (N, lines, values), not yet rounded.
    """

    mean: Tensor
    place: Tensor
    odds: Tensor | None


class PredictorModule(nn.Module):
    """Corrections to the linear predictor `linear`, which was fitted at `spacing` fine units to a lattice step."""

    mean_weights: Tensor
    scale_weights: Tensor
    scale_bias: Tensor
    shrink: Tensor
    grow: Tensor
    place: Tensor
    magnitudes: Tensor

    def __init__(self, layout: PhaseLayout, linear: WholeWeights, spacing: int, shape: NetworkShape) -> None:
        super().__init__()
        self.layout, self.linear, self.spacing = layout, linear, spacing
        tables = make_tables(spacing)
        fixed = {
            "mean_weights": linear.mean,
            "scale_weights": linear.scale,
            "scale_bias": linear.floor,
            "shrink": tables.shrink,
            "grow": tables.grow,
            "place": tables.place,
            "magnitudes": tables.magnitude,
        }
        for name, array in fixed.items():
            self.register_buffer(name, torch.from_numpy(array.astype(np.float32)), persistent=False)
        kinds, inputs = layout.kinds, feature_count(layout)
        layers = []
        for i, kernel in enumerate(shape.kernels):
            seen = (inputs, FEATURE_BITS, FEATURE_LIMIT) if i == 0 else (shape.width, HIDDEN_BITS, HIDDEN_LIMIT)
            layers.append(KindConv(seen[0], shape.width, kernel, kinds, *seen[1:]))
        self.hidden = nn.ModuleList(layers)
        self.to_mean = KindConv(shape.width, 1, (1, 1), kinds, HIDDEN_BITS, HIDDEN_LIMIT)
        self.to_scale = KindConv(shape.width, 1, (1, 1), kinds, HIDDEN_BITS, HIDDEN_LIMIT)
        self.to_odds = KindConv(shape.width, 1, (1, 1), kinds, HIDDEN_BITS, HIDDEN_LIMIT) if layout.zeros else None
        for last in (self.to_mean, self.to_scale, *([self.to_odds] if self.to_odds else [])):
            nn.init.zeros_(last.weight)

    @property
    def frozen(self) -> bool:
        """True once all is whole numbers."""
        return bool(self.to_mean.bits >= 0)

    def freeze(self) -> None:
        """Whole numbers from now on."""
        for each in self.modules():
            if isinstance(each, KindConv):
                each.freeze()

    @torch.no_grad()
    def look(self, planes: Tensor, kind: int) -> Seen:
        """Planes (N, P, lines, values) -> what the layers see. Exact."""
        total = functional.conv2d(planes, self.mean_weights[kind][None], padding=1)
        sizes = functional.conv2d(planes.abs(), self.scale_weights[kind][None], self.scale_bias[kind : kind + 1], padding=1)
        magnitude = (sizes * 2.0**-self.linear.scale_bits).round().clamp(0, LARGEST_MAGNITUDE)
        entry = magnitude.long()
        near = (total * 2.0**-MEAN_BITS).round().clamp(-INPUT_LIMIT, INPUT_LIMIT)
        parts = [torch.cat([planes, near], 1) * self.shrink[entry], self.place[entry] * 0.5 - 4 * OCTAVE]
        zero = zero_plane(self.layout)
        if zero is not None:
            parts += [planes[:, zero : zero + 1] * unit for unit in zero_units(self.spacing)]
        features = torch.cat(parts, 1).round().clamp(-FEATURE_LIMIT, FEATURE_LIMIT)
        fine = (total * 2.0 ** (FINE_BITS - MEAN_BITS)).round() * 2.0**-FINE_BITS
        return Seen(features, fine, magnitude)

    def correct(self, seen: Seen, kind: int) -> Said:
        """What the layers make of it."""
        frozen, x = self.frozen, seen.features
        for i, layer in enumerate(self.hidden):
            made = layer(x, kind) * 2.0**HIDDEN_BITS
            made = (round_through(made) if frozen else made).clamp(0, HIDDEN_LIMIT)
            x = (x + made).clamp(0, HIDDEN_LIMIT) if i else made
        entry = seen.magnitude.long()
        step, octaves = self.to_mean(x, kind) * 2.0**STEP_BITS, self.to_scale(x, kind) * OCTAVE
        if frozen:
            step, octaves = round_through(step), round_through(octaves)
        mean = seen.fine + step.clamp(-STEP_LIMIT, STEP_LIMIT) * self.grow[entry]
        odds = None
        if self.to_odds is not None:
            odds = self.to_odds(x, kind)[:, 0]
            odds = round_through(odds * 2.0**ODDS_BITS) * 2.0**-ODDS_BITS if frozen else odds
        return Said(mean[:, 0], (self.place[entry] + octaves)[:, 0], odds)

    @torch.no_grad()
    def say(self, seen: Seen, kind: int) -> np.ndarray:
        """What the graph says, or before freezing nearly so: float32 (N, outputs, lines, values)."""
        said = self.correct(seen, kind)
        entry = said.place.round().clamp(0, len(self.magnitudes) - 1).long()
        planes = [said.mean.round(), self.magnitudes[entry]]
        if said.odds is not None:
            planes.append(((said.odds * 2.0**ODDS_BITS).round() + ODDS // 2).clamp(0, ODDS - 1))
        return torch.stack(planes, 1).cpu().numpy()

    def network(self) -> PredictorNetwork:
        """Whole numbers for the graph; frozen only."""
        hidden = tuple(layer.layer() for layer in self.hidden if isinstance(layer, KindConv))
        odds = None if self.to_odds is None else self.to_odds.layer()
        return PredictorNetwork(self.linear, self.spacing, hidden, self.to_mean.layer(), self.to_scale.layer(), odds)
