"""HDF5 datasets whose chunks are coded by aecodec, written and read directly, past HDF5's own filters (FORMAT.md, "Codings").

    from aecodec.integrations import hdf5
    with h5py.File("run.h5", "w") as file:
        hdf5.create(file, "wind", x, chunks=(16, 2, 73, 144), model=model, axes="tcyx", max_error=0.05)
    with h5py.File("run.h5") as file:
        part = hdf5.open(file["wind"])[100:110, 0]

HDF5's filters are plug-ins in C. A program without this library sees dataset, shape, type and attributes, and an error where it
reads values, never wrong ones.
"""

import itertools
import json
import math
from typing import Any, Unpack

import numpy as np

from aecodec.api.options import FidelityOptions, ModelLike
from aecodec.canonical import as_array
from aecodec.codec.effort import DEFAULT_LEVEL
from aecodec.container.layout import parse_json
from aecodec.errors import FormatError, UsageError, require_extra
from aecodec.integrations.coding import Coding, make_coding

try:
    import h5py
except ImportError:
    raise require_extra("h5py", "hdf5", "aecodec.integrations.hdf5") from None

FILTER = 44736  # AEC0, of the range for private use
ATTRIBUTE = "aecodec"


class Dataset:
    """An HDF5 dataset of coded chunks as an array: `shape`, `dtype`, numpy's basic indexing, and writing chunk by chunk."""

    def __init__(self, dataset: Any) -> None:
        text = dataset.attrs.get(ATTRIBUTE)
        if not isinstance(text, (str, bytes)) or dataset.chunks is None:
            raise UsageError(f"{dataset.name} has no chunks coded by aecodec; read it with h5py")
        self.dataset = dataset
        self.coding = Coding.from_json(parse_json(text if isinstance(text, bytes) else text.encode()))
        self.shape, self.dtype, self.chunks = tuple(dataset.shape), np.dtype(dataset.dtype), tuple(dataset.chunks)

    def write_chunk(self, start: tuple[int, ...], array: Any) -> None:
        """Code and write one chunk: `start` is where it begins, a multiple of `chunks`; smaller at the far edges."""
        part = as_array(array)
        wanted = tuple(min(step, size - at) for step, size, at in zip(self.chunks, self.shape, start, strict=True))
        if part.shape != wanted or part.dtype != self.dtype or any(at % step for at, step in zip(start, self.chunks, strict=True)):
            raise UsageError(f"a chunk at {start} is of {self.dtype} {wanted}, found {part.dtype} {part.shape}")
        whole = part
        if wanted != self.chunks:
            whole = np.full(self.chunks, self.dataset.fillvalue, self.dtype)
            whole[tuple(slice(size) for size in wanted)] = part
        self.dataset.id.write_direct_chunk(start, self.coding.encode(whole))

    def read_chunk(self, start: tuple[int, ...]) -> np.ndarray:
        """The chunk that begins at `start`, whole also at the edges; fill values where none was written."""
        info = self.dataset.id.get_chunk_info_by_coord(start)
        if info.byte_offset is None:
            return np.full(self.chunks, self.dataset.fillvalue, self.dtype)
        mask, data = self.dataset.id.read_direct_chunk(start)
        if mask:
            raise FormatError(f"chunk at {start} of {self.dataset.name} skips its filter (mask {mask}): aecodec writes none such")
        return self.coding.decode(data, self.chunks, self.dtype)

    def __setitem__(self, index: Any, array: Any) -> None:
        if index is not Ellipsis:
            raise UsageError("only whole arrays (dataset[...] = array) or chunks (write_chunk) can be written")
        array = np.broadcast_to(as_array(array), self.shape)
        for start in self._starts([(0, size) for size in self.shape]):
            stop = (min(at + step, size) for at, step, size in zip(start, self.chunks, self.shape, strict=True))
            self.write_chunk(start, np.asarray(array[tuple(map(slice, start, stop))]))

    def __getitem__(self, index: Any) -> np.ndarray:
        places, single = self._places(index)
        if any(not len(p) for p in places):
            return np.empty([len(p) for p, one in zip(places, single, strict=True) if not one], self.dtype)
        box = [(int(p.min()), int(p.max()) + 1) for p in places]
        block = np.empty([high - low for low, high in box], self.dtype)
        for start in self._starts(box):
            chunk = self.read_chunk(start)
            ends = [(max(at, low), min(at + step, high)) for at, step, (low, high) in zip(start, self.chunks, box, strict=True)]
            target = tuple(slice(a - low, b - low) for (a, b), (low, _) in zip(ends, box, strict=True))
            block[target] = chunk[tuple(slice(a - at, b - at) for (a, b), at in zip(ends, start, strict=True))]
        taken = block[np.ix_(*(p - low for p, (low, _) in zip(places, box, strict=True)))] if places else block
        return np.asarray(taken[tuple(0 if one else slice(None) for one in single)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("the chunks must be decoded into a new array")
        whole = self[...]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all chunks as they are stored."""
        return int(self.dataset.id.get_storage_size())

    def _starts(self, box: list[tuple[int, int]]) -> Any:
        steps = zip(box, self.chunks, strict=True)
        return itertools.product(*(range(low // step * step, high, step) for (low, high), step in steps))

    def _places(self, index: Any) -> tuple[list[np.ndarray], list[bool]]:
        """Positions along each axis, and which axes an integer takes away."""
        items = list(index) if isinstance(index, tuple) else [index]
        if Ellipsis not in items:
            items.append(Ellipsis)
        at = items.index(Ellipsis)
        items[at : at + 1] = [slice(None)] * (len(self.shape) - len(items) + 1)
        if len(items) != len(self.shape) or not all(isinstance(item, (slice, int, np.integer)) for item in items):
            raise UsageError(f"index {str(index)[:60]} is not one of integers and slices for {len(self.shape)} dimensions")
        single = [not isinstance(item, slice) for item in items]
        places = [np.atleast_1d(np.arange(size)[item]) for size, item in zip(self.shape, items, strict=True)]
        return places, single


def create(
    group: Any,
    name: str,
    array: Any,
    chunks: tuple[int, ...],
    *,
    model: ModelLike = None,
    axes: str | None = None,
    level: int = DEFAULT_LEVEL,
    embed_model: bool | None = None,
    model_url: str | None = None,
    fillvalue: Any = None,
    **fidelity: Unpack[FidelityOptions],
) -> Dataset:
    """A new dataset `name` in an h5py group with `array`, or with its shape and dtype (`numpy.broadcast_to(dtype.type(0), shape)`).

    Arguments as of `aecodec.integrations.zarr.AecodecCodec`. Raises UsageError for chunks that do not fit, FidelityError and
    DtypeError for what cannot be kept so.
    """
    array = as_array(array)
    if len(chunks) != array.ndim or not array.ndim or min(chunks) < 1 or math.prod(chunks) * array.dtype.itemsize >= 1 << 32:
        raise UsageError(f"chunks={chunks} do not fit an array of shape {array.shape}: one size of 1 or more each, under 4 GiB")
    coding = make_coding(model, axes, level, embed_model, model_url, **fidelity).for_array(array.shape, array.dtype)
    coding.check(tuple(chunks), array.dtype)
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_chunk(tuple(chunks))
    layout.set_filter(FILTER, h5py.h5z.FLAG_OPTIONAL, ())
    layout.set_fill_value(np.asarray(0 if fillvalue is None else fillvalue, array.dtype))
    space = h5py.h5s.create_simple(array.shape)
    kind = h5py.h5t.py_create(array.dtype, logical=True)
    dataset = h5py.Dataset(h5py.h5d.create(group.id, name.encode(), kind, space, dcpl=layout))
    dataset.attrs[ATTRIBUTE] = json.dumps(coding.to_json(), sort_keys=True)
    found = Dataset(dataset)
    found[...] = array
    return found


def open(dataset: Any) -> Dataset:  # noqa: A001  # as aecodec.open
    """The array of an h5py dataset that `create` made; UsageError for others, FormatError if its coding is malformed."""
    return Dataset(dataset)
