"""How near the entropy symbols are packed, and how fast: python bench/packing.py [--data DIR] [--quick].

Overhead is against the empirical entropy under the codec's own contexts: of a stream its own frequencies; of latents and
residuals the frequencies within each scale index, and for residuals the indices (side information) at their own entropy.
MB/s are bytes of the symbols as the narrowest signed integers (int8 where they fit, else int16), one thread, numpy included;
the target is at most 1 % over at 1 Mi symbols and more, and 300 MB/s each way.
"""

import argparse
import csv
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

import one_thread

# isort: split
import numpy as np
import packers
import sources
from environment import environment
from fields import load_sets
from timing import Times

from aecodec.packing.residuals import CELL_SIZES

PACKAGES = ("numpy", "zstandard", "aecodec", "constriction")
SEED = 20260
SLOW_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Row:
    """One packer on one set of symbols; a line of the CSV."""

    kind: str
    symbols: int
    dtype: str
    bits_per_symbol: float
    side_bits_per_symbol: float
    packer: str
    size: int
    overhead_percent: float
    mb_s_in: float
    mb_s_out: float


def measure(kind: str, values: np.ndarray, ideal: float, side: float, ways: Iterable[packers.Packer], runs: int) -> list[Row]:
    """Rows of all packers, in turn, round robin; slow ones once. `ideal` and `side` are bits."""
    narrow = packers.narrowest(values)
    rows = []
    timed: list[tuple[packers.Packer, object, Times, Times]] = []
    for way in ways:
        packed = way.pack()
        if not np.array_equal(way.unpack(packed), values):
            raise AssertionError(f"{way.name} does not give the symbols of {kind} back")
        timed.append((way, packed, Times(), Times()))
    for _ in range(runs):
        for way, packed, there, back in timed:
            if there.wall and there.wall[0] > SLOW_SECONDS:
                continue
            there.call(way.pack)
            back.call(lambda way=way, packed=packed: way.unpack(packed))
    for way, packed, there, back in timed:
        size = memoryview(packed).nbytes
        over = 100.0 * (8.0 * size / (ideal + side) - 1.0)
        per_symbol = (ideal / values.size, side / values.size)
        speeds = (there.rate(narrow.nbytes), back.rate(narrow.nbytes))
        rows.append(Row(kind, values.size, str(narrow.dtype), *per_symbol, way.name, size, over, *speeds))
        print(
            f"{kind:28} {values.size:8} {narrow.dtype!s:5} {per_symbol[0]:7.4f} bits  {way.name:17}"
            f"{over:8.2f} % over  in {speeds[0]:7.1f} MB/s, out {speeds[1]:7.1f}",
            flush=True,
        )
    return rows


def residual_rows(kind: str, residual: np.ndarray, cells: Iterable[int], runs: int) -> list[Row]:
    """Rows of a residual with each cell size that `encode_residual` keeps; the peers with the first only."""
    rows: list[Row] = []
    for size in cells:
        ways = list(packers.of_residual(residual, size))
        if packers.cell_size_of(ways[0].pack()) != size:
            continue
        ways = ways if not rows else [way for way in ways if way.name.startswith("aecodec")]
        rows += measure(f"{kind}, cells of {size}", residual, *packers.residual_ideal(residual, size), ways, runs)
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("AECODEC_BENCH_DATA"), help="folder that holds fields/*.npy")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two rounds, no 4 Mi symbols, and another CSV by default")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    sizes = sources.SIZES[:2] if options.quick else sources.SIZES
    runs = 2 if options.quick else options.runs
    path = options.csv or Path("packing-quick.csv" if options.quick else Path(__file__).with_suffix(".csv"))
    header = [
        *environment(PACKAGES),
        f"environment: {', '.join(f'{name}=1' for name in one_thread.VARIABLES)}",
        f"medians of {runs} rounds, packers in turn in one process; those over {SLOW_SECONDS:g} s a call once",
        "MB/s: bytes of the symbols as the narrowest signed integers, the dtype column, in 1e6 bytes",
        "dtype: a few large values make it int16",
        "overhead: over the empirical entropy (given the codec's scale indices, plus that of the indices in residuals)",
        "negative overhead: the order of the symbols helps, which this entropy does not see (zstd's repeats, neighbours)",
        f"streams: difference of two geometric variables, a Laplacian's law on the integers, numpy seed {SEED}",
        *(f"{name} settings: {setting}" for name, setting in packers.SETTINGS.items()),
    ]
    if not packers.RANS:
        header.append("note: rANS is left out: constriction is not installed")
        print(header[-1])
    rng = np.random.default_rng(SEED)
    rows: list[Row] = []
    for bits, values in sources.streams(sizes, rng):
        rows += measure(f"stream of {bits:g} bits", values, packers.empirical_bits(values), 0.0, packers.of_stream(values), runs)
    for count in sizes[1:]:
        tensor = sources.tensor(count, rng)
        rows += measure(
            "latents, varying scales", tensor.symbols, packers.latents_ideal(tensor), 0.0, packers.of_tensor(tensor), runs
        )
        # Cells are runs along a row: channels first makes them neighbours on the tile grid.
        residual = np.ascontiguousarray(tensor.symbols.T).reshape(-1)
        rows += residual_rows("residual, varying scales", residual, CELL_SIZES[1:], runs)
    for field in load_sets(Path(options.data) if options.data else None, ["navy_winds_uv"]):
        if isinstance(field, str):
            header.append(f"note: {field}")
            print(field)
            continue
        residual = sources.lorenzo_of_field(np.concatenate([field.train, field.test]), 1e-3)
        rows += residual_rows(f"Lorenzo of {field.name} at 1e-3", residual, CELL_SIZES, runs)
    with path.open("w", newline="", encoding="utf-8") as file:
        file.writelines(f"# {line}\n" for line in header)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([f.name for f in dataclasses.fields(Row)])
        writer.writerows([f"{v:.5g}" if isinstance(v, float) else v for v in dataclasses.astuple(row)] for row in rows)


if __name__ == "__main__":
    main()
