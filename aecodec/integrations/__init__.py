"""Thin bindings to what arrays are kept and computed with: zarr, numcodecs, xarray, HDF5, dask. Each is an optional extra."""
