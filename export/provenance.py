"""What a shipped model says of its making, and that this names nothing of the machine it was made on."""

import json
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aecodec.models.bundle import Bundle
from aecodec.models.suits import Suits
from export.errors import ExportError

_PACKAGES = ("aecodec", "torch", "numpy", "onnx", "onnxruntime")
_ABSOLUTE = re.compile(r"(?<![\w:/.])/(?!/)[\w.+-]+/|(?<!\w)[A-Za-z]:\\|\\\\\w")


def described(bundle: Bundle, suits: Suits | None, facts: Mapping[str, Any]) -> Bundle:
    """The bundle with `suits` and, besides what its training said, `facts` in its manifest; sealed anew."""
    provenance = {**bundle.manifest.provenance, **facts, "versions": versions()}
    check_names_no_machine(provenance)
    return replace(bundle, manifest=replace(bundle.manifest, suits=suits, provenance=provenance)).sealed()


def versions() -> dict[str, str]:
    """Of Python and the packages that had a part in it."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def check_names_no_machine(record: Mapping[str, Any]) -> None:
    """ExportError for absolute paths and this machine's name anywhere in a record."""
    json.dumps(record, allow_nan=False)
    host = platform.node()
    for text in _texts(record):
        if found := _ABSOLUTE.search(text):
            raise ExportError(f"provenance holds a path of this machine, {found[0]!r} in {text[:120]!r}")
        if len(host) > 3 and host in text:
            raise ExportError(f"provenance holds this machine's name, {host!r} in {text[:120]!r}")


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield str(key)
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)
