"""Compression ratios under a checked error bound: aecodec against SZ3, SPERR and ZFP, all bytes counted.

    pip install "aecodec[bench]" && python bench/ratio.py [--data DIR]

Bounds are fractions of the test array's value range; those of integers are rounded down to whole numbers. "fitted" is a
model of the train split, not counted; "with model" counts its bytes too; "embedded" is fitted on the test array itself
and counted, as anybody gets it who names no model. Every output is decoded and compared with the array in float64.
"""

import argparse
import csv
import datetime
import io
import math
import os
import platform
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

import imagecodecs
import numpy as np
from fields import SPLITS, FieldSet, load_sets
from peers import SETTINGS, peer_results, worst_error
from rich.console import Console
from rich.table import Table

import aecodec

BOUNDS = (1e-2, 1e-3, 1e-4)
PACKAGES = ("numpy", "onnxruntime", "zstandard", "aecodec", "pysz", "imagecodecs", "zfpy")
GAINS = ("fitted", "with model", "embedded")


@dataclass(frozen=True)
class Row:
    """One codec's result on one set at one bound; a line of the CSV."""

    name: str
    precision: str
    axes: str
    shape: str
    dtype: str
    fraction: float
    bound: float
    codec: str
    setting: str
    size: int
    model_size: int
    ratio: float
    gain_over_best_peer: float
    worst_error_over_bound: float


def absolute_bound(test: np.ndarray, fraction: float) -> float | None:
    """The bound as a number, whole for integers; None where that would be below 1."""
    bound = fraction * (float(test.max()) - float(test.min()))
    if test.dtype.kind not in "iu":
        return bound
    return float(math.floor(bound)) or None


def measure(field: FieldSet, fraction: float, bound: float, level: int) -> list[Row]:
    """Rows of all codecs; the first three are aecodec's, as in GAINS."""
    test = field.test
    results: list[tuple[str, str, int, int, float]] = []

    model = fit(field, bound)
    packed = aecodec.compress(test, model, field.axes, level=level, max_error=bound, embed_model=False)
    worst = worst_error(test, aecodec.decompress(packed, model=model))
    model_size = len(model.bundle.to_bytes())
    results.append(("aecodec fitted", _describe(model), len(packed), 0, worst))
    results.append(("aecodec with model", _describe(model), len(packed) + model_size, model_size, worst))

    packed = aecodec.compress(test, None, field.axes, level=level, max_error=bound, embed_model=True)
    worst = worst_error(test, aecodec.decompress(packed))
    with aecodec.open(io.BytesIO(packed)) as file:
        own = file.model
    own_size = len(own.bundle.to_bytes()) if own is not None else 0
    results.append(("aecodec embedded", _describe(own), len(packed), own_size, worst))

    peers = peer_results(test, field.axes, bound)
    results += [(codec, coded.setting, coded.size, 0, coded.worst) for codec, coded in peers.items()]
    best = min(coded.size for coded in peers.values())
    about = (field.name, field.precision, field.axes, "x".join(map(str, test.shape)), str(test.dtype), fraction, bound)
    return [
        Row(*about, codec, setting, size, inside, test.nbytes / size, best / size, worst / bound)
        for codec, setting, size, inside, worst in results
    ]


def fit(field: FieldSet, bound: float) -> aecodec.Model:
    """A model of the train split; where rows are the stream, in pieces that `fit` takes as equals, and no mean field."""
    if "t" in field.axes:
        return aecodec.fit(field.train, axes=field.axes, max_error=bound)
    half = len(field.train) // 2
    return aecodec.fit([field.train[:half], field.train[half : 2 * half]], axes=field.axes, reference=False, max_error=bound)


def _describe(model: aecodec.Model | None) -> str:
    if model is None:
        return "no model"
    reference = ", reference field" if model.manifest.reference else ""
    return f"tile {'x'.join(map(str, model.manifest.tile))}{reference}"


def show(rows: list[Row], level: int) -> None:
    """Print the table, then geometric mean and worst case of the gains at each bound."""
    table = Table("set", "bound", "SZ3", "SPERR", "ZFP", *GAINS, "model bytes", *(f"gain {g}" for g in GAINS))
    table.title = f"Ratios and gains over the best peer, level {level}; * values on a hidden lattice; ! bound not kept"
    groups = _grouped(rows)
    for group in groups:
        by = {row.codec: row for row in group}
        ours = [by[f"aecodec {g}"] for g in GAINS]
        mark = "*" if group[0].precision.startswith("step") else ""
        ratios = [_ratio(by[c]) for c in SETTINGS] + [_ratio(row) for row in ours]
        gains = [f"{row.gain_over_best_peer:.2f}" for row in ours]
        table.add_row(group[0].name + mark, f"{group[0].fraction:g}", *ratios, f"{ours[1].model_size}", *gains)
    for fraction in sorted({row.fraction for row in rows}, reverse=True):
        chosen = [group for group in groups if group[0].fraction == fraction]
        table.add_section()
        for label, part in (("all", chosen), ("without *", [g for g in chosen if not g[0].precision.startswith("step")])):
            gains = [[group[i].gain_over_best_peer for group in part] for i in range(len(GAINS))]
            if not part:
                continue
            blanks = [""] * 7
            means = [f"{math.exp(np.mean(np.log(g))):.2f}" for g in gains]
            table.add_row(f"geometric mean, {label} ({len(part)})", f"{fraction:g}", *blanks, *means)
            table.add_row(f"worst, {label}", f"{fraction:g}", *blanks, *(f"{min(g):.2f}" for g in gains))
    Console(width=None if Console().is_terminal else 170).print(table)


def _ratio(row: Row) -> str:
    return f"{row.ratio:.2f}" + ("!" if row.worst_error_over_bound > 1 else "")


def _grouped(rows: list[Row]) -> list[list[Row]]:
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.name, row.fraction), []).append(row)
    return list(groups.values())


def write_csv(path: Path, rows: list[Row], level: int, notes: list[str]) -> None:
    """Comment lines that say where and with what the figures came about, then the rows."""
    header = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "hardware": f"{cpu_model()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "SPERR": imagecodecs.sperr_version(),
        "aecodec level": str(level),
        **{f"{codec} settings": setting for codec, setting in SETTINGS.items()},
        "of each peer": "the smallest output of all layouts and algorithms that keeps the bound",
        "integers": "peers get float32 and a bound wider by 0.49, their output is rounded",
    }
    with path.open("w", newline="", encoding="utf-8") as file:
        file.writelines(f"# {key}: {value}\n" for key, value in header.items())
        file.writelines(f"# note: {note}\n" for note in notes)
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.8g}" if isinstance(v, float) else v for k, v in asdict(row).items()})


def cpu_model() -> str:
    """Name of the processor."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("AECODEC_BENCH_DATA"), help="folder that holds fields/*.npy")
    parser.add_argument("--level", type=int, default=5)
    parser.add_argument("--sets", nargs="+", choices=list(SPLITS), default=list(SPLITS), metavar="SET")
    parser.add_argument("--bounds", nargs="+", type=float, default=list(BOUNDS))
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    arguments = parser.parse_args()
    data = Path(arguments.data) if arguments.data else None
    rows: list[Row] = []
    notes: list[str] = []
    for field in load_sets(data, arguments.sets):
        if isinstance(field, str):
            notes.append(field)
            print(field)
            continue
        for fraction in arguments.bounds:
            bound = absolute_bound(field.test, fraction)
            if bound is None:
                notes.append(f"{field.name} is left out at {fraction:g}: the bound of its integers would be below 1")
                print(notes[-1])
                continue
            rows += measure(field, fraction, bound, arguments.level)
            print(f"{field.name} at {fraction:g}: gain {rows[-len(GAINS) - len(SETTINGS)].gain_over_best_peer:.2f}", flush=True)
    if rows:
        show(rows, arguments.level)
        write_csv(arguments.csv, rows, arguments.level, notes)


if __name__ == "__main__":
    main()
