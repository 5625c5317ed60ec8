"""Which latent step, predictor and cell size make a sample smallest: estimated, never packed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aecodec.lattice import lorenzo_residual
from aecodec.packing.contexts import Bands
from aecodec.packing.estimate import latents_bits, residual_bits
from aecodec.quantizer import quantize

STEPS_AXIS, CHANNELS_AXIS, ROWS_AXIS, COLUMNS_AXIS = 1, 2, 4, 8
PREDICTORS = (0, COLUMNS_AXIS, ROWS_AXIS | COLUMNS_AXIS, STEPS_AXIS, STEPS_AXIS | ROWS_AXIS | COLUMNS_AXIS)
MORE_PREDICTORS = (CHANNELS_AXIS, CHANNELS_AXIS | ROWS_AXIS | COLUMNS_AXIS, STEPS_AXIS | CHANNELS_AXIS)
_FIRST_CELL = 64
_TRIAL_PREDICTORS, _TRIAL_CELLS = (0,), (_FIRST_CELL,)


@dataclass(frozen=True)
class ResidualChoice:
    """How to code a residual: Lorenzo axes, cell size, estimated bits."""

    bits: float
    predictor: int
    cell: int


@dataclass(frozen=True)
class LatentChoice:
    """A latent step in latent units (0: no latents) and the coding of what it leaves."""

    bits: float
    step: int
    residual: ResidualChoice


def choose_residual(indices: np.ndarray, predictors: Sequence[int], cells: Sequence[int]) -> ResidualChoice:
    """The cheapest way to code lattice `indices`, int32 of (steps, channels, rows, columns)."""
    useful = sum(1 << axis for axis, size in enumerate(indices.shape) if size > 1)
    seen = sorted({mask & useful for mask in predictors})
    by_mask = {mask: lorenzo_residual(indices, mask).reshape(-1) for mask in seen}
    first_bits = {mask: residual_bits(by_mask[mask], _FIRST_CELL) for mask in seen}
    first = min(seen, key=lambda mask: first_bits[mask])
    bits = {cell: first_bits[first] if cell == _FIRST_CELL else residual_bits(by_mask[first], cell) for cell in cells}
    best = min(cells, key=lambda cell: bits[cell])
    return ResidualChoice(bits[best], first, best)


def choose_step(
    y: np.ndarray,
    steps: Sequence[int],
    latents: tuple[Bands, float, int],
    residual_of: Callable[[np.ndarray, int], np.ndarray | None],
    predictors: Sequence[int],
    cells: Sequence[int],
) -> LatentChoice:
    """The latent step among `steps` that makes latents `y` (tiles, latents) and their residual smallest.

    `latents`: bands, latent unit and limit. `residual_of(symbols, step)` gives the int32 lattice residual, or None where
    it does not fit. All steps are tried, without prediction: the size has two minima, where latents or residual carry the chunk.
    """
    bands, unit, limit = latents
    best = LatentChoice(np.inf, 0, ResidualChoice(np.inf, 0, 0))
    best_left: np.ndarray | None = None
    for step in steps:
        symbols = quantize(y, step, unit, limit)
        left = residual_of(symbols, step)
        if left is None:
            continue
        residual = choose_residual(left, _TRIAL_PREDICTORS, _TRIAL_CELLS)
        bits = latents_bits(symbols, bands, step * unit) + residual.bits
        if bits < best.bits:
            best, best_left = LatentChoice(bits, step, residual), left
    if best_left is None:
        return best
    residual = choose_residual(best_left, predictors, cells)
    return LatentChoice(best.bits - best.residual.bits + residual.bits, best.step, residual)
