"""`aecodec.open(path, "w")` and `"a"`: arrays into files, slab by slab."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from aecodec.api.encoder import StreamEncoder
from aecodec.api.header import Header
from aecodec.api.options import Options, as_model
from aecodec.codec.chunk import ChunkCoder
from aecodec.container.reader import ContainerReader
from aecodec.container.writer import ContainerWriter
from aecodec.errors import ModelError, UsageError
from aecodec.models.registry import find, missing


class Writer:
    """Writes one array file; use as a context manager. Not for simultaneous use by threads.

    A new file is written beside its target as `NAME.partial` and gets its name when it is complete.
    """

    def __init__(self, path: str | os.PathLike[str] | BinaryIO, options: Options, append: bool = False) -> None:
        self._target: Path | None = None
        self._partial: Path | None = None
        if isinstance(path, (str, os.PathLike)):
            self._target = Path(path)
            append = append and self._target.exists()
            self._partial = None if append else self._target.with_name(self._target.name + ".partial")
            self._file: BinaryIO = open(self._target, "r+b") if append else open(self._partial or self._target, "wb")  # noqa: SIM115  # closed by close()
        else:
            self._file = path
        self._container = ContainerWriter(self._file)
        self._encoder = StreamEncoder(self._container, options)
        self._closed = False
        if append:
            try:
                self._resume(options)
            except BaseException:
                self._file.close()
                raise

    def _resume(self, options: Options) -> None:
        reader = ContainerReader(self._file)
        header = Header.from_json(reader.preamble.header)
        given = options.fidelity
        if given.kind != "lossless" and given != header.fidelity:
            raise UsageError(
                f"the file was written with {header.fidelity.to_json()}, appending with {given.to_json()} is not possible"
            )
        if options.axes is not None and options.axes != header.spec.axes.letters:
            raise UsageError(f"the file has axes {header.spec.axes.letters!r}, not {options.axes!r}")
        model = options.model
        if header.model_id is not None and (model is None or model.id != header.model_id):
            if model is not None:
                raise ModelError(f"the file was written with model {header.model_id}, not {model.id}")
            bundle = reader.preamble.model if reader.preamble.model is not None else find(header.model_id)
            if bundle is None:
                raise missing(header.model_id)
            model = as_model(bundle, options.provider)
        counts = reader.index.counts
        spec = header.spec.with_length(int(counts.sum()))
        if spec.axes.stream is None:
            raise UsageError(f"axes={spec.axes.letters!r} has no axis to append along")
        self._container.continue_from(reader.index, reader.next_sequence, reader.end)
        self._encoder.resume(spec, ChunkCoder(spec.real_dtype, header.fidelity, model, options.level))
        self._file.seek(reader.end)
        self._file.truncate()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all that was written so far."""
        spec = self._encoder.spec
        return spec.shape if spec is not None else ()

    @property
    def size(self) -> int:
        """Bytes of the file so far."""
        return self._container.offset

    def declare(self, dtype: Any, axes: str, shape: tuple[int, ...]) -> None:
        """Fix dtype, axes and slab shape (any size along the stream axis) before, or instead of, the first slab."""
        self._encoder.declare(np.dtype(dtype), axes, shape)

    def write(self, slab: Any) -> None:
        """Append a slab along the stream axis."""
        if self._closed:
            raise UsageError("the file is closed; open it with mode 'a' to append")
        self._encoder.write(slab)

    def close(self) -> None:
        """Encode what is pending, write the index, and give the file its name."""
        if self._closed:
            return
        self._closed = True
        try:
            self._encoder.finish()
        except BaseException:
            self._encoder.stop()
            self._close_file(keep_partial=False)
            raise
        self._close_file(keep_partial=True)

    def abort(self) -> None:
        """Stop without finishing; a new file is removed, an existing one keeps its whole chunks."""
        if not self._closed:
            self._closed = True
            self._encoder.stop()
            self._close_file(keep_partial=False)

    def _close_file(self, keep_partial: bool) -> None:
        if self._target is None:
            return
        self._file.close()
        if self._partial is not None:
            if keep_partial:
                self._partial.replace(self._target)
            else:
                self._partial.unlink(missing_ok=True)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()
