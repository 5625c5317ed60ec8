"""Candidates for the linear autoencoder, compared by the coded size of samples that their statistics leave out."""

from dataclasses import dataclass, replace

import numpy as np

from aecodec.errors import ModelError
from aecodec.models.linear import dct_matrix
from aecodec.models.search import PREDICTORS, choose_residual, choose_step
from aecodec.models.statistics import Statistics
from aecodec.tiling import Tiling

_MULTIPLES = (1.0, 1.4, 2.0, 2.8)
_NOMINAL_ERROR = 1e-3  # of the range, to compare candidates when no error is given
_FINEST = 1e9  # span of the values over the error allowed, beyond which float32 latents say nothing
_BAND_WIDTH = 64


@dataclass(frozen=True)
class Candidate:
    """One shape of model: tile, and whether a reference field is subtracted."""

    tile: tuple[int, int, int, int]
    reference: bool


class Fitter:
    """Scores candidates on statistics gathered before. All lengths are in the statistics' units."""

    def __init__(self, statistics: Statistics, errors: np.ndarray | None, values_to_code: float) -> None:
        self.statistics, self.values_to_code = statistics, values_to_code
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
        """Greedy: reference first, then steps, then block size. Returns the best and its bits per value, its own bytes left out."""
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
        return best, scores[best] - self._share(best)

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
        basis = self.basis(candidate)
        reference = self.statistics.window_mean_without(self.held if len(self.held) < self.statistics.steps else [])
        centre = reference if candidate.reference else self.statistics.mean()[:, None, None]
        rest = [s[: len(s) // t * t] for s in self.rest if len(s) >= t] or held
        spreads = np.abs(self.latents(rest, centre, candidate, basis)[0]).mean(axis=0)
        order = np.argsort(-spreads, kind="stable")
        bands = make_bands(spreads[order])
        y, tiling = self.latents(held, centre, candidate, basis)
        target = (np.concatenate(held) - centre) / self.scale[:, None, None]
        inverse = np.argsort(order)

        def residual_of(symbols: np.ndarray, step: int) -> np.ndarray:
            x_hat = tiling.join(_inverse(symbols[:, inverse] * (step * unit), candidate.tile, basis))
            return np.rint((target - x_hat) / self.lattice[:, None, None]).astype(np.int32)

        unit = float(np.sqrt(np.mean(self.lattice**2))) / 16
        steps = [round(16 * multiple) for multiple in _MULTIPLES]
        latents = (bands, unit, 1 << 40)
        choice = choose_step(y[:, order], steps, latents, residual_of, PREDICTORS[:3], (0, 64))
        return choice.bits / target.size + self._share(candidate)

    def predictive_bits(self) -> float:
        """Estimated bits per value of the held-out samples by Lorenzo prediction alone."""
        values = np.concatenate(self.held) / (self.scale * self.lattice)[:, None, None]
        indices = np.clip(np.rint(values), -(2.0**30), 2.0**30).astype(np.int32)
        return choose_residual(indices, PREDICTORS, (0, 64)).bits / indices.size

    def _share(self, candidate: Candidate) -> float:
        """The model's own bytes as bits per value."""
        return 8.0 * self._model_bytes(candidate) / self.values_to_code

    def _model_bytes(self, candidate: Candidate) -> float:
        """Rough size of the bundle: graphs, basis, latent order, reference field."""
        k = candidate.tile[0] * candidate.tile[1]
        field = self.statistics.field.size if candidate.reference else 0
        return 2500.0 + 2.5 * k * k + 1.2 * k * candidate.tile[2] * candidate.tile[3] + field + 20.0 * self.scale.size

    def basis(self, candidate: Candidate) -> np.ndarray:
        """KLT, rows are components of falling variance; float64 (K, K)."""
        covariance = self.statistics.covariance(candidate.tile[0], candidate.reference, self.scale)
        _, vectors = np.linalg.eigh(np.nan_to_num(covariance))
        return np.asarray(vectors.T[::-1])

    def latents(
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
