"""What the command writes: files of known kinds, raw binary, standard output; new files only, complete ones only."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from aecodec.api.reader import Reader
from aecodec.cli.inputs import STDIO
from aecodec.container.durable import is_stream, replace_durably, resolved
from aecodec.container.room import claim_room
from aecodec.container.stores import StoredFile, created, exists, is_url, local_path
from aecodec.errors import OutputExistsError, UsageError
from aecodec.integrations.kinds import Kind, kind_of

SUFFIX = ".aecz"


def compressed_name(name: str) -> str:
    """Default output of `compress`."""
    return STDIO if name == STDIO else name + SUFFIX


def restored_name(name: str) -> str:
    """Default output of `decompress`."""
    if name == STDIO:
        return STDIO
    if not name.endswith(SUFFIX) or Path(name).name == SUFFIX:
        raise UsageError(f"{name} does not end in {SUFFIX}; name the output with -o")
    return name[: -len(SUFFIX)]


def refuse_existing(name: str, force: bool) -> None:
    """OutputExistsError if the output exists and `force` is not set."""
    if name == STDIO:
        if sys.stdout.isatty():
            raise UsageError("will not write binary data to a terminal; name an output with -o or redirect")
        return
    if is_url(name) and (local := local_path(name)) is None:
        if not force and exists(name):
            raise OutputExistsError(f"{name} exists; choose another name with -o, or overwrite it with -f")
        return
    path = local if is_url(name) and local is not None else Path(name)
    if path.is_dir():
        raise UsageError(f"{name} is a directory; name a file with -o")
    if path.is_file() and not force:
        raise OutputExistsError(f"{name} exists; choose another name with -o, or overwrite it with -f")


@contextmanager
def seekable(name: str) -> Iterator[str | BinaryIO]:
    """A compressed input that can be read at random: standard input goes to a temporary file first."""
    if name != STDIO:
        yield name
        return
    with tempfile.TemporaryFile() as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool, 1 << 20)
        yield spool


@contextmanager
def completed(path: Path) -> Iterator[Path]:
    """A sibling to write to, which gets the name `path` only if all went well, and when it is safe on the disk."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        replace_durably(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_array(reader: Reader, name: str) -> None:
    """Decode a whole file into `name`, in the format that its suffix or, of a stream, the file's own record of its source says."""
    if name == STDIO:
        _write_stream(reader, sys.stdout.buffer, reader.metadata.get("source") not in ("raw", "bytes"))
        sys.stdout.buffer.flush()
        return
    kind = kind_of(name)
    if is_url(name) and (local := local_path(name)) is None:
        _write_stored(reader, name, kind)
        return
    target = resolved(local if is_url(name) and local is not None else name)
    if is_stream(target):
        with target.open("wb") as sink:
            _write_stream(reader, sink, kind is not None and kind.name == "npy")
        return
    with completed(target) as partial:
        _write_file(reader, partial, kind, Path(name).suffix)


def _write_file(reader: Reader, path: Path, kind: Kind | None, suffix: str) -> None:
    if kind is not None:
        kind.write(reader, path, suffix)
    elif 0 in reader.shape:
        path.write_bytes(b"")
    else:
        raw = np.memmap(path, reader.dtype, "w+", shape=reader.shape or (1,))
        claim_room(path)
        reader.read(out=raw.reshape(reader.shape))
        raw.flush()


def _write_stored(reader: Reader, url: str, kind: Kind | None) -> None:
    """Streams go straight to the store, what is made as a file by way of one."""
    with created(url, overwrite=True) as sink:
        if kind is None or kind.name == "npy":
            _write_stream(reader, sink, kind is not None)
            return
        with tempfile.TemporaryDirectory(prefix="aecodec-") as folder:
            path = Path(folder) / "file"
            _write_file(reader, path, kind, Path(url).suffix)
            with path.open("rb") as file:
                shutil.copyfileobj(file, sink, 1 << 23)


def _write_stream(reader: Reader, sink: BinaryIO | StoredFile, npy: bool) -> None:
    if npy:
        header = {"descr": np.lib.format.dtype_to_descr(reader.dtype), "fortran_order": False, "shape": reader.shape}
        np.lib.format.write_array_header_1_0(sink, header)
    if reader.axes[:1] and reader.header.spec.axes.stream == 0:
        for _, slab in reader.slabs():
            sink.write(np.ascontiguousarray(slab).tobytes())
    else:
        sink.write(np.ascontiguousarray(reader.read()).tobytes())
