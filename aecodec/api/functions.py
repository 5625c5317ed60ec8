"""The functions of the package: compress, decompress, open, fit, load_model."""

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, BinaryIO, Literal, Unpack, overload

import numpy as np

from aecodec.api.autofit import fitted_model, pieces, wants_fit
from aecodec.api.encoder import CHUNK_VALUES, StreamEncoder
from aecodec.api.options import FidelityOptions, ModelLike, Options, make_options
from aecodec.api.reader import Reader
from aecodec.api.writer import Writer
from aecodec.axes import guess_axes, parse_axes
from aecodec.canonical import ArraySpec, as_array
from aecodec.codec.effort import DEFAULT_LEVEL
from aecodec.codec.model import Model
from aecodec.container.writer import ContainerWriter, Sink
from aecodec.errors import UsageError
from aecodec.fidelity import Fidelity, fidelity_from_options
from aecodec.models.fit import fit_linear
from aecodec.models.registry import load_bundle


def compress(
    array: Any,
    model: ModelLike = None,
    axes: str | None = None,
    *,
    level: int = DEFAULT_LEVEL,
    embed_model: bool | None = None,
    provider: str = "auto",
    threads: int | None = None,
    metadata: dict[str, Any] | None = None,
    **fidelity: Unpack[FidelityOptions],
) -> bytes:
    """The bytes of an .aecz file that holds `array`.

    Args:
        array: anything with the buffer protocol, `__array__` or DLPack; bytes are 1-D uint8.
        model: a model, a path, name or id of one; None fits one on the array if that pays for its bytes; False uses none.
        axes: one letter per dimension: `t` samples, `c` channels, `z y x` space; guessed where that is unambiguous.
        level: effort from 1 (fastest) to 9 (smallest).
        embed_model: store the model in the file; by default true unless the model ships with the library.
        provider: "cpu", "cuda", "auto" or "reference".
        threads: chunks encoded at once; by default one per processor.
        metadata: a JSON object kept with the array.
        fidelity: at most one of max_error (absolute; one number or one per channel), max_range_error (fraction of each
            channel's value range), max_point_error (fraction of each value), psnr (dB), quality (1-100), lossless (the
            default); `value_range` (low, high) spares the pass that finds the range.

    Raises:
        AecodecError: its kinds say what to change.
    """
    options = make_options(model, axes, level, embed_model, provider, threads, metadata, fidelity)
    out = io.BytesIO()
    compress_into(out, as_array(array), options)
    return out.getvalue()


def compress_into(sink: Sink, array: np.ndarray, options: Options) -> None:
    """Write a whole array, which may be a memory map, to `sink`."""
    writer = StreamEncoder(ContainerWriter(sink), prepared(array, options))
    try:
        feed(writer.write, array, axes_of(array, options))
        writer.finish()
    finally:
        writer.stop()


def prepared(array: np.ndarray, options: Options) -> Options:
    """The options with the value range and the model that only the whole array can give."""
    spec = axes_of(array, options)
    options = replace(options, axes=spec.axes.letters)
    if options.fidelity.needs_range and array.dtype.kind != "b":
        options = replace(options, fidelity=with_range(array, spec, options.fidelity))
    if array.size and array.dtype.kind != "b" and wants_fit(options):
        model = fitted_model(pieces(array, spec), spec, options, array.size)
        options = replace(options, model=model, no_model=model is None)
    return options


def axes_of(array: np.ndarray, options: Options) -> ArraySpec:
    """The spec of a whole array under `options`."""
    lossless = options.fidelity.kind == "lossless"
    axes = options.axes
    found = parse_axes(axes, array.ndim) if axes is not None else guess_axes(array.shape, array.dtype, lossless)
    return ArraySpec(array.dtype, found, array.shape)


def feed(write: Any, array: np.ndarray, spec: ArraySpec) -> None:
    """Hand a whole array to `write` in slabs of about a chunk."""
    stream = spec.axes.stream
    if stream is None or spec.length == 0:
        write(array)
        return
    step = max(1, CHUNK_VALUES * spec.length // max(1, array.size))
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


def decompress(
    data: bytes | bytearray | memoryview,
    out: np.ndarray | None = None,
    *,
    model: ModelLike = None,
    provider: str = "auto",
    threads: int | None = None,
) -> np.ndarray:
    """The array in the bytes of an .aecz file, written into `out` (same shape, any strides) if given.

    `model` is needed only where the file does not embed one and it is not installed.
    """
    with Reader(memoryview(data).tobytes() if not isinstance(data, bytes) else data, model, provider, threads) as reader:
        return reader.read(out)


@overload
def open(  # noqa: A001  # the name is the interface's, as in gzip and lzma
    path: str | os.PathLike[str] | BinaryIO,
    mode: Literal["r"] = "r",
    *,
    model: ModelLike = None,
    provider: str = "auto",
    threads: int | None = None,
) -> Reader: ...
@overload
def open(  # noqa: A001  # the name is the interface's, as in gzip and lzma
    path: str | os.PathLike[str] | BinaryIO,
    mode: Literal["w", "a"],
    *,
    model: ModelLike = None,
    axes: str | None = None,
    level: int = DEFAULT_LEVEL,
    embed_model: bool | None = None,
    provider: str = "auto",
    threads: int | None = None,
    metadata: dict[str, Any] | None = None,
    **fidelity: Unpack[FidelityOptions],
) -> Writer: ...


def open(  # noqa: A001  # the name is the interface's, as in gzip and lzma
    path: str | os.PathLike[str] | BinaryIO,
    mode: str = "r",
    *,
    model: ModelLike = None,
    axes: str | None = None,
    level: int = DEFAULT_LEVEL,
    embed_model: bool | None = None,
    provider: str = "auto",
    threads: int | None = None,
    metadata: dict[str, Any] | None = None,
    **fidelity: Unpack[FidelityOptions],
) -> Reader | Writer:
    """Open an .aecz file: "r" reads lazily, "w" writes slabs along the stream axis, "a" appends to an existing file.

    The other arguments are those of `compress`; reading uses `model`, `provider` and `threads` only. Memory stays at a few
    chunks whatever the length. With "w" the fidelities that are relative to the value range need `value_range=`.
    """
    if mode == "r":
        return Reader(path, model, provider, threads)
    if mode not in ("w", "a"):
        raise UsageError(f"mode={mode!r} is unknown; use 'r' to read, 'w' to write, 'a' to append")
    options = make_options(model, axes, level, embed_model, provider, threads, metadata, fidelity)
    return Writer(path, options, append=mode == "a")


def fit(
    samples: Any,
    axes: str | None = None,
    *,
    reference: bool | None = None,
    tile: Sequence[int] | None = None,
    seed: int = 0,
    provider: str = "auto",
    **fidelity: Unpack[FidelityOptions],
) -> Model:
    """The linear autoencoder of `samples` in closed form: seconds, no torch.

    Args:
        samples: one array, or an iterable of arrays of one shape but for their length along the stream axis; they are read
            once and never held in memory together.
        axes: one letter per dimension of each array, as for `compress`.
        reference: subtract the mean field of the samples; None decides on held-out samples.
        tile: (steps, channels, rows, columns) that are transformed together; None decides on held-out samples.
        seed: of the choice of held-out samples.
        fidelity: `max_error`, or `max_range_error` with `value_range` or with one array, scales channels by what is
            allowed; otherwise by their spread.

    Raises:
        ModelError: nothing to fit, or samples that differ in shape.
    """
    wanted = fidelity_from_options(**fidelity)
    arrays: Iterable[Any] = samples if _is_collection(samples) else [samples]
    iterator = iter(arrays)
    first = next(iterator, None)
    if first is None:
        raise UsageError("nothing to fit: the samples are empty; give at least one array")
    array = as_array(first)
    found = parse_axes(axes, array.ndim) if axes is not None else guess_axes(array.shape, array.dtype, False)
    spec = ArraySpec(array.dtype, found, array.shape)
    if wanted.needs_range and wanted.kind == "max_range_error":
        if _is_collection(samples):
            raise UsageError("max_range_error of several arrays needs their value range; pass value_range=(low, high)")
        wanted = with_range(array, spec, wanted)
    errors = wanted.allowed_errors(spec.channels)

    def slabs() -> Iterable[np.ndarray]:
        for part in _chain(array, iterator):
            part_spec = ArraySpec(part.dtype, parse_axes(found.letters, part.ndim), part.shape)
            collected: list[np.ndarray] = []
            if part_spec.stream_axis == 0:
                feed(collected.append, part, part_spec)
            else:
                collected.append(part)  # fitting sees all rows and columns at once
            for slab in collected:
                yield replace(part_spec, shape=slab.shape).to_canonical(slab)

    shape = None if tile is None else _tile(tile)
    return Model(fit_linear(slabs(), errors, found.letters, reference=reference, tile=shape, seed=seed).bundle, provider)


def load_model(source: str | os.PathLike[str] | bytes, provider: str = "auto", threads: int = 1) -> Model:
    """A model from a .aecm file, its bytes, or the name or id of an installed model."""
    return Model(load_bundle(source), provider, threads)


def _is_collection(samples: Any) -> bool:
    arrayish = isinstance(samples, (np.ndarray, bytes, bytearray, memoryview))
    arrayish = arrayish or hasattr(samples, "__array__") or hasattr(samples, "__dlpack__")
    return not arrayish and isinstance(samples, Iterable) and not _is_nested_numbers(samples)


def _is_nested_numbers(samples: Any) -> bool:
    return isinstance(samples, (list, tuple)) and bool(samples) and isinstance(samples[0], (int, float, complex))


def _chain(first: np.ndarray, rest: Iterable[Any]) -> Iterable[np.ndarray]:
    yield first
    for item in rest:
        yield as_array(item)


def _tile(tile: Sequence[int]) -> tuple[int, int, int, int]:
    if len(tile) != 4 or any(int(n) < 1 for n in tile):
        raise UsageError(f"tile={tuple(tile)} must be four sizes of 1 or more: steps, channels, rows, columns")
    a, b, c, d = (int(n) for n in tile)
    return a, b, c, d
