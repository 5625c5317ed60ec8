"""Where models are found by name or id: those that ship with the library, and directories of the user's."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from aecodec.container.layout import (
    FRAME_SIZE,
    MODEL_FILE,
    PREFIX_SIZE,
    Kind,
    check_payload,
    parse_frame,
    parse_json,
    parse_prefix,
)
from aecodec.container.source import open_source
from aecodec.container.stores import is_url
from aecodec.errors import AecodecError, FormatError, LimitError, ModelError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.models.bundle import Bundle
from aecodec.models.manifest import Manifest

ENVIRONMENT = "AECODEC_MODEL_PATH"
_EARLIER = "AECODEC_MODELS"  # as it was called at first
SHIPPED = Path(__file__).parent
_ID = re.compile(r"[0-9a-f]{64}")


def directories() -> list[Path]:
    """Directories searched, in order: the shipped one, then those that AECODEC_MODEL_PATH names."""
    variables = (os.environ.get(name, "") for name in (ENVIRONMENT, _EARLIER))
    named = [Path(part) for variable in variables for part in variable.split(os.pathsep) if part]
    return [SHIPPED, *named]


def installed() -> Iterator[tuple[str, Path]]:
    """(name, path) of every model file found."""
    for directory in directories():
        if directory.is_dir():
            for path in sorted(directory.glob("*.aecm")):
                yield path.stem, path


def load_bundle(source: str | os.PathLike[str] | bytes, limits: Limits = DEFAULT_LIMITS) -> Bundle:
    """A bundle from bytes, from a path or an fsspec URL, or by the name or id of an installed model.

    `source` comes from the user; what a file names its model by goes to `find_by_id`, which opens no path that a file names.
    """
    if isinstance(source, bytes):
        return Bundle.from_bytes(source, limits)
    if isinstance(source, str) and is_url(source):
        return Bundle.from_bytes(_fetched(source, limits), limits)
    path = Path(source)
    if path.is_file():
        return Bundle.from_bytes(_read(path, limits), limits)
    found = find(str(source), limits)
    if found is not None:
        return found
    raise ModelError(f"no model {str(source)!r}: no such file, and no model of that name or id in {places()}")


def find(name_or_id: str, limits: Limits = DEFAULT_LIMITS) -> Bundle | None:
    """The installed model of this name, or with this id."""
    for name, path in installed():
        if name == name_or_id:
            return Bundle.from_bytes(_read(path, limits), limits)
    return find_by_id(name_or_id, limits)


def find_by_id(bundle_id: str, limits: Limits = DEFAULT_LIMITS) -> Bundle | None:
    """The installed model with this id, 64 hexadecimal digits."""
    if not _ID.fullmatch(bundle_id):
        return None
    for _, path in installed():
        try:
            if read_manifest(path, limits).id == bundle_id:
                return Bundle.from_bytes(_read(path, limits), limits)
        except AecodecError:
            continue  # a damaged file in a directory of models must not hide the others
    return None


def read_manifest(path: Path, limits: Limits = DEFAULT_LIMITS) -> Manifest:
    """The manifest of a model file, of which no more is read."""
    with path.open("rb") as file:
        parse_prefix(file.read(PREFIX_SIZE), MODEL_FILE)
        frame = parse_frame(file.read(FRAME_SIZE), limits)
        if frame.kind != Kind.HEADER:
            raise FormatError(f"model record of kind {frame.kind}, header expected")
        payload = file.read(frame.length)
    check_payload(frame, payload)
    return Manifest.from_json(parse_json(payload, limits))


def shipped() -> dict[Path, Manifest]:
    """Manifests of the models that come with the library, by file; each is read once, and again when the directory changes."""
    try:
        return _manifests(SHIPPED, SHIPPED.stat().st_mtime_ns)
    except OSError:
        return {}  # a package that is imported from an archive has no directory


@lru_cache(maxsize=2)
def _manifests(directory: Path, _changed: int) -> dict[Path, Manifest]:
    found = {}
    for path in sorted(directory.glob("*.aecm")):
        with suppress(AecodecError):  # as above
            found[path] = read_manifest(path)
    return found


def _read(path: Path, limits: Limits) -> bytes:
    """The file's bytes, no more than a model may have."""
    with path.open("rb") as file:
        data = file.read(limits.model_bytes + 1)
    try:
        limits.check("model_bytes", len(data), f"{path} has {path.stat().st_size} bytes")
    except LimitError:
        parse_prefix(data[:PREFIX_SIZE], MODEL_FILE)  # most large files are no models, which is the better thing to say
        raise
    return data


def _fetched(url: str, limits: Limits) -> bytes:
    """As `_read`, from a store."""
    source = open_source(url)
    limits.check("model_bytes", source.size(), f"{url} has {source.size()} bytes")
    return source.read(0, source.size())


def is_shipped(bundle_id: str) -> bool:
    """True if the model comes with the library, so that files need not embed it."""
    return any(manifest.id == bundle_id for manifest in shipped().values())


def missing(bundle_id: str) -> ModelError:
    """The error for a file whose model cannot be found."""
    return ModelError(
        f"the file needs model {bundle_id}, which is not embedded in it and not in {places()}; "
        f"pass model=, or put its .aecm into a directory that {ENVIRONMENT} names"
    )


def places() -> str:
    """The directories, for messages."""
    return ", ".join(str(directory) for directory in directories())
