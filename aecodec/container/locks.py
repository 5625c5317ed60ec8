"""Locks that keep a second writer from a file; advisory, and absent where the file system has none."""

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from aecodec.errors import LockedError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_HELD = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF)
DESCRIPTOR_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_LOCKED_BYTE = 0x7FFFFFFE  # locks on Windows keep readers from what they cover, so they cover the last byte that can be named


def open_locked(path: Path, target: Path, flags: int) -> int:
    """A descriptor of `path` that holds its lock; LockedError, which names `target`, if another writer does."""
    while True:
        descriptor = os.open(path, flags | DESCRIPTOR_FLAGS, 0o666)
        try:
            _lock(descriptor, target)
            # Between opening and locking the file may have got its name, and another may be in its place.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        close_locked([descriptor])


def close_locked(descriptors: list[int]) -> None:
    """Close all, and give their locks back even where a forked process has copies."""
    while descriptors:
        descriptor = descriptors.pop()
        if sys.platform != "win32":
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _lock(descriptor: int, target: Path) -> None:
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise LockedError(f"{target} is being written by another writer; wait until it is closed, or write elsewhere") from None
        if error.errno not in _NO_LOCKS:
            raise
