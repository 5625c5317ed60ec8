"""Latents sorted by the scale indices that the energies of their tiles give, and taken again, by compiled functions."""

import numpy as np

from aecodec.compiled.kernels import kernels
from aecodec.compiled.room import Room, room
from aecodec.packing.scale import INDICES

Grid = tuple[int, int, int, int]


def serves(symbols: np.ndarray) -> bool:
    """Whether these int32 symbols (tiles, latents) are for compiled functions."""
    return kernels is not None and symbols.size > 0


def sorted_latents(symbols: np.ndarray, grid: Grid, bands: np.ndarray, room: Room) -> tuple[np.ndarray, np.ndarray]:
    """The symbols zigzagged, 1-D, by rising index, in coding order within each, in `room`; and where each one ends, int64.

    `bands`: float64 rows of width, factor, unit, keep and trust, as in contexts.py.
    """
    assert kernels is not None
    out, rows = room.empty(symbols.size, np.uint32), room.empty(symbols.size, np.uint32)
    indices, ends = room.empty(len(bands) * symbols.shape[0], np.uint8), np.empty(INDICES, np.int64)
    width = kernels.sort_latents(np.ascontiguousarray(symbols, np.int32), bands, rows, indices, out, ends, grid)
    return (out if width == 4 else out.view(np.uint16)[: symbols.size]), ends


def taken_latents(
    streams: tuple[np.ndarray, ...], places: np.ndarray, grid: Grid, bands: np.ndarray, out: np.ndarray
) -> int | None:
    """Fill `out`, int32 (tiles, latents); streams, places and what is returned as in `cells.taken_cells`."""
    assert kernels is not None
    with room() as mine:
        missing = kernels.take_latents(streams, places, bands, mine.empty(out.size, np.uint32), out, grid)
    return None if missing < 0 else missing
