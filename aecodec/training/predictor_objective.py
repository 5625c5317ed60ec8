"""Training a residual predictor: code length of residuals on the lattice, at a range of bounds around the one asked for.

The fitted linear predictor is the starting point and stays as a skip path; a network of some thousand operations a value
corrects its mean and scale. Residuals are taken for logistic, integrated over a lattice step, as in Salimans et al.,
"PixelCNN++", 2017.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from aecodec.codec.model import Model
from aecodec.codec.zeros import at_zero
from aecodec.errors import ModelError
from aecodec.models.bundle import Bundle
from aecodec.models.predictor import PredictorWeights, whole_weights
from aecodec.models.predictor_fit import PredictorFitter
from aecodec.models.predictor_network import OCTAVE, feature_count, network_graph, with_predictor
from aecodec.phases import MAGNITUDE_UNIT, ZERO, PhaseLayout
from aecodec.training.pool import Pool
from aecodec.training.predictor_data import Coder, Crop, CropSource, FineUnits, Group, PhaseSample, Source
from aecodec.training.predictor_network import NetworkShape, PredictorModule, Seen

FIELD_SHAPE = NetworkShape(16, ((3, 3), (3, 3), (3, 3)))
SERIES_SHAPE = NetworkShape(16, ((1, 7), (1, 7), (1, 7)))
_LOGISTIC = 0.72  # scale of the logistic law for each unit of mean magnitude: 1 / (2 ln 2)
_LEAST = 1e-3
_LN2 = math.log(2.0)
_FIT_ROWS, _FIT_CROPS = 50000, 16
_HELD_VALUES = 1 << 18
_ZEROS = 0.02  # of the values, at least, for zeros to be told first


@dataclass(frozen=True)
class PredictorSettings:
    """`shape` None: by whether arrays have rows. `bounds`: factors of the errors asked for, drawn evenly in their logarithm."""

    shape: NetworkShape | None = None
    bounds: tuple[float, float] = (0.7, 1.4)
    crops: int = 24  # in memory
    every: int = 12  # batches to a new crop


class CodeLength(nn.Module):
    """module(batch) -> (loss, metrics): bits per value of a batch of groups."""

    def __init__(self, predictor: PredictorModule) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, batch: list[Group]) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean code length of what is coded."""
        total = count = self.predictor.place.new_zeros(())
        for kind, features, fine, magnitude, target, unit, kept, zeros in batch:
            said = self.predictor.correct(Seen(features, fine, magnitude), int(kind))
            magnitude_said = torch.exp2(said.place.clamp(-OCTAVE, 15 * OCTAVE) / OCTAVE) / MAGNITUDE_UNIT
            scale = _LOGISTIC * magnitude_said * self.predictor.spacing / unit + _LEAST
            bits = code_length((target - said.mean) / unit, scale)
            if said.odds is not None:
                bits = with_zeros(bits, said.odds, zeros)
            total = total + (bits * kept).sum()
            count = count + kept.sum()
        bits = total / count.clamp(min=1.0)
        return bits, {"bits": bits.detach()}


def code_length(residual: Tensor, scale: Tensor) -> Tensor:
    """Bits of real residuals in lattice steps, under a logistic law of this scale, each integrated over one step."""
    size = residual.abs()
    mass = torch.sigmoid((0.5 - size) / scale) - torch.sigmoid((-0.5 - size) / scale)
    # Where the mass underflows, far out, a slope leads back.
    return -torch.log2(mass.clamp(min=1e-6)) + 0.01 * (size - 40.0 * scale).clamp(min=0.0) / scale


def with_zeros(bits: Tensor, odds: Tensor, zeros: Tensor) -> Tensor:
    """Bits of telling whether values are 0 by the logarithm of their odds, and `bits` of those that are not."""
    return torch.where(zeros > 0, functional.softplus(-odds) / _LN2, functional.softplus(odds) / _LN2 + bits)


class NetworkObjective:
    """Trains a network beside linear predictors. `operations`: multiplications of it for each value.

    `lattice`: of the crops, which `source` gives, and `held` has to be scored on. `tried`: linear weights; the network goes on from
    what is best of them.
    """

    def __init__(
        self,
        lattice: FineUnits,
        source: Source,
        held: Sequence[Crop],
        layout: PhaseLayout,
        spacing: int,
        tried: Sequence[PredictorWeights],
        shape: NetworkShape,
        settings: PredictorSettings,
    ) -> None:
        self.lattice, self.source, self.held, self.layout, self.settings = lattice, source, held, layout, settings
        self.shape, self.operations = shape, shape.operations(feature_count(layout))
        coders = [Coder(lattice, PredictorModule(layout, whole_weights(weights), spacing, shape)) for weights in tried]
        self.coder = min(coders, key=lambda each: self.score(each))
        self.module = CodeLength(self.coder.module)
        self.pool = Pool(self._make, settings.crops, settings.every)

    def score(self, coder: Coder) -> float:
        """Bits per value of the held-out crops."""
        return coder.bits(self.held)

    def _make(self, rng: np.random.Generator) -> list[PhaseSample]:
        low, high = np.log(self.settings.bounds)
        factor = float(np.exp(rng.uniform(low, high)))
        return self.coder.code(self.source.draw(rng), factor, learn=True).samples

    def batch(self, rng: np.random.Generator) -> Any:
        """Groups of values of a few phases."""
        return self.pool.batch(rng)

    def memory(self) -> dict[str, Tensor]:
        """The pool that batches are drawn from."""
        return self.pool.memory()

    def recall(self, memory: dict[str, Tensor]) -> None:
        """Take up a pool that was remembered."""
        self.pool.recall(memory)

    def validate(self) -> dict[str, float]:
        """`score`: bits per value of the held-out samples."""
        return {"score": self.score(self.coder)}

    def freeze(self) -> None:
        """Whole numbers from now on."""
        self.coder.module.freeze()

    def graph(self) -> bytes:
        """predictor.onnx; frozen only."""
        return network_graph(self.layout, self.coder.module.network())


class PredictorObjective(NetworkObjective):
    """Trains a network for `model`'s predictor.

    `train`, `held`: canonical arrays (steps, channels, rows, columns) as the model codes, to learn from and to be scored on;
    `errors`: the largest absolute error of each channel, for integers whole numbers. The score is estimated bits per value of
    `held`, coded by the network as it is. Raises ModelError for a model without a predictor, or nothing to train on.
    """

    def __init__(
        self,
        model: Model,
        train: Sequence[np.ndarray],
        held: Sequence[np.ndarray],
        errors: np.ndarray,
        settings: PredictorSettings | None = None,
        seed: int = 0,
    ) -> None:
        base = model.manifest.predictor
        if base is None:
            raise ModelError("the model has no predictor to improve; fit one on more samples")
        self.model, settings = model, settings or PredictorSettings()
        source = CropSource(train, base.reach)
        if not any(array.size for array in held):
            raise ModelError("nothing to validate on: the held-out samples hold no values")
        crops = [crop for array in held for crop in held_crops(array)]
        series = all(array.shape[2] == 1 for array in source.arrays)
        shape = settings.shape or (SERIES_SHAPE if series else FIELD_SHAPE)
        lattice = FineUnits(model, errors)
        spacing = lattice.spacing(source.arrays[0].dtype)
        layout = network_layout(base, zero_share(lattice, source, np.random.default_rng(seed)) >= _ZEROS)
        tried = self._linear(base, layout, lattice, spacing, source, np.random.default_rng(seed))
        super().__init__(lattice, source, crops, layout, spacing, tried, shape, settings)

    @staticmethod
    def _linear(
        base: PhaseLayout, layout: PhaseLayout, lattice: FineUnits, spacing: int, source: Source, rng: np.random.Generator
    ) -> list[PredictorWeights]:
        """Linear predictors without and with offsets, with weights of 0 for what they do not see."""
        fitters = [PredictorFitter(replace(base, offsets=offsets), _FIT_ROWS) for offsets in (False, True)]
        # Of each shape all at once, since the scale is that of the last that was fitted; the most frequent last.
        shapes: dict[tuple[int, ...], list[tuple[np.ndarray, np.ndarray]]] = {}
        for _ in range(_FIT_CROPS):
            cut = lattice.cut(source.draw(rng, usual=True), 1.0)
            mask = np.zeros(cut.reals.shape, bool) if cut.mask is None else cut.mask
            shapes.setdefault(cut.reals.shape, []).append((cut.reals, mask))
        for found in sorted(shapes.values(), key=len):
            reals, mask = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
            for fitter in fitters:
                fitter.fit(reals, spacing, mask)
        return [padded(fitter.weights, fitter.layout, layout) for fitter in fitters]

    def export(self) -> Bundle:
        """The model with the network for its predictor, proven exact, sealed."""
        about = {"predictor": "network", "bits_per_value": round(self.score(self.coder), 4)}
        return with_predictor(self.model.bundle, self.layout, self.graph(), "linear + predictor network", about)


def network_layout(base: PhaseLayout, zeros: bool = False) -> PhaseLayout:
    """The layout of a network beside a fitted predictor: the same walk, with all that can be seen, and perhaps zeros told first."""
    sources = base.sources if ZERO in base.sources else (*base.sources, ZERO)
    return replace(base, sources=sources, offsets=True, zeros=zeros)


def zero_share(lattice: FineUnits, source: Source, rng: np.random.Generator) -> float:
    """How many of the values that are coded would be told to be 0, by a few crops."""
    told = coded = 0
    for _ in range(_FIT_CROPS):
        cut = lattice.cut(source.draw(rng), 1.0)
        kept = np.ones(cut.reals.shape, bool) if cut.mask is None else ~cut.mask
        told += int(np.count_nonzero(at_zero(cut.reals, cut.zero, cut.spacing) & kept))
        coded += int(np.count_nonzero(kept))
    return told / max(1, coded)


def held_crops(array: np.ndarray) -> list[Crop]:
    """All of an array, or, of a large one, its middle steps."""
    if not array.size:
        return []
    most = max(1, _HELD_VALUES * len(array) // array.size)
    first = max(0, (len(array) - most) // 2)
    return [Crop(np.asarray(array[first : first + most]), (0, 0))]


def padded(weights: PredictorWeights, layout: PhaseLayout, wider: PhaseLayout) -> PredictorWeights:
    """The same predictor for a layout that shows more."""
    each = 1 + layout.offsets
    planes = [0, 1]
    for source in layout.sources:
        first = 2 + 2 * wider.sources.index(source)
        planes += [first, first + 1][:each]
    planes.append(wider.inputs - 1)
    kinds = layout.kinds
    mean = np.zeros((kinds, wider.inputs, 3, 3))
    near, around = np.zeros((kinds, wider.inputs)), np.zeros((kinds, wider.inputs))
    mean[:, planes], near[:, planes], around[:, planes] = weights.mean, weights.near, weights.around
    return PredictorWeights(mean, near, around, weights.floor)
