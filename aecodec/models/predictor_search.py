"""From sampled runs to a predictor: which axis is the pyramid of frames, then weights, graph and proof."""

import numpy as np

from aecodec.models.exact import Range, prove_predictor
from aecodec.models.predictor import predictor_graph
from aecodec.models.predictor_fit import PredictorFitter
from aecodec.models.statistics import Statistics
from aecodec.phases import INPUT_LIMIT, ORDER_SOURCES, PYRAMID_SOURCES, TIME_SOURCES, PhaseLayout
from aecodec.prediction import to_frames

_FINE = 16
_REACH = 8
_CLASSES = 8
_ROWS, _TRIAL_ROWS = 30000, 4000


def build_predictor(statistics: Statistics, base: np.ndarray, steps: np.ndarray, constant: np.ndarray) -> tuple[PhaseLayout, bytes]:
    """Layout and graph fitted on the runs of `statistics`.

    `base` (channels, rows, columns) is what is subtracted and `steps` (channels,) the lattice's, in the statistics' units;
    `constant` marks the sites (channels, rows, columns) that are not coded.
    """
    rows, columns = statistics.runs.window
    if base.shape[1] > 1 or base.shape[2] > 1:
        base = base[:, rows, columns]
    runs = [(run - base) * (_FINE / steps[:, None, None]) for run in statistics.runs.finish()]
    mask = constant[:, rows, columns]
    layouts = _layouts(runs[0].shape)
    best = layouts[0] if len(layouts) == 1 else min(layouts, key=lambda layout: _trial(layout, runs, mask))
    fitter = PredictorFitter(best, _ROWS)
    _fit(fitter, runs, mask)
    graph = predictor_graph(best, fitter.weights)
    prove_predictor(graph, {name: Range(float(INPUT_LIMIT)) for name in ("planes", "magnitudes")}, "kind")
    return best, graph


def _layouts(shape: tuple[int, ...]) -> list[PhaseLayout]:
    """Those that runs of this shape can tell apart."""
    steps, channels, rows, columns = shape
    frames = 1 if rows == columns == 1 else steps
    time = TIME_SOURCES if frames > 1 else ()
    reach = _reach(frames)
    found = [PhaseLayout(reach, 0, min(channels, _CLASSES), time + ORDER_SOURCES[: channels - 1])]
    if channels > 2:
        found.append(PhaseLayout(reach, _reach(channels), 1, time + PYRAMID_SOURCES))
    return found


def _reach(size: int) -> int:
    """The largest power of two below `size`, up to the usual one."""
    return min(_REACH, 1 << max(0, (size - 1).bit_length() - 1)) if size > 1 else 1


def _trial(layout: PhaseLayout, runs: list[np.ndarray], mask: np.ndarray) -> float:
    """Estimated bits per value of what the fit has not seen: other runs, or the later steps of the only one."""
    if len(runs) > 1:
        fitted, held = runs[:-1][:2], runs[-1]
    elif len(runs[0]) > 1:
        cut = max(1, len(runs[0]) * 3 // 4)
        fitted, held = [runs[0][:cut]], runs[0][cut:]
    else:
        fitted, held = runs, runs[0]
    fitter = PredictorFitter(layout, _TRIAL_ROWS)
    _fit(fitter, fitted, mask)
    return fitter.bits(to_frames(held), _FINE, _mask_of(mask, held.shape))


def _fit(fitter: PredictorFitter, runs: list[np.ndarray], mask: np.ndarray) -> None:
    frames = [to_frames(run) for run in runs]
    joined = np.concatenate(frames, axis=0)  # runs are one more batch
    masks = _mask_of(mask, runs[0].shape)
    fitter.fit(joined, _FINE, None if masks is None else np.concatenate([masks] * len(runs), axis=0))


def _mask_of(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    return to_frames(np.broadcast_to(mask, shape)) if mask.any() else None
