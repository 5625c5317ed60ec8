"""Fitting the predictor by least squares while coding a sample, so that each phase learns from neighbours as they will be.

The mean minimises squared errors, each weighed by the scale expected of it; the scale is a sum of magnitudes with weights
of 0 or more that minimises relative errors. Sources: iteratively reweighted least squares (Holland and Welsch 1977), non-negative
least squares by an active set (Lawson and Hanson 1974; Bro and de Jong 1997).
"""

import numpy as np

from aecodec.compiled.planes import convolved
from aecodec.models.predictor import PredictorWeights
from aecodec.packing.estimate import grouped_bits
from aecodec.phase_inputs import Inputs
from aecodec.phases import LARGEST_MAGNITUDE, MAGNITUDE_UNIT, Phase, PhaseLayout, base_grid, targets
from aecodec.prediction import VALUE_LIMIT, run_phases

_RIDGE = 1e-4
_SCARCE = 0.02  # more ridge where there are few values to a weight
_ROUNDS = (1, 2)  # of the scale, after each solution for the mean
_LEAST_SCALE = 0.03
_MEAN_SCALE = 0.3
_SLACK, _VANISHING = 1e-9, 1e-14


class PredictorFitter:
    """Weights by kind, fitted in one pass over a sample, on at most `rows` values each and on none with less than `fewest`."""

    def __init__(self, layout: PhaseLayout, rows: int, fewest: int = 16) -> None:
        p = layout.inputs
        self.layout, self.rows, self.fewest = layout, rows, fewest
        self.weights = PredictorWeights(
            np.zeros((layout.kinds, p, 3, 3)),
            np.zeros((layout.kinds, p)),
            np.zeros((layout.kinds, p)),
            np.full(layout.kinds, 0.5),
        )
        self._grams: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def fit(self, reals: np.ndarray, spacing: int, mask: np.ndarray | None) -> None:
        """Fit on `reals`, float (batch, frames, channels, rows, columns) in fine units; `mask` marks values not to be coded."""
        self._walk(reals, spacing, mask, learn=True)

    def bits(self, reals: np.ndarray, spacing: int, mask: np.ndarray | None) -> float:
        """Estimated bits per value of `reals` by the weights as they are."""
        return self._walk(reals, spacing, mask, learn=False)

    def _walk(self, reals: np.ndarray, spacing: int, mask: np.ndarray | None, learn: bool) -> float:
        limit = float(VALUE_LIMIT)
        reals = np.clip(reals, -limit, limit)
        values = np.zeros(reals.shape, np.int32)
        grid = base_grid(reals.shape)
        values[grid] = np.rint(reals[grid] / spacing) * spacing
        coded: list[tuple[np.ndarray, np.ndarray]] = []
        least = self.layout.least_shift(spacing)

        def predict(inputs: Inputs, phase: Phase) -> np.ndarray:
            if not learn:
                return self._predict(inputs, phase.kind)
            target = targets(reals, phase).reshape(inputs.middle.shape)
            kept = np.ones(target.shape, bool) if mask is None else ~targets(mask, phase).reshape(target.shape)
            self._learn(
                inputs,
                phase.kind,
                (target - inputs.middle) * np.ldexp(1.0, -inputs.shift),
                kept,
                spacing * np.ldexp(1.0, -inputs.shift),
                np.ldexp(1.0, least - inputs.shift),
            )
            return self._predict(inputs, phase.kind)

        def code(phase: Phase, mean: np.ndarray, index: np.ndarray, _: np.ndarray | None) -> np.ndarray:
            residual = np.rint((targets(reals, phase) - mean) / spacing).astype(np.int32)
            if mask is None:
                coded.append((residual.reshape(-1), index.reshape(-1)))
            else:
                free = targets(mask, phase)
                residual[free] = 0
                coded.append((residual[~free], index[~free]))
            return residual

        run_phases(values, self.layout, spacing, predict, code)
        residual, index = (np.concatenate([pair[i] for pair in coded] or [np.zeros(0, np.int32)]) for i in (0, 1))
        return grouped_bits(index, residual) / max(1, reals.size)

    def _learn(
        self, inputs: Inputs, kind: int, target: np.ndarray, kept: np.ndarray, spacing: np.ndarray, down: np.ndarray
    ) -> None:
        """`spacing`, `down`: a lattice step, and a residual of 1 as the predictor is to say it, in units of the planes."""
        rows = np.flatnonzero(kept)
        rows = rows[:: max(1, -(-rows.size // self.rows))]
        if rows.size < self.fewest:
            return  # the midpoint, and the scale that is usual, serve as well
        x = _taps(inputs.planes[:, :-1], rows)
        y = target.reshape(-1)[rows]
        features = _magnitudes(inputs, rows)
        scale = np.full(rows.size, 1.0)
        scale_weights = np.zeros(features.shape[1])
        unit, said = (np.broadcast_to(each, target.shape).reshape(-1)[rows] for each in (spacing, down))
        for rounds in _ROUNDS:
            mean = self._solve(kind, x, y, 1.0 / (scale + _MEAN_SCALE))
            sizes = np.abs(np.rint((y - x @ mean) / unit)) * said
            scale_weights = _positive(features, sizes, rounds, scale_weights)
            scale = features @ scale_weights
        gram, right = self._normal(x, y, 1.0 / (scale + _MEAN_SCALE))
        before = self._grams.get(kind)
        self._grams[kind] = (gram, right) if before is None else (before[0] + gram, before[1] + right)
        n = features.shape[1] // 2
        self.weights.mean[kind, :-1] = mean.reshape(self.weights.mean[kind, :-1].shape)
        self.weights.near[kind], self.weights.around[kind] = scale_weights[:n], scale_weights[n : 2 * n]
        self.weights.floor[kind] = scale_weights[-1]

    def _normal(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weighted = x * weight[:, None].astype(np.float32)
        gram = (weighted.T @ weighted).astype(np.float64)
        ridge = (_RIDGE + _SCARCE * len(gram) / len(y)) * np.trace(gram) / len(gram) + 1e-9
        return gram + ridge * np.eye(len(gram)), (weighted.T @ (y * weight).astype(np.float32)).astype(np.float64)

    def _solve(self, kind: int, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        gram, right = self._normal(x, y, weight)
        if kind in self._grams:
            gram, right = gram + self._grams[kind][0], right + self._grams[kind][1]
        return np.linalg.solve(gram, right)

    def _predict(self, inputs: Inputs, kind: int) -> np.ndarray:
        """What the graph will say, in floats: (N, 2, lines, values)."""
        found = np.zeros((len(inputs.planes), 2, *inputs.planes.shape[2:]), np.float32)
        np.rint(convolved(inputs.planes, self.weights.mean[kind]), out=found[:, 0])
        features = np.abs(inputs.planes)
        near = np.tensordot(self.weights.near[kind], features, (0, 1)) + self.weights.floor[kind]
        around = _box(np.tensordot(self.weights.around[kind], features, (0, 1)))
        found[:, 1] = np.rint(np.clip((near + around) * MAGNITUDE_UNIT, 0.0, LARGEST_MAGNITUDE))
        return found


def _taps(planes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The 3 x 3 neighbourhoods of chosen values: float32 (rows, planes * 9)."""
    n, p, h, w = planes.shape
    padded = np.pad(planes, ((0, 0), (0, 0), (1, 1), (1, 1)))
    image, rest = np.divmod(rows, h * w)
    line, value = np.divmod(rest, w)
    flat = padded.reshape(n, p, -1)
    corner = line * (w + 2) + value
    offsets = np.array([i * (w + 2) + j for i in range(3) for j in range(3)])
    taken = flat[image[:, None, None], np.arange(p)[None, :, None], corner[:, None, None] + offsets[None, None, :]]
    return taken.reshape(len(rows), p * 9)


def _magnitudes(inputs: Inputs, rows: np.ndarray) -> np.ndarray:
    """Features of the scale, at chosen values: magnitudes, their means over 3 x 3, and 1; (rows, 2 * P + 1)."""
    columns = []
    maps = np.abs(inputs.planes)
    columns += [maps[:, i].reshape(-1)[rows] for i in range(maps.shape[1])]
    columns += [_box(maps[:, i]).reshape(-1)[rows] for i in range(maps.shape[1])]
    return np.stack([*columns, np.ones(len(rows), np.float32)], axis=1).astype(np.float64)


def _box(maps: np.ndarray) -> np.ndarray:
    """Mean over 3 x 3 of (N, lines, values), zeros beyond the edges."""
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    lines = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return np.asarray((lines[:, :, :-2] + lines[:, :, 1:-1] + lines[:, :, 2:]) / 9.0)


def _positive(features: np.ndarray, target: np.ndarray, rounds: int, weights: np.ndarray) -> np.ndarray:
    """Weights of 0 or more whose sum comes near `target` in relative terms; `weights`: others like these."""
    scale = np.full(len(target), target.mean() + _LEAST_SCALE)
    for _ in range(rounds):
        weighted = features / (scale + _LEAST_SCALE)[:, None]
        gram = weighted.T @ weighted
        gram += (1e-6 * np.trace(gram) / len(gram) + 1e-12) * np.eye(len(gram))
        weights = _non_negative(gram, weighted.T @ (target / (scale + _LEAST_SCALE)), weights)
        scale = features @ weights
    return weights


def _non_negative(gram: np.ndarray, right: np.ndarray, guess: np.ndarray | None = None) -> np.ndarray:
    """The w >= 0 that minimises w' gram w / 2 - right' w, by an active set; `guess`, w >= 0, is where it begins, or 0."""
    weights = np.zeros(len(right)) if guess is None else guess
    active = weights > 0
    for turn in range(2 * len(right)):
        if turn or not active.any():
            gradient = np.where(active, -np.inf, right - gram @ weights)
            best = int(np.argmax(gradient))
            if not gradient[best] > _SLACK * abs(right).max():
                break
            active[best] = True
        weights, active = _descend(gram, right, weights, active)
    return weights


def _descend(gram: np.ndarray, right: np.ndarray, weights: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The minimum over the active weights as far as they stay positive; those that would not are no longer active."""
    while active.any():
        found = np.zeros(len(right))
        found[active] = np.linalg.solve(gram[np.ix_(active, active)], right[active])
        falling = active & (found <= 0)
        if not falling.any():
            return found, active
        part = (weights[falling] / (weights[falling] - found[falling] + 1e-300)).min()
        weights = weights + part * (found - weights)
        active = active & (weights > _VANISHING)
        weights[~active] = 0.0
    return weights, active
