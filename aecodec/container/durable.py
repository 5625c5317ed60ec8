"""Files on disk that a crash or a second writer cannot spoil: written beside their target, locked, synced, then renamed."""

import errno
import os
import stat
import sys
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aecodec.container.locks import DESCRIPTOR_FLAGS, close_locked, open_locked
from aecodec.errors import OutputExistsError, UsageError

if sys.platform != "win32":
    import fcntl

SUFFIX = ".partial"
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def partial_of(target: Path) -> Path:
    """Where `target` is written until it is complete."""
    return target.with_name(target.name + SUFFIX)


def resolved(path: str | os.PathLike[str]) -> Path:
    """The path that renaming must go by: absolute, links followed; as it is if `is_stream`."""
    return Path(path) if is_stream(path) else Path(os.path.realpath(path))


def is_stream(path: str | os.PathLike[str]) -> bool:
    """True for pipes, devices and all else that is there and no regular file: it can only be written directly."""
    return Path(path).exists() and not Path(path).is_file()


class DurableFile:
    """An unbuffered file that no other writer of this library can open: a new one, or one that goes on in place.

    A new file lies at `partial_of(target)` until `commit` gives it its name, which replaces a target that exists in one step.
    The locks are advisory; a file system that has none goes without. A process forked from the writer's has no part in it.
    """

    def __init__(self, path: Path, target: Path, descriptors: list[int]) -> None:
        self.path, self.target = path, target
        self._descriptors = descriptors
        self._process = os.getpid()
        _open_files.add(self)

    @classmethod
    def create(cls, target: Path, overwrite: bool = False) -> "DurableFile":
        """A new file for `target`.

        Raises OutputExistsError if a crashed run left one that is not empty, unless `overwrite` says to discard it, and
        LockedError if `target` is being written.
        """
        partial = partial_of(target)
        descriptors = [open_locked(partial, target, os.O_RDWR | os.O_CREAT)]
        left = os.fstat(descriptors[0]).st_size
        try:
            # Nobody else can make the target from here on, as that takes the lock just got.
            descriptors += _locked_if_there(target, target)
            if left and not overwrite:
                raise OutputExistsError(
                    f"{partial} holds {left} bytes of a run that did not finish; go on with it (mode 'a'), take out what is "
                    "sound (aecodec recover), delete it, or discard it (overwrite=True, -f)"
                )
            os.ftruncate(descriptors[0], 0)
            return cls(partial, target, descriptors)
        except BaseException:
            if not left:
                _remove(partial, descriptors)
            close_locked(descriptors)
            raise

    @classmethod
    def reopen(cls, target: Path) -> "DurableFile":
        """`target` to go on with or, without one, what a crashed run left of it, or else a new file."""
        partial = partial_of(target)
        while True:
            with suppress(FileNotFoundError):
                return cls(target, target, [open_locked(target, target, os.O_RDWR)])
            file = cls(partial, target, [open_locked(partial, target, os.O_RDWR | os.O_CREAT)])
            if not target.exists():
                return file
            if file.size:  # its writer has finished in between, and another one has died
                file.close()
            else:
                file.discard()

    @property
    def new(self) -> bool:
        """True until it has the name of its target."""
        return self.path != self.target

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._descriptor).st_size

    @property
    def _descriptor(self) -> int:
        if self._process != os.getpid():
            raise UsageError(
                f"{self.target} is being written by process {self._process}, and this is process {os.getpid()}, forked from it; "
                "write there, or open the file with mode 'a' once it is closed"
            )
        if not self._descriptors:
            raise UsageError(f"{self.target} is closed")
        return self._descriptors[0]

    def write(self, data: bytes, /) -> int:
        """All of `data`, handed to the system; OSError names the file."""
        rest = memoryview(data)
        descriptor = self._descriptor
        with _named(self.path):
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        return len(data)

    def cut(self, size: int) -> None:
        """Drop what follows the first `size` bytes, and go on writing there."""
        with _named(self.path):
            os.ftruncate(self._descriptor, size)
            os.lseek(self._descriptor, size, os.SEEK_SET)

    def sync(self) -> None:
        """Return when all that was written will outlive a loss of power."""
        with _named(self.path):
            _sync(self._descriptor)

    def commit(self) -> None:
        """Sync, give a new file its name, replacing the target with its permissions, and close."""
        self.sync()
        if self.new:
            with suppress(OSError):
                self.path.chmod(stat.S_IMODE(self.target.stat().st_mode))
            if os.name == "nt":  # where open files are not renamed
                self.close()
            self.path.replace(self.target)
            self.path = self.target
            sync_folder(self.target.parent)
        self.close()

    def discard(self) -> None:
        """Remove a new file, and close."""
        if self.new:
            _remove(self.path, self._descriptors)
        self.close()

    def close(self) -> None:
        """Let go of the file as it is."""
        if self._process == os.getpid():
            close_locked(self._descriptors)

    def __del__(self) -> None:
        if self._descriptors and self._process == os.getpid():
            warnings.warn(f"{self.path} was not closed; what was finished is there", ResourceWarning, stacklevel=2)
        self.close()

    def after_fork(self) -> None:
        """In the child: let go of the file without a trace, or its lock would live as long as the child does."""
        while self._descriptors:
            with suppress(OSError):
                os.close(self._descriptors.pop())


_open_files: "weakref.WeakSet[DurableFile]" = weakref.WeakSet()


def _after_fork() -> None:
    for file in list(_open_files):
        file.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def replace_durably(source: Path, target: Path) -> None:
    """Rename `source` to `target` so that after a loss of power there is either the old file or all of the new one."""
    descriptor = os.open(source, os.O_RDWR | DESCRIPTOR_FLAGS)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)
    source.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    try:
        if sys.platform == "darwin":
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync there stops at the drive's cache
        else:
            os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


@contextmanager
def unwritten(target: Path) -> Iterator[None]:
    """Keep writers of this library from `target` meanwhile; LockedError if one is at it, or at what is to get its name."""
    descriptors: list[int] = []
    try:
        for path in (partial_of(target), target):
            descriptors += _locked_if_there(path, target)
        yield
    finally:
        close_locked(descriptors)


def _locked_if_there(path: Path, target: Path) -> list[int]:
    """The lock of a file that exists, so that nobody appends to it while it is to be replaced."""
    for access in (os.O_RDWR, os.O_RDONLY):
        try:
            return [open_locked(path, target, access)]
        except FileNotFoundError:
            return []
        except PermissionError:
            continue
    return []


def _remove(path: Path, descriptors: list[int]) -> None:
    """Remove a file while its lock is held, for later it may be another's; Windows removes only what is closed."""
    if descriptors:
        if os.name == "nt":
            close_locked(descriptors)
        path.unlink(missing_ok=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Gives an OSError the name of the file, which those of descriptors lack."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise
