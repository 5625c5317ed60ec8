"""The functions of the package: compress, decompress, open, load_model."""

import os
from typing import Any, BinaryIO, Literal, Unpack, overload

import numpy as np

from aecodec.api.collected import Collected
from aecodec.api.options import FidelityOptions, ModelLike, make_options
from aecodec.api.reader import OnError, Reader
from aecodec.api.trust import Trust
from aecodec.api.whole import compress_into
from aecodec.api.writer import Writer
from aecodec.canonical import as_array
from aecodec.codec.effort import DEFAULT_LEVEL
from aecodec.codec.model import Model
from aecodec.errors import TruncatedError, UsageError
from aecodec.limits import DEFAULT_LIMITS, Limits
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
    limits: Limits | None = None,
    **fidelity: Unpack[FidelityOptions],
) -> bytes:
    """The bytes of an .aecz file that holds `array`.

    Args:
        array: anything with the buffer protocol, `__array__` or DLPack; bytes are 1-D uint8.
        model: a model, a path, name or id of one; None takes one that ships with the library and is for such
            arrays, or fits one on the array, if that pays for its bytes; False uses none.
        axes: one letter per dimension: `t` samples, `c` channels, `z y x` space; guessed where that is unambiguous.
        level: effort from 1 (fastest) to 9 (smallest). 1 and 2 only predict: they fit no model, and use one that is given
            only where no error bound is asked for (psnr, quality).
        embed_model: store the model in the file; by default true unless the model ships with the library.
        provider: "cpu", "cuda", "auto" or "reference".
        threads: chunks encoded at once, or threads that share the work on an only one; by default one per processor. The
            bytes are the same for any number.
        metadata: a JSON object kept with the array.
        limits: what may be written; beyond the defaults, readers need the same (see `Limits`).
        fidelity: at most one of max_error (absolute; one number or one per channel), max_range_error (fraction of each
            channel's value range), max_point_error (fraction of each value), psnr (dB), quality (1-100), lossless (the
            default); `value_range` (low, high) spares the pass that finds the range.

    Raises:
        AecodecError: its kinds say what to change.
    """
    options = make_options(model, axes, level, embed_model, provider, threads, metadata, fidelity, limits)
    collected = Collected()
    compress_into(collected, as_array(array), options)
    return collected.joined()


def decompress(
    data: bytes | bytearray | memoryview,
    out: np.ndarray | None = None,
    *,
    model: ModelLike = None,
    provider: str = "auto",
    threads: int | None = None,
    on_error: OnError = "raise",
    limits: Limits | None = None,
    allow_embedded_model: bool = True,
) -> np.ndarray:
    """The array in the bytes of an .aecz file, written into `out` (same shape, any strides) if given.

    `model` is needed only where the file does not embed one and it is not installed. Bytes that end early raise
    TruncatedError, damage MissingError; `on_error="skip"` gives what is sound instead, as `Reader.read` does. `limits` caps what
    the file may declare (see `Limits`); `allow_embedded_model=False` keeps a model that comes inside it from running: one
    that is given or installed is used instead, or ModelError raised.
    """
    trust = Trust(limits or DEFAULT_LIMITS, allow_embedded_model)
    with Reader(bytes(data), model, provider, threads, trust, on_error=on_error) as reader:
        if not reader.finished and on_error == "raise":
            raise TruncatedError(
                f"the end is missing or damaged: an array of {reader.shape} is there, more may have followed; "
                'on_error="skip" reads that'
            )
        return reader.read(out)


@overload
def open(  # noqa: A001  # the name is the interface's, as in gzip and lzma
    path: str | os.PathLike[str] | BinaryIO,
    mode: Literal["r"] = "r",
    *,
    model: ModelLike = None,
    provider: str = "auto",
    threads: int | None = None,
    on_error: OnError = "raise",
    limits: Limits | None = None,
    allow_embedded_model: bool = True,
) -> Reader: ...
@overload
def open(  # noqa: A001  # the name is the interface's, as in gzip and lzma
    path: str | os.PathLike[str] | BinaryIO,
    mode: Literal["w", "a"],
    *,
    overwrite: bool = False,
    model: ModelLike = None,
    axes: str | None = None,
    level: int = DEFAULT_LEVEL,
    embed_model: bool | None = None,
    provider: str = "auto",
    threads: int | None = None,
    metadata: dict[str, Any] | None = None,
    limits: Limits | None = None,
    **fidelity: Unpack[FidelityOptions],
) -> Writer: ...


def open(  # noqa: A001  # the name is the interface's, as in gzip and lzma
    path: str | os.PathLike[str] | BinaryIO,
    mode: str = "r",
    *,
    overwrite: bool = False,
    model: ModelLike = None,
    axes: str | None = None,
    level: int = DEFAULT_LEVEL,
    embed_model: bool | None = None,
    provider: str = "auto",
    threads: int | None = None,
    metadata: dict[str, Any] | None = None,
    on_error: OnError = "raise",
    limits: Limits | None = None,
    allow_embedded_model: bool = True,
    **fidelity: Unpack[FidelityOptions],
) -> Reader | Writer:
    """Open an .aecz file: "r" reads lazily, "w" writes slabs along the stream axis, "a" appends to an existing file.

    "w" replaces a file of that name when it is closed, and refuses if a run that did not finish left something for it in
    `NAME.partial`, unless `overwrite` says to discard that; "a" goes on with it where there is no file of that name.
    The other arguments are those of `compress`; reading uses `model`, `provider`, `threads`, `on_error`, `limits` and
    `allow_embedded_model` only, as `decompress` does. Memory stays at a few chunks whatever the length. With "w" the
    fidelities that are relative to the value range need `value_range=`.
    """
    if overwrite and mode != "w":
        raise UsageError(f"overwrite=True is for mode 'w', not {mode!r}, which overwrites nothing")
    if mode == "r":
        trust = Trust(limits or DEFAULT_LIMITS, allow_embedded_model)
        return Reader(path, model, provider, threads, trust, on_error=on_error)
    if mode not in ("w", "a"):
        raise UsageError(f"mode={mode!r} is unknown; use 'r' to read, 'w' to write, 'a' to append")
    options = make_options(model, axes, level, embed_model, provider, threads, metadata, fidelity, limits, allow_embedded_model)
    return Writer(path, options, append=mode == "a", overwrite=overwrite)


def load_model(
    source: str | os.PathLike[str] | bytes, provider: str = "auto", threads: int = 1, *, limits: Limits | None = None
) -> Model:
    """A model from a .aecm file, its bytes, or the name or id of an installed model.

    Its origin does not matter: nothing in it is run that is not allowed, or that is beyond `limits` (see `Limits`).
    """
    return Model(load_bundle(source, limits or DEFAULT_LIMITS), provider, threads, limits or DEFAULT_LIMITS)
