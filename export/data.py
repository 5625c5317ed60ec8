"""The data of a recipe: files below a folder, split into what is trained on and what is held out."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.api.files import load_npy
from aecodec.axes import parse_axes
from aecodec.cli.inputs import read_source
from aecodec.integrations.kinds import IMAGE_SUFFIXES
from export.errors import ExportError
from export.recipe import DataSet, Recipe


@dataclass(frozen=True)
class Loaded:
    """What is trained on: arrays and paths of files, as `aecodec.training.train` takes them; arrays held out; facts of each set."""

    training: list[np.ndarray | Path]
    held_out: list[np.ndarray]
    facts: list[dict[str, Any]]


def load(recipe: Recipe, folder: Path) -> Loaded:
    """All sets of a recipe; ExportError for what is missing or too small to be split."""
    training: list[np.ndarray | Path] = []
    held_out: list[np.ndarray] = []
    facts = []
    for each in recipe.data:
        path = folder / each.path
        if not path.exists():
            raise ExportError(f"{recipe.name}: there is no {each.path} in the data folder; it comes from {each.source}")
        kept, left, found = _ranges(each, path, recipe.axes) if path.suffix == ".npy" else _files(each, path, recipe.seed)
        training += kept
        held_out += left
        about = {"path": each.path, "source": each.source, "licence": each.licence}
        facts.append({**about, **found})
    return Loaded(training, held_out, facts)


def _ranges(each: DataSet, path: Path, axes: str) -> tuple[list[np.ndarray | Path], list[np.ndarray], dict[str, Any]]:
    array = load_npy(path)
    stream = parse_axes(axes, array.ndim).stream
    assert each.train is not None  # as the recipe was checked
    assert isinstance(each.held_out, tuple)
    if stream is None or max(each.train[1], each.held_out[1]) > array.shape[stream]:
        raise ExportError(f"{each.path}: {array.shape} with axes {axes!r} has no ranges {each.train} and {each.held_out}")
    kept, left = (array[(slice(None),) * stream + (slice(*part),)] for part in (each.train, each.held_out))
    facts = {"train": list(each.train), "held_out": list(each.held_out), "along": axes[stream], "sha256": _digest([path])}
    return [np.ascontiguousarray(kept)], [np.ascontiguousarray(left)], facts


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
    return kept, [_array(file) for file in left], facts


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


def _digest(files: list[Path]) -> str:
    """SHA-256 of names and contents, in order."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.name} {content}\n".encode())
    return total.hexdigest()
