"""From whatever holds arrays to pieces in canonical form: files, folders, memory maps, .aecz, zarr, iterables.

What is in memory or memory-mapped is used where it lies. All else is read once, in order, and at most `memory` bytes of it are
held: of more than that a random sample, of images or of blocks of consecutive steps.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.api.files import load_npy
from aecodec.api.reader import Reader
from aecodec.axes import guess_axes, parse_axes
from aecodec.canonical import ArraySpec, as_array, checked_dtype
from aecodec.container.stores import is_url
from aecodec.errors import UsageError, require_extra
from aecodec.integrations.kinds import IMAGE_SUFFIXES, load_picture

DEFAULT_MEMORY = 1 << 30
_BLOCK_BYTES = 1 << 24


@dataclass(frozen=True)
class Source:
    """One array to be read: `slab(start, stop)` gives steps of the stream axis; `mapped` is the whole, if it costs nothing."""

    name: str
    spec: ArraySpec
    slab: Callable[[int, int], np.ndarray]
    mapped: np.ndarray | None = None


@dataclass(frozen=True)
class Piece:
    """Consecutive steps of source number `source`: `values` (steps, channels, rows, columns) of its own dtype."""

    name: str
    source: int
    start: int
    values: np.ndarray


def open_sources(data: Any, axes: str | None) -> Iterator[Source]:
    """The arrays that `data` names, one after the other."""
    if isinstance(data, str) and is_url(data):
        yield _stored(data, axes)
    elif isinstance(data, (str, os.PathLike)):
        path = Path(data)
        if path.is_dir() and not _is_zarr(path):
            yield from (source for name in _folder(path) for source in open_sources(name, axes))
        else:
            yield _file(path, axes)
    elif isinstance(data, Reader):
        yield _reader(data, "array")
    elif _is_array(data):
        yield _array(data, axes, "array")
    elif isinstance(data, Iterable):
        for number, item in enumerate(data):
            # What only the iterable holds is gone when it goes on, unless it is kept, and that counts against the memory.
            passing = not isinstance(data, (list, tuple, np.ndarray)) and not isinstance(item, np.memmap)
            for source in open_sources(item, axes):
                named = source if isinstance(item, (str, os.PathLike)) else replace(source, name=f"array {number}")
                yield replace(named, mapped=None) if passing and _is_array(item) else named
    else:
        raise UsageError(f"cannot train on {type(data).__name__}: give an array, a file, a folder of images, or several of these")


def canonical_pieces(sources: Iterable[Source], seed: int, memory: int) -> Iterator[Piece]:
    """Pieces of all sources; those that must be read come last, for there may be room for no more than a sample of them."""
    held = _Reservoir(memory, np.random.default_rng([seed, 1]))
    for number, source in enumerate(sources):
        spec = source.spec
        mapped = None if source.mapped is None else _canonical_view(source.mapped, spec)
        if mapped is not None:
            yield Piece(source.name, number, 0, mapped)
            continue
        size = spec.dtype.itemsize * int(np.prod(spec.shape))
        step = spec.length if spec.stream_axis else max(1, _BLOCK_BYTES * spec.length // max(1, size))
        for start in range(0, spec.length, max(1, step)):
            slab = source.slab(start, min(start + step, spec.length))
            part = replace(spec, shape=slab.shape)
            held.add(Piece(source.name, number, start * part.steps_per_sample, part.to_canonical(slab)))
    yield from held.pieces()


class _Reservoir:
    """A uniform random sample of blocks, all of them while there is room (Vitter 1985, algorithm R)."""

    def __init__(self, memory: int, random: np.random.Generator) -> None:
        self._memory, self._random = memory, random
        self._held: list[Piece] = []
        self._bytes = self._seen = 0
        self._full = False

    def add(self, piece: Piece) -> None:
        if piece.values.base is not None:
            piece = replace(piece, values=piece.values.copy())  # and not a view of something larger
        self._seen += 1
        self._full = self._full or self._bytes + piece.values.nbytes > self._memory
        if not self._full or not self._held:
            self._held.append(piece)
            self._bytes += piece.values.nbytes
        elif (place := int(self._random.integers(self._seen))) < len(self._held):
            self._held[place] = piece

    def pieces(self) -> Iterator[Piece]:
        """In order, neighbours joined."""
        run: list[Piece] = []
        for piece in sorted(self._held, key=lambda p: (p.source, p.start)):
            if run and (piece.source != run[-1].source or piece.start != run[-1].start + len(run[-1].values)):
                yield _joined(run)
                run = []
            run.append(piece)
        if run:
            yield _joined(run)


def _joined(run: list[Piece]) -> Piece:
    return run[0] if len(run) == 1 else replace(run[0], values=np.concatenate([piece.values for piece in run]))


def _canonical_view(array: np.ndarray, spec: ArraySpec) -> np.ndarray | None:
    """`array` in canonical form if that takes no copy; else None."""
    if spec.dtype.kind in "cb" or not spec.dtype.isnative:
        return None
    view = spec.axes.canonical(array)
    return view if view.size == 0 or np.may_share_memory(view, array) else None


def _array(data: Any, axes: str | None, name: str) -> Source:
    """An array in memory, or one that gives parts of itself when it is indexed, as zarr's do."""
    lazy = not isinstance(data, np.ndarray) and hasattr(data, "chunks") and hasattr(data, "shape")
    array = data if lazy else as_array(data)
    dtype, shape = checked_dtype(array.dtype), tuple(int(n) for n in array.shape)
    found = parse_axes(axes, len(shape)) if axes is not None else guess_axes(shape, dtype, False)
    spec = ArraySpec(dtype, found, shape)
    return Source(name, spec, _slabs(array, spec), None if lazy else array)


def _reader(reader: Reader, name: str) -> Source:
    spec = ArraySpec(reader.dtype, parse_axes(reader.axes, reader.ndim), reader.shape)
    return Source(name, spec, _slabs(reader, spec))


def _slabs(array: Any, spec: ArraySpec) -> Callable[[int, int], np.ndarray]:
    stream = spec.axes.stream

    def slab(start: int, stop: int) -> np.ndarray:
        return np.asarray(array[...] if stream is None else array[(slice(None),) * stream + (slice(start, stop),)])

    return slab


def _stored(url: str, axes: str | None) -> Source:
    """What can be read by parts where it lies."""
    if url.rstrip("/").endswith(".zarr"):
        return _array(_open_zarr(url), axes, url)
    if not url.endswith(".aecz"):
        raise UsageError(f"cannot train on {url}: of URLs, .aecz files and .zarr arrays are read in parts; download others first")
    return _reader(Reader(url), url)


def _file(path: Path, axes: str | None) -> Source:
    if _is_zarr(path):
        return _array(_open_zarr(path), axes, path.name)
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    if path.suffix == ".aecz":
        reader = Reader(path)
        if axes is not None and axes != reader.axes:
            raise UsageError(f"{path} has the axes {reader.axes!r}, {axes!r} were given; leave them out")
        return _reader(reader, path.name)
    if path.suffix == ".npy":
        return _array(load_npy(path), axes, path.name)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        found = load_picture(path)
        return replace(_array(found.array, axes or found.axes, path.name), mapped=None)  # decoded: it counts against the memory
    raise UsageError(f"cannot train on {path}: give .npy, .aecz, images, zarr arrays, or folders of them")


def _folder(path: Path) -> list[Path]:
    found = sorted(file for file in path.rglob("*") if file.is_file() and _known(file))
    kinds = sorted({"images" if file.suffix.lower() in IMAGE_SUFFIXES else file.suffix for file in found})
    if len(kinds) > 1:
        raise UsageError(f"{path} holds {' and '.join(kinds)}; give a folder of one kind of files")
    if not found:
        raise UsageError(f"{path} holds nothing to train on: no .npy, .aecz or images")
    return found


def _known(file: Path) -> bool:
    return file.suffix in (".npy", ".aecz") or file.suffix.lower() in IMAGE_SUFFIXES


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and any((path / name).exists() for name in ("zarr.json", ".zarray", ".zgroup"))


def _open_zarr(path: Path | str) -> Any:
    try:
        import zarr
    except ImportError:
        raise require_extra("zarr", "zarr", "training on zarr arrays") from None
    found = zarr.open(path, mode="r")
    if not hasattr(found, "chunks"):
        raise UsageError(f"{path} is a zarr group; name one of its arrays: {', '.join(sorted(found.array_keys()))[:200]}")
    return found


def _is_array(data: Any) -> bool:
    arrayish = isinstance(data, (np.ndarray, bytes, bytearray, memoryview)) or hasattr(data, "__array__")
    numbers = isinstance(data, (list, tuple)) and bool(data) and isinstance(data[0], (int, float, complex))
    return arrayish or hasattr(data, "__dlpack__") or numbers or (hasattr(data, "chunks") and hasattr(data, "shape"))
