"""What the command reads: raw binary, files of known kinds, URLs, and standard input, as arrays or as slabs."""

import math
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from aecodec.api.files import NPY_ERRORS
from aecodec.api.trust import Trust
from aecodec.canonical import checked_dtype
from aecodec.container.source import open_source
from aecodec.container.stores import is_url, local_path
from aecodec.errors import DtypeError, FormatError, TruncatedError, UsageError
from aecodec.integrations.kinds import kind_of
from aecodec.limits import Limits

STDIO = "-"
_NPY_MAGIC = b"\x93NUMPY"
_SLAB_BYTES = 1 << 23
_LARGEST = 2**62
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class Source:
    """One input. `array` is None for a stream, which gives `slabs` along its first dimension instead."""

    name: str
    array: np.ndarray | None
    axes: str | None
    metadata: dict[str, Any]
    slabs: Iterator[np.ndarray] = field(default_factory=lambda: iter(()))


def parse_shape(text: str | None) -> tuple[int, ...] | None:
    """ "240,37,49" or "240x37x49"; the first size may be -1: as many as there are."""
    if text is None:
        return None
    try:
        shape = tuple(int(part) for part in text.replace("x", ",").split(",") if part.strip())
    except ValueError:
        raise UsageError(f"--shape {text!r} is not a list of sizes such as 240,37,49") from None
    if not shape or any(n < 0 for n in shape[1:]) or shape[0] < -1:
        raise UsageError(f"--shape {text!r}: sizes must be 0 or more; only the first may be -1")
    return shape


def parse_dtype(text: str | None) -> np.dtype | None:
    """A numpy dtype name such as float32 or <i2."""
    if text is None:
        return None
    try:
        return checked_dtype(text)
    except TypeError as error:
        raise DtypeError(f"--dtype {text!r}: {error}") from None


def parse_trust(no_embedded_model: bool, max_memory: str | None) -> Trust:
    """What --no-embedded-model and --max-memory say of the files to be read."""
    if max_memory is None:
        return Trust(allow_embedded_model=not no_embedded_model)
    number, unit = max_memory[:-1], _UNITS.get(max_memory[-1:].upper())
    number = number if unit else max_memory
    if not number.isdecimal() or not int(number):
        raise UsageError(f"--max-memory {max_memory!r} is not a number of bytes such as 500M or 4G")
    size = int(number) * (unit or 1)
    return Trust(Limits(array_bytes=size, chunk_bytes=size), not no_embedded_model)


def read_source(name: str, dtype: np.dtype | None, shape: tuple[int, ...] | None, axes: str | None) -> Source:
    """Open an input by what it is: standard input, a file of a known kind by its suffix, raw with `dtype`, else bytes."""
    if (shape is None) != (dtype is None):
        raise UsageError("raw binary input needs both --dtype and --shape")
    if name == STDIO:
        return _from_stream(sys.stdin.buffer, dtype, shape, axes)
    path = _local(name)
    if not path.exists():
        raise FileNotFoundError(2, os.strerror(2), name)
    if path.is_dir():
        raise IsADirectoryError(21, "is a directory; name the files in it", name)
    if dtype is not None and shape is not None:
        return Source(name, _raw_map(path, dtype, shape), axes, {"source": "raw"})
    kind = kind_of(path.name)
    if kind is not None:
        found = kind.load(path)
        return Source(name, found.array, axes or found.axes, found.metadata, found.slabs)
    size = path.stat().st_size
    array = np.memmap(path, np.uint8, "r") if size else np.zeros(0, np.uint8)
    return Source(name, array, axes, {"source": "bytes"})


def _local(name: str) -> Path:
    """The file itself or, of one in a store, a copy that lives as long as this process."""
    if not is_url(name):
        return Path(name)
    local = local_path(name)
    if local is not None:
        return local
    if not _copies:
        _copies.append(tempfile.TemporaryDirectory(prefix="aecodec-"))
    source = open_source(name)
    target = Path(tempfile.mkdtemp(dir=_copies[0].name)) / (Path(name).name or "file")
    with target.open("wb") as file:
        for start in range(0, source.size(), _SLAB_BYTES):
            file.write(source.read(start, _SLAB_BYTES))
    return target


_copies: list[tempfile.TemporaryDirectory[str]] = []


def _raw_map(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    size = path.stat().st_size
    row = math.prod(shape[1:]) * dtype.itemsize
    if shape[0] == -1:
        if not row or size % row:
            raise UsageError(f"{path} has {size} bytes, not a multiple of the {row} that shape {shape} and {dtype} need")
        shape = (size // row, *shape[1:])
    if math.prod(shape) * dtype.itemsize != size:
        raise UsageError(f"{path} has {size} bytes, but shape {shape} of {dtype} needs {math.prod(shape) * dtype.itemsize}")
    return np.memmap(path, dtype, "r", shape=shape) if size else np.zeros(shape, dtype)


def _from_stream(stream: BinaryIO, dtype: np.dtype | None, shape: tuple[int, ...] | None, axes: str | None) -> Source:
    if dtype is not None and shape is not None:
        return Source("stdin", None, axes, {"source": "raw"}, _stream_slabs(stream, b"", dtype, shape))
    head = stream.read(len(_NPY_MAGIC))
    if head != _NPY_MAGIC:
        return Source("stdin", None, axes, {"source": "bytes"}, _stream_slabs(stream, head, np.dtype(np.uint8), (-1,)))
    found_shape, fortran, found_dtype = _npy_header(stream)
    checked_dtype(found_dtype)
    if fortran or not found_shape:
        count = math.prod(found_shape)
        array = np.frombuffer(_read_exactly(stream, count * found_dtype.itemsize), found_dtype)
        return Source("stdin", array.reshape(found_shape, order="F" if fortran else "C"), axes, {"source": "npy"})
    return Source("stdin", None, axes, {"source": "npy"}, _stream_slabs(stream, b"", found_dtype, found_shape))


def _npy_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = tuple(stream.read(2))
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise FormatError(f"standard input is .npy of unknown version {version}")
    try:
        shape, fortran, dtype = readers[version](stream)
    except NPY_ERRORS as error:
        raise FormatError(f"standard input is not a sound .npy stream: {str(error)[:200]}") from None
    if any(n < 0 for n in shape) or math.prod(max(1, n) for n in shape) * dtype.itemsize > _LARGEST:
        raise FormatError(f"standard input is .npy of shape {str(shape)[:80]}, which no array has")
    return shape, fortran, dtype


def _stream_slabs(stream: BinaryIO, head: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Slabs of `shape` (first size -1: until the end) from a stream whose first bytes were read already."""
    row = math.prod(shape[1:]) * dtype.itemsize
    left = shape[0]
    if left <= 0 and (left == 0 or row == 0):
        yield np.zeros((max(left, 0), *shape[1:]), dtype)
        return
    step = max(1, _SLAB_BYTES // max(1, row))
    yielded = False
    while left:
        wanted = row * (step if left < 0 else min(step, left))
        data = head + _read_up_to(stream, wanted - len(head))
        head = b""
        if len(data) < wanted and (left > 0 or len(data) % row):
            raise TruncatedError(
                f"standard input ended early: {len(data) % row if left < 0 else len(data)} of {row if left < 0 else wanted} bytes"
            )
        if data or not yielded:
            yield np.frombuffer(data, dtype).reshape(-1, *shape[1:])
            yielded = True
        if left < 0 and len(data) < wanted:
            return
        left -= len(data) // row if left > 0 else 0


def _read_up_to(stream: BinaryIO, size: int) -> bytes:
    """`size` bytes, or what there is: a pipe may give them in small pieces."""
    parts = []
    while size > 0 and (part := stream.read(min(size, _SLAB_BYTES))):  # a buffer for what is declared is no small thing
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = _read_up_to(stream, size)
    if len(data) < size:
        raise TruncatedError(f"standard input ended early: {len(data)} of {size} bytes")
    return data
