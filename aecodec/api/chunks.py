"""Chunks of an array file decoded, the last ones kept; shared by the threads that read it."""

from collections import OrderedDict
from typing import Any

import numpy as np

from aecodec.api.arrayfile import ArrayFile
from aecodec.api.decoding import decode_chunk, part_coder
from aecodec.api.options import ModelLike, as_model
from aecodec.api.trust import Trust
from aecodec.codec.chunk import ChunkCoder
from aecodec.container.source import ForkedLock
from aecodec.errors import FormatError

_CACHED_CHUNKS = 2


class Chunks:
    """Decodes chunks of any state of one file. `damaged`: ranges of the stream axis found to be so."""

    def __init__(self, model: ModelLike, provider: str, trust: Trust) -> None:
        self._given, self._provider, self._trust = model, provider, trust
        self._lock = ForkedLock()
        self._cache: OrderedDict[tuple[ArrayFile, int], np.ndarray] = OrderedDict()
        self.damaged: set[tuple[int, int]] = set()

    def first_coder(self, array: ArrayFile) -> ChunkCoder:
        """What decodes the first part whose header is sound."""
        return self._coder(array, array.headers.index(array.header))

    def decode(self, array: ArrayFile, number: int, threads: int = 1, out: np.ndarray | None = None) -> np.ndarray:
        """Chunk `number`, in the user's axes, by so many threads; MissingError if it is damaged. `out` as in `decode_chunk`."""
        part = array.container.part_number(number)
        header = array.headers[part]
        start, stop = array.span(number)
        try:
            if header is None:
                raise FormatError(f"the header of part {part + 1} of the file is damaged")
            coder = self._coder(array, part)
            slab = decode_chunk(array.container.chunk(number), header.spec, coder, self._trust, threads, out)
        except FormatError as error:
            self.damaged.add((start, stop))
            raise array.missing_error(start, stop, number, str(error)) from error
        return slab.astype(array.spec.dtype, copy=False)

    def gather(self, array: ArrayFile, wanted: np.ndarray, stream: int) -> np.ndarray:
        """The array reduced to positions `wanted` (rising) of its stream axis."""
        shape, index = array.spec.shape, array.container.index
        array.require(wanted)
        numbers = np.searchsorted(array.container.ends, wanted, side="right")
        self._trust.check_array((*shape[:stream], wanted.size, *shape[stream + 1 :]), array.spec.dtype.itemsize)
        block = np.empty((*shape[:stream], wanted.size, *shape[stream + 1 :]), array.spec.dtype)
        for number in array.container.prepared(np.unique(numbers).tolist()):
            here = np.flatnonzero(numbers == number)
            slab = self._cached(array, number)
            before: tuple[Any, ...] = (slice(None),) * stream
            block[(*before, here)] = slab[(*before, wanted[here] - int(index.starts[number]))]
        return block

    def _cached(self, array: ArrayFile, number: int) -> np.ndarray:
        key = (array, number)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        slab = self.decode(array, number)
        with self._lock:
            self._cache[key] = slab
            while len(self._cache) > _CACHED_CHUNKS:
                self._cache.popitem(last=False)
        return slab

    def _coder(self, array: ArrayFile, part: int) -> ChunkCoder:
        """What decodes the chunks of a part; made at its first use."""
        coder = array.coders.get(part)
        if coder is None:
            header, given = array.headers[part], self._given
            assert header is not None
            if len(array.headers) > 1 and (model := as_model(given, self._provider, self._trust.limits)) is not None:
                given = model if model.id == header.model_id else None  # parts may each have their own
            coder = part_coder(header, array.container.parts[part].preamble, given, self._provider, self._trust)
            array.coders[part] = coder
        return coder
