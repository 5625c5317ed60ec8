"""What the denoising autoencoder learns to undo. Each spoils tiles (n, steps, channels, rows, columns), float32 in units of the
data's spread around 0, by a strength drawn for each tile from its range, the same in all channels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from aecodec.errors import UsageError

Corruption = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class GaussianNoise:
    """White noise; strengths are standard deviations."""

    low: float = 0.05
    high: float = 0.5

    def __call__(self, tiles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Spoiled tiles."""
        noise = rng.standard_normal(tiles.shape, dtype=np.float32)
        return tiles + noise * _strengths(self.low, self.high, tiles, rng)


@dataclass(frozen=True)
class PoissonNoise:
    """Counting noise of values that are rates above `dark`; strengths are counts per unit, fewer being noisier."""

    low: float = 5.0
    high: float = 100.0
    dark: float = -2.0

    def __call__(self, tiles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Spoiled tiles."""
        gain = _strengths(self.low, self.high, tiles, rng)
        counts = rng.poisson(np.maximum(tiles - np.float32(self.dark), 0.0) * gain)
        return np.asarray(counts / gain + self.dark, dtype=np.float32)


@dataclass(frozen=True)
class MaskedPatches:
    """Square patches of `size` values a side set to 0, the mean; strengths are the shares of the tile that they cover."""

    low: float = 0.1
    high: float = 0.5
    size: int = 4

    def __call__(self, tiles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Spoiled tiles."""
        shape = (tiles.shape[1], 1, tiles.shape[3], tiles.shape[4])
        spatial = _axes(tiles)
        cells = [-(-n // self.size) if axis in spatial else n for axis, n in enumerate(shape, 1)]
        kept = rng.random((len(tiles), *cells)) >= _strengths(self.low, self.high, tiles, rng)
        for axis in spatial:
            kept = np.repeat(kept, self.size, axis=axis).take(np.arange(tiles.shape[axis]), axis=axis)
        return tiles * kept.astype(np.float32)


@dataclass(frozen=True)
class Blur:
    """A Gaussian blur along rows and columns, or steps where there are none; strengths are standard deviations in values."""

    low: float = 0.5
    high: float = 2.0

    def __call__(self, tiles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Spoiled tiles."""
        sigma = _strengths(self.low, self.high, tiles, rng)
        reach = max(1, int(np.ceil(3.0 * self.high)))
        offsets = range(-reach, reach + 1)
        weights = [np.exp(-0.5 * np.square(k / np.maximum(sigma, 1e-3))) for k in offsets]
        total = np.sum(weights, axis=0)
        for axis in _axes(tiles):
            places = np.arange(tiles.shape[axis])
            shifted = (tiles.take(np.clip(places + k, 0, len(places) - 1), axis=axis) for k in offsets)
            blurred = sum(w / total * part for w, part in zip(weights, shifted, strict=True))
            tiles = np.asarray(blurred, dtype=np.float32)
        return tiles


@dataclass(frozen=True)
class Downscaling:
    """Means of blocks in place of their values; strengths are the blocks' sizes, a whole number for each tile."""

    low: int = 2
    high: int = 4

    def __call__(self, tiles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Spoiled tiles."""
        factors = rng.integers(int(self.low), int(self.high) + 1, size=len(tiles))
        out = tiles.copy()
        for factor in np.unique(factors).tolist():
            part = tiles[factors == factor]
            for axis in _axes(tiles):
                block = np.arange(part.shape[axis]) // factor
                sums = np.add.reduceat(part, np.flatnonzero(np.diff(block, prepend=-1)), axis=axis)
                counts = np.bincount(block).reshape([-1 if i == axis else 1 for i in range(part.ndim)])
                part = (sums / counts).astype(np.float32).take(block, axis=axis)
            out[factors == factor] = part
        return out


CORRUPTIONS: dict[str, Any] = {
    "gaussian": GaussianNoise,
    "poisson": PoissonNoise,
    "masked": MaskedPatches,
    "blur": Blur,
    "downscaling": Downscaling,
}


def corruption_of(text: str) -> Corruption:
    """A corruption by name, with its range if wanted: "gaussian", "blur:0.5-1.5"; UsageError for others."""
    name, _, strengths = text.partition(":")
    if name not in CORRUPTIONS:
        raise UsageError(f"corruption {name!r} is unknown; use {', '.join(CORRUPTIONS)}")
    if not strengths:
        return CORRUPTIONS[name]()
    try:
        low, high = (float(part) for part in strengths.split("-"))
    except ValueError:
        raise UsageError(f"corruption {text!r}: the range must be LOW-HIGH, such as {name}:0.5-2") from None
    if not 0 <= low <= high or (name == "downscaling" and low < 1) or (name == "poisson" and low <= 0):
        raise UsageError(f"corruption {text!r}: the range must rise from what is more than nothing")
    return Downscaling(int(low), int(high)) if name == "downscaling" else CORRUPTIONS[name](low, high)


def _strengths(low: float, high: float, tiles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(low, high, size=(len(tiles), 1, 1, 1, 1)).astype(np.float32)


def _axes(tiles: np.ndarray) -> list[int]:
    """Rows and columns, or steps for tiles of series."""
    return [axis for axis in (3, 4) if tiles.shape[axis] > 1] or [1]
