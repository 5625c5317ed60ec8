"""Random access to the bytes of a file, an object or memory: safe from many threads, after a fork, and pickled."""

import io
import os
import stat
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, BinaryIO

from aecodec.errors import UsageError


class Source(ABC):
    """Where bytes come from. Reading keeps no position, so that threads and processes do not disturb each other."""

    @abstractmethod
    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, or fewer where the source ends."""

    @abstractmethod
    def size(self) -> int:
        """Bytes there are now."""

    @abstractmethod
    def close(self) -> None:
        """Give back what was opened here."""

    def prepare(self, ranges: list[tuple[int, int]]) -> None:  # noqa: B027  # most sources have nothing to prepare
        """Ranges (start, stop) that are about to be read: where requests are dear, they are fetched together."""


def open_source(origin: "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Source") -> Source:
    """A source over a path, an fsspec URL, bytes, or a seekable binary file object, which stays open and its owner's."""
    if isinstance(origin, Source):
        return origin
    if isinstance(origin, str) and ("://" in origin or "::" in origin):
        from aecodec.container import stores  # which builds on this module

        if stores.is_url(origin):
            local = stores.local_path(origin)
            return stores.StoredSource(origin) if local is None else FileSource(local)
    if isinstance(origin, (bytes, bytearray, memoryview)):
        return BytesSource(bytes(origin))
    if isinstance(origin, (str, os.PathLike)):
        return FileSource(Path(origin))
    file: Any = origin
    return FileSource(file) if _is_regular(file) and hasattr(os, "pread") else ObjectSource(file)


class BytesSource(Source):
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, offset: int, size: int) -> bytes:
        """As of `Source`."""
        return self._data[offset : offset + size]

    def size(self) -> int:
        """As of `Source`."""
        return len(self._data)

    def close(self) -> None:
        """Nothing to give back."""


class FileSource(Source):
    """A regular file, read by `pread`. Pickles by its path."""

    def __init__(self, origin: Path | BinaryIO) -> None:
        self._own = isinstance(origin, Path)
        self._file: Any = open(origin, "rb", buffering=0) if isinstance(origin, Path) else origin  # noqa: SIM115  # closed by close()
        name = getattr(self._file, "name", None)
        # The working directory of a process that unpickles this may be another.
        self._path = Path(os.path.abspath(os.fsdecode(name))) if isinstance(name, (str, bytes, Path)) else None  # noqa: PTH100  # links stay links
        self._lock = ForkedLock()

    def read(self, offset: int, size: int) -> bytes:
        """As of `Source`."""
        if not hasattr(os, "pread"):
            with self._lock:
                return _read_at(self._file, offset, size)
        parts = []
        while size > 0 and (part := os.pread(self._number(), size, offset)):
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def size(self) -> int:
        """As of `Source`."""
        if not self._own and self._file.writable():
            self._file.flush()  # what the owner wrote may still be in the object
        return os.fstat(self._number()).st_size

    def close(self) -> None:
        """As of `Source`."""
        if self._own:
            self._file.close()

    def _number(self) -> int:
        if self._file.closed:
            raise UsageError("the file is closed; open it again to read")
        return int(self._file.fileno())

    def __reduce__(self) -> tuple[Any, ...]:
        if self._path is None or not _same_file(self._path, self._number()):
            raise UsageError("this file has no path to open it by in another process; open it by its path, or pass its bytes")
        return (FileSource, (self._path,))


class ObjectSource(Source):
    """Any seekable file object, behind a lock."""

    def __init__(self, origin: BinaryIO) -> None:
        try:
            seekable = origin.seekable()
        except AttributeError:
            seekable = hasattr(origin, "seek")
        if not seekable:
            raise UsageError("the input cannot seek, as pipes and sockets cannot: read it with aecodec.Decompressor")
        self._file = origin
        self._lock = ForkedLock()
        self._process = os.getpid()
        try:
            origin.fileno()
            self._shared = True
        except (AttributeError, OSError):
            self._shared = False

    def read(self, offset: int, size: int) -> bytes:
        """As of `Source`."""
        if self._shared and self._process != os.getpid():
            raise UsageError("this file object shares its position with the process that it was opened in; open it by its path")
        with self._lock:
            return _read_at(self._file, offset, size)

    def size(self) -> int:
        """As of `Source`."""
        with self._lock:
            return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """The object is its owner's."""

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self._file, io.BytesIO):
            return (BytesSource, (self._file.getvalue(),))
        raise UsageError(f"a {type(self._file).__name__} object cannot be opened in another process; open the file by its path")


class ForkedLock:
    """A lock that a forked process has for itself: another thread may have held it at the fork."""

    def __init__(self) -> None:
        self._lock, self._process = threading.Lock(), os.getpid()

    def __enter__(self) -> None:
        if self._process != os.getpid():
            self._lock, self._process = threading.Lock(), os.getpid()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Window:
    """Reads small pieces near each other through one block of memory. For one thread."""

    def __init__(self, source: Source, block: int) -> None:
        self._source, self._block = source, block
        self._start, self._data = 0, b""

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, or fewer where the source ends."""
        at = offset - self._start
        if at < 0 or at + size > len(self._data):
            self._data = self._source.read(offset, max(size, self._block))
            self._start, at = offset, 0
        return self._data[at : at + size]


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    found = file.read(size)
    while 0 < len(found) < size and (more := file.read(size - len(found))):
        found += more
    return found


def _is_regular(origin: BinaryIO) -> bool:
    """True for Python's own objects over regular files; others may have a file beneath that holds other bytes."""
    raw = origin.raw if isinstance(origin, (io.BufferedReader, io.BufferedRandom)) else origin
    return isinstance(raw, io.FileIO) and raw.readable() and stat.S_ISREG(os.fstat(raw.fileno()).st_mode)


def _same_file(path: Path, number: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(number))
    except OSError:
        return False
