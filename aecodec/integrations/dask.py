"""dask arrays to and from .aecz files and zarr stores, chunk by chunk, on threads or many machines; fitting and evaluating there.

    from aecodec.integrations import dask as aed
    model = aed.fit(array, "tcyx", max_error=0.05)          # the same bits as aecodec.fit of the whole
    aed.to_aecz(array, "run.aecz", model, "tcyx", max_error=0.05)
    aed.from_aecz("run.aecz").mean(axis=0).compute()
    aed.to_zarr(array, "run.zarr", model, "tcyx", max_error=0.05); dask.array.from_zarr("run.zarr")

Sessions are made once in each process, and each dask thread runs its graphs on one thread.
"""

import itertools
import math
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from aecodec.api.chunking import chunk_length
from aecodec.api.header import Header
from aecodec.api.options import FidelityOptions, ModelLike, make_options
from aecodec.api.reader import Reader
from aecodec.codec.chunk import ChunkCoder
from aecodec.codec.effort import DEFAULT_LEVEL
from aecodec.container.durable import DurableFile, resolved
from aecodec.container.writer import ContainerWriter
from aecodec.errors import UsageError
from aecodec.fidelity import Fidelity
from aecodec.integrations.coding import Coding
from aecodec.integrations.dask_blocks import (
    along_stream,
    block_spec,
    chunks_to_decode,
    chunks_to_encode,
    computed,
    dask,
    loaded,
    spec_of,
    travelling,
    with_range,
)
from aecodec.integrations.dask_fit import Evaluation, evaluate, fit
from aecodec.integrations.models import ModelReference, reference_to

__all__ = ["Evaluation", "evaluate", "fit", "from_aecz", "to_aecz", "to_zarr"]


def to_aecz(
    array: Any,
    path: str | os.PathLike[str],
    model: ModelLike = None,
    axes: str | None = None,
    *,
    level: int = DEFAULT_LEVEL,
    embed_model: bool | None = None,
    metadata: dict[str, Any] | None = None,
    overwrite: bool = False,
    **fidelity: Unpack[FidelityOptions],
) -> int:
    """Write a dask array to one .aecz file, its chunks encoded by dask; returns the file's bytes.

    Arguments as of `aecodec.compress`, but that no model is chosen unasked: `fit` makes one. Chunks are cut along the stream axis
    as `compress` does. The file gets its name when it is complete; memory here stays at a few compressed chunks.
    """
    options = make_options(False if model is None else model, axes, level, embed_model, "auto", 1, metadata, fidelity)
    spec = spec_of(array, options)
    options = with_range(array, spec, options)
    length = chunk_length(spec, options.model, level, total=spec.length)
    starts = list(range(0, max(1, spec.length), length)) if spec.axes.stream is not None else [0]
    many = chunks_to_encode(array, spec, length)
    reference = travelling(options.model)
    if options.model is not None:
        options.model.check_fits(spec.canonical_shape)
    encode = dask.delayed(_encode_block, pure=False)
    blocks = along_stream(array, spec, many * length).to_delayed().ravel() if array.size else []
    tasks = [
        encode(block, spec.axes.letters, options.fidelity, level, reference, start, length)
        for start, block in zip(starts[::many], blocks, strict=bool(array.size))
    ]
    file = DurableFile.create(resolved(path), overwrite)
    try:
        container = ContainerWriter(file)
        embedded = options.model is not None and (embed_model or (embed_model is None and not options.model.shipped))
        header = Header(spec, options.fidelity, options.model.id if options.model is not None else None)
        container.begin(header.to_json(), options.model.stored if embedded and options.model else None, metadata)
        bodies = itertools.chain.from_iterable(computed(tasks))
        for start, body in zip(starts, bodies, strict=bool(array.size)):
            count = min(length, spec.length - start) if spec.axes.stream is not None else 1
            container.chunk(start, count, body)
        container.finish()
        size = container.offset
        file.commit()
    except BaseException:
        file.discard()
        raise
    return size


def from_aecz(path: str | os.PathLike[str], model: ModelLike = None) -> Any:
    """The array of an .aecz file as a dask array whose blocks are chunks of the file, of long files some in a row; each is read and
    decoded where it is needed."""
    with Reader(path, model, threads=1) as reader:
        stream, shape, dtype, chunks = reader.header.spec.axes.stream, reader.shape, reader.dtype, reader.array_file.chunks
        if reader.missing or not reader.finished:
            raise UsageError(f"{os.fspath(path)} lacks steps; save the rest with `aecodec recover` first")
        spans = [reader.array_file.span(number) for number in range(chunks)]
    many = chunks_to_decode(chunks, math.prod(shape) * dtype.itemsize // max(1, chunks))
    location, stamp = os.fspath(Path(path).absolute()), Path(path).stat().st_mtime_ns
    reference = travelling(reader.model if model is not None else None)
    blocks = []
    for first in range(0, chunks, many):
        numbers = range(first, min(first + many, chunks))
        length = spans[numbers[-1]][1] - spans[first][0]
        part = shape if stream is None else (*shape[:stream], length, *shape[stream + 1 :])
        steps = None if stream is None else (slice(None),) * stream + (slice(spans[first][0], spans[numbers[-1]][1]),)
        value = dask.delayed(_decode_block, pure=True)(location, stamp, steps, reference)
        blocks.append(dask.array.from_delayed(value, part, dtype))
    if not blocks:
        return dask.array.zeros(shape, dtype=dtype)
    return blocks[0] if stream is None else dask.array.concatenate(blocks, axis=stream)


def to_zarr(
    array: Any,
    store: Any,
    model: ModelLike = None,
    axes: str | None = None,
    *,
    level: int = DEFAULT_LEVEL,
    chunks: tuple[int, ...] | None = None,
    overwrite: bool = False,
    **fidelity: Unpack[FidelityOptions],
) -> Any:
    """Write a dask array to a zarr v3 array of `chunks`, by default the dask array's own, of one size but at the edges; returns it.

    Each task writes a block, which must be made of whole chunks. `dask.array.from_zarr` reads the array back.
    """
    import zarr

    from aecodec.integrations.zarr import AecodecCodec

    options = make_options(False if model is None else model, axes, level, None, "auto", 1, None, fidelity)
    spec = spec_of(array, options)
    options = with_range(array, spec, options)
    coding = Coding(spec.axes.letters, options.fidelity, level, reference_to(options.model or False, None, None))
    blocks = tuple(sizes[0] for sizes in array.chunks) if array.ndim else ()
    chunks = blocks if chunks is None else tuple(chunks)
    whole = len(chunks) == len(blocks) and all(
        1 <= chunk <= block and (block % chunk == 0 or block == size)
        for chunk, block, size in zip(chunks, blocks, array.shape, strict=True)
    )
    if not whole:
        raise UsageError(f"chunks={chunks} do not divide the dask array's blocks of {blocks}; rechunk the array first")
    given: dict[str, Any] = {"chunks": chunks} if array.ndim else {}
    target = zarr.create_array(
        store=os.fspath(store) if isinstance(store, os.PathLike) else store,
        shape=array.shape,
        dtype=array.dtype,
        serializer=AecodecCodec(coding=coding),
        compressors=None,
        overwrite=overwrite,
        **given,
    )
    regular = array.rechunk(blocks) if array.ndim else array
    dask.array.store(regular, target, lock=False, compute=True)
    return target


def _encode_block(
    block: np.ndarray, letters: str, fidelity: Fidelity, level: int, reference: ModelReference | None, start: int, length: int
) -> list[bytes]:
    """Chunks of `length` steps, of which the first begins at `start`."""
    spec, bodies = block_spec(block, letters), []
    coder = ChunkCoder(spec.real_dtype, fidelity, loaded(reference), level)
    for at in range(0, max(1, spec.length), length) if spec.axes.stream is not None else [0]:
        part = block if spec.axes.stream is None else block[(slice(None),) * spec.axes.stream + (slice(at, at + length),)]
        origin = (start + at if spec.stream_axis == 2 else 0, start + at if spec.stream_axis == 3 else 0)
        bodies.append(coder.encode(block_spec(part, letters).to_canonical(part), origin))
    return bodies


def _decode_block(path: str, stamp: int, steps: tuple[slice, ...] | None, reference: ModelReference | None) -> np.ndarray:
    reader = _reader(path, stamp, reference)
    return reader.read() if steps is None else reader[steps]


@lru_cache(maxsize=8)
def _reader(path: str, _stamp: int, reference: ModelReference | None) -> Reader:
    """One for each process and state of a file, so that models are loaded once."""
    return Reader(path, loaded(reference), threads=1)
