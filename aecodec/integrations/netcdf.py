"""NetCDF, GRIB and zarr files opened as they are stored: nothing decoded, unpacked, masked or kept in memory."""

import os
from pathlib import Path
from typing import Any

from aecodec.errors import FormatError, UsageError, require_extra

_GRIB = (".grib", ".grib2", ".grb", ".grb2")
_HDF5, _CLASSIC, _GRIB_MAGIC = b"\x89HDF", b"CDF", b"GRIB"
_MODULES = {"h5netcdf": "xarray", "scipy": "xarray", "cfgrib": "grib", "zarr": "zarr"}


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
    if not _installed(engine):
        raise require_extra(engine, _MODULES[engine], f"reading {os.fspath(path)}")
    options: dict[str, Any] = {"backend_kwargs": {"indexpath": ""}} if engine == "cfgrib" else {}
    try:
        return xarray.open_dataset(path, engine=engine, decode_cf=False, cache=False, **options)
    except Exception as error:  # noqa: BLE001  # each engine has errors of its own
        raise FormatError(f"{os.fspath(path)} cannot be read by {engine}: {type(error).__name__}: {str(error)[:200]}") from None


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
        else:
            import scipy  # noqa: F401
    except (ImportError, RuntimeError):  # cfgrib without the library beneath it
        return False
    return True
