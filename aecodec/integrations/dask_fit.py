"""Fitting on dask arrays by tree reduction, to the same bits as in one process, and evaluating models chunk by chunk."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np

from aecodec.api.chunking import chunk_length
from aecodec.api.fitting import fit as fit_here
from aecodec.api.options import FidelityOptions, ModelLike, make_options
from aecodec.api.whole import SLAB_VALUES
from aecodec.canonical import ArraySpec
from aecodec.codec.chunk import Mode
from aecodec.codec.effort import DEFAULT_LEVEL
from aecodec.codec.model import Model
from aecodec.errors import ModelError
from aecodec.fidelity import Fidelity
from aecodec.integrations.dask_blocks import (
    along_stream,
    block_spec,
    chunks_to_encode,
    computed,
    dask,
    loaded,
    spec_of,
    travelling,
    with_range,
)
from aecodec.integrations.models import ModelReference
from aecodec.integrations.stored_chunk import as_numbers, fits
from aecodec.models.fit import enough_to_begin, fit_statistics
from aecodec.models.parts import Part, Plan, gathered, make_plan, merged, part_of, segment_steps

_PART_VALUES = 1 << 23  # about as many values go into one task


def fit(
    array: Any,
    axes: str | None = None,
    *,
    reference: bool | None = None,
    tile: Sequence[int] | None = None,
    seed: int = 0,
    provider: str = "auto",
    **fidelity: Unpack[FidelityOptions],
) -> Model:
    """`aecodec.fit` of a dask array, which is read once, in parts, where they lie; the same model, bit for bit.

    Equal bits take numeric libraries that give equal bits for one segment's products wherever it is computed. An array
    without `t` or `z` is brought into this process.
    """
    options = make_options(False, axes, DEFAULT_LEVEL, None, provider, 1, None, fidelity)
    spec = spec_of(array, options)
    if spec.stream_axis != 0 or spec.axes.stream is None or not array.size:
        return fit_here(
            array.compute(), spec.axes.letters, reference=reference, tile=tile, seed=seed, provider=provider, **fidelity
        )
    options = with_range(array, spec, options)
    errors = options.fidelity.allowed_errors(spec.channels)
    shape = None if tile is None else (int(tile[0]), int(tile[1]), int(tile[2]), int(tile[3]))
    steps, available = spec.canonical_shape[0], _available(spec)
    segment = segment_steps(spec.canonical_shape[1:], available, shape)
    first = _first_steps(array, spec, segment)
    plan = make_plan(first, steps, available, shape, seed)
    length = max(1, _PART_VALUES // max(1, math.prod(spec.canonical_shape[1:])) // segment) * segment
    shared, part, both = dask.delayed(plan), dask.delayed(_part), dask.delayed(merged)
    parts = []
    for start in range(0, steps, length):
        low, high = _samples(spec, start, min(steps, start + length))
        parts.append(
            part(shared, spec.axes.letters, _cut(array, spec, low, high), start - low * spec.steps_per_sample, start, length)
        )
    while len(parts) > 1:
        parts = [both(*parts[i : i + 2]) if i + 1 < len(parts) else parts[i] for i in range(0, len(parts), 2)]
    (whole,) = computed(parts)
    statistics = gathered(plan, whole)
    result = fit_statistics(statistics, errors, spec.axes.letters, reference=reference, tile=shape)
    return Model(result.bundle, provider)


def _part(plan: Plan, letters: str, block: np.ndarray, skip: int, start: int, length: int) -> Part:
    canonical = block_spec(block, letters).to_canonical(block)
    return part_of(plan, start, canonical[skip : skip + min(length, plan.steps - start)])


def _available(spec: ArraySpec) -> int:
    """Canonical steps that `aecodec.fit` looks at before its pass begins: it is fed slabs of about so many values."""
    size = math.prod(spec.shape)
    step = max(1, SLAB_VALUES * spec.length // max(1, size))
    sample = spec.real_dtype.itemsize * math.prod(spec.canonical_shape) // spec.length
    taken = 0
    while taken < spec.length and not enough_to_begin(taken * spec.steps_per_sample, taken * sample):
        taken = min(spec.length, taken + step)
    return taken * spec.steps_per_sample


def _samples(spec: ArraySpec, start: int, stop: int) -> tuple[int, int]:
    """The steps of the stream axis that hold canonical steps from `start` to `stop`."""
    return start // spec.steps_per_sample, -(-stop // spec.steps_per_sample)


def _cut(array: Any, spec: ArraySpec, low: int, high: int) -> Any:
    stream = spec.axes.stream
    assert stream is not None
    return array[(slice(None),) * stream + (slice(low, high),)]


def _first_steps(array: Any, spec: ArraySpec, segment: int) -> np.ndarray:
    low, high = _samples(spec, 0, min(segment, spec.canonical_shape[0]))
    block = np.asarray(_cut(array, spec, low, high).compute())
    return block_spec(block, spec.axes.letters).to_canonical(block)[:segment]


@dataclass
class Evaluation:
    """What coding an array would give. Errors are of finite values, in the array's unit; `span` is the range of these.

    `body_bytes`: chunk bodies; the model and the container are not among them. `unfit`: chunks that the model could not take.
    """

    values: int = 0
    chunks: int = 0
    unfit: int = 0
    array_bytes: int = 0
    body_bytes: int = 0
    max_error: float = 0.0
    squared_error: float = 0.0
    finite: int = 0
    low: float = math.inf
    high: float = -math.inf
    modes: Counter[str] = field(default_factory=Counter)

    @property
    def ratio(self) -> float:
        """Times smaller."""
        return self.array_bytes / max(1, self.body_bytes)

    @property
    def bits_per_value(self) -> float:
        """The rate."""
        return 8.0 * self.body_bytes / max(1, self.values)

    @property
    def span(self) -> float:
        """Largest finite value minus smallest."""
        return max(0.0, self.high - self.low)

    @property
    def psnr(self) -> float:
        """dB, of the range of the whole array."""
        mean = self.squared_error / max(1, self.finite)
        return 20.0 * math.log10(self.span) - 10.0 * math.log10(mean) if mean > 0 and self.span > 0 else math.inf

    def __add__(self, other: "Evaluation") -> "Evaluation":
        return Evaluation(
            self.values + other.values,
            self.chunks + other.chunks,
            self.unfit + other.unfit,
            self.array_bytes + other.array_bytes,
            self.body_bytes + other.body_bytes,
            max(self.max_error, other.max_error),
            self.squared_error + other.squared_error,
            self.finite + other.finite,
            min(self.low, other.low),
            max(self.high, other.high),
            self.modes + other.modes,
        )


def evaluate(
    array: Any, model: ModelLike = None, axes: str | None = None, *, level: int = DEFAULT_LEVEL, **fidelity: Unpack[FidelityOptions]
) -> Evaluation:
    """Code and decode every chunk of a dask array where it lies, and sum up what came of it; nothing is written."""
    options = make_options(False if model is None else model, axes, level, None, "auto", 1, None, fidelity)
    spec = spec_of(array, options)
    options = with_range(array, spec, options)
    length = chunk_length(spec, options.model, level, total=spec.length)
    blocks = along_stream(array, spec, chunks_to_encode(array, spec, length) * length).to_delayed()
    reference, one = travelling(options.model), dask.delayed(_evaluated)
    total = Evaluation()
    for part in computed(
        [one(block, spec.axes.letters, options.fidelity, level, reference, length) for block in np.ravel(blocks).tolist()]
    ):
        total = total + part
    return total


def _evaluated(
    block: np.ndarray, letters: str, fidelity: Fidelity, level: int, reference: ModelReference | None, length: int
) -> Evaluation:
    """Of a block's chunks of `length` steps."""
    stream = block_spec(block, letters).axes.stream
    if stream is None or block.shape[stream] <= length:
        return _evaluated_chunk(block, letters, fidelity, level, reference)
    starts = range(0, block.shape[stream], length)
    parts = (block[(slice(None),) * stream + (slice(start, start + length),)] for start in starts)
    return sum((_evaluated_chunk(part, letters, fidelity, level, reference) for part in parts), Evaluation())


def _evaluated_chunk(
    block: np.ndarray, letters: str, fidelity: Fidelity, level: int, reference: ModelReference | None
) -> Evaluation:
    from aecodec.codec.chunk import ChunkCoder

    spec, model = block_spec(block, letters), loaded(reference)
    unfit = model is not None and not fits(model, spec)
    if model is not None and model.manifest.reference is not None and spec.stream_axis != 0:
        raise ModelError(f"model {model.id[:12]} has a reference field, and the array's stream is of rows or columns")
    coder = ChunkCoder(spec.real_dtype, fidelity, None if unfit else model, level)
    canonical = spec.to_canonical(as_numbers(block))
    body = coder.encode(canonical)
    n, c, h, w = canonical.shape
    finite = np.isfinite(canonical)
    error = np.subtract(coder.decode(body, (n, c, h, w)), canonical, dtype=np.float64, where=finite, out=np.zeros(canonical.shape))
    found = canonical[finite]
    return Evaluation(
        values=block.size,
        chunks=1,
        unfit=int(unfit),
        array_bytes=block.nbytes,
        body_bytes=len(body),
        max_error=float(np.abs(error).max(initial=0.0)),
        squared_error=float(np.sum(error**2)),
        finite=int(finite.sum()),
        low=float(found.min(initial=np.inf)),
        high=float(found.max(initial=-np.inf)),
        modes=Counter({Mode(body[0]).name.lower(): 1}),
    )
