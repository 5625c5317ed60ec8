"""The symbols of the packing bench: streams of known law, a tensor whose scales vary, and residuals of a real field."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aecodec.lattice import lattice_steps, lorenzo_residual, to_lattice

BITS = (0.05, 0.1, 0.3, 0.7, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0)
SIZES = (1 << 16, 1 << 20, 1 << 22)
LORENZO = 0b1100  # over rows and columns


@dataclass(frozen=True)
class Tensor:
    """Symbols (tiles, latents) int32 with what the codec's contexts are told: tile grid, bands of (end, spread), step."""

    symbols: np.ndarray
    grid: tuple[int, int, int, int]
    bands: list[tuple[int, float]]
    step: float


def two_sided_geometric(bits: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """int32 values with P(v) proportional to r**|v|, a Laplacian's law on the integers, of this entropy."""
    low, high = 1e-9, 1.0 - 1e-9
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _entropy(middle) < bits else (low, middle)
    # The difference of two geometric variables has this law.
    return (rng.geometric(1.0 - low, count) - rng.geometric(1.0 - low, count)).astype(np.int32)


def _entropy(r: float) -> float:
    """Bits of the law above, in closed form."""
    zero = (1.0 - r) / (1.0 + r)
    mean = 2.0 * r / (1.0 - r * r)
    return float(-np.log2(zero) - mean * np.log2(r))


def tensor(count: int, rng: np.random.Generator) -> Tensor:
    """32 channels of about `count` symbols in all: spreads fall from 8 to 0.1, and every tile has a scale of its own.

    The tiles' scales vary smoothly over the grid by a factor of about 4 either way.
    """
    bands = [(end, float(spread)) for end, spread in zip(range(1, 33), 8.0 * 2.0 ** np.linspace(0.0, -6.3, 32), strict=True)]
    side = max(8, round((count / 32 / 16) ** 0.5))
    grid = (16, 1, side, side)
    coarse = rng.standard_normal((16 // 4 + 1, side // 8 + 2, side // 8 + 2))
    smooth = coarse
    for axis, length in ((0, 16), (1, side), (2, side)):
        place = np.linspace(0.0, smooth.shape[axis] - 1.001, length)
        below = place.astype(int)
        weight = (place - below).reshape([-1 if a == axis else 1 for a in range(3)])
        smooth = smooth.take(below, axis) * (1.0 - weight) + smooth.take(below + 1, axis) * weight
    scales = np.exp2(smooth).reshape(-1, 1) * np.array([spread for _, spread in bands])
    symbols = np.rint(rng.laplace(scale=1.0, size=scales.shape) * scales).astype(np.int32)
    return Tensor(symbols, grid, bands, 1.0)


def lorenzo_of_field(field: np.ndarray, fraction: float) -> np.ndarray:
    """1-D int32 residual of (t, c, y, x) floats on the error lattice of this fraction of their range."""
    bound = fraction * float(np.ptp(field))
    channels = field.shape[1]
    peaks = np.abs(field).max(axis=(0, 2, 3)).astype(np.float64)
    indices = to_lattice(field, lattice_steps(np.full(channels, bound), peaks, field.dtype))
    if indices is None:
        raise ValueError("the field's lattice indices do not fit in 32 bits")
    return lorenzo_residual(indices, LORENZO).reshape(-1)


def streams(sizes: tuple[int, ...], rng: np.random.Generator) -> Iterator[tuple[float, np.ndarray]]:
    """(nominal entropy, values) of every stream."""
    for count in sizes:
        for bits in BITS:
            yield bits, two_sided_geometric(bits, count, rng)
