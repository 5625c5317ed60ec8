"""What figures depend on: date, hardware, versions, and the library's sources; needs no codec besides the library."""

import datetime
import hashlib
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import aecodec

PACKAGES = ("numpy", "onnxruntime", "zstandard", "aecodec", "pysz", "imagecodecs", "zfpy")


def environment(packages: Sequence[str] = PACKAGES) -> list[str]:
    """Lines that name date, hardware and versions, of the library's sources too."""
    facts = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "hardware": f"{cpu_model()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        **{package: _version(package) for package in packages},
        "aecodec source": f"sha256 {source_digest()}",
    }
    return [f"{key}: {value}" for key, value in facts.items()]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def source_digest() -> str:
    """Names the library's sources as they are now, which a version number does not between releases."""
    folder = Path(aecodec.__file__).parent
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".c", ".h")):
        total.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return total.hexdigest()[:16]


def cpu_model() -> str:
    """Name of the processor."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
