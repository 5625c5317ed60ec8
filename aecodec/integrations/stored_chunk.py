"""One chunk of a store that keeps its own metadata: array <-> bytes (normative: FORMAT.md, "Stored chunks"). Pure functions."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash

from aecodec.api.trust import DEFAULT_TRUST, Trust
from aecodec.axes import MAX_DIMENSIONS, Axes, parse_axes
from aecodec.canonical import ArraySpec, checked_dtype
from aecodec.codec.chunk import ChunkCoder, Mode
from aecodec.codec.model import Model
from aecodec.errors import AecodecError, ChecksumError, FormatError, ModelError, VersionError
from aecodec.fidelity import Fidelity
from aecodec.packing.varint import Cursor, put_section, put_varint

HEAD = 64  # bytes that `chunk_facts` needs at most of a chunk that is not described
_VERSION = 1 << 4
_PADDED, _DESCRIBED, _FORTRAN, _UNFIT = 1, 2, 4, 8
_CHECKSUM = 4
_WORTH = 15 / 16  # of the values: what is left must be less than this for padding to be cut
_SIZES = 2**62


@dataclass(frozen=True)
class ChunkFacts:
    """What a stored chunk's first bytes say: its mode, in words, and whether a model there was could not take it."""

    mode: str
    unfit: bool


def as_numbers(array: np.ndarray) -> np.ndarray:
    """Dates and time differences as the integers that they are; DtypeError for what is no number."""
    if array.dtype.kind in "mM":
        return array.view(array.dtype.str[0] + "i8")
    checked_dtype(array.dtype)
    return array


def encode_chunk(
    array: np.ndarray, axes: Axes, fidelity: Fidelity, model: Model | None, level: int, described: bool = False
) -> bytes:
    """The stored chunk of `array`, of any supported dtype; dates are kept losslessly.

    A model that cannot take the array is left out, within the same bound, and the chunk says so.
    """
    fidelity = fidelity if array.dtype.kind not in "mM" else Fidelity()
    array = as_numbers(array)
    sizes, unfit = _coded_sizes(array, axes, model)
    part = array[tuple(slice(size) for size in sizes)]
    spec = ArraySpec(array.dtype, axes, part.shape)
    coder = ChunkCoder(spec.real_dtype, fidelity, None if unfit else model, level)
    out, flags = bytearray(_CHECKSUM + 1), _VERSION | (_UNFIT if unfit else 0)
    if described:
        flags |= _DESCRIBED
        if array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous:
            flags |= _FORTRAN
        put_section(out, array.dtype.newbyteorder("<").str.encode() if array.dtype.isnative else array.dtype.str.encode())
        put_section(out, axes.letters.encode())
        _put_sizes(out, array.shape)
    if sizes != array.shape:
        flags |= _PADDED
        _put_sizes(out, sizes)
        out += array[(slice(-1, None),) * array.ndim].astype(array.dtype.newbyteorder("<")).tobytes()
    out += coder.encode(spec.to_canonical(part))
    out[0] = flags
    out[1 : 1 + _CHECKSUM] = _checksum(out)
    return bytes(out)


def decode_chunk(
    data: bytes | memoryview, model: Callable[[], Model | None], spec: ArraySpec | None = None, trust: Trust = DEFAULT_TRUST
) -> np.ndarray:
    """The array of a stored chunk, of `spec` if it is not described. `model` is called only if the chunk was coded with one.

    Raises:
        FormatError: damage, a size that is not the store's, or what FORMAT.md does not allow.
    """
    view = memoryview(data).cast("B")
    flags = _flags(view)
    if bytes(view[1 : 1 + _CHECKSUM]) != _checksum(view):
        raise ChecksumError(f"stored chunk of {len(view)} bytes is damaged: its checksum does not match")
    cursor = Cursor(view[1 + _CHECKSUM :])
    if flags & _DESCRIBED:
        found = _parse_described(cursor)
        if spec is not None and (found.dtype, found.shape) != (spec.dtype, spec.shape):
            raise FormatError(f"stored chunk is of {found.dtype} {found.shape}, the store says {spec.dtype} {spec.shape}")
        spec = found
    if spec is None:
        raise FormatError("stored chunk does not describe itself, and the store does not say what it is")
    trust.check_chunk(spec)
    sizes, padding = spec.shape, None
    if flags & _PADDED:
        sizes = tuple(cursor.varint(size) for size in spec.shape)
        if not all(sizes) or sizes == spec.shape:
            raise FormatError(f"stored chunk of {spec.shape} is padded around a part of {sizes}")
        padding = np.frombuffer(cursor.take(spec.dtype.itemsize), spec.dtype.newbyteorder("<"))[0]
    part = ArraySpec(spec.dtype, spec.axes, sizes)
    body = cursor.take(cursor.remaining)
    coder = ChunkCoder(part.real_dtype, Fidelity(), model() if needs_model(body) else None)
    array = part.from_canonical(coder.decode(body, part.canonical_shape)).astype(spec.dtype, copy=False)
    if padding is not None:
        whole = np.full(spec.shape, padding, spec.dtype)
        whole[tuple(slice(size) for size in sizes)] = array
        array = whole
    return np.asfortranarray(array) if flags & _FORTRAN else np.asarray(array, order="C")


def chunk_facts(head: bytes, ndim: int, itemsize: int) -> ChunkFacts:
    """Facts of a chunk of a store's array, from its first `HEAD` bytes or more; nothing is checked but what they need."""
    flags = _flags(memoryview(head))
    cursor = Cursor(head[1 + _CHECKSUM :])
    if flags & _DESCRIBED:
        _parse_described(cursor)
    if flags & _PADDED:
        for _ in range(ndim):
            cursor.varint()
        cursor.take(itemsize)
    number = cursor.byte()
    return ChunkFacts(Mode(number).name.lower() if number in set(Mode) else f"unknown mode {number}", bool(flags & _UNFIT))


def needs_model(body: bytes | memoryview) -> bool:
    """True if a chunk body was coded with a model: its latents or its predictor."""
    mode = body[0] if len(body) else None
    return mode in (Mode.LATENTS, Mode.PREDICTED) or (mode == Mode.LATTICE and len(body) > 1 and bool(body[1] & 1))


def fits(model: Model, spec: ArraySpec) -> bool:
    """True if the model can take an array of `spec`."""
    try:
        model.check_fits(spec.canonical_shape)
    except ModelError:
        return False
    return True


def _coded_sizes(array: np.ndarray, axes: Axes, model: Model | None) -> tuple[tuple[int, ...], bool]:
    """Sizes of the part to be coded, and whether the model cannot take it; all is coded where only so the model can."""
    sizes = _sizes_without_padding(array, axes)
    if model is None or not array.size:
        return sizes, False
    if fits(model, ArraySpec(array.dtype, axes, sizes)):
        return sizes, False
    whole = fits(model, ArraySpec(array.dtype, axes, array.shape))
    return (array.shape, False) if whole else (sizes, True)


def _sizes_without_padding(array: np.ndarray, axes: Axes) -> tuple[int, ...]:
    """Sizes of the part beyond which all values have the bits of the last one; those of `array` if that spares little."""
    if not array.size or not array.ndim:
        return array.shape
    width = array.dtype.itemsize
    parts = (array.real, array.imag) if width > 8 else (array,)  # complex128
    bits = np.stack([part.view(f"u{width // len(parts)}") for part in parts], axis=-1) if width > 8 else array.view(f"u{width}")
    bits = bits.reshape(*array.shape, len(parts))
    value = bits[(-1,) * array.ndim]
    for axis, letter in enumerate(axes.letters):
        if letter == "c" or bits.shape[axis] == 1 or (bits.take(-1, axis) != value).any():
            continue
        differs = (bits != value).any(axis=tuple(i for i in range(bits.ndim) if i != axis))
        if not differs.any():
            return array.shape  # one value throughout: a mode of its own
        size = int(np.flatnonzero(differs)[-1]) + 1
        bits = bits[(slice(None),) * axis + (slice(size),)]
    sizes = bits.shape[: array.ndim]
    return sizes if math.prod(sizes) <= _WORTH * array.size else array.shape


def _put_sizes(out: bytearray, sizes: tuple[int, ...]) -> None:
    for size in sizes:
        put_varint(out, size)


def _parse_described(cursor: Cursor) -> ArraySpec:
    texts = []
    for _ in range(2):
        section = cursor.section()
        if section.remaining > MAX_DIMENSIONS:
            raise FormatError(f"stored chunk describes itself in {section.remaining} bytes, at most {MAX_DIMENSIONS} are allowed")
        texts.append(bytes(section.take(section.remaining)).decode("ascii", "replace"))
    try:
        dtype: Any = checked_dtype(texts[0])
        axes = parse_axes(texts[1], len(texts[1]))
    except (AecodecError, TypeError, ValueError, SyntaxError) as error:
        raise FormatError(f"stored chunk describes itself as {texts[0]!r}, axes {texts[1]!r}: {error}") from None
    return ArraySpec(dtype, axes, tuple(cursor.varint(_SIZES) for _ in texts[1]))


def _flags(view: memoryview) -> int:
    if len(view) < 2 + _CHECKSUM:
        raise FormatError(f"stored chunk of {len(view)} bytes is too short to be one")
    flags = view[0]
    if flags >> 4 != _VERSION >> 4:
        raise VersionError(f"stored chunk of version {flags >> 4}, this aecodec reads version 1; upgrade aecodec")
    if flags & _FORTRAN and not flags & _DESCRIBED:
        raise FormatError("stored chunk has an order, but does not describe itself")
    return int(flags)


def _checksum(chunk: bytearray | memoryview) -> bytes:
    digest = xxhash.xxh64(bytes(chunk[:1]))
    digest.update(memoryview(chunk)[1 + _CHECKSUM :])
    return (digest.intdigest() & 0xFFFFFFFF).to_bytes(_CHECKSUM, "little")
