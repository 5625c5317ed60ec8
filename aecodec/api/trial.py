"""What a whole array would take with each of several models, from a sample that is really coded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aecodec.api.options import Options
from aecodec.canonical import ArraySpec
from aecodec.codec.chunk import ChunkCoder
from aecodec.codec.model import Model, Origin

SAMPLE_VALUES = 1 << 18
_UNIT = 64  # a sample of part of a step has a multiple of this many rows, or columns
_DECIBEL = 0.053  # of the decimal logarithm of the size: a decibel more takes about 13 % more, as it does of JPEG and of WebP
_BEST = 1e-4  # of the span: error below which qualities are not told apart


@dataclass(frozen=True)
class Trial:
    """A canonical sample, where in its step it begins, and what the whole array is."""

    sample: np.ndarray
    origin: Origin
    spec: ArraySpec
    options: Options
    values: int

    @classmethod
    def of(cls, slabs: Sequence[np.ndarray], spec: ArraySpec, options: Options, values: int) -> "Trial":
        """A trial on the middle of canonical `slabs` of an array of `values` values."""
        sample, origin = slabs[len(slabs) // 2], [0, 0, 0, 0]
        for axis, unit in ((0, 1), (2, _UNIT), (3, _UNIT)):
            most = SAMPLE_VALUES * sample.shape[axis] // sample.size // unit * unit
            sample, origin[axis] = _middle(sample, axis, max(unit, most))
        return cls(np.ascontiguousarray(sample), (origin[2], origin[3]), spec, options, values)

    def cost(self, model: Model | None) -> float:
        """Expected bytes of the whole array, of a model that would be embedded too; of a `quality`, at the same distortion."""
        fidelity, options = self.options.fidelity, self.options
        coder = ChunkCoder(self.spec.real_dtype, fidelity, model, options.level)
        body = coder.encode(self.sample, self.origin)
        size = len(body) * (self.values / self.sample.size)
        if model is not None and (options.embed_model or (options.embed_model is None and not model.shipped)):
            size += len(model.stored)
        if fidelity.kind != "quality":
            return size
        n, c, h, w = self.sample.shape
        return size * 10.0 ** (-_DECIBEL * self._psnr(coder.decode(body, (n, c, h, w), self.origin)))

    def _psnr(self, restored: np.ndarray) -> float:
        """dB of what is finite."""
        with np.errstate(invalid="ignore", over="ignore"):
            error = restored.astype(np.float64) - self.sample
        spans = self.options.fidelity.spans(self.sample.shape[1])
        relative = error / np.where(spans > 0, spans, 1.0).reshape(1, -1, 1, 1)
        finite = relative[np.isfinite(relative)]
        return -20.0 * math.log10(max(_BEST, float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0))


def _middle(array: np.ndarray, axis: int, length: int) -> tuple[np.ndarray, int]:
    """`length` of the middle along `axis`, or all there is, and where that begins."""
    start = max(0, (array.shape[axis] - length) // 2)
    return array[(slice(None),) * axis + (slice(start, start + length),)], start
