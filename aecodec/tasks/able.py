"""Which of the installed models can do something, for the errors of those that cannot."""

from collections.abc import Callable
from contextlib import suppress

from aecodec.errors import AecodecError
from aecodec.models.manifest import Manifest
from aecodec.models.registry import installed, read_manifest


def able(can: Callable[[Manifest], bool]) -> list[str]:
    """Names of the installed models whose manifests say so."""
    found = []
    for name, path in installed():
        with suppress(AecodecError, OSError):  # a damaged file must not hide the others
            if can(read_manifest(path)):
                found.append(name)
    return found
