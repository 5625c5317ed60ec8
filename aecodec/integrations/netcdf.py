"""NetCDF, GRIB and zarr files opened as they are stored, nothing decoded, masked or kept in memory; and NetCDF written."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.errors import FormatError, UsageError, require_extra
from aecodec.integrations.large_variables import chunked, replaced

_GRIB = (".grib", ".grib2", ".grb", ".grb2")
_HDF5, _CLASSIC, _GRIB_MAGIC = b"\x89HDF", b"CDF", b"GRIB"
_MODULES = {"h5netcdf": "xarray", "scipy": "xarray", "cfgrib": "grib", "zarr": "zarr"}
_OPTIONS: dict[str, dict[str, Any]] = {"cfgrib": {"backend_kwargs": {"indexpath": ""}}, "zarr": {"consolidated": False}}
_LIKE_VALUES = ("flag_values", "flag_masks", "valid_min", "valid_max", "valid_range", "actual_range", "missing_value")  # in CF


def open_dataset(path: str | os.PathLike[str]) -> Any:
    """The xarray.Dataset of a file, lazily, variables and attributes as they are stored.

    Raises:
        UsageError: no such file, or one of another kind.
        FormatError: a file that its reader refuses.
        MissingExtraError: what reads it is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise require_extra("xarray", "xarray", f"reading {os.fspath(path)}") from None
    engine = _engine(Path(path))
    if engine == "zarr" and _installed("zarr"):
        import aecodec.integrations.zarr  # noqa: F401  # its codec, also where the package is run without being installed
    if not _installed(engine):
        raise require_extra(engine, _MODULES[engine], f"reading {os.fspath(path)}")
    options = _OPTIONS.get(engine, {})
    try:
        return xarray.open_dataset(path, engine=engine, decode_cf=False, cache=False, **options)
    except Exception as error:  # noqa: BLE001  # each engine has errors of its own
        raise FormatError(f"{os.fspath(path)} cannot be read by {engine}: {type(error).__name__}: {str(error)[:200]}") from None


def write_netcdf(dataset: Any, path: str | os.PathLike[str]) -> None:
    """Write a dataset from `open_dataset` as NetCDF-4, variables and attributes as they are stored.

    Variables beyond 64 MB are written chunk by chunk if dask is installed, and otherwise loaded one after the other.
    """
    if not _installed("h5netcdf"):
        raise require_extra("h5netcdf", _MODULES["h5netcdf"], f"writing {os.fspath(path)}")
    changed = {}
    for name, variable in dataset.variables.items():
        changed[name] = _as_stored(chunked(dataset, name, variable.encoding.get("preferred_chunks")))
    unlimited = set(dataset.encoding.get("unlimited_dims", ())) & set(dataset.sizes)
    replaced(dataset, changed).to_netcdf(path, engine="h5netcdf", unlimited_dims=unlimited)


def _as_stored(variable: Any) -> Any:
    """A variable for NetCDF, with the attributes that CF has of its type so again."""
    kept = variable.copy(deep=False)
    # JSON knows numbers, but not their type.
    kept.attrs = {name: np.array(v, kept.dtype) if name in _LIKE_VALUES else v for name, v in variable.attrs.items()}
    # What the store was told does not concern this file; and xarray gives floats a fill value that have none.
    kept.encoding = {} if "_FillValue" in kept.attrs or kept.dtype.kind not in "fc" else {"_FillValue": None}
    return kept


def _engine(path: Path) -> str:
    if path.is_dir():
        if any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata")):
            return "zarr"
        raise UsageError(f"{path} is a directory, but no zarr group")
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    with path.open("rb") as file:
        head = file.read(4)
    if path.suffix.lower() in _GRIB or head == _GRIB_MAGIC:
        return "cfgrib"
    if head == _HDF5:
        return "h5netcdf"
    if head[:3] == _CLASSIC:
        return "scipy"
    raise UsageError(f"{path} is neither NetCDF, GRIB nor zarr: it begins with {head!r}")


def _installed(engine: str) -> bool:
    try:
        if engine == "cfgrib":
            import cfgrib  # noqa: F401
        elif engine == "h5netcdf":
            import h5netcdf  # noqa: F401
            import h5py  # noqa: F401  # which h5netcdf does not bring
        elif engine == "zarr":
            import zarr  # noqa: F401
        else:
            import scipy  # noqa: F401
    except (ImportError, RuntimeError):  # cfgrib without the library beneath it
        return False
    return True
