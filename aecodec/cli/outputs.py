"""What the command writes: .npy, images, raw binary, standard output; new files only, complete ones only."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from aecodec.api.files import IMAGE_SUFFIXES
from aecodec.api.reader import Reader
from aecodec.cli.inputs import STDIO
from aecodec.container.durable import is_stream, replace_durably, resolved
from aecodec.errors import OutputExistsError, UsageError, require_extra

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
    path = Path(name)
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
    """Decode a whole file into `name`, in the format that its suffix or the file's own record of its source says."""
    kind = _kind(reader, name)
    if name == STDIO:
        _write_stream(reader, sys.stdout.buffer, kind)
        sys.stdout.buffer.flush()
        return
    target = resolved(name)
    if is_stream(target):
        with target.open("wb") as sink:
            _write_stream(reader, sink, kind)
        return
    with completed(target) as partial:
        if kind == "image":
            _write_image(reader, partial, Path(name).suffix)
        elif kind == "npy":
            if 0 in reader.shape or not reader.ndim:
                with partial.open("wb") as file:
                    np.lib.format.write_array(file, reader.read(), allow_pickle=False)
            else:
                mapped = np.lib.format.open_memmap(partial, "w+", reader.dtype, reader.shape)
                reader.read(out=mapped)
                mapped.flush()
        elif 0 in reader.shape:
            partial.write_bytes(b"")
        else:
            raw = np.memmap(partial, reader.dtype, "w+", shape=reader.shape or (1,))
            reader.read(out=raw.reshape(reader.shape))
            raw.flush()


def _kind(reader: Reader, name: str) -> str:
    suffix = Path(name).suffix.lower() if name != STDIO else ""
    if suffix == ".npy":
        return "npy"
    if suffix in IMAGE_SUFFIXES:
        return "image"
    source = reader.metadata.get("source")
    if name == STDIO:
        return "raw" if source in ("raw", "bytes") else "npy"
    return "raw"


def _write_stream(reader: Reader, sink: BinaryIO, kind: str) -> None:
    if kind == "npy":
        header = {"descr": np.lib.format.dtype_to_descr(reader.dtype), "fortran_order": False, "shape": reader.shape}
        np.lib.format.write_array_header_1_0(sink, header)
    if reader.axes[:1] and reader.header.spec.axes.stream == 0:
        for _, slab in reader.slabs():
            sink.write(np.ascontiguousarray(slab).tobytes())
    else:
        sink.write(np.ascontiguousarray(reader.read()).tobytes())


def _write_image(reader: Reader, partial: Path, suffix: str) -> None:
    try:
        from PIL import Image
    except ImportError:
        raise require_extra("Pillow", "images", "writing images") from None
    array = reader.read()
    Image.init()
    form = Image.EXTENSION.get(suffix.lower(), "PNG")
    lossy: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}
    try:
        Image.fromarray(array).save(partial, format=form, **lossy.get(form, {}))
    except (TypeError, OSError, KeyError) as error:
        raise UsageError(
            f"an array of shape {array.shape} and dtype {array.dtype} cannot be a {suffix} image ({error}); use a .npy output"
        ) from None
