"""Training a residual predictor: code length of residuals on the lattice, at a range of bounds around the one asked for.

The fitted linear predictor is the starting point and stays as a skip path; a network of some thousand operations a value
corrects its mean and scale. Residuals are taken for logistic, integrated over a lattice step, as in Salimans et al.,
"PixelCNN++", 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aecodec.codec.model import Model
from aecodec.errors import ModelError
from aecodec.models.bundle import Bundle
from aecodec.models.predictor import PredictorWeights, whole_weights
from aecodec.models.predictor_fit import PredictorFitter
from aecodec.models.predictor_network import OCTAVE, feature_count, network_graph, with_predictor
from aecodec.phases import MAGNITUDE_UNIT, ZERO, PhaseLayout
from aecodec.training.predictor_data import Coder, Crop, CropSource, FineUnits, Group, PhaseSample, Pool
from aecodec.training.predictor_network import NetworkShape, PredictorModule, Seen

FIELD_SHAPE = NetworkShape(16, ((3, 3), (3, 3), (3, 3)))
SERIES_SHAPE = NetworkShape(16, ((1, 7), (1, 7), (1, 7)))
_LOGISTIC = 0.72  # scale of the logistic law for each unit of mean magnitude: 1 / (2 ln 2)
_LEAST = 1e-3
_FIT_ROWS, _FIT_CROPS = 50000, 16
_HELD_VALUES = 1 << 18


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
        for kind, features, fine, magnitude, target, unit, kept in batch:
            mean, place = self.predictor.correct(Seen(features, fine, magnitude), int(kind))
            magnitude_said = torch.exp2(place.clamp(-OCTAVE, 15 * OCTAVE) / OCTAVE) / MAGNITUDE_UNIT
            scale = _LOGISTIC * magnitude_said * self.predictor.spacing / unit + _LEAST
            total = total + (code_length((target - mean) / unit, scale) * kept).sum()
            count = count + kept.sum()
        bits = total / count.clamp(min=1.0)
        return bits, {"bits": bits.detach()}


def code_length(residual: Tensor, scale: Tensor) -> Tensor:
    """Bits of real residuals in lattice steps, under a logistic law of this scale, each integrated over one step."""
    size = residual.abs()
    mass = torch.sigmoid((0.5 - size) / scale) - torch.sigmoid((-0.5 - size) / scale)
    # Where the mass underflows, far out, a slope leads back.
    return -torch.log2(mass.clamp(min=1e-6)) + 0.01 * (size - 40.0 * scale).clamp(min=0.0) / scale


class PredictorObjective:
    """Trains a network for `model`'s predictor. `operations`: multiplications of it for each value.

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
        self.model, self.errors, self.settings = model, errors, settings or PredictorSettings()
        self.source = CropSource(train, base.reach)
        if not any(array.size for array in held):
            raise ModelError("nothing to validate on: the held-out samples hold no values")
        self.held = [crop for array in held for crop in _held_crops(array)]
        self.layout = network_layout(base)
        dtype = self.source.arrays[0].dtype
        series = all(array.shape[2] == 1 for array in self.source.arrays)
        shape = self.settings.shape or (SERIES_SHAPE if series else FIELD_SHAPE)
        self.shape, self.operations = shape, shape.operations(feature_count(self.layout))
        self.lattice = FineUnits(model, errors, dtype)

        def coder(weights: PredictorWeights) -> Coder:
            return Coder(self.lattice, PredictorModule(self.layout, whole_weights(weights), self.lattice.spacing, shape))

        tried = [coder(weights) for weights in self._linear(base, np.random.default_rng(seed))]
        self.coder = min(tried, key=lambda each: each.bits(self.held))
        self.module = CodeLength(self.coder.module)
        self.pool = Pool(self._make, self.settings.crops, self.settings.every)

    def _linear(self, base: PhaseLayout, rng: np.random.Generator) -> list[PredictorWeights]:
        """Linear predictors without and with offsets, with weights of 0 for what they do not see."""
        fitters = [PredictorFitter(replace(base, offsets=offsets), _FIT_ROWS) for offsets in (False, True)]
        # Of each shape all at once, since the scale is that of the last that was fitted; the most frequent last.
        shapes: dict[tuple[int, ...], list[tuple[np.ndarray, np.ndarray]]] = {}
        for _ in range(_FIT_CROPS):
            reals, _, mask = self.lattice.cut(self.source.draw(rng, usual=True), 1.0)
            shapes.setdefault(reals.shape, []).append((reals, np.zeros(reals.shape, bool) if mask is None else mask))
        for found in sorted(shapes.values(), key=len):
            reals, mask = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
            for fitter in fitters:
                fitter.fit(reals, self.lattice.spacing, mask)
        return [_padded(fitter.weights, fitter.layout, self.layout) for fitter in fitters]

    def _make(self, rng: np.random.Generator) -> list[PhaseSample]:
        low, high = np.log(self.settings.bounds)
        factor = 1.0 if self.lattice.dtype.kind != "f" else float(np.exp(rng.uniform(low, high)))
        return self.coder.code(self.source.draw(rng), factor, learn=True)[1]

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
        return {"score": self.coder.bits(self.held)}

    def freeze(self) -> None:
        """Whole numbers from now on."""
        self.coder.module.freeze()

    def export(self) -> Bundle:
        """The model with the network for its predictor, proven exact, sealed."""
        graph = network_graph(self.layout, self.coder.module.network())
        about = {"predictor": "network", "bits_per_value": round(self.coder.bits(self.held), 4)}
        return with_predictor(self.model.bundle, self.layout, graph, "linear + predictor network", about)


def network_layout(base: PhaseLayout) -> PhaseLayout:
    """The layout of a network beside a fitted predictor: the same walk, with all that can be seen."""
    sources = base.sources if ZERO in base.sources else (*base.sources, ZERO)
    return replace(base, sources=sources, offsets=True)


def _held_crops(array: np.ndarray) -> list[Crop]:
    """All of an array, or, of a large one, its middle steps."""
    if not array.size:
        return []
    most = max(1, _HELD_VALUES * len(array) // array.size)
    first = max(0, (len(array) - most) // 2)
    return [Crop(np.asarray(array[first : first + most]), (0, 0))]


def _padded(weights: PredictorWeights, layout: PhaseLayout, wider: PhaseLayout) -> PredictorWeights:
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
