"""dask on one worker and on two: python bench/scale.py [--data DIR] [--quick].

Chunk-parallel work on a local cluster, workers of one thread each: coding a dask array to one file, decoding it, coding it to a
zarr store, evaluating, and fitting. Every block is read where it is needed, so that no data travel. Rounds by turns, medians; one
cluster at a time, since one that waits takes a twentieth of a core.
Efficiency: time on one worker over twice that on two. From these rates follows what 10 TB and 1 PB take.
"""

import argparse
import csv
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import one_thread  # noqa: F401  # before numpy; workers inherit it

# isort: split
import dask.array as da
import distributed
import numpy as np
from environment import environment
from fields import FieldSet, load_sets
from fitting import absolute_bound, fit
from rich.console import Console
from rich.table import Table

import aecodec
from aecodec.integrations import dask as aed

HERE = Path(__file__).parent
PACKAGES = ("numpy", "onnxruntime", "zstandard", "aecodec", "dask", "distributed", "zarr")
SET, FRACTION, LEVELS = "navy_winds_uv", 1e-3, (1, 5)
FALLBACK = "A1B_E1_tas"  # of iris-sample-data
BLOCKS, QUICK_BLOCKS = 32, 4
CHUNK_VALUES = 1 << 21
BLOCK_CHUNKS = 2  # of 8 MB each
CORES = 1000  # of the cost model
SIZES = {"10 TB": 1e13, "1 PB": 1e15}


@dataclass(frozen=True)
class Row:
    """One kind of work; a line of the CSV. Rates in MB/s of the array, of all workers together."""

    name: str
    work: str
    level: int
    megabytes: float
    one_worker_mb_s: float
    two_workers_mb_s: float
    efficiency: float
    ratio: float


def chunk_steps(field: FieldSet) -> int:
    """Of a chunk of about CHUNK_VALUES."""
    return max(1, CHUNK_VALUES // int(np.prod(field.test.shape[1:])))


def tiled(field: FieldSet, blocks: int, path: Path) -> da.Array:
    """The field repeated along its steps in `blocks` blocks of BLOCK_CHUNKS chunks; each is read from `path`."""
    steps = BLOCK_CHUNKS * chunk_steps(field)
    block = np.resize(field.test, (steps, *field.test.shape[1:]))
    shape = (steps * blocks, *block.shape[1:])
    np.save(path, block)
    chunks = ((steps,) * blocks, *((n,) for n in shape[1:]))
    return da.map_blocks(_block, chunks=chunks, dtype=block.dtype, meta=block[:0], path=str(path))


def _block(path: str) -> np.ndarray:
    return np.load(path)


def works(array: da.Array, field: FieldSet, model: aecodec.Model, level: int, folder: Path) -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    bound, axes = absolute_bound(field.test, FRACTION), field.axes
    used = model if level > 2 else None
    path = folder / "run.aecz"
    found: dict[str, Callable[[], object]] = {
        "array to .aecz": lambda: aed.to_aecz(array, path, used, axes, level=level, overwrite=True, max_error=bound),
        ".aecz to array": lambda: aed.from_aecz(path).map_blocks(_summed, dtype="f8").sum().compute(),
        "array to zarr": lambda: aed.to_zarr(array, folder / "run.zarr", used, axes, level=level, overwrite=True, max_error=bound),
        "evaluate": lambda: aed.evaluate(array, used, axes, level=level, max_error=bound),
    }
    if level > 2:
        found["fit"] = lambda: aed.fit(array, axes, max_error=bound)
    return found


def _summed(block: np.ndarray) -> np.ndarray:
    return np.full((1,) * block.ndim, block.sum(dtype=np.float64))


def measure(array: da.Array, field: FieldSet, model: aecodec.Model, level: int, runs: int) -> list[Row]:
    """Rows of one level: each work on one worker and on two, by turns."""
    seconds: dict[str, tuple[list[float], list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for workers in (1, 2, 2, 1):
            with cluster(workers) as local, distributed.Client(local):
                for name, work in works(array, field, model, level, Path(folder)).items():
                    times = seconds.setdefault(name, ([], []))[workers - 1]
                    work()  # loads modules and sessions
                    for _ in range(runs):
                        start = time.perf_counter()
                        work()
                        times.append(time.perf_counter() - start)
        ratio = array.nbytes / (Path(folder) / "run.aecz").stat().st_size
    rows = []
    for name, (ones, twos) in seconds.items():
        one, two = statistics.median(ones), statistics.median(twos)
        rates = [round(array.nbytes / 1e6 / s, 1) for s in (one, two)]
        rows.append(Row(field.name, name, level, round(array.nbytes / 1e6, 1), *rates, round(one / (2 * two), 3), round(ratio, 2)))
    return rows


def cluster(workers: int) -> distributed.LocalCluster:
    """Of workers of one thread each."""
    return distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=":0", memory_limit=0, silence_logs=40
    )


def show(rows: list[Row]) -> None:
    """The table, and the cost model that follows from it."""
    table = Table(*(field.name for field in fields(Row)), title="dask on one worker and on two, one thread each")
    for row in rows:
        table.add_row(*(str(value) for value in asdict(row).values()))
    console = Console(width=160)
    console.print(table)
    units = ("core hours", f"hours on {CORES} cores", "stored")
    costs = Table("work", "level", *(f"{label}: {unit}" for label in SIZES for unit in units))
    costs.title = f"What follows, if {CORES} cores are each as fast as one of these two at work together and storage keeps up"
    for row in rows:
        cells = []
        for size in SIZES.values():
            hours = size / 1e6 / (row.two_workers_mb_s / 2) / 3600
            cells += [f"{hours:,.0f}", f"{hours / CORES:,.1f}", f"{size / row.ratio / 1e12:,.2f} TB"]
        costs.add_row(row.work, str(row.level), *cells)
    console.print(costs)
    print(
        "One .aecz file is written by one process, which takes compressed chunks only: at 500 MB/s of storage it serves "
        f"{500 * min(row.ratio for row in rows):,.0f} MB/s of array or more; beyond that, several files "
        "(which can be joined by cat) or a zarr store, to which every worker writes."
    )


def main() -> None:
    """Measure, print, write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with fields/*.npy; default: the iris-sample-data package")
    parser.add_argument("--quick", action="store_true", help="less data, fewer rounds, no CSV")
    parser.add_argument("--runs", type=int, default=2, help="of each work on each of four clusters")
    options = parser.parse_args()
    (field,) = load_sets(options.data, [SET if options.data else FALLBACK])
    if isinstance(field, str):
        raise SystemExit(field)
    folder = tempfile.TemporaryDirectory()
    array = tiled(field, QUICK_BLOCKS if options.quick else BLOCKS, Path(folder.name) / "block.npy")
    model = fit(field, absolute_bound(field.test, FRACTION))
    rows = []
    for level in LEVELS[:1] if options.quick else LEVELS:
        rows += measure(array, field, model, level, 1 if options.quick else options.runs)
    show(rows)
    print(f"{os.cpu_count()} cores; load average {os.getloadavg()[0]:.2f}")
    if not options.quick:
        with (HERE / "scale.csv").open("w", newline="") as file:
            file.writelines(f"# {line}\n" for line in environment(PACKAGES))
            writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)
    folder.cleanup()


if __name__ == "__main__":
    main()
