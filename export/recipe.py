"""Recipes: TOML files that say what a shipped model is made of, how, and what it is for.

axes = "yxc"                            one letter per dimension of every array
seed = 0
[[data]]                                one or more, below the data folder
path = "photos/train"                   a folder of files, or one .npy file
files = "*.png"                         which of a folder's files
source = "..."                          where they come from
licence = "..."
group = '^(\\w+_\\d+)_'                   files whose names match alike go to the same part; by default each is its own group
held_out = 0.1                          share of the groups; of one .npy file: [start, stop] along its stream axis
train = [0, 96]                         of one .npy file: likewise
axes = "tcyx"                           of these arrays, where [train] is left out and sets may differ
lengths, labels = "len.npy", "of.npy"   of one .npy file of joined arrays: their lengths, and labels, which ranges are then of
gray = true                             pictures of three colours become gray ones, as Pillow makes them
[train]                                 arguments of aecodec.training.train; left out where there is only a predictor
networks = ["autoencoder"]
[train.fidelity]                        its fidelity
[fit]                                   arguments of aecodec.fit, in place of [train]: `tile`, for arrays of one shape
[predictor]                             a predictor of all the data, for any units and number of channels; optional
linear = true                           no network, which is slower
shares = [1e-4, 1e-2]                   least and largest error that it learns for, of each set's range
width, depth, time_budget, steps        as for training
[suits]                                 the manifest's entry (FORMAT.md, section 2); optional
[[measure]]                             a fidelity that is measured on what is held out; one or more
quality = 50
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from aecodec.axes import parse_axes
from aecodec.errors import AecodecError
from aecodec.fidelity import fidelity_from_options
from aecodec.models.suits import Suits
from export.errors import ExportError

RECIPES = Path(__file__).parent / "recipes"
TRAINING = frozenset(
    (
        *("networks", "family", "tile", "width", "depth", "latents", "distortion_weight"),
        *("time_budget", "steps", "batch_size", "learning_rate", "validation", "missing"),
    )
)
PREDICTOR = frozenset(("shares", "linear", "width", "depth", "time_budget", "steps", "learning_rate"))
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True)
class DataSet:
    """One entry of `data`: relative path, what is taken of it, and how it is split."""

    path: str
    source: str
    licence: str
    held_out: float | tuple[int, int]
    train: tuple[int, int] | None = None
    files: str = "*"
    group: str | None = None
    axes: str | None = None
    gray: bool = False
    lengths: str | None = None
    labels: str | None = None


@dataclass(frozen=True)
class Recipe:
    """A parsed recipe. `digest`: SHA-256 of its text. `measure`: fidelity options, one fidelity each.

    `train`, `fit`: None where nothing but a predictor is made, one of them otherwise. `predictor`: None where none is.
    """

    name: str
    digest: str
    axes: str
    seed: int
    data: tuple[DataSet, ...]
    train: Mapping[str, Any] | None
    fidelity: Mapping[str, Any]
    predictor: Mapping[str, Any] | None
    fit: Mapping[str, Any] | None
    suits: Suits | None
    measure: tuple[Mapping[str, Any], ...]


def find_recipe(name: str) -> Path:
    """The file of a recipe by its name here, or by its path."""
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in RECIPES.glob("*.toml")))
        raise ExportError(f"no recipe {name!r}; there are {known}, or give the path of a .toml file")
    return path


def load_recipe(path: Path) -> Recipe:
    """Parse and check; ExportError names the key that is wrong."""
    text = path.read_bytes()
    try:
        record = tomllib.loads(text.decode())
        return _parse(path.stem, hashlib.sha256(text).hexdigest(), record)
    except (AecodecError, KeyError, TypeError, ValueError, re.error) as error:
        detail = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ExportError(f"recipe {path.name}: {detail}") from None


def _parse(name: str, digest: str, record: dict[str, Any]) -> Recipe:
    if not _NAME.fullmatch(name):
        raise ValueError(f"a model cannot be named {name!r}; use small letters, digits and hyphens")
    _check_keys("recipe", record, {"axes", "seed", "data", "train", "fit", "predictor", "suits", "measure"})
    axes = parse_axes(record["axes"], len(record["axes"])).letters
    predictor = _predictor(record["predictor"]) if "predictor" in record else None
    fitted = dict(record["fit"]) if "fit" in record else None
    _check_keys("[fit]", fitted or {}, {"tile"})
    alone = predictor is not None and fitted is None
    train = dict(record["train"]) if "train" in record or not (alone or fitted is not None) else None
    if train is not None and fitted is not None:
        raise ValueError("[train] and [fit] exclude each other")
    fidelity = _training(train) if train is not None else {}
    measured = tuple(record["measure"])
    if not measured or not record["data"]:
        raise ValueError("at least one [[data]] and one [[measure]] are needed")
    for options in measured:
        fidelity_from_options(**options)
    suits = Suits.from_json(record["suits"]) if "suits" in record else None
    if suits is not None and suits.unknown:
        raise ValueError(f"[suits] has unknown keys {', '.join(sorted(suits.unknown))}")
    data = tuple(_data_set(each) for each in record["data"])
    if not (alone and train is None) and any(each.axes for each in data):
        raise ValueError("[[data]] axes belong to recipes of a predictor alone; [train] and [fit] take arrays of one kind")
    return Recipe(name, digest, axes, int(record["seed"]), data, train, fidelity, predictor, fitted, suits, measured)


def _training(train: dict[str, Any]) -> Mapping[str, Any]:
    """Check the table, and take the fidelity out of it."""
    fidelity: Mapping[str, Any] = train.pop("fidelity", {})
    _check_keys("[train]", train, TRAINING)
    if not train["networks"] or not all(type(name) is str for name in train["networks"]):
        raise ValueError("[train] networks must be a list of names")
    fidelity_from_options(**fidelity)
    return fidelity


def _predictor(table: dict[str, Any]) -> Mapping[str, Any]:
    _check_keys("[predictor]", table, PREDICTOR)
    low, high = table["shares"]
    if not 0 < low <= high < 1:
        raise ValueError(f"[predictor] shares = [{low}, {high}] must be two rising numbers between 0 and 1")
    return dict(table)


def _data_set(record: dict[str, Any]) -> DataSet:
    _check_keys("[[data]]", record, set(DataSet.__annotations__))
    found = DataSet(
        path=record["path"],
        source=record["source"],
        licence=record["licence"],
        held_out=_range(record["held_out"]) if isinstance(record["held_out"], list) else float(record["held_out"]),
        train=_range(record["train"]) if "train" in record else None,
        files=record.get("files", "*"),
        group=record.get("group"),
        axes=record.get("axes"),
        gray=record.get("gray", False),
        lengths=record.get("lengths"),
        labels=record.get("labels"),
    )
    if found.axes is not None:
        parse_axes(found.axes, len(found.axes))
    if found.gray is not False and found.gray is not True:
        raise ValueError(f"{found.path}: gray must be true or false")
    if (found.lengths is None) != (found.labels is None):
        raise ValueError(f"{found.path}: lengths and labels come together")
    for name in (found.path, found.lengths or "", found.labels or ""):
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"path {name!r} must lie below the data folder")
    path = PurePosixPath(found.path)
    if path.suffix == ".npy":
        if found.train is None or not isinstance(found.held_out, tuple):
            raise ValueError(f"{found.path}: train and held_out must each be [start, stop]")
        if max(found.train[0], found.held_out[0]) < min(found.train[1], found.held_out[1]):
            raise ValueError(f"{found.path}: train {list(found.train)} and held_out {list(found.held_out)} overlap")
    elif isinstance(found.held_out, tuple) or found.train is not None or not 0 < found.held_out < 1:
        raise ValueError(f"{found.path}: held_out must be a share of its files between 0 and 1, and train left out")
    if found.group is not None and re.compile(found.group).groups != 1:
        raise ValueError(f"{found.path}: group {found.group!r} must have one group in brackets")
    return found


def _range(values: Any) -> tuple[int, int]:
    start, stop = values
    if type(start) is not int or type(stop) is not int or not 0 <= start < stop:
        raise ValueError(f"{values} is no range [start, stop]")
    return start, stop


def _check_keys(place: str, record: Mapping[str, Any], known: frozenset[str] | set[str]) -> None:
    if unknown := sorted(set(record) - known):
        raise ValueError(f"{place} has unknown keys {', '.join(unknown)}; known are {', '.join(sorted(known))}")
