"""Room on the disk for files that are written by way of memory maps."""

import errno
import os
from pathlib import Path

_NO_CLAIM = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def claim_room(path: Path) -> None:
    """Take the room of a sparse file on the disk, or OSError: a page of a mapping without room ends the process by a signal."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, max(1, os.fstat(descriptor).st_size))
    except OSError as error:
        if error.errno not in _NO_CLAIM:
            error.filename = os.fspath(path)
            raise
    finally:
        os.close(descriptor)
