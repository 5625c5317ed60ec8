"""Cutting a canonical array into equal tiles, and putting it together again.

A tile is (steps, channels, rows, columns); tiles are numbered in C order of their position on the tile grid.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tiling:
    """How an array of canonical `shape` is covered by tiles of shape `tile`; the far edges are padded."""

    shape: tuple[int, int, int, int]
    tile: tuple[int, int, int, int]

    @property
    def grid(self) -> tuple[int, int, int, int]:
        """Number of tiles along each axis."""
        a, b, c, d = (-(-n // t) for n, t in zip(self.shape, self.tile, strict=True))
        return a, b, c, d

    @property
    def count(self) -> int:
        """Number of tiles."""
        return math.prod(self.grid)

    def split(self, array: np.ndarray) -> np.ndarray:
        """(steps, channels, rows, columns) -> (tiles, *tile). Padding repeats the edge, which costs the fewest symbols."""
        for axis, (n, t) in enumerate(zip(self.shape, self.tile, strict=True)):
            if n % t:
                array = array.take(np.minimum(np.arange(n + -n % t), n - 1), axis=axis)
        interleaved = [n for pair in zip(self.grid, self.tile, strict=True) for n in pair]
        return array.reshape(interleaved).transpose(0, 2, 4, 6, 1, 3, 5, 7).reshape(self.count, *self.tile)

    def join(self, tiles: np.ndarray) -> np.ndarray:
        """(tiles, *tile) -> (steps, channels, rows, columns), the padding dropped."""
        whole = tiles.reshape(*self.grid, *self.tile).transpose(0, 4, 1, 5, 2, 6, 3, 7)
        whole = whole.reshape([g * t for g, t in zip(self.grid, self.tile, strict=True)])
        return whole[tuple(slice(n) for n in self.shape)]
