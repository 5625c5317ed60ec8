"""zarr through the codec next to the library's own decoding: python bench/stores.py [--data DIR] [--quick].

One field repeated along its steps. `read` is all of a zarr array in memory, chunk by chunk through zarr's own pipeline;
`decode` the same chunks by the library alone, on as many threads, into one array; `file` an .aecz file of the whole, of chunks of
the library's own length, by `decompress` on as many threads; rounds by turns, ratios of neighbours.
`zarr_alone` reads uncompressed chunks: what zarr itself takes. Last, bytes of a chunk in the lean form of FORMAT.md,
section 7, and as .aecz.
"""

import argparse
import csv
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import one_thread  # noqa: F401  # before numpy

# isort: split
import numpy as np
import zarr
from environment import environment
from fields import FieldSet, load_sets
from fitting import absolute_bound, fit
from rich.console import Console
from rich.table import Table
from timing import Times, speed_ratio

import aecodec
from aecodec.integrations.coding import Coding, make_coding
from aecodec.integrations.zarr import AecodecCodec

HERE = Path(__file__).parent
PACKAGES = ("numpy", "onnxruntime", "zstandard", "aecodec", "zarr", "numcodecs")
SET, FRACTION = "A1B_E1_tas", 1e-3
VALUES, QUICK_VALUES = 11_000_000, 2_000_000
STEPS = (256, 32, 4)  # of a chunk


@dataclass(frozen=True)
class Row:
    """One layout at one level; a line of the CSV. `read_over_...` are medians of neighbours' ratios."""

    name: str
    level: int
    model: bool
    chunk_values: int
    threads: int
    megabytes: float
    read_mb_s: float
    decode_mb_s: float
    read_over_decode: float
    file_mb_s: float
    read_over_file: float
    zarr_alone_mb_s: float
    ratio: float
    bytes_per_chunk: float
    bytes_per_chunk_aecz: float


def measure(
    field: FieldSet, x: np.ndarray, model: aecodec.Model | None, level: int, steps: int, options: argparse.Namespace
) -> Row:
    """Both ways to read of one layout, by turns."""
    bound = absolute_bound(field.test, FRACTION)
    coding = make_coding(model, field.axes, level, True, None, max_error=bound)
    chunks = (steps, *x.shape[1:])
    array = zarr.create_array(
        store={}, shape=x.shape, chunks=chunks, dtype=x.dtype, serializer=AecodecCodec(coding=coding), compressors=None
    )
    array[...] = x
    parts = [x[start : start + steps] for start in range(0, len(x), steps)]
    stored = [coding.encode(part) for part in parts]
    whole = [aecodec.compress(part, model or False, field.axes, level=level, embed_model=False, max_error=bound) for part in parts]
    plain = zarr.create_array(store={}, shape=x.shape, chunks=chunks, dtype=x.dtype, compressors=None)
    plain[...] = x
    file = aecodec.compress(x, model or False, field.axes, level=level, embed_model=False, max_error=bound)
    times, own, whole_file, alone = Times(), Times(), Times(), Times()
    with ThreadPoolExecutor(options.threads) as pool:
        for number in range(options.runs + 1):
            calls = [
                (own, lambda: decode(stored, parts, coding, x, pool)),
                (times, lambda: array[...]),
                (whole_file, lambda: aecodec.decompress(file, threads=options.threads, model=model)),
            ]
            for clock, call in calls if number % 2 else calls[::-1]:
                clock.call(call)
            alone.call(lambda: plain[...])
    for each in (times, own, whole_file):
        each.wall = each.wall[1:]  # the first loads sessions
    assert np.abs(array[...] - x).max() <= bound
    size = statistics.fmean(map(len, stored))
    return Row(
        field.name,
        level,
        model is not None,
        int(np.prod(chunks)),
        options.threads,
        x.nbytes / 1e6,
        round(times.rate(x.nbytes), 1),
        round(own.rate(x.nbytes), 1),
        round(speed_ratio(times.wall, own.wall), 3),
        round(whole_file.rate(x.nbytes), 1),
        round(speed_ratio(times.wall, whole_file.wall), 3),
        round(alone.rate(x.nbytes), 1),
        round(x.nbytes / sum(map(len, stored)), 3),
        round(size, 1),
        round(statistics.fmean(map(len, whole)), 1),
    )


def decode(stored: list[bytes], parts: list[np.ndarray], coding: Coding, x: np.ndarray, pool: ThreadPoolExecutor) -> np.ndarray:
    """The library alone."""
    out, steps = np.empty_like(x), len(parts[0])

    def one(number: int) -> None:
        part = parts[number]
        out[number * steps : number * steps + len(part)] = coding.decode(stored[number], part.shape, part.dtype)

    list(pool.map(one, range(len(stored))))
    return out


def show(rows: list[Row]) -> None:
    """The table on the terminal."""
    names = [field.name for field in fields(Row)]
    table = Table(*names, title="zarr through the codec, and the library alone")
    for row in rows:
        table.add_row(*(str(value) for value in asdict(row).values()))
    Console(width=200).print(table)
    print(f"least read/decode: {min(row.read_over_decode for row in rows):.2f}")
    long = [row for row in rows if row.chunk_values > 1 << 19]
    print(f"least read/file, chunks of over half a million values: {min(row.read_over_file for row in long):.2f} (goal 0.8)")


def main() -> None:
    """Measure, print, write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with fields/*.npy; default: the iris-sample-data package")
    parser.add_argument("--quick", action="store_true", help="less data, fewer rounds, no CSV")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    zarr.config.set({"threading.max_workers": options.threads})
    if options.quick:
        options.runs = 3
    (field,) = (found for found in load_sets(options.data, [SET]))
    if isinstance(field, str):
        raise SystemExit(field)
    repeats = -(-(QUICK_VALUES if options.quick else VALUES) // field.test.size)
    x = np.tile(field.test, (repeats, *[1] * (field.test.ndim - 1)))
    model = fit(field, absolute_bound(field.test, FRACTION))
    rows = [measure(field, x, used, level, steps, options) for level, used in ((1, None), (5, None), (5, model)) for steps in STEPS]
    show(rows)
    if not options.quick:
        with (HERE / "stores.csv").open("w", newline="") as file:
            file.writelines(f"# {line}\n" for line in environment(PACKAGES))
            writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)


if __name__ == "__main__":
    main()
