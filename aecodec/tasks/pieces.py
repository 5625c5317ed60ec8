"""Arrays and .aecz files as pieces that whole tiles fit into, one after the other, in bounded memory."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.api.reader import Reader
from aecodec.axes import guess_axes, parse_axes
from aecodec.canonical import ArraySpec, as_array, fill_missing
from aecodec.codec.model import Model, Origin
from aecodec.errors import UsageError

_PIECE_VALUES = 1 << 20

Shape4 = tuple[int, int, int, int]


@dataclass(frozen=True)
class Piece:
    """Canonical part `x` (steps, channels, rows, columns) of an array, all finite; `start` along its canonical stream axis."""

    x: np.ndarray
    start: int
    axis: int

    @property
    def shape(self) -> Shape4:
        """Shape of `x`."""
        n, c, h, w = self.x.shape
        return n, c, h, w

    @property
    def origin(self) -> Origin:
        """Row and column of the whole array at which the piece begins."""
        return (self.start if self.axis == 2 else 0, self.start if self.axis == 3 else 0)


class Pieces:
    """The pieces of one array or file for one model; may be gone through again and again.

    Args:
        data: anything `compress` takes, an open `Reader`, or the path of an .aecz file, which is opened anew each time.
        model: the pieces hold whole tiles of it, but for the last.
        axes: of an array; None takes the model's where they fit, else guesses. Of a file: its own.

    What is not finite is replaced by what comes before it.
    """

    def __init__(self, data: Any, model: Model, axes: str | None = None) -> None:
        self.model = model
        self._path = os.fspath(data) if isinstance(data, (str, os.PathLike)) else None
        self._reader = data if isinstance(data, Reader) else None
        self._array: np.ndarray | None = None
        if self._path is not None and Path(self._path).suffix != ".aecz":
            raise UsageError(f"{self._path} is not an .aecz file; load it first, e.g. with numpy.load(path, mmap_mode='r')")
        if self._path is not None:
            with Reader(self._path, model=_for_reading(model, self._path)) as reader:
                self.spec = reader.array_file.spec
        elif self._reader is not None:
            self.spec = self._reader.array_file.spec
        else:
            self._array = as_array(data)
            self.spec = ArraySpec(self._array.dtype, _axes_of(self._array, model, axes), self._array.shape)
        model.check_fits(self.spec.canonical_shape)

    @property
    def axis(self) -> int:
        """The canonical axis along which pieces follow each other."""
        return self.spec.stream_axis

    def __iter__(self) -> Iterator[Piece]:
        length = self.model.manifest.tile[self.axis]
        waiting: list[np.ndarray] = []
        held, start = 0, 0
        for slab in self._canonical():
            waiting.append(slab)
            held += slab.shape[self.axis]
            ready = held // length * length
            if not ready:
                continue
            joined = np.concatenate(waiting, axis=self.axis) if len(waiting) > 1 else waiting[0]
            whole, rest = np.split(joined, [ready], axis=self.axis)
            yield from self._cut(whole, start)
            start, held, waiting = start + ready, held - ready, [rest]
        if held:
            yield from self._cut(np.concatenate(waiting, axis=self.axis), start)

    def _cut(self, x: np.ndarray, start: int) -> Iterator[Piece]:
        """Pieces small enough for what is computed of them to be small, too."""
        tile = self.model.manifest.tile[self.axis]
        each = max(1, x.size // max(1, x.shape[self.axis]))
        size = max(1, _PIECE_VALUES // (each * tile)) * tile
        for at in range(0, x.shape[self.axis], size):
            part = x.take(range(at, min(at + size, x.shape[self.axis])), axis=self.axis)
            yield Piece(fill_missing(np.ascontiguousarray(part)), start + at, self.axis)

    def _canonical(self) -> Iterator[np.ndarray]:
        for slab in self._slabs():
            part = ArraySpec(self.spec.dtype, self.spec.axes, slab.shape)
            if slab.size:
                yield part.to_canonical(slab)

    def _slabs(self) -> Iterator[np.ndarray]:
        """Parts of the array as the user has it, along the stream axis."""
        if self._path is not None:
            with Reader(self._path, model=_for_reading(self.model, self._path)) as reader:
                yield from (slab for _, slab in reader.slabs())
            return
        if self._reader is not None:
            yield from (slab for _, slab in self._reader.slabs())
            return
        assert self._array is not None
        stream = self.spec.axes.stream
        if stream is None:
            yield self._array
            return
        length = self._array.shape[stream]
        size = max(1, _PIECE_VALUES // max(1, math.prod(self._array.shape) // max(1, length)))
        before = (slice(None),) * stream
        for at in range(0, length, size):
            yield np.asarray(self._array[(*before, slice(at, at + size))])


def step_pieces(data: Any, model: Model, axes: str | None) -> Pieces:
    """Pieces of what has steps; UsageError for what has none, or is empty."""
    pieces = Pieces(data, model, axes)
    if pieces.axis != 0:
        raise UsageError(
            f"an array with axes {pieces.spec.axes.letters!r} has no steps to be scored one by one; use per='tile', or name "
            "its first axis t"
        )
    return checked(pieces)


def checked(pieces: Pieces) -> Pieces:
    """UsageError for what is empty."""
    if 0 in pieces.spec.shape:
        raise UsageError(f"an array of shape {pieces.spec.shape} has nothing to score")
    return pieces


def _axes_of(array: np.ndarray, model: Model, axes: str | None) -> Any:
    letters = axes if axes is not None else (model.manifest.axes if len(model.manifest.axes) == array.ndim else None)
    return parse_axes(letters, array.ndim) if letters is not None else guess_axes(array.shape, array.dtype, False)


def _for_reading(model: Model, path: str) -> Model | None:
    """The model, if the file is decoded by it and may not have it inside."""
    from aecodec.api.facts import file_facts
    from aecodec.container.source import open_source

    source = open_source(path)
    try:
        wanted = file_facts(source)["model"]
    finally:
        source.close()
    return model if wanted is not None and wanted["id"] == model.id else None
