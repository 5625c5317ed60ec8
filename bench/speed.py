"""Speed both ways under a checked error bound: python bench/speed.py [--data DIR] [--quick].

Real fields repeated along their steps to about 22 million values. All codecs run in turn in one process, `--runs` rounds; each
row of aecodec runs next to SZ3, first and second by turns, and its ratio to SZ3 is the median of those pairs': ratios are what
holds, absolute speeds depend on the machine. The headline is level 1 against SZ3, one thread each. Models are fitted before.
"""

import argparse
import csv
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import one_thread

# isort: split
import latency
import numpy as np
import speed_codecs
from environment import PACKAGES, environment
from fields import FieldSet, load_sets
from fitting import absolute_bound, fit
from peers import rounded, worst_error
from timing import Times, speed_ratio, touch

from aecodec.compiled.kernels import kernels

SETS = ("navy_winds_uv", "glosea4_ens", "fmi_20160928")
VALUES = 22_000_000
SLOW_SECONDS, SLOW_RUNS = 5.0, 3  # rounds of a row of aecodec that takes longer
LEVELS, THREADS, FRACTIONS = (1, 5, 9), (1, 2), (1e-2, 1e-3, 1e-4)


@dataclasses.dataclass(frozen=True)
class Row:
    """One codec on one array, or one latency; a line of the CSV. `cpu_...`: the same ratio by processor time."""

    kind: str
    name: str
    fraction: float | None
    codec: str
    level: int | None
    threads: int | None
    megabytes: float | None = None
    mb_s_in: float | None = None
    mb_s_out: float | None = None
    ratio: float | None = None
    worst_error_over_bound: float | None = None
    in_over_sz3: float | None = None
    out_over_sz3: float | None = None
    cpu_in_over_sz3: float | None = None
    cpu_out_over_sz3: float | None = None
    ms_in: float | None = None
    ms_out: float | None = None


class Measured:
    """A codec with its encoded bytes, and the times of its calls and of the calls of its pair."""

    def __init__(self, codec: speed_codecs.Codec, room: int) -> None:
        """`room`: bytes of memory that are touched before each call, those of the array and as many again."""
        self.codec, self.room = codec, room
        first = Times()
        first.call(self.encode)
        self.slow = first.wall[0] > SLOW_SECONDS
        self.size = memoryview(self.data).nbytes
        self.decode()
        self.there, self.back = Times(), Times()
        self.pair_there, self.pair_back = Times(), Times()

    def encode(self) -> object:
        """For the clock."""
        self.data = self.codec.encode()
        return self.data

    def decode(self) -> object:
        """For the clock."""
        return self.codec.decode(self.data)

    def turn(self) -> None:
        """One call each way."""
        for times, call in ((self.there, self.encode), (self.back, self.decode)):
            touch(self.room)
            times.call(call)

    def turn_beside(self, other: "Measured", first: bool) -> None:
        """One call each way of both, this one first or second."""
        ways = (
            (self.there, self.encode, self.pair_there, other.encode),
            (self.back, self.decode, self.pair_back, other.decode),
        )
        for own, mine, pair, theirs in ways:
            calls = [(own, mine), (pair, theirs)]
            for times, call in calls if first else calls[::-1]:
                touch(self.room)
                times.call(call)


def throughput(field: FieldSet, x: np.ndarray, fraction: float, bound: float, options: argparse.Namespace) -> list[Row]:
    """Rows of all codecs at one bound; those of lossless ones with the first bound only."""
    model, room = fit(field, bound), 2 * x.nbytes
    ours = [Measured(codec, room) for codec in speed_codecs.ours(x, model, field.axes, bound, options.levels, options.threads)]
    ours += [Measured(codec, room) for codec in speed_codecs.without_model(x, field.axes, bound, options.levels[0])]
    others = [Measured(codec, room) for codec in speed_codecs.peers(x, bound)]
    if fraction == options.bounds[0]:
        others += [Measured(codec, room) for codec in speed_codecs.lossless(x)]
    pair = others[0]
    for number in range(options.runs):
        for measured in ours:
            if number < SLOW_RUNS or not measured.slow:
                measured.turn_beside(pair, first=number % 2 == 0)
        for measured in others:
            measured.turn()
    return [_row(field.name, x, fraction, bound, measured) for measured in ours + others]


def _row(name: str, x: np.ndarray, fraction: float, bound: float, measured: Measured) -> Row:
    codec, exact = measured.codec, measured.codec.name in speed_codecs.LOSSLESS
    worst = worst_error(x, rounded(x, np.asarray(measured.decode()))) / bound
    ratios: list[float | None] = [None] * 4
    if measured.pair_there.wall:
        there, back, other, other_back = measured.there, measured.back, measured.pair_there, measured.pair_back
        ratios = [speed_ratio(there.wall, other.wall), speed_ratio(back.wall, other_back.wall)]
        ratios += [speed_ratio(there.cpu, other.cpu), speed_ratio(back.cpu, other_back.cpu)]
    return Row(
        "throughput",
        name,
        None if exact else fraction,
        codec.name,
        codec.level or None,
        codec.threads,
        x.nbytes / 1e6,
        measured.there.rate(x.nbytes),
        measured.back.rate(x.nbytes),
        x.nbytes / measured.size,
        worst,
        *ratios,
    )


def fitting(field: FieldSet, x: np.ndarray, fraction: float, bound: float, runs: int) -> Row:
    """Throughput of `fit` on the whole repeated array."""
    rate = latency.fitting(x, field.axes, bound, runs).rate(x.nbytes)
    return Row("fit", field.name, fraction, "aecodec", None, 1, x.nbytes / 1e6, rate)


def latencies(field: FieldSet | None, calls: int) -> list[Row]:
    """Start-up of the command, and small messages out of a field."""
    found = latency.start_up(10) + (latency.message(field, calls) if field else [])
    blank = (None,) * 4
    return [
        Row(one.kind, one.what, None, "aecodec", None, 1, None, None, None, one.ratio, None, *blank, one.ms_in, one.ms_out)
        for one in found
    ]


def repeated(field: FieldSet, values: int) -> np.ndarray:
    """Train and test part in a row, over and over along the steps, to about `values` values."""
    whole = np.concatenate([field.train, field.test])
    count = max(1, round(values / whole.size))
    return np.tile(whole, (count,) + (1,) * (whole.ndim - 1))


def show(row: Row) -> None:
    """One line on the terminal."""
    if row.ms_in is not None:
        back = "" if row.ms_out is None else f", out {row.ms_out:.2f} ms, {row.ratio:.2f}:1"
        print(f"{row.kind}: {row.name}: {row.ms_in:.2f} ms{back}", flush=True)
        return
    name = row.codec + (f" level {row.level}, threads {row.threads}" if row.level else "")
    line = f"{row.kind} {row.name:14} {row.fraction or 'lossless':<8} {name:38} in {row.mb_s_in:7.1f} MB/s"
    if row.mb_s_out is not None:
        line += f", out {row.mb_s_out:7.1f}, {row.ratio:6.2f}:1, worst {row.worst_error_over_bound:.4f}"
    if row.in_over_sz3 is not None:
        line += f", over SZ3 {row.in_over_sz3:.2f} / {row.out_over_sz3:.2f}"
        line += f" (CPU {row.cpu_in_over_sz3:.2f} / {row.cpu_out_over_sz3:.2f})"
    print(line, flush=True)


def write_csv(path: Path, rows: Sequence[Row], header: Sequence[str]) -> None:
    """Comment lines, then the rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        file.writelines(f"# {line}\n" for line in header)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([f.name for f in dataclasses.fields(Row)])
        writer.writerows([f"{v:.5g}" if isinstance(v, float) else v for v in dataclasses.astuple(row)] for row in rows)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("AECODEC_BENCH_DATA"), help="folder that holds fields/*.npy")
    parser.add_argument("--sets", nargs="+", default=list(SETS), metavar="SET")
    parser.add_argument("--bounds", nargs="+", type=float, default=list(FRACTIONS))
    parser.add_argument("--levels", nargs="+", type=int, default=list(LEVELS))
    parser.add_argument("--threads", nargs="+", type=int, default=list(THREADS))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--values", type=int, default=VALUES, help="of each repeated array, about")
    parser.add_argument("--quick", action="store_true", help="two rounds, 2.2 million values, and another CSV by default")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.runs, options.values = 2, VALUES // 10
    path = options.csv or Path("speed-quick.csv" if options.quick else Path(__file__).with_suffix(".csv"))
    header = [
        *environment((*PACKAGES, "blosc2")),
        f"aecodec's compiled phases: {'there' if kernels is not None else 'not built, numpy and ONNX Runtime instead'}",
        f"environment: {', '.join(f'{name}=1' for name in one_thread.VARIABLES)}",
        f"medians of {options.runs} rounds, codecs in turn in one process; ratios to SZ3: medians of pairs run side by side",
        "before each call twice the memory of the array is touched and given back: see touch in timing.py",
        f"rows of aecodec that take over {SLOW_SECONDS:g} s a call: {SLOW_RUNS} rounds at most",
        *(f"{codec} settings: {setting}" for codec, setting in speed_codecs.SETTINGS.items()),
    ]
    rows: list[Row] = []

    def add(found: Sequence[Row]) -> None:
        rows.extend(found)
        for row in found:
            show(row)

    first: FieldSet | None = None
    for field in load_sets(Path(options.data) if options.data else None, options.sets):
        if isinstance(field, str):
            header.append(f"note: {field}")
            print(field)
            continue
        first = first or field
        x = repeated(field, options.values)
        for fraction in options.bounds:
            bound = absolute_bound(x, fraction)
            if bound is None:
                header.append(f"note: {field.name} is left out at {fraction:g}: the bound of its integers would be below 1")
                continue
            add(throughput(field, x, fraction, bound, options))
            if fraction == options.bounds[0]:
                add([fitting(field, x, fraction, bound, min(3, options.runs))])
    add(latencies(first, 20 if options.quick else 200))
    write_csv(path, rows, header)


if __name__ == "__main__":
    main()
