"""Which scale index each latent has: from the bands already coded.

Latents of a tile come in bands of falling spread. A tile's energy, relative to what the model expects, is measured on the
bands already coded, of the tile and of its neighbours on the tile grid; it gives the scale of the next band. Every step is
an IEEE operation on single elements or a sum of integers, so the decoder's energies are the encoder's on any machine.
"""

from collections.abc import Callable, Sequence

import numpy as np

from aecodec.compiled.latents import Grid, serves, sorted_latents
from aecodec.compiled.room import Room, room
from aecodec.packing.groups import GroupedSymbols, encode_ordered
from aecodec.packing.scale import INDICES, SMALLEST, magnitude, scale_index
from aecodec.packing.stream import zigzag
from aecodec.packing.varint import Cursor

Bands = Sequence[tuple[int, float]]  # (end, spread): latents before `end` have this mean magnitude, in latent units

_PRIOR = 0.5
_MEMORY = 1.0 - 2.0**-5


def _walked(bands: Bands, step: float) -> np.ndarray:
    """What each band does to the energies of tiles, float64 (bands, 5): its width; the factor of energies that gives scales; the
    unit of sums of magnitudes; how much of energies is kept after it, and how far the sums are trusted."""
    rows, start, weight = [], 0, _PRIOR
    for end, spread in bands:
        width, expected = end - start, max(spread / step, 2.0**-20)
        trust, keep = min(1.0, expected), max(_power(_MEMORY, width), 0.3)
        rows.append((float(width), expected / weight, 0.8 / max(expected, 0.3), keep, 0.5 * trust))
        weight = weight * keep + width * trust
        start = end
    return np.array(rows)


def _power(base: float, exponent: int) -> float:
    """base ** exponent by multiplications alone, since pow differs between C libraries."""
    result = 1.0
    for _ in range(min(exponent, 64)):
        result *= base
    return result


def _smooth(values: np.ndarray, grid: Grid) -> np.ndarray:
    """(1 2 1)/4 along the step, row and column axes of the tile grid, edges repeated."""
    field = values.reshape(grid)
    for axis in (0, 2, 3):
        if grid[axis] > 1:
            place = np.arange(grid[axis])
            before = field.take(np.maximum(place - 1, 0), axis=axis)
            after = field.take(np.minimum(place + 1, grid[axis] - 1), axis=axis)
            field = (before + after) * 0.25 + field * 0.5
    return field.reshape(-1)


def _walk_bands(grid: Grid, bands: np.ndarray, visit: Callable[[slice, np.ndarray, list[tuple[int, int]]], np.ndarray]) -> None:
    """Go through the bands in coding order.

    `visit(columns, order, runs)` codes one and returns its symbols: `order` lists the tiles by scale index, `runs` says how many
    there are of which: (index, count).
    """
    energy = np.full(int(np.prod(grid)), _PRIOR)
    start = 0
    for width, factor, unit, keep, trust in bands.tolist():
        indices = scale_index(np.maximum(energy * factor, SMALLEST))
        counts = np.bincount(indices, minlength=INDICES)
        runs = [(int(i), int(counts[i])) for i in np.flatnonzero(counts)]
        columns = slice(start, start + int(width))
        symbols = visit(columns, np.argsort(indices, kind="stable"), runs)
        relative = magnitude(symbols).sum(axis=1, dtype=np.int64) * unit
        energy = energy * keep + (relative + _smooth(relative, grid)) * trust
        start = columns.stop


def ordered_latents(symbols: np.ndarray, grid: Grid, bands: Bands, step: float, room: Room) -> tuple[np.ndarray, np.ndarray]:
    """Symbols (tiles, latents) int32, latents in band order -> zigzagged, 1-D, by rising scale index, in coding order within each,
    perhaps in `room`; and where each index's end, int64 (INDICES,)."""
    walked = _walked(bands, step)
    if serves(symbols):
        return sorted_latents(symbols, grid, walked, room)
    groups: list[list[np.ndarray]] = [[] for _ in range(INDICES)]

    def visit(columns: slice, order: np.ndarray, runs: list[tuple[int, int]]) -> np.ndarray:
        ordered, at = symbols[:, columns][order], 0
        for index, count in runs:
            groups[index].append(ordered[at : at + count].reshape(-1))
            at += count
        return symbols[:, columns]

    _walk_bands(grid, walked, visit)
    ends = np.cumsum([sum(part.size for part in parts) for parts in groups], dtype=np.int64)
    return zigzag(np.concatenate([part for parts in groups for part in parts] or [np.zeros(0, np.int32)])), ends


def encode_latents(symbols: np.ndarray, grid: Grid, bands: Bands, step: float, thorough: bool) -> bytes:
    """Symbols (tiles, latents) int32 -> bytes. `step` is the quantizer's, in the unit of the bands' spreads."""
    with room() as mine:
        return encode_ordered(*ordered_latents(symbols, grid, bands, step, mine), thorough)


def decode_latents(cursor: Cursor, grid: Grid, bands: Bands, step: float) -> np.ndarray:
    """The inverse of `encode_latents`."""
    tiles = int(np.prod(grid))
    symbols = np.zeros((tiles, bands[-1][0]), np.int32)
    grouped = GroupedSymbols(cursor, symbols.size)
    walked = _walked(bands, step)

    def visit(columns: slice, order: np.ndarray, runs: list[tuple[int, int]]) -> np.ndarray:
        width = columns.stop - columns.start
        parts = [grouped.take(index, count * width) for index, count in runs]
        if parts:
            symbols[order, columns] = np.concatenate(parts).reshape(tiles, width)
        return symbols[:, columns]

    if serves(symbols):
        grouped.latents(grid, walked, symbols)
    else:
        _walk_bands(grid, walked, visit)
    grouped.end()
    return symbols
