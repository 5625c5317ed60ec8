"""Whole arrays, which may be memory maps: what only all of an array can tell, and its way into slabs."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from aecodec.api.autofit import chosen_model, pieces, wants_model
from aecodec.api.chunking import chunk_length
from aecodec.api.encoder import StreamEncoder
from aecodec.api.options import Options
from aecodec.axes import guess_axes, parse_axes
from aecodec.canonical import ArraySpec
from aecodec.container.writer import ContainerWriter, Sink
from aecodec.fidelity import Fidelity

SLAB_VALUES = 1 << 21


def compress_into(sink: Sink, array: np.ndarray, options: Options) -> None:
    """Write a whole array, which may be a memory map, to `sink`."""
    options = prepared(array, options)
    spec = axes_of(array, options)
    writer = StreamEncoder(ContainerWriter(sink), options, spec.length)
    try:
        length = chunk_length(spec, options.model, options.level, options.limits, spec.length)
        feed(partial(writer.write, lasting=True), array, spec, length)
        writer.finish()
    finally:
        writer.stop()


def prepared(array: np.ndarray, options: Options) -> Options:
    """The options with the value range and the model that only the whole array can give."""
    spec = axes_of(array, options)
    options = replace(options, axes=spec.axes.letters)
    if options.fidelity.needs_range and array.dtype.kind != "b":
        options = replace(options, fidelity=with_range(array, spec, options.fidelity))
    if array.size and array.dtype.kind != "b" and wants_model(options, spec, array.size):
        model = chosen_model(list(pieces(array, spec)), spec, options, array.size)
        options = replace(options, model=model, no_model=model is None)
    return options


def axes_of(array: np.ndarray, options: Options) -> ArraySpec:
    """The spec of a whole array under `options`."""
    lossless = options.fidelity.kind == "lossless"
    axes = options.axes
    found = parse_axes(axes, array.ndim) if axes is not None else guess_axes(array.shape, array.dtype, lossless)
    return ArraySpec(array.dtype, found, array.shape)


def feed(write: Any, array: np.ndarray, spec: ArraySpec, length: int | None = None) -> None:
    """Hand a whole array to `write` in slabs of `length` steps, or, by default, about SLAB_VALUES values."""
    stream = spec.axes.stream
    if stream is None or spec.length == 0:
        write(array)
        return
    step = max(1, SLAB_VALUES * spec.length // max(1, array.size)) if length is None else length
    for start in range(0, spec.length, step):
        write(array[(slice(None),) * stream + (slice(start, start + step),)])


def with_range(array: np.ndarray, spec: ArraySpec, fidelity: Fidelity) -> Fidelity:
    """The fidelity with the range of the finite values of each channel, found in one pass by slabs."""
    if fidelity.kind in ("psnr", "quality") and spec.real_dtype == np.uint8:
        return fidelity.with_ranges(np.zeros(spec.channels), np.full(spec.channels, 255.0))
    low, high = np.full(spec.channels, np.inf), np.full(spec.channels, -np.inf)

    def visit(slab: np.ndarray) -> None:
        part = replace(spec, shape=slab.shape).to_canonical(slab)
        if part.dtype.kind == "f":
            finite = np.isfinite(part)
            below, above = np.where(finite, part, np.inf), np.where(finite, part, -np.inf)
        else:
            below = above = part
        if part.size:
            np.minimum(low, below.min(axis=(0, 2, 3)), out=low, casting="unsafe")
            np.maximum(high, above.max(axis=(0, 2, 3)), out=high, casting="unsafe")

    feed(visit, array, spec)
    empty = low > high
    return fidelity.with_ranges(np.where(empty, 0.0, low), np.where(empty, 0.0, high))
