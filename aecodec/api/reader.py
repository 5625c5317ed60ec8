"""`aecodec.open(path)`: a lazy array over a file."""

import io
import math
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from aecodec.api.header import Header
from aecodec.api.indexing import expanded, needed, position
from aecodec.api.options import ModelLike, thread_count
from aecodec.api.trust import DEFAULT_TRUST, Trust
from aecodec.canonical import ArraySpec
from aecodec.codec.chunk import ChunkCoder
from aecodec.codec.model import Origin
from aecodec.container.reader import Chunk, ContainerReader
from aecodec.errors import FormatError, TruncatedError, UsageError
from aecodec.fidelity import Fidelity

_CACHED_CHUNKS = 2


class Reader:
    """A file as a lazy array: `f.shape`, `f[100:110, 3]`, iteration over the first axis. Safe to share between threads."""

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes | BinaryIO,
        model: ModelLike = None,
        provider: str = "auto",
        threads: int | None = None,
        trust: Trust = DEFAULT_TRUST,
    ) -> None:
        self._trust = trust
        self._own = not hasattr(source, "read")
        self._file: BinaryIO
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._file = io.BytesIO(source)
        elif isinstance(source, (str, os.PathLike)):
            self._file = open(source, "rb")  # noqa: SIM115  # closed by close()
        else:
            self._file = source
        try:
            self._container = ContainerReader(self._file, trust.limits)
            self.header = Header.from_json(self._container.preamble.header, trust.limits)
            self.model = trust.find_model(self.header, self._container.preamble.model, model, provider)
            self._spec = self.header.spec.with_length(self._checked_length())
        except BaseException:
            self.close()
            raise
        self._coder = ChunkCoder(self._spec.real_dtype, self.header.fidelity, self.model)
        self._threads = thread_count(threads)
        self._lock = threading.Lock()
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()

    def _checked_length(self) -> int:
        index = self._container.index
        expected = np.concatenate([[0], np.cumsum(index.counts)])
        if (index.starts != expected[:-1]).any():
            raise FormatError("chunks are missing or out of order: they do not follow each other along the stream axis")
        spec, length = self.header.spec, int(expected[-1])
        self._trust.check_chunk(spec.with_length(int(index.counts.max(initial=0))))
        if spec.axes.stream is None and length != 1 and 0 not in spec.shape:
            raise (
                TruncatedError("the only chunk is missing: the file was cut off")
                if not length
                else FormatError(f"{length} chunks, not 1")
            )
        return length

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self._spec.shape

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the array, with its byte order."""
        return self._spec.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._spec.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded array."""
        return math.prod(self._spec.shape) * self._spec.dtype.itemsize

    @property
    def axes(self) -> str:
        """One letter per dimension."""
        return self._spec.axes.letters

    @property
    def fidelity(self) -> Fidelity:
        """What was asked of the reconstruction."""
        return self.header.fidelity

    @property
    def metadata(self) -> dict[str, Any]:
        """What the writer attached."""
        return self._container.preamble.metadata

    @property
    def complete(self) -> bool:
        """False if the file has no sound end: it was cut off, or is still being written."""
        return self._container.complete

    @property
    def container(self) -> ContainerReader:
        """The records beneath."""
        return self._container

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        if self._spec.axes.stream == 0:
            for _, slab in self.slabs():
                yield from slab
        else:
            yield from self[:]

    def slabs(self) -> Iterator[tuple[int, np.ndarray]]:
        """(start along the stream axis, array) of each chunk in turn, the next ones decoded ahead on threads."""
        numbers = range(self._container.index.starts.size)
        if self._threads == 1 or len(numbers) < 2:
            for number in numbers:
                yield int(self._container.index.starts[number]), self.chunk_array(number)
            return
        with ThreadPoolExecutor(self._threads) as pool:
            queue: deque[tuple[int, Future[np.ndarray]]] = deque()
            try:
                for number in numbers:
                    queue.append((number, pool.submit(self.chunk_array, number)))
                    if len(queue) > self._threads:
                        first, future = queue.popleft()
                        yield int(self._container.index.starts[first]), future.result()
                while queue:
                    first, future = queue.popleft()
                    yield int(self._container.index.starts[first]), future.result()
            finally:
                for _, future in queue:
                    future.cancel()

    def read(self, out: np.ndarray | None = None) -> np.ndarray:
        """The whole array, into `out` (same shape, any strides) if given."""
        if out is None:
            self._trust.check_array(self.shape, self.dtype.itemsize)
            out = np.empty(self.shape, self.dtype)
        elif out.shape != self.shape or not np.can_cast(self.dtype, out.dtype, "same_kind"):
            raise UsageError(f"out has shape {out.shape} and dtype {out.dtype}; the array has {self.shape} and {self.dtype}")
        stream = self._spec.axes.stream
        for start, slab in self.slabs():
            if stream is None:
                out[...] = slab
            else:
                out[(slice(None),) * stream + (slice(start, start + slab.shape[stream]),)] = slab
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("the file must be decoded into a new array")
        whole = self.read()
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __getitem__(self, index: Any) -> np.ndarray:
        """As numpy does on the array; only the chunks that the stream axis needs are decoded."""
        items = expanded(index, self.shape)
        stream = self._spec.axes.stream
        place = None if stream is None else position(items, stream)
        if place is None or stream is None:
            return np.asarray(self.read()[tuple(items)])
        wanted, items[place] = needed(items[place], self.shape[stream])
        block = self._gather(wanted, stream)
        return np.asarray(block[tuple(items)])

    def _gather(self, wanted: np.ndarray, stream: int) -> np.ndarray:
        """The array reduced to positions `wanted` (rising) of the stream axis."""
        self._trust.check_array((*self.shape[:stream], wanted.size, *self.shape[stream + 1 :]), self.dtype.itemsize)
        block = np.empty((*self.shape[:stream], wanted.size, *self.shape[stream + 1 :]), self.dtype)
        index = self._container.index
        ends = index.starts + index.counts
        numbers = np.searchsorted(ends, wanted, side="right")
        for number in np.unique(numbers).tolist():
            here = np.flatnonzero(numbers == number)
            slab = self._cached_slab(number)
            before: tuple[Any, ...] = (slice(None),) * stream
            block[(*before, here)] = slab[(*before, wanted[here] - int(index.starts[number]))]
        return block

    def _cached_slab(self, number: int) -> np.ndarray:
        with self._lock:
            if number in self._cache:
                self._cache.move_to_end(number)
                return self._cache[number]
        slab = self.chunk_array(number)
        with self._lock:
            self._cache[number] = slab
            while len(self._cache) > _CACHED_CHUNKS:
                self._cache.popitem(last=False)
        return slab

    def chunk_array(self, number: int) -> np.ndarray:
        """Chunk `number` decoded, in the user's axes."""
        with self._lock:
            chunk = self._container.chunk(number)
        return decode_chunk(chunk, self._spec, self._coder, self._trust)

    def close(self) -> None:
        """Close the file, if this reader opened it."""
        if self._own and hasattr(self, "_file"):
            self._file.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<aecodec.Reader {self.shape} {self.dtype} axes={self.axes!r} {self.fidelity.kind}>"


def decode_chunk(chunk: Chunk, spec: ArraySpec, coder: ChunkCoder, trust: Trust) -> np.ndarray:
    """An array in the user's axes from a chunk record."""
    part = spec.with_length(chunk.count)
    trust.check_chunk(part)
    origin: Origin = (chunk.start if spec.stream_axis == 2 else 0, chunk.start if spec.stream_axis == 3 else 0)
    array = part.from_canonical(coder.decode(chunk.body, part.canonical_shape, origin))
    return array.astype(spec.dtype, copy=False)
