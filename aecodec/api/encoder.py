"""Slabs in, container bytes out: collects slabs into chunks, finds the model, encodes chunks on a pool of threads, in order."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from aecodec.api.autofit import chosen_model, wants_model
from aecodec.api.chunking import check_writable, chunk_length
from aecodec.api.header import Header
from aecodec.api.options import Options
from aecodec.api.trust import Trust
from aecodec.axes import guess_axes, parse_axes
from aecodec.canonical import ArraySpec, as_array
from aecodec.codec.chunk import ChunkCoder
from aecodec.codec.model import Model
from aecodec.container.writer import ContainerWriter
from aecodec.errors import FidelityError, UsageError
from aecodec.workers import started_pool

_UNSEEN = 16  # a stream that goes on is taken to be this many times what has been seen


class StreamEncoder:
    """Encodes slabs of one array along its stream axis."""

    def __init__(self, container: ContainerWriter, options: Options, total: int | None = None) -> None:
        """`total`: steps of the stream axis that there will be, if that is known."""
        self._container, self._options, self._total = container, options, total
        container.limits = options.limits
        self._spec: ArraySpec | None = None
        self._coder: ChunkCoder | None = None
        self._pending: list[np.ndarray] = []
        self._pending_length = 0
        self._length = 0
        self._chunk_length = 1
        self._pool: ThreadPoolExecutor | None = None  # until there is a second chunk
        self._queue: deque[tuple[int, int, Future[bytes]]] = deque()
        self._failed: BaseException | None = None

    @property
    def spec(self) -> ArraySpec | None:
        """What is being written, with the length so far; None before the first slab."""
        return self._spec.with_length(self._length + self._pending_length) if self._spec else None

    def resume(self, spec: ArraySpec, coder: ChunkCoder) -> None:
        """Go on after an existing array of `spec` (with its length)."""
        self._spec, self._coder, self._length = spec.with_length(0), coder, spec.length
        self._chunk_length = chunk_length(self._spec, coder.model, coder.level, self._options.limits)

    def declare(self, dtype: np.dtype, axes: str | None, shape: tuple[int, ...]) -> None:
        """Fix dtype, axes and the shape of a slab before any data: needed only where an array may turn out empty."""
        lossless = self._options.fidelity.kind == "lossless"
        found = parse_axes(axes, len(shape)) if axes is not None else guess_axes(shape, dtype, lossless)
        spec = ArraySpec(dtype, found, tuple(shape)).with_length(0)
        if self._spec is not None:
            if spec != self._spec:
                raise UsageError(
                    f"{spec.dtype} of shape {spec.shape}, axes {spec.axes.letters!r}, does not fit a file of {self._spec.dtype}, "
                    f"shape {self._spec.shape}, axes {self._spec.axes.letters!r}"
                )
            return
        check_writable(spec, self._options.limits)
        if dtype.kind == "b" and not lossless:
            raise FidelityError(
                f"{self._options.fidelity.kind} was asked of bool values, which are kept exactly: use lossless=True"
            )
        if self._options.fidelity.needs_range:
            raise FidelityError(
                f"{self._options.fidelity.kind} of a stream needs its value range beforehand; pass value_range=(low, high)"
            )
        if self._options.model is not None:
            self._options.model.check_fits(spec.canonical_shape, whole=spec.stream_axis == 0)
        if self._options.fidelity.kind in ("max_error", "max_range_error"):
            self._options.fidelity.allowed_errors(spec.channels)
        self._spec = spec

    def write(self, slab: Any, lasting: bool = False) -> None:
        """Take a slab: an array with the file's dtype, axes and shape but for its length along the stream axis.

        `lasting` says that nobody writes into its memory before `finish`; otherwise what is not encoded yet is copied.
        """
        self._check_sound()
        array = as_array(slab)
        if self._spec is None:
            self.declare(array.dtype, self._options.axes, array.shape)
        spec = self._spec
        assert spec is not None
        self._check_slab(array, spec)
        if spec.axes.stream is None and self._length + self._pending_length:
            raise UsageError(f"axes={spec.axes.letters!r} has no axis to append along; write such an array at once")
        length = 1 if spec.axes.stream is None else array.shape[spec.axes.stream]
        if not length:
            return
        canonical = spec.with_length(length).to_canonical(array)
        with self._all_or_nothing():
            self._take(canonical, array, length, lasting)

    def flush(self) -> None:
        """Make chunks of all that was taken, and write them."""
        self._check_sound()
        if self._spec is not None:
            with self._all_or_nothing():
                self._emit(final=False, short=True)
                while self._queue:
                    self._drain()

    def _take(self, canonical: np.ndarray, array: np.ndarray, length: int, lasting: bool) -> None:
        if not array.size:
            self._write_empty(canonical, length)
            return
        # The slab may be the caller's own buffer, which they may fill again.
        borrowed = not lasting and np.may_share_memory(canonical, array)
        self._pending.append(canonical.copy() if borrowed and self._options.threads > 1 else canonical)
        self._pending_length += length
        self._emit(final=False)
        if borrowed and self._pending:
            self._pending[-1] = self._pending[-1].copy()

    def finish(self) -> None:
        """Encode what is left and write index and end."""
        self._check_sound()
        if self._spec is None:
            raise UsageError("nothing was written: write at least one slab, which may be empty, before closing")
        with self._all_or_nothing():
            self._emit(final=True)
            if self._coder is None:
                self._begin(None)
            while self._queue:
                self._drain()
            self._container.finish()
        self.stop()

    def stop(self) -> None:
        """Give the threads back; what was not finished is lost."""
        for _, _, future in self._queue:
            future.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _check_sound(self) -> None:
        if self._failed is not None:
            raise UsageError(
                f"an earlier write failed ({type(self._failed).__name__}: {self._failed}), so nothing can follow; "
                "open the file with mode 'a' to go on after what was finished"
            )

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """What fails half-way may leave a gap or half a record behind it, so nothing is written after that."""
        try:
            yield
        except BaseException as error:
            self._failed = error
            raise

    def _write_empty(self, canonical: np.ndarray, length: int) -> None:
        """A chunk of no values: it says how long the stream axis is."""
        assert self._spec is not None
        Trust(self._options.limits).check_chunk(self._spec.with_length(length))
        if self._coder is None:
            self._begin(self._options.model)
        assert self._coder is not None
        if self._spec.axes.stream is not None:
            self._container.chunk(self._length, length, self._coder.encode(canonical))
        self._length += length

    def _check_slab(self, array: np.ndarray, spec: ArraySpec) -> None:
        wanted, found = list(spec.shape), list(array.shape)
        if spec.axes.stream is not None and len(found) == len(wanted):
            wanted[spec.axes.stream] = found[spec.axes.stream]
        if found != wanted:
            raise UsageError(
                f"slab of shape {array.shape} does not fit a file of shape {spec.shape} with axes {spec.axes.letters!r}; "
                "only the stream axis may differ (0: any length)"
            )
        if array.dtype != spec.dtype:
            raise UsageError(f"slab of dtype {array.dtype} does not fit a file of {spec.dtype}; convert it with astype")

    def _emit(self, final: bool, short: bool = False) -> None:
        """Encode what is pending in whole chunks, and the rest too if it is `final` or to be a `short` one."""
        spec = self._spec
        assert spec is not None
        if self._coder is None and self._pending:
            self._chunk_length = chunk_length(spec, self._options.model, self._options.level, self._options.limits, self._total)
            if self._pending_length < self._chunk_length and not (final or short):
                return
            self._begin(self._model(final))
        while self._pending_length >= self._chunk_length or ((final or short) and self._pending_length):
            canonical = self._next(spec.stream_axis, min(self._chunk_length, self._pending_length))
            self._submit(canonical, alone=(final or short) and not self._pending_length and not self._queue)

    def _next(self, axis: int, length: int) -> np.ndarray:
        """The first `length` steps of the stream axis that are pending, as one canonical array."""
        assert self._spec is not None
        joined = self._pending[0] if len(self._pending) == 1 else np.concatenate(self._pending, axis=axis)
        cut = length * (self._spec.steps_per_sample if axis == 0 else 1)
        first, rest = np.split(joined, [cut], axis=axis)
        self._pending = [rest] if rest.shape[axis] else []
        self._pending_length -= length
        return np.ascontiguousarray(first)

    def _model(self, final: bool) -> Model | None:
        """The model given, or one that ships or is fitted on what is pending, if that pays."""
        options, spec = self._options, self._spec
        assert spec is not None
        values = sum(array.size for array in self._pending) * (1 if final else _UNSEEN)
        if not wants_model(options, spec, values):
            return options.model
        joined = self._pending if spec.stream_axis == 0 else [np.concatenate(self._pending, axis=spec.stream_axis)]
        return chosen_model(joined, spec, options, values)

    def _begin(self, model: Model | None) -> None:
        """Write the header, now that the model is known."""
        options, spec = self._options, self._spec
        assert spec is not None
        self._coder = ChunkCoder(spec.real_dtype, options.fidelity, model, options.level)
        self._chunk_length = chunk_length(spec, model, options.level, options.limits, self._total)
        embedded = None
        if model is not None and (options.embed_model or (options.embed_model is None and not model.shipped)):
            embedded = model.stored
        header = Header(spec, options.fidelity, model.id if model is not None else None)
        self._container.begin(header.to_json(), embedded, options.metadata)

    def _submit(self, canonical: np.ndarray, alone: bool) -> None:
        assert self._spec is not None
        assert self._coder is not None
        axis = self._spec.stream_axis
        length = canonical.shape[axis] // (self._spec.steps_per_sample if axis == 0 else 1)
        origin = (self._length if axis == 2 else 0, self._length if axis == 3 else 0)
        if alone or self._options.threads == 1:
            self._container.chunk(self._length, length, self._coder.encode(canonical, origin, self._options.threads))
        else:
            if self._pool is None:
                self._pool = started_pool(self._options.threads)
            self._queue.append((self._length, length, self._pool.submit(self._coder.encode, canonical, origin)))
            while len(self._queue) > self._options.threads:
                self._drain()
        self._length += length

    def _drain(self) -> None:
        start, length, future = self._queue.popleft()
        self._container.chunk(start, length, future.result())
