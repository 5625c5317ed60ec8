"""`aecodec compress in.nc -o out.zarr`, each variable within its own bound, and `aecodec decompress out.zarr -o back.nc`."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aecodec.cli.outputs import refuse_existing
from aecodec.cli.progress import progress, say, size_text
from aecodec.cli.tables import print_table
from aecodec.container.durable import replace_durably
from aecodec.errors import OutputExistsError, UsageError

SUFFIX = ".zarr"
NETCDF = (".nc", ".nc4", ".netcdf")
_COLUMNS = ("variable", "shape", "axes", "kept within", "coded by", "size", "ratio")


def is_dataset(output: str | None) -> bool:
    """True if the output is a zarr store, as is made of datasets."""
    return output is not None and output.rstrip("/").endswith(SUFFIX)


def compress_dataset(
    inputs: list[str],
    output: str,
    max_error: str | None,
    others: Mapping[str, float | None],
    model: Any,
    level: int,
    force: bool,
    quiet: bool,
) -> None:
    """Write one NetCDF, GRIB or zarr file to a zarr store, and print a table of its variables. `others`: fidelities by kind."""
    from aecodec.integrations import xarray as binding
    from aecodec.integrations.netcdf import open_dataset

    if len(inputs) != 1:
        raise UsageError(f"a zarr store is written from one dataset, but there are {len(inputs)} inputs")
    target = Path(output)
    if target.exists() and not force:
        raise OutputExistsError(f"{output} exists; choose another name with -o, or overwrite it with -f")
    demands: dict[str, Any] = {"max_error": parse_bounds(max_error), **others}
    with open_dataset(inputs[0]) as dataset:
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            with progress(inputs[0], None, quiet):
                rows = binding.to_zarr(binding.unpacked(dataset, demands), partial, model=model, level=level, **demands)
            rows = [replace(row, array_bytes=int(dataset.variables[row.name].nbytes)) for row in rows]  # as it was stored, packed
            if target.exists():
                shutil.rmtree(target) if target.is_dir() else target.unlink()
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    if not quiet:
        print_table(_COLUMNS, [_row(row) for row in rows])
    total, stored = sum(row.array_bytes for row in rows), sum(row.stored_bytes for row in rows)
    unfit = sum(row.unfit for row in rows)
    note = f", {unfit} chunks that the model could not take" if unfit else ""
    say(f"{inputs[0]} : {size_text(total)} -> {size_text(stored)}, {total / max(1, stored):.2f}:1, {output}{note}", quiet)


def is_stored_dataset(inputs: list[str], output: str | None) -> bool:
    """True if a zarr store is to become a NetCDF file."""
    return output is not None and output.lower().endswith(NETCDF) and len(inputs) == 1 and is_dataset(inputs[0])


def decompress_dataset(store: str, output: str, force: bool, quiet: bool) -> None:
    """Write a zarr store, the whole of which is one dataset, as NetCDF-4."""
    from aecodec.integrations.netcdf import open_dataset, write_netcdf

    refuse_existing(output, force)
    target = Path(output)
    with open_dataset(store) as dataset:
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            with progress(store, None, quiet):
                write_netcdf(dataset, partial)
            replace_durably(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        variables = f"{len(dataset.variables)} variables"
    say(f"{store} : {variables}, {size_text(target.stat().st_size)}, {output}", quiet)


def parse_bounds(text: str | None) -> float | dict[str, float] | None:
    """ "0.1" for all variables, or "t2m=0.05,u10=0.1" by name."""
    if text is None:
        return None
    try:
        if "=" not in text:
            return float(text)
        pairs = [part.split("=") for part in text.split(",")]
        found = {name.strip(): float(number) for name, number in pairs}
    except ValueError:
        raise UsageError(
            f"--max-error {text!r} is neither a number nor NAME=NUMBER with commas, such as t2m=0.05,u10=0.1"
        ) from None
    if len(found) < len(pairs):
        raise UsageError(f"--max-error {text!r} names a variable twice")
    return found


def _row(row: Any) -> tuple[str, ...]:
    kind, value = row.fidelity.kind, row.fidelity.value
    within = "every bit" if kind == "lossless" else f"{kind} {value:g}"
    modes = ", ".join(f"{mode} {count}" for mode, count in sorted(row.modes.items()))
    model = (" with a model" if row.model else "") + (f" ({row.unfit} without: unfit)" if row.unfit else "")
    shape = "x".join(map(str, row.shape)) or "one value"
    return row.name, f"{shape} {row.dtype}", row.axes, within, modes + model, size_text(row.stored_bytes), f"{row.ratio:.2f}"
