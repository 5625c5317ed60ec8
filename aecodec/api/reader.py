"""`aecodec.open(path)`: a lazy array over a file."""

import os
import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, BinaryIO, Literal

import numpy as np

from aecodec.api.arrayfile import ArrayFile, Ranges, merged, steps_text
from aecodec.api.chunks import Chunks
from aecodec.api.decoding import ahead
from aecodec.api.described import Described
from aecodec.api.indexing import expanded, needed, position
from aecodec.api.options import ModelLike, thread_count
from aecodec.api.trust import DEFAULT_TRUST, Trust
from aecodec.codec.model import Model
from aecodec.container.layout import Kind
from aecodec.container.reader import ContainerReader
from aecodec.container.source import Source, open_source
from aecodec.errors import MissingError, MissingWarning, UsageError

OnError = Literal["raise", "skip"]


class Reader(Described):
    """A file as a lazy array: `f.shape`, `f[100:110, 3]`, iteration over the first axis.

    Safe to share between threads, also across a fork. Pickles, if the file has a path or is in memory, and is then opened
    anew: it sees what the file holds at that time.

    Damaged or missing steps raise MissingError when they are touched, and only then. With `on_error="skip"`, what goes through
    the file (`slabs`, iteration, `read`) leaves them out and says so by a MissingWarning; an index names its steps, and so
    still raises.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes | BinaryIO | Source,
        model: ModelLike = None,
        provider: str = "auto",
        threads: int | None = None,
        trust: Trust = DEFAULT_TRUST,
        *,
        on_error: OnError = "raise",
    ) -> None:
        if on_error not in ("raise", "skip"):
            raise UsageError(f"on_error={on_error!r} is unknown; use 'raise' or 'skip'")
        self._threads, self._on_error = thread_count(threads), on_error
        self._arguments = {"model": model, "provider": provider, "threads": threads, "trust": trust, "on_error": on_error}
        self._chunks = Chunks(model, provider, trust)
        opened = open_source(source)
        try:
            self._array = ArrayFile(ContainerReader(opened, trust.limits), trust)
            self.model: Model | None = self._chunks.first_coder(self._array).model
        except BaseException:
            opened.close()
            raise

    @property
    def metadata(self) -> dict[str, Any]:
        """What the writer attached to the first part; with on_error="skip", nothing if that is damaged."""
        preamble = self._array.container.preamble
        if Kind.METADATA in preamble.damaged and self._on_error == "raise":
            reason = preamble.damaged[Kind.METADATA]
            raise MissingError(f'the metadata are damaged: {reason}; read the rest with on_error="skip"')
        return preamble.metadata

    @property
    def complete(self) -> bool:
        """False if the file has no sound end and index: it was cut off or damaged there, or is still being written."""
        return self._array.container.complete

    @property
    def finished(self) -> bool:
        """False if chunks may be missing at the end of the file or of one of its parts."""
        return self._array.container.finished or self._array.spec.axes.stream is None

    @property
    def missing(self) -> Ranges:
        """(start, stop) along the stream axis of what is known to be missing or, since it was tried, to be damaged."""
        return merged([*self._array.missing, *self._chunks.damaged])

    @property
    def container(self) -> ContainerReader:
        """The records beneath."""
        return self._array.container

    @property
    def array_file(self) -> ArrayFile:
        """The file as it was seen last, without its models."""
        return self._array

    @property
    def threads(self) -> int:
        """Chunks that are decoded at once where all are wanted."""
        return self._threads

    def refresh(self) -> bool:
        """Look again at a file that may be still written to; True if there is more or less than before.

        Only whole chunks are seen, now as at opening. Arrays taken before stay as they are.
        """
        before = self._array
        container = before.container.refreshed()
        if container.size == before.container.size and container.parts == before.container.parts:
            return False
        after = ArrayFile(container, before.trust)
        after.take_coders(before)
        self.model = self._chunks.first_coder(after).model
        self._array = after
        return after.spec.shape != before.spec.shape or after.container.complete != before.container.complete

    def __iter__(self) -> Iterator[np.ndarray]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        if self._array.spec.axes.stream == 0:
            for _, slab in self.slabs():
                yield from slab
        else:
            yield from self.read()

    def slabs(self) -> Iterator[tuple[int, np.ndarray]]:
        """(start along the stream axis, array) of each chunk in turn, the next ones decoded ahead on threads."""
        return self._slabs(lambda number: None)

    def _slabs(self, room: Callable[[int], np.ndarray | None]) -> Iterator[tuple[int, np.ndarray]]:
        """`slabs`, of which each may be a view of the `room` that there is for it."""
        array, at = self._array, 0
        left_out: Ranges = []
        alone = array.chunks == 1  # its own work is shared, then
        threads = self._threads if alone else 1

        def decode(number: int) -> np.ndarray:
            return self._chunks.decode(array, number, threads, room(number))

        numbers = array.container.prepared(range(array.chunks))
        for number, result in ahead(decode, numbers, 1 if alone else self._threads):
            start, stop = array.span(number)
            try:
                if start != at:
                    raise array.missing_error(at, start)
                if self._on_error == "raise":
                    array.require_certain(stop)
            except MissingError as error:
                self._leave_out(error, left_out)
            at = stop
            try:
                slab = result()
            except MissingError as error:
                self._leave_out(error, left_out)
                continue
            yield start, slab
        if left_out:
            warnings.warn(
                MissingWarning(f"{steps_text(merged(left_out))} of {array.axis_name} are damaged or missing and were left out"),
                stacklevel=2,
            )

    def _leave_out(self, error: MissingError, left_out: Ranges) -> None:
        if self._on_error == "raise":
            raise error
        left_out.append((error.start, error.stop))

    def read(self, out: np.ndarray | None = None) -> np.ndarray:
        """The whole array, into `out` (same shape, any strides) if given.

        With `on_error="skip"` the sound steps only: one after the other in an array as long as they are many, or each in its
        place in `out`, where the others stay as they were.
        """
        array = self._array
        shape, stream = array.spec.shape, array.spec.axes.stream
        if out is not None and (out.shape != shape or not np.can_cast(self.dtype, out.dtype, "same_kind")):
            raise UsageError(f"out has shape {out.shape} and dtype {out.dtype}; the array has {shape} and {self.dtype}")
        if self._on_error == "raise":
            if array.missing:
                raise array.missing_error(*array.missing[0])
            array.require_certain(array.spec.length)
        length = array.spec.length - sum(stop - start for start, stop in array.missing)
        if out is None:
            array.trust.check_array(array.spec.with_length(length).shape, self.dtype.itemsize)
        target = out if out is not None else np.empty(array.spec.with_length(length).shape, self.dtype)

        def place(start: int, stop: int) -> np.ndarray:
            return target if stream is None else target[(slice(None),) * stream + (slice(start, stop),)]

        def room(number: int) -> np.ndarray | None:
            return place(*array.span(number)) if self._on_error == "raise" else None

        at = 0
        for start, slab in self._slabs(room):
            steps = 1 if stream is None else slab.shape[stream]
            first = start if out is not None else at
            at += steps
            if not np.may_share_memory(slab, target):
                place(first, first + steps)[...] = slab
        if out is not None or at == length or not target.size:
            return target
        if stream is None:
            raise array.missing_error(0, 1)
        return np.ascontiguousarray(target[(slice(None),) * stream + (slice(0, at),)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("the file must be decoded into a new array")
        whole = self.read()
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __getitem__(self, index: Any) -> np.ndarray:
        """As numpy does on the array; only the chunks that the stream axis needs are decoded."""
        array = self._array
        shape, stream = array.spec.shape, array.spec.axes.stream
        items = expanded(index, shape)
        if stream is None:
            return np.asarray(self.read()[tuple(items)])
        place = position(items, stream)
        if isinstance(items[place], slice):
            array.require(range(*items[place].indices(shape[stream])))
        wanted, items[place] = needed(items[place], shape[stream])
        if self._on_error == "raise" and wanted.size:
            array.require_certain(int(wanted[-1]) + 1)
        block = self._chunks.gather(array, wanted, stream)
        return np.asarray(block[tuple(items)])

    def chunk_array(self, number: int) -> np.ndarray:
        """Chunk `number` decoded, in the user's axes; MissingError if it is damaged."""
        return self._chunks.decode(self._array, number)

    def close(self) -> None:
        """Close the file, if this reader opened it."""
        self.container.source.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_reopened, (self.container.source, self._arguments))


def _reopened(source: Source, arguments: dict[str, Any]) -> Reader:
    return Reader(source, **arguments)
