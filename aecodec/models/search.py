"""Which latent step, predictor and cell size make a sample smallest: estimated, never packed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aecodec.lattice import lorenzo_residual
from aecodec.packing.contexts import Bands, estimate_residual_bits, group_latents
from aecodec.packing.groups import estimate_bits
from aecodec.quantizer import dequantize, quantize

STEPS_AXIS, CHANNELS_AXIS, ROWS_AXIS, COLUMNS_AXIS = 1, 2, 4, 8
PREDICTORS = (0, COLUMNS_AXIS, ROWS_AXIS | COLUMNS_AXIS, STEPS_AXIS, STEPS_AXIS | ROWS_AXIS | COLUMNS_AXIS)
MORE_PREDICTORS = (CHANNELS_AXIS, CHANNELS_AXIS | ROWS_AXIS | COLUMNS_AXIS, STEPS_AXIS | CHANNELS_AXIS)
_FIRST_CELL = 64


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
    first = min(seen, key=lambda mask: estimate_residual_bits(by_mask[mask], _FIRST_CELL))
    bits = {cell: estimate_residual_bits(by_mask[first], cell) for cell in cells}
    best = min(cells, key=lambda cell: bits[cell])
    return ResidualChoice(bits[best], first, best)


def choose_step(
    y: np.ndarray,
    steps: Sequence[int],
    latents: tuple[tuple[int, int, int, int], Bands, float, int],
    residual_of: Callable[[np.ndarray], np.ndarray | None],
    predictors: Sequence[int],
    cells: Sequence[int],
) -> LatentChoice:
    """The latent step among `steps` that makes latents `y` (tiles, latents) and their residual smallest.

    `latents`: tile grid, bands, latent unit and limit. `residual_of(y_hat)` gives the int32 lattice residual, or None where
    it does not fit. Steps are tried in their order until the estimate has risen twice in a row.
    """
    grid, bands, unit, limit = latents
    best = LatentChoice(np.inf, 0, ResidualChoice(np.inf, 0, 0))
    worse = 0
    for step in steps:
        symbols = quantize(y, step, unit, limit)
        left = residual_of(dequantize(symbols, step))
        if left is None:
            continue
        residual = choose_residual(left, predictors, cells)
        bits = estimate_bits(group_latents(symbols, grid, bands, step * unit)) + residual.bits
        if bits < best.bits:
            best, worse = LatentChoice(bits, step, residual), 0
        elif (worse := worse + 1) == 2:
            break
    return best
