"""Steps of the first axis of .aecz files and zarr arrays, by chunks: what data loaders take samples from. No torch here."""

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from aecodec.api.reader import Reader
from aecodec.codec.model import Model
from aecodec.container.stores import is_url
from aecodec.errors import UsageError, require_extra


class Steps(Protocol):
    """Samples along the first axis. `spans`: (start, stop) of what is decoded together. Safe to share between threads."""

    @property
    def spans(self) -> list[tuple[int, int]]:
        """As of the class."""

    @property
    def axes(self) -> str | None:
        """One letter a dimension, if known."""

    @property
    def model(self) -> Model | None:
        """What the samples were coded with, if known."""

    def __len__(self) -> int: ...
    def slab(self, start: int, stop: int) -> np.ndarray:
        """Samples from `start` to `stop`."""

    def take(self, places: np.ndarray) -> np.ndarray:
        """Samples at `places`, rising."""


class _FileSteps:
    def __init__(self, reader: Reader) -> None:
        if not reader.ndim or reader.array_file.spec.axes.stream != 0:
            raise UsageError(f"axes={reader.axes!r} have no stream axis in front: samples are its steps, as of 'tyx' or 'tcyx'")
        self._reader = reader
        self.spans = [reader.array_file.span(n) for n in range(reader.array_file.chunks)]
        self.axes: str | None = reader.axes

    @property
    def model(self) -> Model | None:
        return self._reader.model

    def __len__(self) -> int:
        return len(self._reader)

    def slab(self, start: int, stop: int) -> np.ndarray:
        return self._reader[start:stop]

    def take(self, places: np.ndarray) -> np.ndarray:
        return self._reader[places]


class _ZarrSteps:
    def __init__(self, array: Any) -> None:
        if not array.ndim:
            raise UsageError("the zarr array has no dimension: samples are steps of the first one")
        self._array = array
        self.axes: str | None = None
        self.model: Model | None = None
        step = max(1, int((getattr(array, "shards", None) and array.shards[0]) or array.chunks[0]))
        self.spans = [(start, min(start + step, len(self))) for start in range(0, len(self), step)]

    def __len__(self) -> int:
        return int(self._array.shape[0])

    def slab(self, start: int, stop: int) -> np.ndarray:
        return np.asarray(self._array[start:stop])

    def take(self, places: np.ndarray) -> np.ndarray:
        return np.asarray(self._array.oindex[places])


class Latents:
    """Latents of tiles of steps, instead of samples: float32 (channels, rows, columns of the tile grid, latents) each."""

    def __init__(self, steps: Steps, model: Model | None) -> None:
        found = model if model is not None else steps.model
        if found is None or not found.manifest.latents:
            raise UsageError("latents need a model that has some: give model=, or files that were written with one")
        self._steps, self.model = steps, found
        self.axes: str = steps.axes if steps.axes is not None else found.manifest.axes
        self._tile = max(1, found.manifest.tile[0]) if self.axes[:1] == "t" else 1
        edges = sorted({min(len(self), -(-stop // self._tile)) for _, stop in steps.spans} - {0})
        self.spans = list(zip([0, *edges[:-1]], edges, strict=True))

    def __len__(self) -> int:
        return -(-len(self._steps) // self._tile)

    def slab(self, start: int, stop: int) -> np.ndarray:
        """As of `Steps`."""
        first, last = start * self._tile, min(stop * self._tile, len(self._steps))
        return self.model.encode(self._steps.slab(first, last), self.axes)

    def take(self, places: np.ndarray) -> np.ndarray:
        """As of `Steps`."""
        wanted = np.unique(np.minimum(places[:, None] * self._tile + np.arange(self._tile), len(self._steps) - 1))
        steps = self._steps.take(wanted)
        rows = np.searchsorted(wanted, places * self._tile)
        return np.concatenate([self.model.encode(steps[row : row + self._tile], self.axes) for row in rows.tolist()])


def open_steps(source: Any, threads: int) -> Steps:
    """Steps of a path, a URL, a Reader, or a zarr array."""
    if isinstance(source, Reader):
        return _FileSteps(source)
    if hasattr(source, "chunks") and hasattr(source, "shape"):
        return _ZarrSteps(source)
    if not isinstance(source, (str, os.PathLike)):
        raise UsageError(f"cannot take samples from {type(source).__name__}: give paths, URLs, readers or zarr arrays")
    name = source if isinstance(source, str) and is_url(source) else None
    if str(source).rstrip("/").endswith(".zarr") or (name is None and _is_zarr(Path(source))):
        return _ZarrSteps(_open_zarr(str(source)))
    return _FileSteps(Reader(source, threads=threads))


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and any((path / name).exists() for name in ("zarr.json", ".zarray"))


def _open_zarr(name: str) -> Any:
    try:
        import zarr
    except ImportError:
        raise require_extra("zarr", "zarr", "reading zarr arrays") from None
    found = zarr.open(name, mode="r")
    if not hasattr(found, "chunks"):
        raise UsageError(f"{name} is a zarr group; name one of its arrays")
    return found
