"""Files in stores, named by fsspec URLs (s3://, https://, memory://): the only module that imports fsspec (extra `stores`).

Which store and with what keys is fsspec's own configuration (https://filesystem-spec.readthedocs.io: environment variables
FSSPEC_*, or its config files), so that a URL is all that the functions here need.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from aecodec.container.blocks import Blocks, coalesced
from aecodec.container.source import Source
from aecodec.errors import AecodecError, MissingExtraError, OutputExistsError, UsageError, require_extra

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*(://|::)")
_EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "http": ("aiohttp", "http"), "https": ("aiohttp", "http")}
_LOCAL = ("file", "local")
_ENDS = 1 << 15  # read at either end when a file is opened: header and model there, index and end here
_AHEAD = 1 << 12  # read at least, where little is asked for
_WHOLE = 1 << 26  # of a server that sends no ranges: the largest file that is taken whole


def is_url(path: object) -> bool:
    """True for text such as s3://bucket/name: what goes to fsspec."""
    return isinstance(path, str) and _URL.match(path) is not None


def local_path(path: str) -> Path | None:
    """The path that a file:// URL names; None for other URLs."""
    if path.split("://")[0] not in _LOCAL:
        return None
    fs, name = _file_system(path)
    return Path(fs._strip_protocol(name))


def exists(url: str) -> bool:
    """True if there is something of this name."""
    fs, name = _file_system(url)
    with _named(url):
        return bool(fs.exists(name))


def list_files(url: str) -> list[str] | None:
    """URLs of the files under a folder of a store, sorted; None if `url` is no folder, or the store has none."""
    fs, name = _file_system(url)
    if url.split("://")[0] in ("http", "https"):
        return None
    with _named(url):
        return sorted(fs.unstrip_protocol(found) for found in fs.find(name)) if fs.isdir(name) else None


class StoredSource(Source):
    """A file in a store, read by ranges: both ends when it is opened, then what is asked for, as few and as large requests as
    `prepare` lets it. Pickles by its URL; a forked process connects anew."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connect()
        with _named(url):
            found = self._fs.info(self._name)
        if found.get("type") == "directory":
            raise IsADirectoryError(21, os.strerror(21), url)
        if found.get("size") is None:
            raise UsageError(f"{url}: the server does not tell how long the file is; download it first")
        self._size, self._blocks = int(found["size"]), Blocks()
        if found.get("partial") is False and self._size > _WHOLE:
            raise UsageError(f"{url}: the server sends no parts of its {self._size} bytes (no HTTP ranges); download it first")
        self.prepare([(0, min(_ENDS, self._size)), (max(0, self._size - _ENDS), self._size)])

    def _connect(self) -> None:
        self._process = os.getpid()
        self._fs, self._name = _file_system(self._url)

    def read(self, offset: int, size: int) -> bytes:
        """As of `Source`."""
        stop = min(offset + size, self._size)
        if offset >= stop:
            return b""
        found = self._blocks.find(offset, stop)
        if found is None:
            self.prepare([(offset, min(self._size, max(stop, offset + _AHEAD)))])
            found = self._blocks.find(offset, stop)
        return found if found is not None else self._fetch([(offset, stop)])[0]

    def prepare(self, ranges: list[tuple[int, int]]) -> None:
        """As of `Source`: one request for ranges that nearly touch, all requests at once."""
        missing = coalesced([span for span in ranges if self._blocks.find(*span) is None])
        if missing:
            for (start, _), data in zip(missing, self._fetch(missing), strict=True):
                self._blocks.keep(start, data)

    def _fetch(self, ranges: list[tuple[int, int]]) -> list[bytes]:
        if self._process != os.getpid():
            self._connect()
        starts, stops = [list(column) for column in zip(*ranges, strict=True)]
        with _named(self._url):
            if len(ranges) == 1:  # cat_ranges would start threads, or a loop, for it
                found = [self._fs.cat_file(self._name, start=starts[0], end=stops[0])]
            else:
                found = self._fs.cat_ranges([self._name] * len(ranges), starts, stops, on_error="raise")
        return [self._checked(data, *span) for data, span in zip(found, ranges, strict=True)]

    def _checked(self, data: bytes, start: int, stop: int) -> bytes:
        if len(data) == stop - start:
            return data
        if len(data) == self._size <= _WHOLE:  # a server without ranges sends all: once is enough
            self._blocks.keep(0, data)
            return data[start:stop]
        raise OSError(f"{self._url}: {len(data)} bytes came for the {stop - start} from {start} on; was the file replaced?")

    def size(self) -> int:
        """As of `Source`; what a store holds does not grow."""
        return self._size

    def close(self) -> None:
        """Connections are fsspec's to keep."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (StoredSource, (self._url,))


class StoredFile:
    """A new file in a store, written front to back. It appears, or replaces what was there, when `commit` returns: stores have
    no renaming, but a multipart upload takes effect as a whole. In the shape of a DurableFile."""

    new = True
    size = 0

    def __init__(self, url: str) -> None:
        self.path = url
        fs, self._name = _file_system(url)
        self._fs = fs
        with _named(url):
            if "memory" in _protocols(fs):  # it would show the file from its first byte on
                self._file: Any = BytesIO()
                return
            try:
                self._file = fs.open(self._name, "wb", autocommit=False)
            except (NotImplementedError, ValueError) as error:
                raise UsageError(f"{url} cannot be written to ({error or 'read-only'}); name another output") from None
            with suppress(ValueError):
                fs.transaction.files.remove(self._file)  # another's transaction must not commit it

    def write(self, data: bytes) -> int:
        """Take `data`."""
        with _named(self.path):
            self._file.write(data)
        return len(data)

    def sync(self) -> None:
        """Nothing is durable before `commit`."""

    def flush(self) -> None:
        """As `sync`."""

    def commit(self) -> None:
        """Make the file be there, whole."""
        with _named(self.path):
            if isinstance(self._file, BytesIO):
                self._fs.pipe_file(self._name, self._file.getvalue())
                return
            self._file.close()
            self._file.commit()

    def discard(self) -> None:
        """Make as if nothing had been written."""
        with suppress(Exception):  # whatever is wrong here, what went wrong before is what must be told
            self._file.discard()
        with suppress(AttributeError):
            self._file.closed = True  # or it would complete itself when it is collected

    close = discard


@contextmanager
def created(url: str, overwrite: bool) -> Iterator[StoredFile]:
    """A new file, committed if all goes well; OutputExistsError if there is one and `overwrite` is not set."""
    if not overwrite and exists(url):
        raise OutputExistsError(f"{url} exists; choose another name, or overwrite it on purpose")
    file = StoredFile(url)
    try:
        yield file
    except BaseException:
        file.discard()
        raise
    file.commit()


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _file_system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise require_extra("fsspec", "stores", f"opening {url}") from None
    protocol = re.split("://|::", url)[0]
    try:
        fs, name = url_to_fs(url)
    except ImportError as error:
        if protocol not in _EXTRAS:
            raise MissingExtraError(f"opening {protocol}:// URLs needs another package: {error}") from None
        raise require_extra(*_EXTRAS[protocol], f"opening {protocol}:// URLs") from None
    except ValueError as error:
        raise UsageError(f"{url}: {error}; s3://, https://, memory:// and others that fsspec knows can be opened") from None
    return fs, str(name)


@contextmanager
def _named(url: str) -> Iterator[None]:
    """Errors of stores, which are of any kind, as OSErrors that name the URL."""
    try:
        yield
    except AecodecError:
        raise
    except FileNotFoundError as error:
        cause = error.__cause__  # of HTTP, any: a server that refuses connections, too
        if (cause is not None and getattr(cause, "status", 404) != 404) or "Connector" in type(cause).__name__:
            raise OSError(f"{url}: {cause}") from error
        raise FileNotFoundError(2, os.strerror(2), url) from None
    except PermissionError as error:
        raise PermissionError(13, f"{os.strerror(13)} ({error})", url) from error
    except Exception as error:  # aiohttp's and botocore's have no base of their own
        raise OSError(f"{url}: {str(error) or type(error).__name__}") from error
