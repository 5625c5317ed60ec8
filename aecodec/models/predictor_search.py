"""From sampled runs to a predictor: whether a reference field helps, how channels are walked, then weights, graph and proof."""

from dataclasses import dataclass, replace

import numpy as np

from aecodec.models.predictor import predictor_graph
from aecodec.models.predictor_check import check_predictor
from aecodec.models.predictor_fit import PredictorFitter
from aecodec.models.statistics import Statistics
from aecodec.phases import ORDER_SOURCES, PYRAMID_SOURCES, TIME_SOURCES, PhaseLayout
from aecodec.prediction import to_frames

_FINE = 16
_REACH = 8
_CLASSES = 8
_MOST_IN_ORDER = 16  # channels; more would be walked too slowly one by one
_ROWS, _TRIAL_ROWS, _TRIAL_FEWEST = 20000, 6000, 300
_TRIAL_STEPS = 9
_WORTH = 0.98  # what a predictor with offsets, which takes a third more time, must come down to
_FAVOUR = 0.985  # held-out steps are few, and a reference field that does not help hardly hurts
_FEW_SITES = 0.01  # constant sites fewer than this share are not worth their bits


@dataclass(frozen=True)
class PredictorChoice:
    """How to walk, whether to subtract the reference field, and the estimated bits per value of samples held out."""

    layout: PhaseLayout
    reference: bool
    bits: float


@dataclass(frozen=True)
class FittedPredictor:
    """What a model holds of it: layout, predictor.onnx, and the constant sites, bool (channels, rows, columns)."""

    layout: PhaseLayout
    graph: bytes
    sites: np.ndarray


class PredictorSearch:
    """Fits predictors on the runs of `statistics`; `steps` (channels,) are the lattice's, in the statistics' units.

    `values_to_code`: over how many values the reference field's own bytes are spread.
    """

    def __init__(self, statistics: Statistics, steps: np.ndarray, values_to_code: float = np.inf) -> None:
        self.values_to_code = values_to_code
        self.statistics, self.steps = statistics, steps[:, None, None]
        self.runs = statistics.runs.finish()
        rows, columns = statistics.runs.window
        self.window = (slice(None), rows, columns)
        self.sites = statistics.constant_sites()
        self.sites &= self.sites.mean() > _FEW_SITES

    def choose(self, references: list[bool]) -> PredictorChoice:
        """The best on held-out samples, greedily: reference first, then the walk over channels."""
        layouts = _layouts(self.runs[0].shape)
        tried = [self._trial(layouts[-1], reference) for reference in references]
        field = 8.0 * self.statistics.field.size / self.values_to_code
        best = min(tried, key=lambda choice: choice.bits * _FAVOUR + field if choice.reference else choice.bits)
        others = [self._trial(layout, best.reference) for layout in layouts[:-1]]
        best = min([best, *others], key=lambda choice: choice.bits)
        full = self._trial(replace(best.layout, offsets=True), best.reference)
        return full if full.bits < _WORTH * best.bits else best

    def fit(self, choice: PredictorChoice) -> FittedPredictor:
        """The predictor fitted on all runs and proven exact."""
        fitter = PredictorFitter(choice.layout, _ROWS)
        base, sites = self.statistics.mean()[:, None, None], np.zeros_like(self.sites)
        if choice.reference:
            base, sites = self.statistics.mean_field()[self.window], self.sites
        self._fit(fitter, self.runs, base, sites[self.window])
        graph = predictor_graph(choice.layout, fitter.weights)
        check_predictor(graph, choice.layout)
        return FittedPredictor(choice.layout, graph, sites)

    def _trial(self, layout: PhaseLayout, reference: bool) -> PredictorChoice:
        fitted, held = self._parts()
        statistics = self.statistics
        base = statistics.mean()[:, None, None]
        if reference:
            total = statistics.field[self.window] - np.nansum(held, axis=0, dtype=np.float64)
            base = total / max(1, statistics.steps - len(held))
        mask = self.sites[self.window] & reference
        fitter = PredictorFitter(layout, _TRIAL_ROWS, _TRIAL_FEWEST)
        self._fit(fitter, fitted, base, mask)
        bits = fitter.bits(*self._frames([held], base, mask))
        return PredictorChoice(layout, reference, bits)

    def _parts(self) -> tuple[list[np.ndarray], np.ndarray]:
        """Runs to fit on, and what is held out: the latest run, or the later steps of the only one."""
        earlier = self.statistics.runs.before_latest()
        if earlier:
            return [run[-_TRIAL_STEPS:] for run in earlier[-2:]], self.runs[-1][-_TRIAL_STEPS:]
        run = self.runs[-1]
        cut = max(1, len(run) * 3 // 4)
        return ([run[:cut]], run[cut:]) if len(run) > 1 else ([run], run)

    def _fit(self, fitter: PredictorFitter, runs: list[np.ndarray], base: np.ndarray, mask: np.ndarray) -> None:
        fitter.fit(*self._frames(runs, base, mask))

    def _frames(self, runs: list[np.ndarray], base: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, int, np.ndarray | None]:
        """Runs, each one of the batch, in fine units of a lattice step; those units; and where nothing is coded, if anywhere."""
        reals = np.concatenate([to_frames((run - base) * (_FINE / self.steps)) for run in runs])
        missing = np.isnan(reals)
        masks = missing | np.concatenate([to_frames(np.broadcast_to(mask, run.shape)) for run in runs])
        return np.nan_to_num(reals), _FINE, masks if masks.any() else None


def _layouts(shape: tuple[int, ...]) -> list[PhaseLayout]:
    """Those that runs of this shape can tell apart."""
    steps, channels, rows, columns = shape
    frames = 1 if rows == columns == 1 else steps
    time = TIME_SOURCES if frames > 1 else ()
    reach = _reach(frames)
    found = []
    if channels <= _MOST_IN_ORDER:
        found.append(PhaseLayout(reach, 0, min(channels, _CLASSES), time + ORDER_SOURCES[: channels - 1], False))
    if channels > 2:
        found.append(PhaseLayout(reach, _reach(channels), 1, time + PYRAMID_SOURCES, False))
    return found


def _reach(size: int) -> int:
    """The largest power of two below `size`, up to the usual one."""
    return min(_REACH, 1 << max(0, (size - 1).bit_length() - 1)) if size > 1 else 1
