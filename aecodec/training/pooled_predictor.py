"""Training one predictor for arrays of many kinds: it sees only whole numbers of the lattice, whatever they once measured.

Each crop comes from one of the sets, all alike likely, with an error drawn between two shares of that set's range; integers
are mostly lossless. The linear start is fitted on crops of all sets together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aecodec.codec.fine_lattice import FINE
from aecodec.codec.model import Model
from aecodec.errors import ModelError, UsageError
from aecodec.models.bundle import Bundle
from aecodec.models.predictor import PredictorWeights, predictor_graph
from aecodec.models.predictor_fit import PredictorFitter
from aecodec.models.predictor_only import predictor_only
from aecodec.phases import MAX_LEVELS, PHASES_PER_PLANE, TIME_SOURCES, ZERO, PhaseLayout
from aecodec.training.predictor_data import Coder, Crop, CropSource, FineUnits, PhaseSample
from aecodec.training.predictor_network import NetworkShape
from aecodec.training.predictor_objective import FIELD_SHAPE, SERIES_SHAPE, NetworkObjective, PredictorSettings, padded

FIELDS = PhaseLayout(8, 0, 2, (*TIME_SOURCES, "channel-1", ZERO), True, FINE)
SERIES = PhaseLayout(1, 0, 2, ("channel-1", ZERO), True, FINE)
_WINDOW = (9, 36, 48)  # steps, rows, columns of the crops that the linear start is fitted on
_SERIES_WINDOW = 8192
_FIT_CROPS, _FIT_ROWS = 16, 50000  # crops of each set
_HELD_WINDOW, _HELD_ARRAYS = (9, 2, 48, 64), 4  # of each set
_FAINT = 1e-3  # bits that are added, so that a set that takes none does not decide
_LOSSLESS = 0.7  # share of the crops of integers


@dataclass(frozen=True)
class PooledSet:
    """Canonical arrays (steps, channels, rows, columns) of one kind, to learn from and to be scored on, all of one dtype."""

    name: str
    train: Sequence[np.ndarray]
    held: Sequence[np.ndarray]

    @property
    def spans(self) -> np.ndarray:
        """Largest minus smallest value of each channel in what is learned from, not 0."""
        low = np.min([np.nanmin(_finite(array), axis=(0, 2, 3)) for array in self.train], axis=0)
        high = np.max([np.nanmax(_finite(array), axis=(0, 2, 3)) for array in self.train], axis=0)
        return np.asarray(np.where(high > low, high - low, 1.0))


class PooledSource:
    """Crops of sets at random, and the errors that they are to be coded with, between two `shares` of the set's range."""

    def __init__(self, sets: Sequence[PooledSet], reach: int, shares: tuple[float, float]) -> None:
        self.sources = [CropSource(each.train, reach) for each in sets]
        self.spans = [each.spans for each in sets]
        self.shares = shares

    def draw(self, rng: np.random.Generator, usual: bool = False) -> Crop:
        """One crop."""
        at = int(rng.integers(len(self.sources)))
        return self.draw_from(at, rng, usual)

    def draw_from(self, at: int, rng: np.random.Generator, usual: bool = False) -> Crop:
        """A crop of set `at`."""
        crop = self.sources[at].draw(rng, usual)
        share = float(np.exp(rng.uniform(*np.log(self.shares))))
        errors = share * self.spans[at]
        if crop.values.dtype.kind in "iu":
            errors = np.full(len(errors), 0.0 if rng.random() < _LOSSLESS else np.floor(errors.min()))
        return replace(crop, errors=errors)


class PooledObjective(NetworkObjective):
    """A predictor for all of `sets`, which are fields, or, without rows, series, that serves any number of channels.

    The score is the geometric mean over the sets of the bits per value of what is held out of them, at the middle of `shares`
    in their logarithm. ModelError if a set has nothing to learn from or to be scored on.
    """

    def __init__(
        self,
        sets: Sequence[PooledSet],
        axes: str,
        shares: tuple[float, float],
        shape: NetworkShape | None = None,
        seed: int = 0,
    ) -> None:
        layout, middle = _layout(sets), _middle(shares)
        self.axes, self.sets = axes, list(sets)
        source = PooledSource(sets, layout.reach, shares)
        self.parts = [_held(each, middle) for each in sets]
        held = [crop for part in self.parts for crop in part]
        lattice = FineUnits(Model(_empty(layout, axes), "cpu"), np.zeros(1))
        fitters = _fitters(layout, lattice, source, np.random.default_rng(seed))
        tried = [padded(fitter.weights, fitter.layout, layout) for fitter in fitters]
        settings = PredictorSettings(bounds=(1.0, 1.0), crops=16, every=6)
        shape = shape or (SERIES_SHAPE if layout == SERIES else FIELD_SHAPE)
        super().__init__(lattice, source, held, layout, FINE, tried, shape, settings)

    def _make(self, rng: np.random.Generator) -> list[PhaseSample]:
        """Samples of a crop that weigh, all together, as much as any crop's: a bit of a set of few counts for more."""
        samples = super()._make(rng)
        total = sum(sample.bits for sample in samples)
        weight = sum(int(sample.kept.sum()) for sample in samples) / max(total, 1.0)
        return [
            replace(sample, bits=sample.bits / max(total, 1.0), kept=np.multiply(sample.kept, weight, dtype=np.float32))
            for sample in samples
        ]

    def score(self, coder: Coder) -> float:
        """Of the sets, in geometric mean."""
        return _geometric(self._bits(coder))

    def validate(self) -> dict[str, float]:
        """`score`, and the bits per value of each set."""
        bits = self._bits(self.coder)
        return {"score": _geometric(bits), **bits}

    def _bits(self, coder: Coder) -> dict[str, float]:
        """Bits per value of each set."""
        return {each.name: coder.bits(part) for each, part in zip(self.sets, self.parts, strict=True)}

    def export(self) -> Bundle:
        """The model, proven exact, sealed."""
        about = {"predictor": "network", "sets": [each.name for each in self.sets], "score": round(self.score(self.coder), 4)}
        return predictor_only(self.layout, self.graph(), self.axes, "predictor network", about)


def _finite(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "f":
        return array.astype(np.float64)
    return np.where(np.isfinite(array), array, np.nan).astype(np.float64)


def _held(each: PooledSet, share: float) -> list[Crop]:
    """The middle of each array held out, few enough values that scoring is quick."""
    found = []
    whole = [array for array in each.held if array.size]
    for array in whole[:: max(1, -(-len(whole) // _HELD_ARRAYS))]:
        sizes = _HELD_WINDOW if array.shape[2] > 1 or array.shape[3] > 1 else (_SERIES_WINDOW, 2, 1, 1)
        starts = [max(0, (n - size) // 2) for n, size in zip(array.shape, sizes, strict=True)]
        part = array[tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))]
        errors = share * each.spans[starts[1] : starts[1] + sizes[1]]
        if array.dtype.kind in "iu":
            errors = np.zeros(len(errors))
        found.append(Crop(np.asarray(part), errors=errors))
    if not found:
        raise ModelError(f"nothing to validate on: the held-out samples of {each.name} hold no values")
    return found


def _empty(layout: PhaseLayout, axes: str) -> Bundle:
    """A model with the layout, and weights of 0."""
    shape = (layout.kinds, layout.inputs)
    zeros = PredictorWeights(np.zeros((*shape, 3, 3)), np.zeros(shape), np.zeros(shape), np.full(layout.kinds, 0.5))
    return predictor_only(layout, predictor_graph(layout, zeros), axes, "predictor", {})


def fit_pooled(sets: Sequence[PooledSet], axes: str, shares: tuple[float, float], seed: int = 0) -> tuple[Bundle, dict[str, float]]:
    """The model of a linear predictor alone, which is faster than a network; and bits per value of what is held out of each set."""
    layout, middle = _layout(sets), _middle(shares)
    lattice = FineUnits(Model(_empty(layout, axes), "cpu"), np.zeros(1))
    found = []
    for fitter in _fitters(layout, lattice, PooledSource(sets, layout.reach, shares), np.random.default_rng(seed)):
        bits = {}
        for each in sets:
            cuts = [lattice.cut(crop, 1.0) for crop in _held(each, middle)]
            taken = sum(fitter.bits(cut.reals, cut.spacing, cut.mask) * cut.reals.size for cut in cuts)
            bits[each.name] = taken / sum(cut.reals.size for cut in cuts)
        found.append((_geometric(bits), fitter, bits))
    score, fitter, bits = min(found, key=lambda each: each[0])
    about = {"predictor": "linear", "sets": list(bits), "score": round(score, 4)}
    graph = predictor_graph(fitter.layout, fitter.weights)
    return predictor_only(fitter.layout, graph, axes, "predictor", about), bits


def _layout(sets: Sequence[PooledSet]) -> PhaseLayout:
    kinds = {array.shape[2] == array.shape[3] == 1 for each in sets for array in each.train}
    if len(kinds) != 1:
        raise ModelError("a predictor is for fields or for series, and there are both or neither among the sets")
    return SERIES if kinds.pop() else FIELDS


def _middle(shares: tuple[float, float]) -> float:
    if not 0 < shares[0] <= shares[1] < 1:
        raise UsageError(f"shares={shares} of the range must be two rising numbers between 0 and 1")
    return float(np.sqrt(shares[0] * shares[1]))


def _geometric(bits: Mapping[str, float]) -> float:
    return float(np.exp(np.mean(np.log(np.array(list(bits.values())) + _FAINT))))


def _fitters(layout: PhaseLayout, lattice: FineUnits, source: PooledSource, rng: np.random.Generator) -> list[PredictorFitter]:
    """Linear weights of all sets together, without and with offsets; they do not see where zero lies.

    They are of pairs of channels first, then of one alone, whose scales come last and stay.
    """
    seen = tuple(name for name in layout.sources if name != ZERO)
    fitters = [PredictorFitter(replace(layout, sources=seen, offsets=offsets), _FIT_ROWS) for offsets in (False, True)]
    for channels in (2, 1):
        groups: dict[tuple[tuple[int, ...], int], list[tuple[np.ndarray, np.ndarray]]] = {}
        for at in range(len(source.sources)):
            for _ in range(_FIT_CROPS):
                crop = _windowed(source.draw_from(at, rng, usual=True), channels, rng)
                if crop is None:
                    continue
                cut = lattice.cut(crop, 1.0)
                mask = np.zeros(cut.reals.shape, bool) if cut.mask is None else cut.mask
                groups.setdefault((cut.reals.shape, cut.spacing), []).append((cut.reals, mask))
        for (_, spacing), found in sorted(groups.items(), key=lambda item: len(item[1])):
            reals, mask = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
            for fitter in fitters:
                fitter.fit(reals, spacing, mask)
    for fitter in fitters:
        fitter.weights = _extended(fitter.weights, fitter.layout)
    return fitters


def _windowed(crop: Crop, channels: int, rng: np.random.Generator) -> Crop | None:
    """A part of the size that others have; None where there are too few channels."""
    values = crop.values
    if values.shape[1] < channels:
        return None
    first = int(rng.integers(values.shape[1] - channels + 1))
    kept = slice(first, first + channels)
    steps, rows, columns = _WINDOW if values.shape[2] > 1 or values.shape[3] > 1 else (_SERIES_WINDOW, 1, 1)
    assert crop.errors is not None
    return Crop(values[:steps, kept, :rows, :columns], errors=crop.errors[kept])


def _extended(weights: PredictorWeights, layout: PhaseLayout) -> PredictorWeights:
    """Coarse phases that no window had room for have the weights of the coarsest that had some."""
    filled = [array.copy() for array in (weights.mean, weights.near, weights.around, weights.floor)]
    for first in range(0, layout.kinds, PHASES_PER_PLANE):
        for level in range(1, MAX_LEVELS):
            for along in range(2):
                kind = first + 2 * level + along
                if not filled[0][kind].any() and filled[0][kind - 2].any():
                    for array in filled:
                        array[kind] = array[kind - 2]
    return PredictorWeights(*filled)
