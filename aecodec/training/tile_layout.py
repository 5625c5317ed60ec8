"""How an autoencoder is to see the data of a plan: tiles, units, quantizer steps, maps of tiles, and the sizes of its networks."""

import math
from dataclasses import dataclass

import numpy as np

from aecodec.codec.maps import to_map
from aecodec.errors import UsageError
from aecodec.tiling import Tiling
from aecodec.training.autoencoder import NetworkShape
from aecodec.training.plan import Plan
from aecodec.training.samples import Window
from aecodec.training.steps import StepRange

_MOST_VALUES = 256  # of a tile that nobody chose
_MOST_TRAINED = 4096  # of any tile: the linear maps are as large as its square
_SIDES, _LENGTHS = (8, 4, 2, 1), (32, 16, 8, 4, 2, 1)
_MAP_TILES = (16, 64)  # of a crop: a side of a map, or the length of one of a series
_GRAY_LEVELS = 256.0  # the value range in units of the scale, where no error bound is asked for
_LARGEST = 6000.0  # latents in steps: what the format's limit leaves
_REACH = 4.0  # from the step that is asked for, both ways
_MOST_OF_ALL = 0.75  # of the values must be in pieces that a crop fits into
_SLICES = (1 / 13, 1 / 3.76)  # of a tile's latents at which slices end, of three
_WIDTH, _DEPTH = 64, 3


@dataclass(frozen=True)
class TileLayout:
    """`tile`, `window` (the crop of whole tiles that a batch has): canonical sizes. `offset`, `scale`: float64 of each channel."""

    tile: tuple[int, int, int, int]
    window: Window
    offset: np.ndarray
    scale: np.ndarray
    steps: StepRange
    shape: NetworkShape

    @classmethod
    def of(cls, plan: Plan) -> "TileLayout":
        """What the plan asks for, the rest by the data; UsageError if a tile does not fit."""
        data = plan.data
        length, rows, columns = (_usual(data.training.pieces, axis) for axis in (0, 2, 3))
        tile = plan.tile or _tile(data.channels, (length, rows, columns))
        values = math.prod(tile)
        if tile[1] != data.channels or values > _MOST_TRAINED or values == data.channels:
            raise UsageError(
                f"tile={tile} of {data.channels} channel(s): it must have all channels, more than one value of each, "
                f"and at most {_MOST_TRAINED} values together"
            )
        if data.dtype == np.uint8:
            offset, scale = np.full(data.channels, 128.0), np.ones(data.channels)
        else:
            span = np.maximum(data.high - data.low, np.maximum(np.abs(data.mean), 1e-30) * 1e-7)
            offset, scale = data.mean, span / _GRAY_LEVELS if plan.errors is None else plan.errors.copy()
        peak = float((np.maximum(data.high - offset, offset - data.low) / scale).max())
        least = peak * math.sqrt(values / data.channels) / _LARGEST
        steps = _steps(plan, max(least, 2.0**-10))
        return cls(tile, _window(tile, (length, rows, columns)), offset, scale, steps, _shape(plan, tile, steps))

    def maps(self, crops: np.ndarray) -> np.ndarray:
        """Crops (n, steps, channels, rows, columns) in units of the scale -> maps of tiles, (n * frames, tile values, ...)."""
        n, t, c, y, x = crops.shape
        if t == self.tile[0] or y * x > 1:
            tiling = Tiling((n * t, c, y, x), self.tile)
            return to_map(crops.reshape(n * t, c, y, x), tiling)
        return np.concatenate([to_map(crop, Tiling((t, c, y, x), self.tile)) for crop in crops])

    def basis_order(self) -> np.ndarray:
        """Place in a tile of each value in the order of channels first."""
        t, c, y, x = self.tile
        return np.arange(math.prod(self.tile)).reshape(t, c, y * x).transpose(1, 0, 2).reshape(-1)


def _usual(pieces: list[np.ndarray], axis: int) -> int:
    """The largest size that pieces with most of all values have."""
    ordered = sorted(pieces, key=lambda piece: -piece.shape[axis])
    enough = _MOST_OF_ALL * sum(piece.size for piece in pieces)
    held = np.cumsum([piece.size for piece in ordered])
    return int(ordered[int(np.searchsorted(held, enough))].shape[axis])


def _tile(channels: int, extent: Window) -> tuple[int, int, int, int]:
    """Squares of pictures and fields, stretches of series: as large as _MOST_VALUES and the data allow."""
    length, rows, columns = extent
    if rows * columns == 1:
        fitting = [n for n in _LENGTHS if n * channels <= _MOST_VALUES and 2 * n <= length]
        return (fitting[0] if fitting else min(2, length)), channels, 1, 1
    for side in _SIDES:
        if side * side * channels <= _MOST_VALUES and side <= max(rows, columns):
            return 1, channels, min(side, rows), min(side, columns)
    return 1, channels, min(2, rows), min(2, columns)


def _window(tile: tuple[int, int, int, int], extent: Window) -> Window:
    t, _, y, x = tile
    length, rows, columns = extent
    if rows * columns == 1:
        return t * max(1, min(_MAP_TILES[1], length // t)), 1, 1
    return t, y * max(1, min(_MAP_TILES[0], rows // y)), x * max(1, min(_MAP_TILES[0], columns // x))


def _steps(plan: Plan, least: float) -> StepRange:
    """From a quarter of the step that is asked for to four times it; a uniform quantizer's error is its step by root 12."""
    kind, number = plan.fidelity.kind, plan.fidelity.value
    if plan.errors is not None:
        middle = 8.0
    elif kind == "quality":
        middle = plan.fidelity.relative_step() * _GRAY_LEVELS
    elif kind == "psnr" and isinstance(number, float):
        middle = _GRAY_LEVELS * 10.0 ** (-number / 20.0) * math.sqrt(12.0)
    else:
        middle = 8.0
    low = max(least, middle / _REACH)
    return StepRange(low, max(2.0 * low, middle * _REACH))


def _shape(plan: Plan, tile: tuple[int, int, int, int], steps: StepRange) -> NetworkShape:
    """Slices of latents of falling variance, and networks of `width`; `depth` is the number of slices after the first."""
    values, first = math.prod(tile), tile[1]
    latents = values if plan.latents is None else plan.latents
    width, depth = _WIDTH if plan.width is None else plan.width, _DEPTH if plan.depth is None else plan.depth
    if not first < latents <= values:
        raise UsageError(f"latents={latents} must be more than {first}, the channels, and at most {values}, the values of a tile")
    if not (4 <= width <= 1024 and 1 <= depth <= 8):
        raise UsageError(f"width={width} must be 4 to 1024, depth={depth} 1 to 8")
    shares = _SLICES if depth == 3 else tuple(2.0 ** (1.9 * (k - depth)) for k in range(1, depth))
    ends = sorted({first, *(min(latents, max(first + 1, round(latents * share))) for share in shares), latents})
    priors = tuple(max(4, round(width * (0.5 + 0.25 * k / max(1, len(ends) - 2)))) for k in range(len(ends) - 1))
    return NetworkShape(values, first, tuple(ends), priors, width, width, steps.kinds)
