"""What fitting needs of the data, gathered in one pass: channel moments, the mean field, Gram matrices, and a small sample."""

import numpy as np

from aecodec.errors import ModelError
from aecodec.models.sample import Reservoir, RunSample
from aecodec.models.sums import Sum

SAMPLE_VALUES = 1_500_000
RUN_VALUES = 1 << 22
_WINDOW_MULTIPLE = 16
_RUN_STEPS = 9  # a pyramid of frames; rows and columns are cut until so many fit
_LARGEST = 1e18  # squares must stay within float32


class Statistics:
    """Accumulates over canonical slabs (steps, channels, rows, columns) of one shape but for their steps.

    All is gathered of (value - `shift`) / `unit`, one pair per channel, so that neither large offsets nor unusual units cost
    precision.
    """

    def __init__(self, shape: tuple[int, int, int], groups: int, tile_steps: tuple[int, ...], segment: int, seed: int) -> None:
        self.shape = shape
        self.groups = groups
        self.tile_steps = tile_steps
        self.segment = segment
        self.steps = 0
        self.shift = np.zeros(shape[0])
        self.unit = np.ones(shape[0])
        self.low = np.full(shape[0], np.inf)
        self.high = np.full(shape[0], -np.inf)
        self._total, self._squares, self._field = Sum(shape[0]), Sum(shape[0]), Sum(shape)
        self.lowest, self.highest = np.full(shape, np.inf, np.float32), np.full(shape, -np.inf, np.float32)
        width = groups * -(-shape[0] // groups)
        self._grams = {t: Sum((t * (width // groups),) * 2) for t in tile_steps}
        self.blocks = dict.fromkeys(tile_steps, 0)
        self.window = _window(shape, segment)
        self.samples: list[np.ndarray] = []
        self.runs = RunSample(shape, _window(shape, _RUN_STEPS, RUN_VALUES // 2), RUN_VALUES, seed)
        self.capacity = max(4, SAMPLE_VALUES // max(1, segment * shape[0] * _area(self.window)))
        self._kept = Reservoir(self.capacity, seed)

    def add(self, slab: np.ndarray, missing: np.ndarray | None = None) -> None:
        """Take one segment (at most `segment` consecutive steps), all values finite; `missing` marks those that were not."""
        if self.steps == 0:
            self.set_origin(slab)
        values = self.add_sums(slab)
        self._kept.put(self.samples, lambda: self.sampled(values))
        self.runs.add(values if missing is None else np.where(missing, np.float32(np.nan), values))

    def add_sums(self, slab: np.ndarray) -> np.ndarray:
        """Take one segment for all but the samples; its values in shifted units, float32."""
        reals = (slab - self.shift[None, :, None, None]) / self.unit[None, :, None, None]
        self.low = np.minimum(self.low, reals.min(axis=(0, 2, 3)))
        self.high = np.maximum(self.high, reals.max(axis=(0, 2, 3)))
        if not max(np.abs(self.low).max(), np.abs(self.high).max()) < _LARGEST:
            raise ModelError(f"values grow by more than {_LARGEST:g} over the samples, beyond float32 networks; take outliers out")
        values = reals.astype(np.float32)
        self.steps += len(values)
        self._total.add(values.sum(axis=(0, 2, 3), dtype=np.float64))
        self._squares.add(np.einsum("tcyx,tcyx->c", values, values, dtype=np.float64))
        self._field.add(values.sum(axis=0, dtype=np.float64))
        self._add_grams(values)
        np.minimum(self.lowest, values.min(axis=0), out=self.lowest)
        np.maximum(self.highest, values.max(axis=0), out=self.highest)
        return values

    def sampled(self, values: np.ndarray) -> np.ndarray:
        """The part of a segment that is kept if it is among the samples."""
        rows, columns = self.window
        return values[:, :, rows, columns].copy()

    def merge_sums(self, other: "Statistics") -> None:
        """Take all that `other`, of the same origin, was given for its sums; in any order the result has the same bits."""
        self.steps += other.steps
        np.minimum(self.low, other.low, out=self.low)
        np.maximum(self.high, other.high, out=self.high)
        np.minimum(self.lowest, other.lowest, out=self.lowest)
        np.maximum(self.highest, other.highest, out=self.highest)
        for own, others in ((self._total, other._total), (self._squares, other._squares), (self._field, other._field)):
            own.merge(others)
        for t, gram in self._grams.items():
            gram.merge(other._grams[t])
            self.blocks[t] += other.blocks[t]

    def set_origin(self, slab: np.ndarray) -> None:
        """Shift and unit of each channel from the first segment."""
        exponent = np.frexp(np.abs(slab.astype(np.float64)).max(axis=(0, 2, 3)))[1]
        reals = np.ldexp(slab.astype(np.float64), -exponent[None, :, None, None])
        deviation = reals.std(axis=(0, 2, 3))
        self.shift = np.ldexp(reals.mean(axis=(0, 2, 3)), exponent)
        self.unit = np.ldexp(1.0, np.where(deviation > 0, np.frexp(deviation)[1], 0) + exponent)

    def _add_grams(self, values: np.ndarray) -> None:
        channels = self._grouped(values)
        for t, gram in self._grams.items():
            count = len(values) // t
            if not count:
                continue
            blocks = channels[: count * t].reshape(count, t, self.groups, -1, channels.shape[-1])
            matrix = blocks.transpose(1, 3, 0, 2, 4).reshape(t * blocks.shape[3], -1)
            gram.add((matrix @ matrix.T).astype(np.float64))
            self.blocks[t] += count

    def _grouped(self, values: np.ndarray) -> np.ndarray:
        """(steps, channels, rows, columns) -> (steps, padded channels, pixels)."""
        padding = -values.shape[1] % self.groups if self.groups > 1 else 0
        if padding:
            values = np.concatenate([values, values[:, -1:].repeat(padding, axis=1)], axis=1)
        return values.reshape(values.shape[0], values.shape[1], -1)

    @property
    def field(self) -> np.ndarray:
        """Sum over the steps, in shifted units, float64 (channels, rows, columns)."""
        return self._field.value

    def constant_sites(self) -> np.ndarray:
        """Where all steps had the same value, bool (channels, rows, columns)."""
        return np.asarray(self.lowest == self.highest)

    def mean(self) -> np.ndarray:
        """Mean of each channel, in shifted units, float64 (channels,)."""
        return self._total.value / max(1, self.steps * self.shape[1] * self.shape[2])

    def deviation(self) -> np.ndarray:
        """Standard deviation of each channel."""
        count = max(1, self.steps * self.shape[1] * self.shape[2])
        return np.asarray(np.sqrt(np.maximum(self._squares.value / count - self.mean() ** 2, 0.0)))

    def mean_field(self) -> np.ndarray:
        """Mean over the steps, in shifted units, float64 (channels, rows, columns)."""
        return self.field / max(1, self.steps)

    def window_mean_without(self, held: list[np.ndarray]) -> np.ndarray:
        """The mean field in the sample window, as it would be without the `held` samples."""
        rows, columns = self.window
        left = self.steps - sum(len(sample) for sample in held)
        total = self.field[:, rows, columns] - sum(sample.sum(axis=0, dtype=np.float64) for sample in held)
        return np.asarray(total / max(1, left))

    def covariance(self, t: int, with_reference: bool, scale: np.ndarray) -> np.ndarray:
        """Covariance of (x - reference - offset) / scale over the steps and channels of a tile of `t` steps."""
        pixels = self.shape[1] * self.shape[2]
        centre = self._grouped((self.mean_field() if with_reference else self.mean()[:, None, None])[None])[0]
        width = centre.shape[0] // self.groups
        centre = centre.reshape(self.groups, width, -1)
        outer = np.einsum("gcp,gdp->cd", centre, centre)
        if not with_reference:
            outer = outer * pixels
        blocks = max(1, self.blocks[t])
        gram = self._grams[t].value - blocks * np.tile(outer, (t, t))
        divisor = np.tile(self._grouped(scale[None, :, None, None])[0].reshape(self.groups, width).mean(axis=0), t)
        return np.asarray(gram / (blocks * self.groups * pixels) / np.outer(divisor, divisor))


def _window(shape: tuple[int, int, int], segment: int, budget: int = SAMPLE_VALUES // 4) -> tuple[slice, slice]:
    """Rows and columns to sample: all of them, or a centred window of which `segment` steps are at most `budget` values."""
    channels, rows, columns = shape
    while segment * channels * rows * columns > budget and max(rows, columns) > 4 * _WINDOW_MULTIPLE:
        if rows >= columns:
            rows = rows // 2 // _WINDOW_MULTIPLE * _WINDOW_MULTIPLE
        else:
            columns = columns // 2 // _WINDOW_MULTIPLE * _WINDOW_MULTIPLE
    top, left = (shape[1] - rows) // 2, (shape[2] - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)


def _area(window: tuple[slice, slice]) -> int:
    rows, columns = window
    return int((rows.stop - rows.start) * (columns.stop - columns.start))
