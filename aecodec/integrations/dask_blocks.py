"""dask arrays as blocks of the stream axis, and their results in order, with few at a time."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from aecodec.api.chunking import chunk_length
from aecodec.api.options import Options
from aecodec.api.whole import axes_of
from aecodec.axes import parse_axes
from aecodec.canonical import ArraySpec, checked_dtype
from aecodec.codec.model import Model
from aecodec.errors import FidelityError, UsageError, require_extra
from aecodec.integrations.models import ModelReference, reference_to

try:
    import dask
    import dask.array
except ImportError:
    raise require_extra("dask", "dask", "aecodec.integrations.dask") from None

__all__ = [
    "along_stream",
    "block_spec",
    "chunks_to_decode",
    "chunks_to_encode",
    "computed",
    "dask",
    "loaded",
    "spec_of",
    "travelling",
    "with_range",
]
_AHEAD = 16  # results for each thread in one batch
_FETCHED = 4  # results at once
_BATCHES = 2  # that a cluster works on while one is used
_TASK_BYTES = 1 << 25  # of the array: tasks of milliseconds would keep a scheduler busier than its workers
_ROUNDS = 8  # tasks for each thread at the least, so that none waits long for the last ones


def loaded(reference: ModelReference | None) -> Model | None:
    """The running model, one in each process."""
    return reference.running() if reference is not None else None


def travelling(model: Model | None) -> ModelReference | None:
    """A reference that any worker can follow: the model comes along."""
    return reference_to(model, True, None) if model is not None else None


def block_spec(block: np.ndarray, letters: str) -> ArraySpec:
    """The spec of a part of an array with these axes."""
    return ArraySpec(block.dtype, parse_axes(letters, block.ndim), block.shape)


def spec_of(array: Any, options: Options) -> ArraySpec:
    """The spec of a dask array; UsageError if its sizes are not known, DtypeError or FidelityError if it cannot be kept so."""
    checked_dtype(array.dtype)
    if array.size != array.size:  # sizes that dask does not know are NaN
        raise UsageError(f"the dask array has unknown sizes {array.shape}; call compute_chunk_sizes() first")
    if array.dtype.kind == "b" and options.fidelity.kind != "lossless":
        raise FidelityError(f"{options.fidelity.kind} was asked of bool values, which are kept exactly: use lossless=True")
    return axes_of(array, options)


def with_range(array: Any, spec: ArraySpec, options: Options) -> Options:
    """The options with the range of each channel, found by dask in one pass."""
    if not options.fidelity.needs_range:
        return options
    if options.fidelity.kind in ("psnr", "quality") and spec.real_dtype == np.uint8:
        low, high = np.zeros(spec.channels), np.full(spec.channels, 255.0)
    else:
        step = max(1, chunk_length(spec, None, options.level))
        blocks = along_stream(array, spec, step).to_delayed().ravel()
        pairs = list(computed([dask.delayed(_range_of)(block, spec.axes.letters) for block in blocks]))
        low, high = np.min([pair[0] for pair in pairs], axis=0), np.max([pair[1] for pair in pairs], axis=0)
        low, high = np.where(low > high, 0.0, low), np.where(low > high, 0.0, high)
    return replace(options, fidelity=options.fidelity.with_ranges(low, high))


def _range_of(block: np.ndarray, letters: str) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest finite value of each channel, float64."""
    part = block_spec(block, letters).to_canonical(block)
    finite = np.isfinite(part)
    axes = (0, 2, 3)
    low, high = np.where(finite, part, np.inf).min(axis=axes), np.where(finite, part, -np.inf).max(axis=axes)
    return low.astype(np.float64), high.astype(np.float64)


def along_stream(array: Any, spec: ArraySpec, length: int) -> Any:
    """The array in blocks of `length` steps of the stream axis, each with all of the other dimensions."""
    stream = spec.axes.stream
    return array.rechunk({axis: length if axis == stream else -1 for axis in range(array.ndim)}) if array.ndim else array


def chunks_to_decode(chunks: int, chunk_bytes: int) -> int:
    """How many of the `chunks` of a file, each of so many bytes of the array, one task decodes."""
    return max(1, min(_TASK_BYTES // max(1, chunk_bytes), chunks // (_ROUNDS * _threads())))


def chunks_to_encode(array: Any, spec: ArraySpec, length: int) -> int:
    """How many chunks of `length` steps one task encodes: those of a block of the array, where blocks are made of whole ones."""
    stream = spec.axes.stream
    if stream is None or any(len(sizes) > 1 for axis, sizes in enumerate(array.chunks) if axis != stream):
        return 1
    *before, _ = sizes = array.chunks[stream]
    return max(1, sizes[0] // length) if all(size == sizes[0] and size % length == 0 for size in before) else 1


def computed(tasks: list[Any]) -> Iterator[Any]:
    """Results in order, few of them at a time: by the cluster of this process if it has one, else by dask's own threads."""
    client, window = _client(), _AHEAD * _threads()
    if client is None:
        for start in range(0, len(tasks), window):
            yield from dask.compute(*tasks[start : start + window])
        return
    batches: list[list[Any]] = []  # one graph each, so that what tasks share is made once, and lies where they run
    for start in range(0, len(tasks), window):
        batches.append(client.compute(tasks[start : start + window]))
        if len(batches) > _BATCHES:
            yield from _gathered(client, batches.pop(0))
    while batches:
        yield from _gathered(client, batches.pop(0))


def _gathered(client: Any, batch: list[Any]) -> Iterator[Any]:
    """Results of a batch, some of them fetched while others are worked on."""
    for start in range(0, len(batch), _FETCHED):
        yield from client.gather(batch[start : start + _FETCHED])


def _threads() -> int:
    client = _client()
    return (os.cpu_count() or 1) if client is None else max(1, sum(client.nthreads().values()))


def _client() -> Any:
    try:
        import distributed
    except ImportError:
        return None
    try:
        found: Callable[[], Any] = distributed.default_client
        return found()
    except ValueError:
        return None
