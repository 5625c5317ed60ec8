"""The data of a recipe: files below a folder, split into what is trained on and what is held out."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aecodec.api.files import load_npy
from aecodec.axes import parse_axes
from aecodec.cli.inputs import read_source
from aecodec.integrations.kinds import IMAGE_SUFFIXES
from export.errors import ExportError
from export.recipe import DataSet, Recipe


@dataclass(frozen=True)
class LoadedSet:
    """One set: what is trained on, arrays and paths of files; arrays held out; the axes of each array."""

    path: str
    axes: str
    training: list[np.ndarray | Path]
    held_out: list[np.ndarray]


@dataclass(frozen=True)
class Loaded:
    """All sets, and what there is to be known of each."""

    sets: list[LoadedSet]
    facts: list[dict[str, Any]]

    @property
    def training(self) -> list[np.ndarray | Path]:
        """Of all sets, as `aecodec.training.train` takes them."""
        return [each for loaded in self.sets for each in loaded.training]

    @property
    def held_out(self) -> list[np.ndarray]:
        """Of all sets."""
        return [each for loaded in self.sets for each in loaded.held_out]


def load(recipe: Recipe, folder: Path) -> Loaded:
    """All sets of a recipe; ExportError for what is missing or too small to be split."""
    sets = []
    facts = []
    for each in recipe.data:
        path = folder / each.path
        if not path.exists():
            raise ExportError(f"{recipe.name}: there is no {each.path} in the data folder; it comes from {each.source}")
        axes = each.axes or recipe.axes
        if path.suffix != ".npy":
            kept, left, found = _files(each, path, recipe.seed)
        elif each.lengths is not None and each.labels is not None:
            kept, left, found = _joined(each, path, folder / each.lengths, folder / each.labels)
        else:
            kept, left, found = _ranges(each, path, axes)
        sets.append(LoadedSet(each.path, axes, kept, left))
        about = {"path": each.path, "source": each.source, "licence": each.licence}
        facts.append({**about, **found})
    return Loaded(sets, facts)


def _ranges(each: DataSet, path: Path, axes: str) -> tuple[list[np.ndarray | Path], list[np.ndarray], dict[str, Any]]:
    array = load_npy(path)
    stacked = array.ndim == len(axes) + 1  # arrays of their own, one after the other
    stream = 0 if stacked else parse_axes(axes, array.ndim).stream
    assert each.train is not None  # as the recipe was checked
    assert isinstance(each.held_out, tuple)
    if stream is None or max(each.train[1], each.held_out[1]) > array.shape[stream]:
        raise ExportError(f"{each.path}: {array.shape} with axes {axes!r} has no ranges {each.train} and {each.held_out}")
    kept, left = (array[(slice(None),) * stream + (slice(*part),)] for part in (each.train, each.held_out))
    along = "the first dimension" if stacked else axes[stream]
    facts = {"train": list(each.train), "held_out": list(each.held_out), "along": along, "sha256": _digest([path])}
    native = [np.ascontiguousarray(part, part.dtype.newbyteorder("=")) for part in (kept, left)]
    return (list(native[0]), list(native[1]), facts) if stacked else (native[:1], native[1:], facts)


def _joined(each: DataSet, *paths: Path) -> tuple[list[np.ndarray | Path], list[np.ndarray], dict[str, Any]]:
    """Arrays that were joined along their first axis, `paths` being theirs, their lengths' and their labels'."""
    array, lengths, labels = (load_npy(path) for path in paths)
    assert each.train is not None  # as the recipe was checked
    assert isinstance(each.held_out, tuple)
    if lengths.shape != labels.shape or lengths.sum() != len(array):
        raise ExportError(
            f"{each.path}: {lengths.shape} lengths of {lengths.sum()} in all, {labels.shape} labels, {len(array)} rows"
        )
    native = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    parts = np.split(native, np.cumsum(lengths)[:-1])
    kept, left = ([p for p, label in zip(parts, labels, strict=True) if a <= label < b] for a, b in (each.train, each.held_out))
    if not kept or not left:
        raise ExportError(f"{each.path}: no labels in {list(each.train)} or in {list(each.held_out)}")
    return (
        list(kept),
        left,
        {"train": list(each.train), "held_out": list(each.held_out), "by": "labels", "sha256": _digest(list(paths))},
    )


def _files(each: DataSet, path: Path, seed: int) -> tuple[list[np.ndarray | Path], list[np.ndarray], dict[str, Any]]:
    """Whole groups of files, drawn by `seed`, are held out."""
    files = sorted(path.glob(each.files))
    groups = sorted({_group(each, file.name) for file in files})
    assert isinstance(each.held_out, float)
    count = round(each.held_out * len(groups))
    if not 1 <= count < len(groups):
        raise ExportError(f"{each.path}: {len(files)} files in {len(groups)} groups, too few to hold out {each.held_out:g} of them")
    chosen = {groups[i] for i in np.random.default_rng(seed).permutation(len(groups))[:count]}
    left = [file for file in files if _group(each, file.name) in chosen]
    kept: list[np.ndarray | Path] = [file for file in files if file not in set(left)]
    facts = {
        "files": len(files),
        "held_out": f"{len(left)} files, {count} of {len(groups)} groups, drawn with seed {seed}",
        "sha256": _digest(files),
    }
    held = [_array(file) for file in left]
    if each.gray:
        return [_gray(_array(file)) for file in kept if isinstance(file, Path)], [_gray(array) for array in held], facts
    return kept, held, facts


def _group(each: DataSet, name: str) -> str:
    if each.group is None:
        return name
    found = re.search(each.group, name)
    if found is None:
        raise ExportError(f"{each.path}/{name} does not match group {each.group!r}")
    return str(found[1])


def _array(file: Path) -> np.ndarray:
    if file.suffix.lower() not in (*IMAGE_SUFFIXES, ".npy"):
        raise ExportError(f"{file.name} is neither an image nor .npy; let `files` leave it out")
    array = read_source(str(file), None, None, None).array
    assert array is not None  # of streams alone
    return array


def _gray(picture: np.ndarray) -> np.ndarray:
    """Brightness of a picture, uint8 (rows, columns)."""
    return np.asarray(Image.fromarray(picture).convert("L"))


def _digest(files: list[Path]) -> str:
    """SHA-256 of names and contents, in order."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.name} {content}\n".encode())
    return total.hexdigest()
