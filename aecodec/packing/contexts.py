"""Which scale index each latent has: from the bands already coded.

Latents of a tile come in bands of falling spread. A tile's energy, relative to what the model expects, is measured on the
bands already coded, of the tile and of its neighbours on the tile grid; it gives the scale of the next band. Every step is
an IEEE operation on single elements or a sum of integers, so the decoder's energies are the encoder's on any machine.
"""

from collections.abc import Callable, Sequence

import numpy as np

from aecodec.packing.groups import GroupedSymbols, encode_groups
from aecodec.packing.scale import INDICES, magnitude, scale_index
from aecodec.packing.varint import Cursor

Bands = Sequence[tuple[int, float]]  # (end, spread): latents before `end` have this mean magnitude, in latent units

_PRIOR = 0.5
_SMALLEST = 2.0**-8
_MEMORY = 1.0 - 2.0**-5


class _Energy:
    """Energy of each tile relative to the model's expectation, updated band by band."""

    def __init__(self, grid: tuple[int, int, int, int]) -> None:
        self._grid = grid
        self._energy = np.full(int(np.prod(grid)), _PRIOR)
        self._weight = _PRIOR

    def indices(self, expected: float) -> np.ndarray:
        """Scale index of each tile for a band whose symbols have mean magnitude `expected` by the model."""
        return scale_index(np.maximum(self._energy * (expected / self._weight), _SMALLEST))

    def update(self, sums: np.ndarray, width: int, expected: float) -> None:
        """Learn from a coded band: `sums` is each tile's sum of magnitudes over `width` symbols (integers)."""
        relative = sums.astype(np.float64) * (0.8 / max(expected, 0.3))
        trust = min(1.0, expected)
        keep = max(_power(_MEMORY, width), 0.3)
        self._energy = self._energy * keep + (relative + _smooth(relative, self._grid)) * (0.5 * trust)
        self._weight = self._weight * keep + width * trust


def _power(base: float, exponent: int) -> float:
    """base ** exponent by multiplications alone, since pow differs between C libraries."""
    result = 1.0
    for _ in range(min(exponent, 64)):
        result *= base
    return result


def _smooth(values: np.ndarray, grid: tuple[int, int, int, int]) -> np.ndarray:
    """(1 2 1)/4 along the step, row and column axes of the tile grid, edges repeated."""
    field = values.reshape(grid)
    for axis in (0, 2, 3):
        if grid[axis] > 1:
            place = np.arange(grid[axis])
            before = field.take(np.maximum(place - 1, 0), axis=axis)
            after = field.take(np.minimum(place + 1, grid[axis] - 1), axis=axis)
            field = (before + after) * 0.25 + field * 0.5
    return field.reshape(-1)


def _walk_bands(
    grid: tuple[int, int, int, int],
    bands: Bands,
    step: float,
    visit: Callable[[slice, np.ndarray, list[tuple[int, int]]], np.ndarray],
) -> None:
    """Go through the bands in coding order.

    `visit(columns, order, runs)` codes one and returns its symbols: `order` lists the tiles by scale index, `runs` says how many
    there are of which: (index, count).
    """
    energy = _Energy(grid)
    start = 0
    for end, spread in bands:
        expected = max(spread / step, 2.0**-20)
        indices = energy.indices(expected)
        counts = np.bincount(indices, minlength=INDICES)
        runs = [(int(i), int(counts[i])) for i in np.flatnonzero(counts)]
        symbols = visit(slice(start, end), np.argsort(indices, kind="stable"), runs)
        energy.update(magnitude(symbols).sum(axis=1, dtype=np.int64), end - start, expected)
        start = end


def group_latents(symbols: np.ndarray, grid: tuple[int, int, int, int], bands: Bands, step: float) -> list[list[np.ndarray]]:
    """Symbols (tiles, latents) int32, latents in band order -> for each scale index its symbols in coding order."""
    groups: list[list[np.ndarray]] = [[] for _ in range(INDICES)]

    def visit(columns: slice, order: np.ndarray, runs: list[tuple[int, int]]) -> np.ndarray:
        band = symbols[:, columns]
        ordered = band if len(runs) == 1 else band[order]
        at = 0
        for index, count in runs:
            groups[index].append(ordered[at : at + count].reshape(-1))
            at += count
        return band

    _walk_bands(grid, bands, step, visit)
    return groups


def encode_latents(symbols: np.ndarray, grid: tuple[int, int, int, int], bands: Bands, step: float, thorough: bool) -> bytes:
    """Symbols (tiles, latents) int32 -> bytes. `step` is the quantizer's, in the unit of the bands' spreads."""
    return encode_groups(group_latents(symbols, grid, bands, step), thorough)


def decode_latents(cursor: Cursor, grid: tuple[int, int, int, int], bands: Bands, step: float) -> np.ndarray:
    """The inverse of `encode_latents`."""
    tiles = int(np.prod(grid))
    symbols = np.zeros((tiles, bands[-1][0]), np.int32)
    grouped = GroupedSymbols(cursor, symbols.size)

    def visit(columns: slice, order: np.ndarray, runs: list[tuple[int, int]]) -> np.ndarray:
        width = columns.stop - columns.start
        parts = [grouped.take(index, count * width) for index, count in runs]
        if len(parts) == 1:
            symbols[:, columns] = parts[0].reshape(tiles, width)
        elif parts:
            symbols[order, columns] = np.concatenate(parts).reshape(tiles, width)
        return symbols[:, columns]

    _walk_bands(grid, bands, step, visit)
    grouped.end()
    return symbols
