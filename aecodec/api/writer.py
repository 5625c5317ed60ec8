"""`aecodec.open(path, "w")` and `"a"`: arrays into files, slab by slab."""

import os
from contextlib import suppress
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from aecodec.api.encoder import StreamEncoder
from aecodec.api.header import Header
from aecodec.api.options import Options
from aecodec.api.trust import Trust
from aecodec.codec.chunk import ChunkCoder
from aecodec.container.durable import DurableFile, is_stream, resolved
from aecodec.container.stores import StoredFile, is_url, local_path
from aecodec.container.tail import Tail, find_tail
from aecodec.container.writer import ContainerWriter
from aecodec.errors import ModelError, TruncatedError, UsageError


class Writer:
    """Writes one array file; use as a context manager. Not for simultaneous use by threads.

    A new file is written beside its target as `NAME.partial` and gets its name when it is complete and safe on the disk; until
    then a target that exists stays as it was. Appending only adds: what the file held can be read until the new end is
    complete. Each chunk is handed to the system when it is finished and survives the end of the process; `flush` makes a chunk
    of what was written so far and waits until that survives a loss of power.

    When writing fails, or the body of a `with` statement does, the chunks that were finished are kept, those of a new file
    in `NAME.partial`, and a note on the exception says so; without any, nothing is left behind. Mode "a" goes on after them.

    A URL (s3://bucket/name, and what else fsspec knows) is written by a multipart upload, which takes effect when it is complete
    and leaves nothing before; there is no appending. What is given instead of a path needs only `write` (mode "a": a seekable
    binary file), and stays open. A path to a pipe or a device is written directly. A pickled Writer is its path and options: the
    copy opens the file to append at its first write. A process forked from the writer's cannot write.

    Raises:
        LockedError: another Writer has the file.
        OutputExistsError: a crashed run left a `NAME.partial` (mode "w"); mode "a" goes on with it if there is no `NAME`.
        ChecksumError: the file to append to is damaged.
        OSError: of the system, as when the disk is full.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        options: Options,
        append: bool = False,
        overwrite: bool = False,
        keep_unfinished: bool = True,
    ) -> None:
        url = path if isinstance(path, str) and is_url(path) else None
        if url is not None and (local := local_path(url)) is not None:
            url, path = None, local
        self._url = url
        self._path = resolved(path) if isinstance(path, (str, os.PathLike)) and url is None else None
        self._options, self._keep = options, keep_unfinished
        self._closed = False
        self._file: DurableFile | StoredFile | None = None
        self._sink: BinaryIO | None = None if isinstance(path, (str, os.PathLike)) else path
        self._open(append, overwrite)

    def _open(self, append: bool, overwrite: bool = False) -> None:
        self._process = os.getpid()
        self._base = self._before = 0  # where the part begins that is written; bytes that stay whatever happens
        self._earlier_steps = 0
        path = self._path
        if self._url is not None:
            if append:
                raise UsageError(f"{self._url} cannot be appended to: stores have no appending; write a further file and join them")
            self._file = StoredFile(self._url)
            self._start(ContainerWriter(self._file))
            return
        if path is None or is_stream(path):
            if path is not None:
                self._sink = open(path, "wb", buffering=0)  # noqa: SIM115  # closed by close()
            assert self._sink is not None
            self._start(ContainerWriter(self._sink))
            if append and path is None:
                self._resume(find_tail(self._sink))
            return
        self._file = file = DurableFile.reopen(path) if append else DurableFile.create(path, overwrite)
        try:
            # What a new file holds is vouched for by its name, what is appended by the end record alone.
            self._start(ContainerWriter(file) if file.new else ContainerWriter(file, file.sync))
            if append and (tail := _tail_of(file)) is not None:
                self._resume(tail)
            elif append:
                file.cut(0)
        except BaseException:
            file.close()
            self.__dict__.pop("_encoder", None)
            raise

    def _start(self, container: ContainerWriter) -> None:
        self._container = container
        self._encoder = StreamEncoder(container, self._options)

    def _resume(self, tail: Tail) -> None:
        options, header = self._options, Header.from_json(tail.header)
        given = options.fidelity
        if given.kind != "lossless" and given != header.fidelity:
            raise UsageError(
                f"the file was written with {header.fidelity.to_json()}, appending with {given.to_json()} is not possible"
            )
        if options.axes is not None and options.axes != header.spec.axes.letters:
            raise UsageError(f"the file has axes {header.spec.axes.letters!r}, not {options.axes!r}")
        if header.model_id is None and options.model is not None:
            raise ModelError(f"the file was written without a model, not with {options.model.id}; append without model=")
        trust = Trust(options.limits, options.allow_embedded_model)
        model = trust.find_model(header, tail.model, options.model, options.provider)
        spec = header.spec.with_length(tail.steps)
        if spec.axes.stream is None:
            raise UsageError(f"axes={spec.axes.letters!r} has no axis to append along")
        self._encoder.resume(spec, ChunkCoder(spec.real_dtype, header.fidelity, model, options.level))
        self._container.continue_from(tail)
        self._base, self._before, self._earlier_steps = tail.base, tail.base + tail.length, tail.earlier_steps
        if isinstance(self._file, DurableFile):
            self._file.cut(self._before)
        elif self._sink is not None:
            self._sink.seek(self._before)
            self._sink.truncate()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all that was written so far."""
        spec = self._encoder.spec if self._opened else None
        return spec.with_length(spec.length + self._earlier_steps).shape if spec is not None else ()

    @property
    def size(self) -> int:
        """Bytes of the file so far."""
        return self._base + self._container.offset if self._opened else 0

    @property
    def _opened(self) -> bool:
        """False for a copy that has not written yet."""
        return hasattr(self, "_encoder")

    def declare(self, dtype: Any, axes: str, shape: tuple[int, ...]) -> None:
        """Fix dtype, axes and slab shape (any size along the stream axis) before, or instead of, the first slab."""
        self._check_ready()
        self._encoder.declare(np.dtype(dtype), axes, shape)

    def write(self, slab: Any) -> None:
        """Append a slab along the stream axis."""
        self._check_ready()
        self._encoder.write(slab)

    def flush(self) -> None:
        """Make a chunk of all that was written so far, however short, and return when it is safe on the disk."""
        self._check_ready()
        self._encoder.flush()
        if self._file is not None:
            self._file.sync()
        else:
            self._flush_sink()

    def _check_ready(self) -> None:
        if self._closed:
            raise UsageError("the file is closed; open it with mode 'a' to append")
        if not self._opened:
            self._open(append=True)
        if self._process != os.getpid():
            raise UsageError(
                f"this Writer belongs to process {self._process}, and this is process {os.getpid()}, forked from it; "
                "write there, or open the file with mode 'a' once it is closed"
            )

    def close(self) -> None:
        """Encode what is pending, write index and end, wait until they are safe on the disk, and give the file its name."""
        if self._closed:
            return
        if not self._opened or self._process != os.getpid():
            self._closed = True
            return
        try:
            self._encoder.finish()
            if self._file is not None:
                self._file.commit()
            else:
                self._flush_sink()
        except BaseException as error:
            self._give_up(error)
            raise
        self._closed = True
        self._close_sink()

    def abort(self) -> None:
        """Stop without finishing; a new file is removed, one that is appended to keeps its whole chunks."""
        self._give_up(None)

    def _give_up(self, error: BaseException | None) -> None:
        """Stop; keep what `error` must not cost, and tell it."""
        if self._closed:
            return
        self._closed = True
        if not self._opened or self._process != os.getpid():
            return
        self._encoder.stop()
        self._close_sink()
        file, chunks = self._file, self._container.chunks
        if file is None:
            return
        if isinstance(file, StoredFile):
            file.discard()
        elif self._before or (chunks and error is not None and self._keep):
            with suppress(OSError):  # half a record at the end does no harm
                file.cut(self._base + self._container.offset if chunks else self._before)
            file.close()
            if error is not None and (chunks or file.new):
                error.add_note(
                    f"{file.path} keeps the first {self._earlier_steps + self._container.steps} steps of the stream axis: "
                    "mode 'a' goes on after them, and `aecodec recover` takes them out"
                )
        else:
            file.discard()

    def _flush_sink(self) -> None:
        flush = getattr(self._sink, "flush", None)
        if flush is not None:
            flush()

    def _close_sink(self) -> None:
        """Close a pipe or a device that was opened here."""
        if self._path is not None and self._sink is not None:
            self._sink.close()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self._give_up(error)

    def __getstate__(self) -> dict[str, Any]:
        if self._path is None:
            raise UsageError("a Writer pickles only if it was opened by a path: an open file cannot go to another process")
        return {"_path": self._path, "_url": None, "_options": self._options, "_keep": self._keep}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _closed=False, _file=None, _sink=None)


def _tail_of(file: DurableFile) -> Tail | None:
    """Where to go on in `file`; None if it is a new one that has no chunk yet, and is to be started again."""
    if file.new and not file.size:
        return None
    with open(file.path, "rb") as source:
        try:
            tail = find_tail(source)
        except TruncatedError:
            if file.new:
                return None
            raise
    return tail if tail.steps or not file.new else None
