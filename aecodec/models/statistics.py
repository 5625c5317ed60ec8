"""What fitting needs of the data, gathered in one pass: channel moments, the mean field, Gram matrices, and a small sample."""

import numpy as np

from aecodec.errors import ModelError
from aecodec.models.sample import RunSample

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
        self.total = np.zeros(shape[0])
        self.squares = np.zeros(shape[0])
        self.field = np.zeros(shape)
        self.lowest, self.highest = np.full(shape, np.inf, np.float32), np.full(shape, -np.inf, np.float32)
        width = groups * -(-shape[0] // groups)
        self.grams = {t: np.zeros((t * (width // groups),) * 2) for t in tile_steps}
        self.blocks = dict.fromkeys(tile_steps, 0)
        self.window = _window(shape, segment)
        self.samples: list[np.ndarray] = []
        self.runs = RunSample(shape, _window(shape, _RUN_STEPS, RUN_VALUES // 2), RUN_VALUES, seed)
        self._seen = 0
        self._capacity = max(4, SAMPLE_VALUES // max(1, segment * shape[0] * _area(self.window)))
        self._random = np.random.default_rng(seed)

    def add(self, slab: np.ndarray, missing: np.ndarray | None = None) -> None:
        """Take one segment (at most `segment` consecutive steps), all values finite; `missing` marks those that were not."""
        if self.steps == 0:
            self._set_origin(slab)
        reals = (slab - self.shift[None, :, None, None]) / self.unit[None, :, None, None]
        self.low = np.minimum(self.low, reals.min(axis=(0, 2, 3)))
        self.high = np.maximum(self.high, reals.max(axis=(0, 2, 3)))
        if not max(np.abs(self.low).max(), np.abs(self.high).max()) < _LARGEST:
            raise ModelError(f"values grow by more than {_LARGEST:g} over the samples, beyond float32 networks; take outliers out")
        values = reals.astype(np.float32)
        self.steps += len(values)
        self.total += values.sum(axis=(0, 2, 3), dtype=np.float64)
        self.squares += np.einsum("tcyx,tcyx->c", values, values, dtype=np.float64)
        self.field += values.sum(axis=0, dtype=np.float64)
        self._add_grams(values)
        self._add_sample(values)
        self.runs.add(values if missing is None else np.where(missing, np.float32(np.nan), values))
        np.minimum(self.lowest, values.min(axis=0), out=self.lowest)
        np.maximum(self.highest, values.max(axis=0), out=self.highest)

    def _set_origin(self, slab: np.ndarray) -> None:
        """Shift and unit of each channel from the first segment."""
        exponent = np.frexp(np.abs(slab.astype(np.float64)).max(axis=(0, 2, 3)))[1]
        reals = np.ldexp(slab.astype(np.float64), -exponent[None, :, None, None])
        deviation = reals.std(axis=(0, 2, 3))
        self.shift = np.ldexp(reals.mean(axis=(0, 2, 3)), exponent)
        self.unit = np.ldexp(1.0, np.where(deviation > 0, np.frexp(deviation)[1], 0) + exponent)

    def _add_grams(self, values: np.ndarray) -> None:
        channels = self._grouped(values)
        for t, gram in self.grams.items():
            count = len(values) // t
            if not count:
                continue
            blocks = channels[: count * t].reshape(count, t, self.groups, -1, channels.shape[-1])
            matrix = blocks.transpose(1, 3, 0, 2, 4).reshape(gram.shape[0], -1)
            gram += matrix @ matrix.T
            self.blocks[t] += count

    def _grouped(self, values: np.ndarray) -> np.ndarray:
        """(steps, channels, rows, columns) -> (steps, padded channels, pixels)."""
        padding = -values.shape[1] % self.groups if self.groups > 1 else 0
        if padding:
            values = np.concatenate([values, values[:, -1:].repeat(padding, axis=1)], axis=1)
        return values.reshape(values.shape[0], values.shape[1], -1)

    def _add_sample(self, values: np.ndarray) -> None:
        rows, columns = self.window
        kept = values[:, :, rows, columns].copy()
        self._seen += 1
        if len(self.samples) < self._capacity:
            self.samples.append(kept)
        elif (place := int(self._random.integers(self._seen))) < self._capacity:
            self.samples[place] = kept

    def constant_sites(self) -> np.ndarray:
        """Where all steps had the same value, bool (channels, rows, columns)."""
        return np.asarray(self.lowest == self.highest)

    def mean(self) -> np.ndarray:
        """Mean of each channel, in shifted units, float64 (channels,)."""
        return self.total / max(1, self.steps * self.shape[1] * self.shape[2])

    def deviation(self) -> np.ndarray:
        """Standard deviation of each channel."""
        count = max(1, self.steps * self.shape[1] * self.shape[2])
        return np.asarray(np.sqrt(np.maximum(self.squares / count - self.mean() ** 2, 0.0)))

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
        gram = self.grams[t] - blocks * np.tile(outer, (t, t))
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
