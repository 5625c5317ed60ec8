"""Kinds of files that hold one array each, by their suffix: how they become arrays, and arrays become them again.

A kind keeps in the metadata what the array does not say (rate, format, colour profile), as a JSON object whose `source` names
the kind; writing takes it from there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.api.files import load_npy
from aecodec.api.reader import Reader
from aecodec.container.room import claim_room


@dataclass(frozen=True)
class Loaded:
    """What a file holds. `array` is None for what is too long to be held: then `slabs` along the first axis, of `shape`."""

    array: np.ndarray | None
    axes: str | None
    metadata: dict[str, Any]
    slabs: Iterator[np.ndarray] = field(default_factory=lambda: iter(()))


@dataclass(frozen=True)
class Kind:
    """`write` gets the reader, the path to write to, and the suffix that says the format."""

    name: str
    suffixes: frozenset[str]
    load: Callable[[Path], Loaded]
    write: Callable[[Reader, Path, str], None]


def kind_of(name: str) -> Kind | None:
    """The kind that a file name's suffix says, if it is known."""
    suffix = Path(name).suffix.lower()
    return next((kind for kind in KINDS if suffix in kind.suffixes), None)


def _load_npy(path: Path) -> Loaded:
    return Loaded(load_npy(path), None, {"source": "npy"})


def _write_npy(reader: Reader, path: Path, _: str) -> None:
    if 0 in reader.shape or not reader.ndim:
        with path.open("wb") as file:
            np.lib.format.write_array(file, reader.read(), allow_pickle=False)
        return
    mapped = np.lib.format.open_memmap(path, "w+", reader.dtype, reader.shape)
    claim_room(path)
    reader.read(out=mapped)
    mapped.flush()


def _load_image(path: Path) -> Loaded:
    from aecodec.integrations.images import load_image

    return Loaded(*load_image(path))


def _write_image(reader: Reader, path: Path, suffix: str) -> None:
    from aecodec.integrations.images import save_image

    save_image(reader.read(), reader.axes, reader.metadata, path, suffix)


def _load_tiff(path: Path) -> Loaded:
    from aecodec.integrations.tiff import load_tiff

    return Loaded(*load_tiff(path))


def _write_tiff(reader: Reader, path: Path, suffix: str) -> None:
    from aecodec.integrations.tiff import save_tiff

    save_tiff(reader.read(), reader.axes, reader.metadata, path, suffix)


def _load_video(path: Path) -> Loaded:
    from aecodec.integrations.video import load_video

    slabs, axes, metadata = load_video(path)
    return Loaded(None, axes, metadata, slabs)


def _write_video(reader: Reader, path: Path, suffix: str) -> None:
    from aecodec.integrations.video import save_video

    save_video((slab for _, slab in reader.slabs()), reader.shape, reader.dtype, reader.metadata, path, suffix)


def _load_audio(path: Path) -> Loaded:
    from aecodec.integrations.audio import load_audio

    return Loaded(*load_audio(path))


def _write_audio(reader: Reader, path: Path, suffix: str) -> None:
    from aecodec.integrations.audio import save_audio

    save_audio(reader.read(), reader.metadata, path, suffix)


KINDS = (
    Kind("npy", frozenset((".npy",)), _load_npy, _write_npy),
    Kind(
        "image",
        frozenset((".png", ".apng", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm", ".pgm")),
        _load_image,
        _write_image,
    ),
    Kind("tiff", frozenset((".tif", ".tiff")), _load_tiff, _write_tiff),
    Kind("video", frozenset((".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm")), _load_video, _write_video),
    Kind("audio", frozenset((".wav", ".w64", ".rf64", ".flac", ".aif", ".aiff", ".au", ".caf")), _load_audio, _write_audio),
)
IMAGE_SUFFIXES = frozenset(suffix for kind in KINDS if kind.name in ("image", "tiff") for suffix in kind.suffixes)


def load_picture(path: Path) -> Loaded:
    """An image or a stack of them."""
    kind = kind_of(path.name)
    return kind.load(path) if kind is not None and path.suffix.lower() in IMAGE_SUFFIXES else _load_image(path)
