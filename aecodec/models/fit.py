"""Fitting the linear autoencoder in closed form: one pass for statistics, then a choice among a few tiles and references.

The KLT comes from the eigenvectors of the covariance of a tile's steps and channels (Karhunen 1947; Loeve 1948), the
spatial transform is the DCT-II (Ahmed, Natarajan and Rao 1974). Candidates are compared by the coded size of samples that
their statistics leave out.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from aecodec.canonical import fill_missing
from aecodec.errors import ModelError, UsageError
from aecodec.limits import DEFAULT_LIMITS
from aecodec.models.build import TRIVIAL_TILE, build_bundle
from aecodec.models.bundle import Bundle
from aecodec.models.candidates import Candidate, Fitter
from aecodec.models.predictor_search import PredictorSearch
from aecodec.models.statistics import Statistics

MAX_TILE_VECTOR = 512  # steps times channels that the KLT spans
_FIELD_STEPS = (1, 3, 6, 12, 24)
_SERIES_STEPS = (1, 8, 32, 128)
_FIELD_VECTOR = 144
_BEGINNING = 1 << 26  # bytes of samples that are looked at before the pass begins


@dataclass(frozen=True)
class FitResult:
    """The bundle and what the held-out samples said of it, in estimated bits per value."""

    bundle: Bundle
    bits_per_value: float
    predictive_bits_per_value: float


def fit_linear(
    slabs: Iterable[np.ndarray],
    errors: np.ndarray | None,
    axes: str = "",
    *,
    reference: bool | None = None,
    tile: tuple[int, int, int, int] | None = None,
    seed: int = 0,
    values_to_code: float = np.inf,
) -> FitResult:
    """Fit on canonical slabs (steps, channels, rows, columns), any real dtype; never holds more than a few of them.

    `errors`: largest absolute error of each channel, or None to scale channels by their spread. `reference`: subtract the
    mean field, don't, or (None) what makes held-out samples smaller. `values_to_code`: over how many values the model's own
    bytes are spread; if they are few, it is left without what does not pay.
    """
    return fit_statistics(_gather(slabs, tile, seed), errors, axes, reference=reference, tile=tile, values_to_code=values_to_code)


def fit_statistics(
    statistics: Statistics,
    errors: np.ndarray | None,
    axes: str = "",
    *,
    reference: bool | None = None,
    tile: tuple[int, int, int, int] | None = None,
    values_to_code: float = np.inf,
) -> FitResult:
    """What follows on the one pass over the samples; arguments as of `fit_linear`."""
    fitter = Fitter(statistics, errors, values_to_code)
    allowed = _references(reference, statistics)
    predictor = PredictorSearch(statistics, fitter.scale * fitter.lattice, values_to_code)
    chosen = predictor.choose(allowed)
    best, bits = fitter.choose(tile, [chosen.reference])
    fitted = predictor.fit(chosen)
    candidates = [(build_bundle(fitter, best, fitted, axes), min(bits, chosen.bits))]
    if np.isfinite(values_to_code) and tile is None:
        bare = Candidate(TRIVIAL_TILE, chosen.reference)
        candidates += [(build_bundle(fitter, best, None, axes), bits), (build_bundle(fitter, bare, fitted, axes), chosen.bits)]
    costs = [bits + 8.0 * len(bundle.to_bytes()) / values_to_code for bundle, bits in candidates]
    smallest = int(np.argmin(costs))
    return FitResult(candidates[smallest][0], costs[smallest], fitter.predictive_bits())


def _references(asked: bool | None, statistics: Statistics) -> list[bool]:
    """Whether to try without and with a reference field; LimitError if one was asked for that readers would refuse."""
    values = math.prod(statistics.shape)
    if asked:
        declares = f"a reference field of {statistics.shape} has {values} values"
        DEFAULT_LIMITS.check("reference_values", values, declares, "fit with reference=False")
    possible = statistics.steps >= 2 and values <= DEFAULT_LIMITS.reference_values
    return [asked] if asked is not None else [False, True] if possible else [False]


def _gather(slabs: Iterable[np.ndarray], tile: tuple[int, int, int, int] | None, seed: int) -> Statistics:
    iterator = (slab for slab in slabs if slab.size)
    start: list[np.ndarray] = []
    while not enough_to_begin(sum(len(s) for s in start), sum(s.nbytes for s in start)):
        slab = next(iterator, None)
        if slab is None:
            break
        start.append(slab)
    if not start:
        raise ModelError("nothing to fit: the samples hold no values; give at least one array that is not empty")
    shape = start[0].shape[1:]
    statistics = empty_statistics((shape[0], shape[1], shape[2]), tile, sum(len(s) for s in start), seed)
    for segment in _segments(itertools.chain(start, iterator), shape, statistics.segment):
        missing = ~np.isfinite(segment) if segment.dtype.kind == "f" else None
        statistics.add(fill_missing(segment), missing if missing is not None and missing.any() else None)
    return statistics


def enough_to_begin(steps: int, size: int) -> bool:
    """True if so many steps, of so many bytes, tell which lengths of tiles can be tried."""
    return steps >= 3 * max(_FIELD_STEPS[-1], _SERIES_STEPS[-1]) or size >= _BEGINNING


def empty_statistics(shape: tuple[int, int, int], tile: tuple[int, int, int, int] | None, available: int, seed: int) -> Statistics:
    """For samples of `shape` (channels, rows, columns), of which the beginning has `available` steps."""
    channels = shape[0] if tile is None else tile[1]
    tile_steps = (tile[0],) if tile else _tile_steps(channels, shape[1] * shape[2], available)
    groups = -(-shape[0] // min(channels, MAX_TILE_VECTOR))
    if tile is not None and channels != (whole := -(-shape[0] // groups)):
        raise UsageError(f"tile={tile} has {channels} channels, but {shape[0]} share evenly into tiles of {whole}: give as many")
    return Statistics(shape, groups, tile_steps, max(tile_steps), seed)


def _tile_steps(channels: int, pixels: int, available: int) -> tuple[int, ...]:
    steps, vector = (_FIELD_STEPS, _FIELD_VECTOR) if pixels > 1 else (_SERIES_STEPS, MAX_TILE_VECTOR)
    return tuple(t for t in steps if t == 1 or (t * channels <= vector and 3 * t <= available))


def _segments(slabs: Iterable[np.ndarray], shape: tuple[int, ...], size: int) -> Iterator[np.ndarray]:
    """Consecutive pieces of `size` steps whatever the slabs' lengths; the last may be shorter."""
    pending: list[np.ndarray] = []
    held = 0
    for slab in slabs:
        if slab.shape[1:] != shape:
            raise ModelError(f"samples differ in shape: {slab.shape[1:]} after {shape}; fit one model per shape")
        pending.append(slab)
        held += len(slab)
        if held >= size:
            joined = pending[0] if len(pending) == 1 else np.concatenate(pending)
            whole = held // size * size
            for at in range(0, whole, size):
                yield joined[at : at + size]
            pending, held = ([joined[whole:]], held - whole) if held > whole else ([], 0)
    if held:
        yield np.concatenate(pending)
