"""Data sets for torch's loaders over .aecz files and zarr arrays: the second and last place that imports torch (extra `torch`).

A sample is one step of the stream axis, as a tensor, or the latents of one tile of steps. Files are opened anew in each process,
so that workers may be forked or spawned.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from aecodec.api.functions import load_model
from aecodec.api.options import thread_count
from aecodec.errors import UsageError, require_extra
from aecodec.integrations.steps import Latents, Steps, open_steps

try:
    import torch
    from torch.utils.data import Dataset, IterableDataset, Sampler, get_worker_info
except ImportError:
    raise require_extra("torch", "torch", "loading data into torch") from None

T = TypeVar("T")
Transform = Callable[[torch.Tensor], Any]


class _Opened:
    """Sources, opened at first use and once a process, and where each begins among all samples."""

    def __init__(self, sources: Any, latents: bool, model: Any, threads: int) -> None:
        many = isinstance(sources, Sequence) and not isinstance(sources, (str, bytes))
        self._sources = list(sources) if many else [sources]
        if not self._sources:
            raise UsageError("no sources were given; name at least one .aecz file or zarr array")
        self._latents, self._model, self._threads = latents, model, threads
        self._held: list[Steps] = []
        self._process = -1
        self.starts = np.cumsum([0, *(len(steps) for steps in self.steps)])

    @property
    def steps(self) -> list[Steps]:
        """What samples are taken from."""
        if self._process != os.getpid():
            model = load_model(self._model) if isinstance(self._model, (str, os.PathLike)) else self._model
            opened = [open_steps(source, self._threads) for source in self._sources]
            self._held = [Latents(steps, model) for steps in opened] if self._latents else opened
            self._process = os.getpid()
        return self._held

    def chunks(self) -> list[tuple[int, int, int]]:
        """(source, start, stop) of every chunk."""
        return [(n, *span) for n, steps in enumerate(self.steps) for span in steps.spans]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": [], "_process": -1}


class ArrayDataset(Dataset[Any]):
    """Map-style: `dataset[i]` is step `i`. With `ChunkSampler` each chunk is decoded once an epoch.

    Args:
        sources: a path or URL of an .aecz file, an open Reader that has one, a zarr array, or several of these in a sequence.
        latents: give `model.encode` of the samples, float32 (channels, rows, columns of the tile grid, latents); a sample is
            then a tile of steps.
        model: a Model or what `load_model` takes; by default the file's own.
        transform: called with each sample, a tensor that owns its memory.
        threads: chunks decoded at once where a batch needs several; loaders with workers do well with 1.

    Raises:
        UsageError: an array without a stream axis in front, or without a model where latents are asked for.
    """

    def __init__(
        self, sources: Any, *, latents: bool = False, model: Any = None, transform: Transform | None = None, threads: int = 1
    ) -> None:
        self._opened, self._transform = _Opened(sources, latents, model, threads), transform

    def __len__(self) -> int:
        return int(self._opened.starts[-1])

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Several at once, as loaders ask for a batch: each chunk that they lie in is decoded once."""
        wanted = np.asarray(indices, np.int64)
        outside = (wanted < -len(self)) | (wanted >= len(self))
        if outside.any():
            raise IndexError(f"sample {wanted[outside][0]} is outside of {len(self)}")
        wanted = np.where(wanted < 0, wanted + len(self), wanted)
        found: list[Any] = [None] * wanted.size
        sources = np.searchsorted(self._opened.starts, wanted, side="right") - 1
        for source in np.unique(sources).tolist():
            here = np.flatnonzero(sources == source)
            steps, inverse = np.unique(wanted[here] - self._opened.starts[source], return_inverse=True)
            block = self._opened.steps[source].take(steps)
            for place, row in zip(here.tolist(), inverse.tolist(), strict=True):
                found[place] = _sample(block[row], self._transform)
        return found

    def chunks(self) -> list[tuple[int, int]]:
        """(start, stop) of each chunk among the samples."""
        starts = self._opened.starts
        return [(int(starts[n]) + start, int(starts[n]) + stop) for n, start, stop in self._opened.chunks()]


class ChunkSampler(Sampler[int]):
    """Indices of an ArrayDataset, chunk after chunk in random order, mixed within groups of `together` chunks.

    `set_epoch` gives another order; of several processes (`rank` of `world`) each has its own chunks.
    """

    def __init__(self, dataset: ArrayDataset, *, together: int = 2, seed: int = 0, rank: int = 0, world: int = 1) -> None:
        if together < 1 or not 0 <= rank < world:
            raise UsageError(f"together={together} must be 1 or more, and rank={rank} one of {world}")
        self._chunks, self._together, self._seed, self._epoch = dataset.chunks(), together, seed, 0
        self._share = slice(rank, None, world)

    def set_epoch(self, epoch: int) -> None:
        """The number of the epoch, which the order depends on."""
        self._epoch = epoch

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self._ordered())

    def _ordered(self) -> list[tuple[int, int]]:
        random = np.random.default_rng([self._seed, self._epoch])
        return [self._chunks[n] for n in random.permutation(len(self._chunks))[self._share]]

    def __iter__(self) -> Iterator[int]:
        chunks = self._ordered()
        random = np.random.default_rng([self._seed, self._epoch, 1])
        for first in range(0, len(chunks), self._together):
            indices = np.concatenate([np.arange(start, stop) for start, stop in chunks[first : first + self._together]])
            yield from random.permutation(indices).tolist()


class ChunkStream(IterableDataset[Any]):
    """Iterable: samples chunk by chunk, the next chunks decoded meanwhile on `threads` threads of the loader's process.

    Chunks are shared out among the loader's workers, and among processes (`rank` of `world`); each sample comes once an epoch.
    `shuffle` takes chunks in random order and mixes the samples of `together` chunks. The other arguments are ArrayDataset's.
    """

    def __init__(
        self,
        sources: Any,
        *,
        shuffle: bool = False,
        together: int = 2,
        seed: int = 0,
        latents: bool = False,
        model: Any = None,
        transform: Transform | None = None,
        threads: int | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if together < 1 or not 0 <= rank < world:
            raise UsageError(f"together={together} must be 1 or more, and rank={rank} one of {world}")
        self._opened, self._transform = _Opened(sources, latents, model, 1), transform
        self._shuffle, self._together, self._seed, self._epoch = shuffle, together, seed, 0
        self._threads, self._rank, self._world = threads, rank, world

    def set_epoch(self, epoch: int) -> None:
        """The number of the epoch, which the order depends on; before the loader's workers start."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Samples of all workers of this process."""
        return sum(stop - start for _, start, stop in self._ordered()[self._rank :: self._world])

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        chunks = self._ordered()[self._rank :: self._world]
        if worker is not None:
            chunks = chunks[worker.id :: worker.num_workers]
        threads = self._threads if self._threads is not None else thread_count(None) if worker is None else 1
        random = np.random.default_rng([self._seed, self._epoch, 1])
        held: list[np.ndarray] = []
        for number, slab in enumerate(_ahead(self._decode, chunks, threads), 1):
            held.append(slab)
            if self._shuffle and len(held) < self._together and number < len(chunks):
                continue
            order = [(n, row) for n, part in enumerate(held) for row in range(len(part))]
            for place in random.permutation(len(order)).tolist() if self._shuffle else range(len(order)):
                n, row = order[place]
                yield _sample(held[n][row], self._transform)
            held = []

    def _ordered(self) -> list[tuple[int, int, int]]:
        chunks = self._opened.chunks()
        if not self._shuffle:
            return chunks
        return [chunks[n] for n in np.random.default_rng([self._seed, self._epoch]).permutation(len(chunks))]

    def _decode(self, chunk: tuple[int, int, int]) -> np.ndarray:
        source, start, stop = chunk
        return self._opened.steps[source].slab(start, stop)


def _ahead(function: Callable[[T], np.ndarray], items: Sequence[T], threads: int) -> Iterator[np.ndarray]:
    """Results in order, as many more under way as there are threads."""
    with ThreadPoolExecutor(threads) as pool:
        pending = [pool.submit(function, item) for item in items[: threads + 1]]
        for number in range(len(items)):
            result = pending.pop(0).result()
            if number + threads + 1 < len(items):
                pending.append(pool.submit(function, items[number + threads + 1]))
            yield result


def _sample(array: np.ndarray, transform: Transform | None) -> Any:
    """A tensor of its own memory, in the machine's byte order."""
    tensor = torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))
    return tensor if transform is None else transform(tensor)
