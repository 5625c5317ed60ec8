"""The fields that benches measure on, each with its split into what models are fitted on and what is coded.

They come from a folder of `.npy` files, or, without one, from the `iris-sample-data` package, which holds five of them.
"""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class MissingError(Exception):
    """A set cannot be read here; the message says what to install."""


@dataclass(frozen=True)
class FieldSet:
    """One field, split. `precision`: "true", "integer", or "step" where the values lie on a hidden lattice."""

    name: str
    axes: str
    precision: str
    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class _Split:
    """Where a set is cut: half-open ranges along `dimension` of the array, whose dimensions mean `axes`."""

    axes: str
    train: tuple[int, int]
    test: tuple[int, int]
    dimension: int = 0
    precision: str = "true"
    order: tuple[int, ...] | None = None  # transposition of the stored array, before anything else


SPLITS = {
    "navy_winds_uv": _Split("tcyx", (0, 96), (108, 132)),
    "A1B_E1_tas": _Split("tcyx", (0, 180), (180, 240)),
    "glosea4_ens": _Split("tcyx", (0, 9), (10, 13), precision="step 2^-12"),
    "um_hybrid_x_wind": _Split("tcyx", (0, 12), (12, 15), precision="step 2^-12", order=(1, 0, 2, 3)),
    "colpex_air_potential_temperature": _Split("tcyx", (0, 4), (5, 6)),
    "colpex_air_pressure": _Split("tcyx", (0, 4), (5, 6)),
    "um_seaice_v": _Split("tyx", (0, 90), (90, 120)),
    "fice": _Split("tyx", (0, 90), (90, 120)),
    "fmi_20160928": _Split("tyx", (0, 30), (30, 40), precision="integer"),
    "jasper_ridge": _Split("yxc", (0, 70), (70, 100), dimension=1, precision="integer"),
}


def load_sets(folder: Path | None, names: list[str]) -> Iterator[FieldSet | str]:
    """The named sets that can be read, and for each other one a sentence that says why not."""
    for name in names:
        try:
            array = np.load(folder / "fields" / f"{name}.npy") if folder else _from_package(name)
        except (MissingError, OSError) as error:
            yield f"{name} is left out: {error}"
        else:
            yield split(name, array)


def split(name: str, array: np.ndarray) -> FieldSet:
    """Train and test parts of a stored array; non-finite values are replaced, for every codec alike."""
    plan = SPLITS[name]
    array = np.nan_to_num(array)
    if plan.order is not None:
        array = array.transpose(plan.order)
    parts = [
        np.ascontiguousarray(np.take(array, np.arange(*part), axis=plan.dimension).astype(array.dtype.newbyteorder("=")))
        for part in (plan.train, plan.test)
    ]
    return FieldSet(name, plan.axes, plan.precision, parts[0], parts[1])


def _from_package(name: str) -> np.ndarray:
    if name not in _PACKAGED:
        raise MissingError(f"it is not in iris-sample-data, which holds {', '.join(_PACKAGED)}; pass --data DIR")
    found = importlib.util.find_spec("iris_sample_data")
    if found is None or found.origin is None:
        raise MissingError("pip install iris-sample-data, or pass --data DIR")
    return _PACKAGED[name](Path(found.origin).parent / "sample_data")


def _temperature(folder: Path) -> np.ndarray:
    """Two scenarios of yearly air temperature, (240, 2, 37, 49); netCDF 4, so it takes h5py."""
    try:
        import h5py
    except ImportError:
        raise MissingError("its netCDF 4 files need h5py (pip install h5py)") from None
    fields = []
    for scenario in ("A1B", "E1"):
        with h5py.File(folder / f"{scenario}_north_america.nc") as file:
            fields.append(file["air_temperature"][...])
    return np.stack(fields, axis=1)


def _ensemble(folder: Path) -> np.ndarray:
    """(13 members, 6 months, 145, 192)."""
    return np.stack([np.stack([field for _, field in read_pp(path)]) for path in sorted(folder.glob("GloSea4/*.pp"))])


def _colpex(stash: int) -> Callable[[Path], np.ndarray]:
    """(6 times, 10 levels, 83, 83) of the variable with this code."""
    return lambda folder: np.stack([field for code, field in read_pp(folder / "colpex.pp") if code == stash]).reshape(6, 10, 83, 83)


def _sea_ice(folder: Path) -> np.ndarray:
    """(120 months, 55, 360): the rows from 160 on, which hold the northern ice."""
    return np.stack([field[160:] for path in sorted(folder.glob("UM/*.pp")) for _, field in read_pp(path)])


_PACKAGED: dict[str, Callable[[Path], np.ndarray]] = {
    "A1B_E1_tas": _temperature,
    "glosea4_ens": _ensemble,
    "colpex_air_potential_temperature": _colpex(4),
    "colpex_air_pressure": _colpex(408),
    "um_seaice_v": _sea_ice,
}


def read_pp(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """(variable code, float32 field) of each unpacked field of a Met Office PP file.

    Big-endian Fortran records: a header of 64 words (18, 19: rows and columns; 21: packing; 42: code), then the field.
    """
    content, at = path.read_bytes(), 0
    while at < len(content):
        header = np.frombuffer(content, ">i4", 64, at + 4)
        rows, columns, packing, code = (int(header[i]) for i in (17, 18, 20, 41))
        if packing != 0:
            raise MissingError(f"{path.name} holds fields with packing {packing}; only unpacked ones are read")
        at += 8 + int.from_bytes(content[at : at + 4], "big")
        field = np.frombuffer(content, ">f4", rows * columns, at + 4)
        at += 8 + int.from_bytes(content[at : at + 4], "big")
        yield code, field.reshape(rows, columns).astype(np.float32)
