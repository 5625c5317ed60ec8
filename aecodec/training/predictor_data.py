"""What a predictor's network learns from: samples coded phase by phase as the codec codes them, by the predictor as it is.

Neighbours then carry the lattice's own noise, and magnitudes of residuals are those that a decoder will know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from aecodec.canonical import fill_missing
from aecodec.codec.fine_lattice import FINE
from aecodec.codec.model import Model
from aecodec.codec.zeros import at_zero, surprises
from aecodec.errors import ModelError
from aecodec.packing.estimate import grouped_bits
from aecodec.phase_inputs import Inputs
from aecodec.phases import Phase, base_grid, targets
from aecodec.prediction import VALUE_LIMIT, run_phases, to_frames, zero_frames
from aecodec.training.predictor_network import PredictorModule, Seen

_CROP_VALUES = 1 << 17  # of a crop that is coded
_GROUP_VALUES = 6000  # of one phase in a batch
_SIDE = 48  # lines and values of it; of crops, rows and columns that steps make room for
_FAINT = 0.05  # bits that a value weighs at least, when phases are drawn

# kind (), features, fine, magnitude, target, unit, kept, zeros: what PredictorModule.correct and a loss need
Group = tuple[Tensor, ...]


@dataclass(frozen=True)
class Crop:
    """Part of a sample, canonical, and the row and column at which it begins.

    `errors`: the largest of each channel; None: those that all samples have.
    """

    values: np.ndarray
    origin: tuple[int, int] = (0, 0)
    errors: np.ndarray | None = None


class Source(Protocol):
    """Where crops come from."""

    def draw(self, rng: np.random.Generator, usual: bool = False) -> Crop:
        """One crop; if `usual`, of a shape that many have."""
        ...


@dataclass(frozen=True)
class Cut:
    """A crop on its lattice: frames in real fine units, where zero lies, where nothing is coded, fine units to a lattice step."""

    reals: np.ndarray
    zero: np.ndarray
    mask: np.ndarray | None
    spacing: int


class CropSource:
    """Random crops of canonical arrays (steps, channels, rows, columns) of any lengths, memory-mapped ones too.

    `reach`: of the frames' pyramid; most crops have two of them and one step more, some fewer.
    """

    def __init__(self, arrays: Sequence[np.ndarray], reach: int) -> None:
        self.arrays = [array for array in arrays if array.size]
        if not self.arrays:
            raise ModelError("nothing to train on: the samples hold no values; give at least one array that is not empty")
        self.reach = reach
        self._share = np.array([array.size for array in self.arrays], float)
        self._share /= self._share.sum()

    def draw(self, rng: np.random.Generator, usual: bool = False) -> Crop:
        """One crop of at most about _CROP_VALUES values; of the `usual` length if the array has it."""
        array = self.arrays[int(rng.choice(len(self.arrays), p=self._share))]
        length, channels, rows, columns = array.shape
        if rows == columns == 1:
            steps = min(length, max(1, _CROP_VALUES // channels))
        else:
            steps = min(length, 2 * self.reach + 1 if usual or rng.random() < 0.75 else int(rng.integers(1, 2 * self.reach + 2)))
            steps = min(steps, max(1, _CROP_VALUES // (channels * min(rows, _SIDE) * min(columns, _SIDE))))
        area = max(1, _CROP_VALUES // (channels * steps))
        h = min(rows, max(int(area**0.5), area // columns))
        w = min(columns, max(1, area // h))
        t, y, x = (int(rng.integers(size - kept + 1)) for size, kept in ((length, steps), (rows, h), (columns, w)))
        return Crop(np.asarray(array[t : t + steps, :, y : y + h, x : x + w]), (y, x))


@dataclass(frozen=True)
class PhaseSample:
    """One phase of a coded crop: what the network sees of it, and what it should have said.

    `features` int16 (N, F, lines, values); `fine` float32, `magnitude` int16: of the linear predictor; `target` float32: the
    values, from the midpoint; `unit` float32 (N, 1, 1): a lattice step; all in input units. `kept`: what is coded. `zeros`: what is
    told to be 0 first. `bits`: about what it takes.
    """

    kind: int
    features: np.ndarray
    fine: np.ndarray
    magnitude: np.ndarray
    target: np.ndarray
    unit: np.ndarray
    kept: np.ndarray
    zeros: np.ndarray
    bits: float

    def group(self, rng: np.random.Generator) -> Group:
        """Tensors of a random part."""
        n, _, lines, values = self.features.shape
        h, w = min(lines, _SIDE), min(values, _SIDE if lines > 1 else _GROUP_VALUES)
        chosen = np.sort(rng.choice(n, max(1, min(n, _GROUP_VALUES // (h * w))), replace=False))
        i, j = int(rng.integers(lines - h + 1)), int(rng.integers(values - w + 1))

        def part(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array[chosen][..., i : i + h, j : j + w], np.float32))

        unit = torch.from_numpy(self.unit[chosen])
        cut = [part(array) for array in (self.features, self.fine, self.magnitude, self.target)]
        return (torch.tensor(self.kind), *cut, unit, part(self.kept), part(self.zeros))


class FineUnits:
    """Crops as the lattice of a chunk sees them.

    `model`: whose offset, reference field and constant sites count; `errors`: allowed of each channel, where crops have none of
    their own.
    """

    def __init__(self, model: Model, errors: np.ndarray) -> None:
        self.model, self.errors = model, errors

    def spacing(self, dtype: np.dtype, errors: np.ndarray | None = None) -> int:
        """Fine units to a lattice step."""
        return FINE if dtype.kind == "f" else 2 * int((self.errors if errors is None else errors)[0]) + 1

    def cut(self, crop: Crop, factor: float) -> Cut:
        """The crop at `factor` times the errors; of integers at the errors themselves."""
        values, shape = crop.values, crop.values.shape
        errors = self.errors if crop.errors is None else crop.errors
        whole = values.dtype.kind != "f"
        missing = None if whole else ~np.isfinite(values)
        if missing is not None and missing.any():
            values = fill_missing(values)
        units = np.ones(shape[1]) if whole else 2.0 * errors * factor / FINE
        base = self.model.centre(shape, crop.origin)
        base = np.rint(base) if whole else base
        reals = np.clip((values - base) / units.reshape(1, -1, 1, 1), -VALUE_LIMIT / 2, VALUE_LIMIT / 2)
        sites = self.model.constant_sites(shape, crop.origin)
        mask = None if missing is None or not missing.any() else missing
        if sites is not None and sites.any():
            mask = np.broadcast_to(sites, shape) if mask is None else mask | sites
        places, spacing = zero_frames(base, units, shape), self.spacing(values.dtype, errors)
        return Cut(to_frames(reals), places, None if mask is None else to_frames(mask), spacing)


Pairs = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class CodedCrop:
    """Of each phase (residuals, scale indices), (what tells zeros, indices of their odds), and what to learn from, if asked for."""

    residuals: Pairs
    told: Pairs
    samples: list[PhaseSample]


class Coder:
    """Codes crops as `encode_predicted` does, by the network as it is."""

    def __init__(self, lattice: FineUnits, module: PredictorModule) -> None:
        self.lattice, self.module = lattice, module

    def bits(self, crops: Sequence[Crop]) -> float:
        """Estimated bits per value at the bound asked for."""
        coded = [self.code(crop, 1.0, learn=False) for crop in crops]
        total = _bits([pair for each in coded for pair in each.residuals]) + _bits([pair for each in coded for pair in each.told])
        return total / max(1, sum(crop.values.size for crop in crops))

    def code(self, crop: Crop, factor: float, learn: bool) -> CodedCrop:
        """A crop as it would be coded at `factor` times the errors, with samples to `learn` from if asked for."""
        cut = self.lattice.cut(crop, factor)
        reals, mask, spacing = cut.reals, cut.mask, cut.spacing
        coded = CodedCrop([], [], [])
        pending: list[tuple[Inputs, Seen]] = []

        def kept_of(phase: Phase, shape: tuple[int, ...]) -> np.ndarray:
            return np.ones(shape, bool) if mask is None else ~targets(mask, phase)

        def predict(inputs: Inputs, phase: Phase) -> np.ndarray:
            seen = self.module.look(torch.from_numpy(inputs.planes).to(self.module.place.device), phase.kind)
            pending[:] = [(inputs, seen)]
            return self.module.say(seen, phase.kind)

        def tell(phase: Phase, odds: np.ndarray) -> np.ndarray:
            kept = kept_of(phase, odds.shape)
            zeros = kept & at_zero(targets(reals, phase), targets(np.broadcast_to(cut.zero, reals.shape), phase), spacing)
            coded.told.append((surprises(zeros, odds)[kept], odds[kept]))
            return zeros

        def code(phase: Phase, mean: np.ndarray, index: np.ndarray, zeros: np.ndarray | None) -> np.ndarray:
            exact = targets(reals, phase)
            residual = np.rint((exact - mean) / spacing).astype(np.int32)
            kept = kept_of(phase, residual.shape)
            residual[~kept] = 0
            told = np.zeros(residual.shape, bool) if zeros is None else zeros
            coded.residuals.append((residual[kept & ~told], index[kept & ~told]))
            if learn and kept.any():
                coded.samples.append(_sample(phase.kind, pending[0], exact, kept, told, residual, spacing))
            return residual

        values = np.zeros(reals.shape, np.int32)
        grid = base_grid(reals.shape)
        values[grid] = np.rint(reals[grid] / spacing) * spacing
        run_phases(values, self.module.layout, spacing, predict, code, cut.zero, tell)
        return coded


def _bits(pairs: Pairs) -> float:
    """Estimated bits of symbols given their indices."""
    symbols, index = (np.concatenate([pair[i] for pair in pairs] or [np.zeros(0, np.int32)]) for i in (0, 1))
    return grouped_bits(index.astype(np.uint8), symbols) if symbols.size else 0.0


def _sample(
    kind: int,
    pending: tuple[Inputs, Seen],
    exact: np.ndarray,
    kept: np.ndarray,
    zeros: np.ndarray,
    residual: np.ndarray,
    spacing: int,
) -> PhaseSample:
    inputs, seen = pending
    down = np.ldexp(1.0, -inputs.shift)
    target = (exact.reshape(inputs.middle.shape) - inputs.middle) * down
    return PhaseSample(
        kind,
        seen.features.cpu().numpy().astype(np.int16),
        seen.fine.cpu().numpy(),
        seen.magnitude.cpu().numpy().astype(np.int16),
        target.astype(np.float32),
        (spacing * down).astype(np.float32),
        kept.reshape(target.shape),
        zeros.reshape(target.shape),
        float(np.log2(1.0 + 2.0 * np.abs(residual[kept])).sum() + _FAINT * kept.sum()),
    )
