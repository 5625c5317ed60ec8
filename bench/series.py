"""The series that benches measure on, split as the fields are; they come from a folder of `.npy` files."""

from pathlib import Path

import numpy as np
from fields import FieldSet

SERIES = ("mitdb_100", "watch", "uci_har", "skab")
_MITDB_TRAIN = 24 * 60 * 360  # the first 24 minutes at 360 Hz
_SKAB_TRAIN = 400  # points of each faulty run, before its fault


def load_series(folder: Path, name: str) -> FieldSet | str:
    """The set, or a sentence that says why it is left out."""
    try:
        return _LOADERS[name](folder / "series")
    except OSError as error:
        return f"{name} is left out: {error}"


def _mitdb(folder: Path) -> FieldSet:
    array = np.load(folder / "mitdb_100.npy")
    return FieldSet("mitdb_100", "tc", "integer", array[:_MITDB_TRAIN], array[_MITDB_TRAIN:])


def _watch(folder: Path) -> FieldSet:
    array = np.load(folder / "watch_x.npy")
    subjects = np.repeat(np.load(folder / "watch_subject.npy"), np.load(folder / "watch_len.npy"))
    return FieldSet("watch", "tc", "true", array[subjects <= 8], array[subjects > 8])


def _uci_har(folder: Path) -> FieldSet:
    train, test = (np.load(folder / f"uci_har_{part}_x.npy") for part in ("train", "test"))
    return FieldSet("uci_har", "txc", "decimal", train, test)


def _skab(folder: Path) -> FieldSet:
    array, lengths = np.load(folder / "skab_faulty_x.npy"), np.load(folder / "skab_faulty_len.npy")
    starts = np.cumsum(lengths) - lengths
    train = [array[start : start + _SKAB_TRAIN] for start in starts]
    test = [array[start + _SKAB_TRAIN : start + length] for start, length in zip(starts, lengths, strict=True)]
    return FieldSet(
        "skab", "tc", "decimal", np.concatenate([np.load(folder / "skab_anomaly_free.npy"), *train]), np.concatenate(test)
    )


_LOADERS = {"mitdb_100": _mitdb, "watch": _watch, "uci_har": _uci_har, "skab": _skab}
