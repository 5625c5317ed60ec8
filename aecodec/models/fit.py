"""Fitting the linear autoencoder in closed form: one pass for statistics, then a choice among a few tiles and references.

The KLT comes from the eigenvectors of the covariance of a tile's steps and channels (Karhunen 1947; Loeve 1948), the
spatial transform is the DCT-II (Ahmed, Natarajan and Rao 1974). Candidates are compared by the coded size of samples that
their statistics leave out.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from aecodec.errors import ModelError
from aecodec.models.bundle import Bundle, encode_reference
from aecodec.models.exact import prove_exact
from aecodec.models.linear import AXIS_BITS, LinearWeights, dct_matrix, decoder_graph, encoder_graph
from aecodec.models.manifest import Manifest
from aecodec.models.search import PREDICTORS, choose_residual, choose_step
from aecodec.models.statistics import Statistics
from aecodec.tiling import Tiling

MAX_TILE_VECTOR = 512  # steps times channels that the KLT spans
_FIELD_STEPS = (1, 3, 6, 12, 24)
_SERIES_STEPS = (1, 8, 32, 128)
_FIELD_VECTOR = 144
_MULTIPLES = (1.0, 1.4, 2.0, 2.8)
_NOMINAL_ERROR = 1e-3  # of the range, to compare candidates when no error is given
_BAND_WIDTH = 64
_HEADROOM = 4.0
_MAX_WEIGHT_BITS = 24
_FINEST = 1e9  # span of the values over the error allowed, beyond which float32 latents say nothing


@dataclass(frozen=True)
class Candidate:
    """One shape of model: tile, and whether a reference field is subtracted."""

    tile: tuple[int, int, int, int]
    reference: bool


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
    bytes are spread in that comparison.
    """
    statistics = _gather(slabs, tile, seed)
    fitter = _Fitter(statistics, errors, axes, values_to_code)
    allowed = [reference] if reference is not None else ([False, True] if statistics.steps >= 4 else [False])
    best, bits = fitter.choose(tile, allowed)
    return FitResult(fitter.bundle(best), bits, fitter.predictive_bits())


def fill_missing(slab: np.ndarray) -> np.ndarray:
    """`slab` with each non-finite value replaced by the finite one before it in C order (0 where there is none)."""
    if slab.dtype.kind != "f" or np.isfinite(slab).all():
        return slab
    flat = slab.reshape(-1)
    finite = np.isfinite(flat)
    source = np.maximum.accumulate(np.where(finite, np.arange(flat.size), -1))
    first = flat[finite][0] if finite.any() else slab.dtype.type(0)
    return np.where(source >= 0, flat[source], first).reshape(slab.shape)


def _gather(slabs: Iterable[np.ndarray], tile: tuple[int, int, int, int] | None, seed: int) -> Statistics:
    iterator = (slab for slab in slabs if slab.size)
    start: list[np.ndarray] = []
    longest = max(_FIELD_STEPS[-1], _SERIES_STEPS[-1]) * 3
    while sum(len(s) for s in start) < longest and sum(s.nbytes for s in start) < 1 << 26:
        slab = next(iterator, None)
        if slab is None:
            break
        start.append(slab)
    if not start:
        raise ModelError("nothing to fit: the samples hold no values; give at least one array that is not empty")
    shape = start[0].shape[1:]
    channels = shape[0] if tile is None else tile[1]
    tile_steps = (tile[0],) if tile else _tile_steps(channels, shape[1] * shape[2], sum(len(s) for s in start))
    groups = -(-shape[0] // min(channels, MAX_TILE_VECTOR))
    statistics = Statistics((shape[0], shape[1], shape[2]), groups, tile_steps, max(tile_steps), seed)
    for segment in _segments(itertools.chain(start, iterator), shape, statistics.segment):
        statistics.add(fill_missing(segment))
    return statistics


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


class _Fitter:
    def __init__(self, statistics: Statistics, errors: np.ndarray | None, axes: str, values_to_code: float) -> None:
        self.statistics, self.axes, self.values_to_code = statistics, axes, values_to_code
        if errors is not None:
            errors = errors / statistics.unit
        span = statistics.high - statistics.low
        if errors is not None and not (span <= _FINEST * errors).all() and (errors > 0).all():
            raise ModelError(
                f"the errors allowed are under {1 / _FINEST:g} of the values' span, too fine for latents; use lossless"
            )
        deviation = statistics.deviation()
        spread = np.where(deviation > 0, deviation, 1.0)
        self.errors_given = errors is not None and bool((errors > 0).all())
        self.scale = 2.0 * errors if errors is not None and self.errors_given else spread
        nominal = np.where(span > 0, _NOMINAL_ERROR * span, spread)
        self.lattice = np.ones_like(spread) if self.errors_given else 2.0 * nominal / spread
        every = max(2, min(4, len(statistics.samples)))
        self.held = statistics.samples[every - 1 :: every] or statistics.samples
        self.rest = [s for i, s in enumerate(statistics.samples) if i % every != every - 1] or statistics.samples

    def choose(self, tile: tuple[int, int, int, int] | None, references: list[bool]) -> tuple[Candidate, float]:
        """Greedy: reference first, then steps, then block size. Returns the best and its bits per value."""
        start = Candidate(tile or self._tile(self.statistics.tile_steps[0], 8), references[0])
        scores = {start: self.score(start)}

        def attempt(candidate: Candidate) -> None:
            if candidate not in scores:
                scores[candidate] = self.score(candidate)

        for use in references:
            attempt(replace(start, reference=use))
        if tile is None:
            for t in self.statistics.tile_steps:
                best = min(scores, key=lambda c: scores[c])
                attempt(replace(best, tile=(t, *best.tile[1:])))
            best = min(scores, key=lambda c: scores[c])
            attempt(replace(best, tile=self._tile(best.tile[0], 16)))
        best = min(scores, key=lambda c: scores[c])
        return best, scores[best]

    def _tile(self, t: int, block: int) -> tuple[int, int, int, int]:
        channels, rows, columns = self.statistics.shape
        if rows == 1 or columns == 1:
            block = block * block // 2
        sides = [min(block, 1 << max(0, n - 1).bit_length()) for n in (rows, columns)]
        return t, -(-channels // self.statistics.groups), sides[0], sides[1]

    def score(self, candidate: Candidate) -> float:
        """Estimated bits per value of the held-out samples, the model's own bytes included."""
        held = [s[: len(s) // candidate.tile[0] * candidate.tile[0]] for s in self.held if len(s) >= candidate.tile[0]]
        if not held:
            return np.inf
        t = candidate.tile[0]
        basis = self._basis(candidate)
        reference = self.statistics.window_mean_without(self.held if len(self.held) < self.statistics.steps else [])
        centre = reference if candidate.reference else self.statistics.mean()[:, None, None]
        rest = [s[: len(s) // t * t] for s in self.rest if len(s) >= t] or held
        spreads = np.abs(self._latents(rest, centre, candidate, basis)[0]).mean(axis=0)
        order = np.argsort(-spreads, kind="stable")
        bands = make_bands(spreads[order])
        y, tiling = self._latents(held, centre, candidate, basis)
        target = (np.concatenate(held) - centre) / self.scale[:, None, None]
        inverse = np.argsort(order)

        def residual_of(y_hat: np.ndarray) -> np.ndarray:
            x_hat = tiling.join(_inverse(y_hat[:, inverse] * unit, candidate.tile, basis))
            return np.rint((target - x_hat) / self.lattice[:, None, None]).astype(np.int32)

        unit = float(np.sqrt(np.mean(self.lattice**2))) / 16
        steps = [round(16 * multiple) for multiple in _MULTIPLES]
        latents = (bands, unit, 1 << 40)
        choice = choose_step(y[:, order], steps, latents, residual_of, PREDICTORS[:3], (0, 64))
        return choice.bits / target.size + 8.0 * self._model_bytes(candidate) / self.values_to_code

    def predictive_bits(self) -> float:
        """Estimated bits per value of the held-out samples by Lorenzo prediction alone."""
        values = np.concatenate(self.held) / (self.scale * self.lattice)[:, None, None]
        indices = np.clip(np.rint(values), -(2.0**30), 2.0**30).astype(np.int32)
        return choose_residual(indices, PREDICTORS, (0, 64)).bits / indices.size

    def _model_bytes(self, candidate: Candidate) -> float:
        """Rough size of the bundle: graphs, basis, latent order, reference field."""
        k = candidate.tile[0] * candidate.tile[1]
        field = self.statistics.field.size if candidate.reference else 0
        return 2500.0 + 2.5 * k * k + 1.2 * k * candidate.tile[2] * candidate.tile[3] + field + 20.0 * self.scale.size

    def _basis(self, candidate: Candidate) -> np.ndarray:
        """KLT, rows are components of falling variance; float64 (K, K)."""
        covariance = self.statistics.covariance(candidate.tile[0], candidate.reference, self.scale)
        _, vectors = np.linalg.eigh(np.nan_to_num(covariance))
        return np.asarray(vectors.T[::-1])

    def _latents(
        self, samples: list[np.ndarray], centre: np.ndarray, candidate: Candidate, basis: np.ndarray
    ) -> tuple[np.ndarray, Tiling]:
        """Latents in natural order, float32 (tiles, latents), of all samples as one array of steps."""
        x = (np.concatenate(samples) - centre) / self.scale[:, None, None]
        tiling = Tiling((x.shape[0], x.shape[1], x.shape[2], x.shape[3]), candidate.tile)
        tiles = tiling.split(x.astype(np.float32))
        t, c, h, w = candidate.tile
        space = np.kron(dct_matrix(h), dct_matrix(w)).astype(np.float32)
        frequencies = tiles.reshape(-1, t * c, h * w) @ space.T
        components = np.ascontiguousarray(frequencies.transpose(0, 2, 1)) @ basis.T.astype(np.float32)
        return components.reshape(len(tiles), -1), tiling

    def bundle(self, candidate: Candidate) -> Bundle:
        """Graphs, proof and manifest of the chosen candidate, spreads measured on all samples."""
        basis = self._basis(candidate)
        statistics = self.statistics
        unit = statistics.unit
        offset = statistics.shift + (0.0 if candidate.reference else unit * statistics.mean())
        part, reference = None, None
        centre = statistics.mean()[:, None, None]
        if candidate.reference:
            steps = self.scale * self.lattice / 4.0
            part, reference = encode_reference(unit[:, None, None] * statistics.mean_field(), unit * steps)
            centre = reference[:, statistics.window[0], statistics.window[1]] / unit[:, None, None]
        t = candidate.tile[0]
        samples = [s[: len(s) // t * t] for s in statistics.samples if len(s) >= t]
        y, _ = self._latents(samples, centre, candidate, basis)
        spreads = np.abs(y).mean(axis=0, dtype=np.float64)
        order = np.argsort(-spreads, kind="stable")
        weights, latent_unit, limit = _exact_weights(candidate.tile, basis, order, float(np.abs(y).max()), self.errors_given)
        decoder = decoder_graph(weights)
        prove_exact(decoder, limit)
        manifest = Manifest(
            family="linear",
            axes=self.axes,
            tile=candidate.tile,
            offset=tuple(offset.tolist()),
            scale=tuple((unit * self.scale).tolist()),
            bands=make_bands(spreads[order]),
            latent_unit=latent_unit,
            latent_limit=limit,
            exact=True,
            reference=statistics.shape if candidate.reference else None,
            provenance={"fitted_steps": statistics.steps, "method": "closed-form KLT x DCT"},
        )
        return Bundle(manifest, decoder, encoder_graph(weights), reference, part).sealed()


def make_bands(spreads: np.ndarray) -> tuple[tuple[int, float], ...]:
    """Runs of latents of about equal spread (`spreads` falling): half an octave, few enough that each is worth its pass."""
    octaves = np.round(2.0 * np.log2(np.maximum(spreads, 2.0**-30))).astype(int)
    widest = max(_BAND_WIDTH, spreads.size // 24)
    bands, start = [], 0
    for end in range(1, spreads.size + 1):
        other = end == spreads.size or (octaves[end] != octaves[start] and end - start >= start // 6)
        if other or end - start == widest:
            bands.append((end, float(f"{spreads[start:end].mean():.4g}")))
            start = end
    return tuple(bands)


def _inverse(y: np.ndarray, tile: tuple[int, int, int, int], basis: np.ndarray) -> np.ndarray:
    """Tiles of latents in natural order."""
    t, c, h, w = tile
    components = y.reshape(len(y), h * w, t * c).astype(np.float32) @ basis.astype(np.float32)
    space = np.kron(dct_matrix(h), dct_matrix(w)).astype(np.float32)
    return np.asarray(np.ascontiguousarray(components.transpose(0, 2, 1)) @ space).reshape(-1, t, c, h, w)


def _exact_weights(
    tile: tuple[int, int, int, int], basis: np.ndarray, order: np.ndarray, peak: float, fine: bool
) -> tuple[LinearWeights, float, int]:
    """Integer weights as precise as the proof allows, the latent unit, and the latent limit.

    The limit covers latents four times as large as the largest seen; the unit is a sixteenth of the finest useful step.
    """
    unit = 2.0**-4 if fine else 2.0**-14
    limit = 1 << int(np.ceil(np.log2(max(_HEADROOM * peak / unit, 2.0**16))))
    while limit > 1 << 34:
        limit, unit = limit >> 1, unit * 2.0
    rows, columns = (np.rint(dct_matrix(n) * 2.0**AXIS_BITS).astype(np.int64) for n in tile[2:])
    reach_channels = float(np.abs(basis).sum(axis=0).max())
    reach_space = float(np.abs(dct_matrix(tile[2])).sum(axis=0).max() * np.abs(dct_matrix(tile[3])).sum(axis=0).max())
    room = 53 - np.log2(limit) - np.log2(max(reach_channels, 1.0)) - np.log2(max(reach_space, 1.0)) - 0.5
    bits = int(min(_MAX_WEIGHT_BITS, np.floor(room)))
    channels = np.rint(basis * 2.0**bits).astype(np.int64)
    return LinearWeights(tile, bits, channels, rows, columns, order), unit, limit
