"""Bindings whose package is not installed say which command installs it."""

import subprocess
import sys

import pytest

MODULES = {
    "zarr": ("zarr", "zarr"),
    "zarr_summary": ("zarr", "zarr"),
    "numcodecs": ("numcodecs", "zarr"),
    "xarray": ("xarray", "xarray"),
    "hdf5": ("h5py", "hdf5"),
    "dask": ("dask", "dask"),
}


@pytest.mark.parametrize("module", MODULES)
def test_a_missing_package_names_the_command(module):
    package, extra = MODULES[module]
    code = f"import sys; sys.modules[{package!r}] = None; import aecodec.integrations.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("aecodec.errors.MissingExtraError: ")
    assert f"pip install 'aecodec[{extra}]'" in last
